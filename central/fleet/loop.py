"""The fleet's own connection: states and configurations in, commands out. One process of all does it (lease)."""

import asyncio
import random
from typing import Final

import aiomqtt
import structlog

from central import mqtt
from central.fleet.dispatch import claim, expire
from central.fleet.live import States
from central.fleet.progress import ProgressBoard
from central.settings import Settings
from central.store.engine import Database
from central.store.faults import is_passing, reason_of
from shared.ids import IdError, Topic, topic_filter
from shared.waiting import answered
from shared.wire import Progress, WireError, decode

log = structlog.get_logger("metergate.fleet")

#: Seconds between looks for commands that are due, and after a failure of the database.
LOOK_EVERY: Final = 1.0
_RETRY: Final = 2.0
#: Messages of one topic replace each other; so many may lie between two writes.
_QUEUE: Final = 20_000


class Fleet:
    """``run()`` while this process has the lease."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._states = States(database)
        self._news: dict[Topic, bytes] = {}
        self._changed = asyncio.Event()
        self._awake: set[Topic] = set()

    async def run(self) -> None:
        await mqtt.keep_connected(
            lambda: mqtt.client(self._settings.broker, incoming=_QUEUE, suffix="-fleet"), self._serve, "fleet"
        )

    async def _serve(self, connection: aiomqtt.Client) -> None:
        for kind in ("state", "conf"):
            await answered(connection.subscribe(topic_filter(kind), qos=1))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store_for_ever(), name="fleet-states")
            group.create_task(self._dispatch_for_ever(connection), name="fleet-commands")
            async for message in connection.messages:
                try:
                    self._news[Topic.parse(str(message.topic))] = message.payload
                except IdError as error:
                    log.warning("message refused", topic=str(message.topic), error=str(error))
                self._changed.set()

    async def _store_for_ever(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            news, self._news = self._news, {}
            for topic, payload in news.items():
                try:
                    self._awake.update(await self._states.store({topic: payload}))
                except Exception as error:
                    if not is_passing(error):
                        log.exception("state not stored", topic=str(topic))
                        continue
                    log.warning(
                        "state not stored yet: the database is out of reach", topic=str(topic), error=str(error)
                    )
                    self._news.setdefault(topic, payload)
                    self._changed.set()
                    await asyncio.sleep(_RETRY)

    async def _dispatch_for_ever(self, connection: aiomqtt.Client) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.8, 1.0))  # noqa: S311
            awake, self._awake = self._awake, set()
            try:
                due = await claim(self._database, self._settings.ingest.resend_seconds, awake)
                await expire(self._database)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("commands wait: the database is out of reach", error=reason_of(error))
                self._awake |= awake
                await asyncio.sleep(_RETRY)
                continue
            for command in due:
                log.info("command sent", command=command.id, topic=str(command.topic))
                await answered(connection.publish(str(command.topic), command.payload, qos=1))


async def feed_progress(settings: Settings, board: ProgressBoard) -> None:
    """Put every gateway's live progress on ``board``, for ever; for the process that shows it."""

    async def use(connection: aiomqtt.Client) -> None:
        await answered(connection.subscribe(topic_filter("res"), qos=0))
        async for message in connection.messages:
            try:
                topic = Topic.parse(str(message.topic))
                board.put(topic.tenant, topic.gateway, decode(message.payload, Progress))
            except (IdError, WireError) as error:
                log.debug("progress refused", topic=str(message.topic), error=str(error))

    await mqtt.keep_connected(
        lambda: mqtt.client(settings.broker, incoming=_QUEUE, suffix="-progress"), use, "progress"
    )
