"""One ingest worker: batches from the broker into a bounded inbox, groups of them into the database, cursors back."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import aiomqtt
import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from central import mqtt
from central.accounts.models import Tenant
from central.ingest.commit import Ack, Committer, reject_payload
from central.ingest.decode import Delivery, decode_delivery
from central.ingest.models import Stream, StreamPart
from central.registry.models import Gateway
from central.settings import Settings
from central.store.engine import Database
from central.store.faults import is_passing, reason_of
from shared.ids import IdError, Topic, topic_filter
from shared.waiting import answered
from shared.wire import AckCursor, WireError, encode

T = TypeVar("T")

log = structlog.get_logger("metergate.ingest")

#: Gaps are asked for again after this long, s: another worker may be about to commit them. Doubled up to the second.
ASK_AFTER: Final = 0.5
ASK_LONGEST: Final = 60.0
#: Cursors of streams heard of in these days are published anew when a broker is met that may have forgotten them.
REMEMBERED_DAYS: Final = 45
#: Payloads kept per topic and hour when they are no batches at all; more are only counted.
KEPT_PER_HOUR: Final = 20
#: Cursors published at once.
_AT_ONCE: Final = 50
_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 10.0


class Inbox:
    """Deliveries received and not yet committed, bounded by their octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Delivery] = deque()
        self._octets = 0
        self._changed = asyncio.Condition()

    async def put(self, delivery: Delivery) -> None:
        """Add; waits while the inbox is full. A delivery greater than the limit passes alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting or self._octets + delivery.size <= self._limit)
            self._waiting.append(delivery)
            self._octets += delivery.size
            self._changed.notify_all()

    async def take(self, items: int, batches: int) -> list[Delivery]:
        """Wait for one, take what is there up to so many rows and batches."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._waiting))
            taken: list[Delivery] = []
            while self._waiting and len(taken) < batches:
                items -= len(self._waiting[0].items)
                if taken and items < 0:
                    break
                taken.append(self._waiting.popleft())
            self._octets -= sum(each.size for each in taken)
            self._changed.notify_all()
            return taken


