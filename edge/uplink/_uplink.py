"""The gateway's side of the broker: rows up, cursor and commands down (design §5)."""

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import aiomqtt
import msgspec
import structlog

from edge.errors import ConfigError, RetryError
from edge.spool import Spool
from edge.uplink._link import Link, LinkState
from edge.uplink._trouble import Below, NotAllowedError, cause_of, is_refusal, words
from edge.uplink._window import Verdict, Window
from edge.uplink.settings import UplinkSettings
from shared.ids import Kind, Topic, check_id
from shared.waiting import answered, cancellations, give_way
from shared.wire import (
    FOREIGN_STREAM,
    AckCursor,
    Command,
    GatewayConfig,
    GatewayState,
    Progress,
    RawBatch,
    WireError,
    decode,
    encode,
)

log = structlog.get_logger("uplink")

T = TypeVar("T")

#: Rows that come within so long travel together; a lone row is on its way well within a second.
GATHER_SECONDS: Final = 0.2
#: After a connect, the retained cursor gets so long to arrive before rows are sent again from our own.
CURSOR_SECONDS: Final = 1.0
TOUCH_SECONDS: Final = 1.0  # between two publications of the state
OFFLINE_SECONDS: Final = 2.0  # for saying goodbye
SPOOL_RETRY_SECONDS: Final = 5.0
UNCONFIRMED_SECONDS: Final = 120.0  # rows sent and no cursor for so long: somebody should look
PROGRESS_QUEUE: Final = 100  # progress nobody could be told of is thrown away, oldest first
INCOMING_QUEUE: Final = 1000


@dataclass
class Counters:
    """Since the start. ``rows`` counts each sending of a row."""

    connects: int = 0
    batches: int = 0
    rows: int = 0
    bytes: int = 0