class Worker:
    """``run()`` for as long as ingest lasts. What it did not commit is lost with it: gateways send again."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self.committer = Committer(database)
        self._inbox = Inbox(settings.ingest.queue_bytes)
        self._outbox: dict[str, AckCursor] = {}
        self._news = asyncio.Event()
        self._gaps: dict[bytes, tuple[Topic, float, float]] = {}
        self._kept: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commit_for_ever(), name="ingest-commit")
            group.create_task(self._ask_for_gaps(), name="ingest-gaps")
            group.create_task(
                mqtt.keep_connected(lambda: mqtt.client(self._settings.broker), self._serve, "ingest"),
                name="ingest-broker",
            )

    # -- broker ----------------------------------------------------------------------------------------------------

    async def _serve(self, connection: aiomqtt.Client) -> None:
        acknowledge = mqtt.withhold_acknowledgements(connection)
        await answered(connection.subscribe(topic_filter("up", share=self._settings.ingest.share or None), qos=1))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_for_ever(connection), name="ingest-publish")
            group.create_task(self._remember_cursors(), name="ingest-remember")
            await self._receive(connection, acknowledge)

    async def _receive(self, connection: aiomqtt.Client, acknowledge: Callable[[aiomqtt.Message], None]) -> None:
        async for message in connection.messages:
            topic, payload = str(message.topic), message.payload
            try:
                delivery = decode_delivery(Topic.parse(topic), payload)
            except (WireError, IdError) as error:
                await self._refuse(topic, payload, str(error))
            else:
                await self._inbox.put(delivery)
            acknowledge(message)

    async def _refuse(self, topic: str, payload: bytes, reason: str) -> None:
        log.warning("payload refused", topic=topic, octets=len(payload), reason=reason)
        hour = int(time.time()) // 3600
        since, kept = self._kept.get(topic, (hour, 0))
        kept = 0 if since != hour else kept
        if kept < KEPT_PER_HOUR:
            try:
                await reject_payload(self._database, topic, payload, reason)
            except (SQLAlchemyError, OSError) as error:
                log.warning("refused payload not kept", topic=topic, error=reason_of(error))
        if len(self._kept) > 10_000:
            self._kept.clear()
        self._kept[topic] = (hour, kept + 1)

    async def _publish_for_ever(self, connection: aiomqtt.Client) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._outbox:
                some = [self._outbox.popitem() for _ in range(min(_AT_ONCE, len(self._outbox)))]
                try:
                    await asyncio.gather(*(self._publish(connection, topic, cursor) for topic, cursor in some))
                except aiomqtt.MqttError:
                    for topic, cursor in some:
                        self._outbox.setdefault(topic, cursor)
                    self._news.set()
                    raise

    async def _publish(self, connection: aiomqtt.Client, topic: str, cursor: AckCursor) -> None:
        await answered(connection.publish(topic, encode(cursor), qos=1, retain=True))

    def _tell(self, topic: Topic, cursor: AckCursor) -> None:
        self._outbox[str(topic._replace(kind="ack"))] = cursor
        self._news.set()

    async def _remember_cursors(self) -> None:
        """Publish the newest stream's cursor of every gateway: the broker may have forgotten, or be another one."""
        since = int(time.time()) - REMEMBERED_DAYS * 86400
        query = (
            select(Tenant.key, Gateway.key, Stream.spool_id, Stream.cursor)
            .join(Gateway, Gateway.id == Stream.gateway_id)
            .join(Tenant, Tenant.id == Stream.tenant_id)
            .where(Stream.last_at >= since)
            .order_by(Stream.last_at)
        )
        with_parts = select(StreamPart.spool_id).distinct()
        rows = await self._patiently(partial(self._rows, query))
        gapped = {row[0] for row in await self._patiently(partial(self._rows, with_parts))}
        for tenant, gateway, spool_id, cursor in rows:
            topic = Topic(tenant, gateway, "ack")
            self._outbox.setdefault(str(topic), AckCursor(spool_id, cursor))
            if self._outbox[str(topic)].spool_id != spool_id:
                self._outbox[str(topic)] = AckCursor(spool_id, cursor)
            if spool_id in gapped:
                self._note_gap(spool_id, topic)
        self._news.set()

    # -- database --------------------------------------------------------------------------------------------------

    async def _commit_for_ever(self) -> None:
        limits = self._settings.ingest
        while True:
            group = await self._inbox.take(limits.group_items, limits.group_batches)
            for ack in await self._patiently(partial(self.committer.commit, group)):
                self._answer(ack)

    def _answer(self, ack: Ack) -> None:
        self._tell(ack.topic, ack.cursor)
        if ack.gap:
            self._note_gap(ack.cursor.spool_id, ack.topic)
        else:
            self._gaps.pop(ack.cursor.spool_id, None)

    def _note_gap(self, spool_id: bytes, topic: Topic) -> None:
        self._gaps.setdefault(spool_id, (topic, time.monotonic() + ASK_AFTER, ASK_AFTER))

    async def _ask_for_gaps(self) -> None:
        while True:
            await asyncio.sleep(ASK_AFTER / 2)
            now = time.monotonic()
            due = {spool_id: place for spool_id, place in self._gaps.items() if place[1] <= now}
            if not due:
                continue
            for cursor in await self._patiently(partial(self.committer.cursors, due, ask=True)):
                topic, _, delay = due[cursor.spool_id]
                if cursor.want:
                    log.info("asking again for rows", topic=str(topic), after=cursor.seq, ranges=len(cursor.want))
                    self._tell(topic, cursor)
                    delay = min(ASK_LONGEST, delay * 2)
                    self._gaps[cursor.spool_id] = (topic, time.monotonic() + delay, delay)
                else:
                    self._tell(topic, cursor)
                    self._gaps.pop(cursor.spool_id, None)

    async def _rows(self, query: Any) -> Sequence[Any]:
        async with self._database.read() as session:
            return (await session.execute(query)).all()

    async def _patiently(self, write: Callable[[], Awaitable[T]]) -> T:
        """Do it until the database lets us; the first failure of a series is a warning."""
        delay = _FIRST_DELAY
        while True:
            try:
                return await write()
            except Exception as error:
                if not is_passing(error):
                    raise
                say = log.warning if delay == _FIRST_DELAY else log.debug
                say("the database is out of reach, trying again", error=reason_of(error), seconds=delay)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
            delay = min(_LONGEST_DELAY, delay * 2)