class Uplink:
    """Keeps one connection to the broker; ``run()`` until cancelled.

    ``state`` and ``config`` are asked for what is published; ``on_command`` gets each decoded command, also the same
    one again (``spool.commands`` tells), and should hand it on rather than carry it out.

    The session at the broker is persistent (clean_session false), so that commands sent while the link is down wait
    there; nothing depends on it: what the broker loses is sent again from the cursor.
    """

    def __init__(
        self,
        spool: Spool,
        tenant: str,
        settings: UplinkSettings,
        *,
        state: Callable[[], GatewayState],
        config: Callable[[], GatewayConfig],
        on_command: Callable[[Command], Awaitable[None]],
    ) -> None:
        self.spool = spool
        self.tenant = check_id(tenant, "tenant")
        self.settings = settings
        self.counters = Counters()
        self.link = Link(settings.reconnect_max_seconds)
        if not settings.cert_file:  # files of one that has its own certificate may come later, by enrolment; others not
            settings.tls_context()
        self._state, self._config, self._on_command = state, config, on_command
        self._window = Window(spool.cursor, limit=settings.window, wait=settings.ack_seconds)
        self._stream = spool.spool_id
        self._lost_rows = False
        self._waiting_since: float | None = None  # monotonic s; rows are sent and not confirmed
        self._connected = asyncio.Event()
        self._work = asyncio.Event()
        self._cursor_came = asyncio.Event()
        self._touched = asyncio.Event()
        self._config_due = True
        self._progress: deque[Progress] = deque(maxlen=PROGRESS_QUEUE)
        self._progress_came = asyncio.Event()

    # -- for the rest of the gateway -------------------------------------------------------------------------------

    @property
    def alarms(self) -> list[str]:
        """What an operator should know of the uplink, each ``code: words``; empty while all is well."""
        told = []
        if self.link.state == LinkState.REFUSED:
            told.append(f"uplink_refused: broker {self._address} refuses this gateway: {self.link.error}")
        elif self.link.state is not LinkState.CONNECTED and self.link.failures > 2:
            told.append(
                f"uplink_unreachable: broker {self._address} out of reach ({self.link.failures} tries): "
                f"{self.link.error}"
            )
        elif self._waiting_since is not None and time.monotonic() - self._waiting_since > UNCONFIRMED_SECONDS:
            told.append(
                f"uplink_unconfirmed: broker {self._address} takes rows, but the aggregator has confirmed none for "
                f"{time.monotonic() - self._waiting_since:.0f} s: check that its ingest runs, and that the broker's "
                f"access rules let this gateway use {self._topic('up')} and {self._topic('ack')}"
            )
        if self._lost_rows:
            told.append("uplink_rewound: the aggregator went back to an earlier state; rows are sent again")
        return told

    def touch(self) -> None:
        """The state has changed: publish it within about a second."""
        self._touched.set()

    def touch_config(self) -> None:
        """The configuration in force has changed: publish it."""
        self._config_due = True
        self._touched.set()

    def progress(self, progress: Progress) -> None:
        """Tell live progress, without guarantee."""
        if self.link.state == LinkState.CONNECTED:
            self._progress.append(progress)
            self._progress_came.set()

    async def connected(self, timeout: float) -> bool:
        """Wait for the connection, subscriptions granted; False after ``timeout`` s without."""
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Connect, stay connected, come back; until cancelled."""
        try:
            while True:
                delay = await self._connect_once()
                await asyncio.sleep(delay)
        finally:
            self.link.state = LinkState.STOPPED

    # -- one connection --------------------------------------------------------------------------------------------

    @property
    def _address(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def _topic(self, kind: Kind) -> str:
        return str(Topic(self.tenant, self.spool.gateway, kind))

    async def _connect_once(self) -> float:
        """One connection from begin to end; returns how long to stay away."""
        self.link.state = LinkState.CONNECTING
        began: float | None = None
        delay = 0.0
        below = Below()
        try:
            asked = cancellations()
            async with self._client(below) as client:
                give_way(asked)
                await self._subscribe(client)
                began = time.monotonic()
                self.counters.connects += 1
                self.link.connected()
                self._connected.set()
                log.info("connected", broker=self._address, gateway=self.spool.gateway)
                await self._session(client)
        except* (aiomqtt.MqttError, OSError, ConfigError) as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            cause = cause_of(error, below)
            lasted = time.monotonic() - began if began is not None else 0.0
            delay = self.link.failed(words(cause, self.settings), is_refusal(cause), lasted)
            first = self.link.failures + self.link.refusals == 1
            (log.warning if first else log.debug)(
                "not connected", broker=self._address, state=self.link.state.value, error=self.link.error, wait=delay
            )
        finally:
            self._connected.clear()
        return delay

    @contextlib.asynccontextmanager
    async def _client(self, below: Below) -> AsyncIterator[aiomqtt.Client]:
        settings = self.settings
        will = encode(GatewayState(int(time.time()), online=False, spool_id=self.spool.spool_id))
        client = aiomqtt.Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password,
            identifier=self.spool.gateway,
            clean_session=False,
            will=aiomqtt.Will(self._topic("state"), will, qos=1, retain=True),
            keepalive=settings.keepalive_seconds,
            timeout=settings.timeout_seconds,
            max_queued_incoming_messages=INCOMING_QUEUE,
            tls_context=settings.tls_context(),  # each time: a certificate may have come meanwhile
            logger=below,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        try:
            await client.__aenter__()
            try:
                yield client
            finally:
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.__aexit__(None, None, None)
        finally:
            _drop(client)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        topics = [self._topic("ack"), self._topic("cmd")]
        granted = await answered(client.subscribe([(topic, 1) for topic in topics]))
        codes = [code if isinstance(code, int) else code.value for code in granted]
        for topic, code in zip(topics, codes, strict=True):
            if code >= 0x80:  # MQTT 3.1.1 §3.9.3: failure
                raise NotAllowedError(f"the broker does not let {self.spool.gateway} subscribe to {topic}")

    async def _session(self, client: aiomqtt.Client) -> None:
        self._window.reset(self.spool.cursor)
        self._waiting_since = None
        self._cursor_came.clear()
        self._config_due = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(client), name="uplink receive")
                tasks.create_task(self._publish_state(client), name="uplink state")
                tasks.create_task(self._publish_progress(client), name="uplink progress")
                tasks.create_task(self._watch_spool(), name="uplink spool")
                tasks.create_task(self._send(client), name="uplink send")
        except asyncio.CancelledError:
            offline = encode(msgspec.structs.replace(self._state(), at=int(time.time()), online=False))
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(OFFLINE_SECONDS):
                    await client.publish(self._topic("state"), offline, qos=1, retain=True)
            raise

    # -- up --------------------------------------------------------------------------------------------------------

    async def _send(self, client: aiomqtt.Client) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CURSOR_SECONDS):
                await self._cursor_came.wait()
        while True:
            self._work.clear()
            if self._stream_changed():
                self._stream = self.spool.spool_id
                self._window.reset(self.spool.cursor)
                self.touch()
            span = self._window.next(self.spool.last_seq, time.monotonic())
            if span is None:
                await self._wait_for_work()
                continue
            try:
                first, items = await self._rows(*span)
            except RetryError as error:
                log.warning("spool not readable now", error=str(error))
                await asyncio.sleep(SPOOL_RETRY_SECONDS)
                continue
            if self._stream_changed():
                continue
            if items:
                await self._send_batch(client, first, items)
            else:
                self._window.postpone(time.monotonic())

    async def _rows(self, first: int, last: int) -> tuple[int, list[bytes]]:
        """Rows of a span and the seq of the first; a probe of what was deleted begins with the first row still held."""
        rows, size = min(last - first + 1, self.settings.batch_rows), self.settings.batch_bytes
        items = await self.spool.batch(first, rows, size)
        if not items and (held := await self.spool.first_held(first)) is not None:
            return held, await self.spool.batch(held, rows, size)
        return first, items

    def _stream_changed(self) -> bool:
        return self._stream != self.spool.spool_id

    async def _send_batch(self, client: aiomqtt.Client, first: int, items: list[bytes]) -> None:
        payload = encode(RawBatch(self._stream, first, [msgspec.Raw(item) for item in items]))
        # noted before it is sent: the answer may overtake the broker's
        self._window.sent(first, first + len(items) - 1, time.monotonic())
        self._waiting_since = self._waiting_since or time.monotonic()
        self.counters.batches += 1
        self.counters.rows += len(items)
        self.counters.bytes += len(payload)
        await answered(client.publish(self._topic("up"), payload, qos=1))

    async def _wait_for_work(self) -> None:
        due = self._window.due()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(due - time.monotonic(), 0.0)):
                await self._work.wait()

    async def _watch_spool(self) -> None:
        """Wake the sender for new rows, after those that come together have gathered."""
        while True:
            await self.spool.grown(self.spool.last_seq)
            await asyncio.sleep(GATHER_SECONDS)
            self._work.set()

    async def _publish_state(self, client: aiomqtt.Client) -> None:
        while True:
            self._touched.clear()
            if self._config_due:
                self._config_due = False
                await answered(client.publish(self._topic("conf"), encode(self._config()), qos=1, retain=True))
            await answered(client.publish(self._topic("state"), encode(self._state()), qos=1, retain=True))
            await asyncio.sleep(TOUCH_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.state_seconds):
                    await self._touched.wait()

    async def _publish_progress(self, client: aiomqtt.Client) -> None:
        while True:
            await self._progress_came.wait()
            self._progress_came.clear()
            while self._progress:
                await answered(client.publish(self._topic("res"), encode(self._progress.popleft()), qos=0))

    # -- down ------------------------------------------------------------------------------------------------------

    async def _receive(self, client: aiomqtt.Client) -> None:
        ack, cmd = self._topic("ack"), self._topic("cmd")
        async for message in client.messages:
            payload = message.payload
            topic = str(message.topic)
            try:
                if topic == ack:
                    await self._take_cursor(decode(payload, AckCursor))
                elif topic == cmd:
                    await self._take_command(decode(payload, Command))
                else:
                    log.debug("message for somebody else", topic=topic)
            except RetryError as error:
                log.warning("spool not writable now", topic=topic, error=str(error))
            except WireError as error:
                log.warning("message not understood", topic=topic, bytes=payload[:64].hex(" "), error=str(error))

    async def _take_command(self, command: Command) -> None:
        try:
            await self._on_command(command)
        except Exception:
            log.exception("command not taken", command=command.id)

    async def _take_cursor(self, ack: AckCursor) -> None:
        if ack.spool_id != self.spool.spool_id:
            log.debug("cursor of another stream", spool_id=ack.spool_id.hex())
            return
        verdict = self._window.on_cursor(ack.seq, ack.want, self.spool.last_seq, time.monotonic())
        if verdict is Verdict.FORWARD:
            self.spool.acknowledge(ack.seq)
            self._waiting_since = time.monotonic() if self.spool.last_seq > ack.seq else None
            self._lost_rows = False
        elif verdict is Verdict.BACK:
            log.error("the aggregator went back", cursor=ack.seq, ours=self._window.cursor)
            await self.spool.rewind(ack.seq)
            self._window.reset(self.spool.cursor)
            self._lost_rows = True
            self.touch()
        elif verdict is Verdict.BEYOND:
            await self._refuse_beyond(ack)
        self._cursor_came.set()
        self._work.set()

    async def _refuse_beyond(self, ack: AckCursor) -> None:
        """The aggregator has rows of this stream that this file does not know of, or has them from another gateway."""
        log.error("cursor beyond this spool", cursor=ack.seq, last_seq=self.spool.last_seq)
        if ack.seq >= FOREIGN_STREAM:
            reason = "the aggregator has this stream from another gateway: a card was copied, or an id was changed"
        else:
            reason = (
                f"the aggregator holds rows up to {ack.seq}, this file only knows of {self.spool.last_seq}: "
                "an older copy of the file was put back, or the card has lost writes"
            )
        try:
            await self.spool.restart_stream(reason)
        except RetryError as error:
            log.error("stream not restarted, tried again with the next cursor", error=str(error))


def _drop(client: aiomqtt.Client) -> None:
    """Close the socket if it is still open.

    aiomqtt 2.5 leaves it open, with the event loop watching it, when CONNECT is not answered in time or the waiting is
    cancelled, and when DISCONNECT cannot be written any more; each try on a half-dead link would cost a descriptor.
    """
    paho = client._client
    paho.on_disconnect = None
    paho._sock_close()
    if client._disconnected.done() and not client._disconnected.cancelled():
        client._disconnected.exception()  # known by now; unread, it would be logged as forgotten
