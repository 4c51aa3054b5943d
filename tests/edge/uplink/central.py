"""A small stand-in for the aggregator: keeps every row once, answers with a cursor over the gap-free prefix."""

import asyncio
import contextlib
from types import TracebackType

import aiomqtt

from shared.ids import Topic
from shared.wire import AckCursor, RawBatch, decode, encode


class Central:
    """Rows by (spool_id, seq). ``mute`` takes rows and says nothing; ``deaf`` throws batches away (a lost queue)."""

    def __init__(self, port: int, gateway: str = "gw1") -> None:
        self.port = port
        self.gateway = gateway
        self.rows: dict[tuple[bytes, int], bytes] = {}
        self.again = 0  # rows delivered a second time
        self.changed = 0  # rows delivered a second time with other content
        self.batches: list[tuple[int, int]] = []  # first seq, rows
        self.retained: dict[str, bytes] = {}  # state and conf, latest
        self.progress: list[bytes] = []
        self.mute = False
        self.deaf = 0  # batches still to be thrown away
        self.ask = True  # for gaps
        self.connected = asyncio.Event()
        self._cursors: dict[bytes, int] = {}
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Central":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        while not self._task.done():  # Python 3.11's wait_for, in aiomqtt, may lose a cancellation
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        if not self._task.cancelled():
            self._task.result()

    def cursor(self, spool_id: bytes) -> int:
        seq = self._cursors.get(spool_id, 0)
        while (spool_id, seq + 1) in self.rows:
            seq += 1
        self._cursors[spool_id] = seq
        return seq

    def forget(self, spool_id: bytes, beyond: int) -> None:
        """Be restored from a backup that ended with ``beyond``."""
        self.rows = {key: row for key, row in self.rows.items() if key[0] != spool_id or key[1] <= beyond}
        self._cursors.pop(spool_id, None)

    async def ack(self, spool_id: bytes, seq: int | None = None) -> None:
        """Publish the cursor, or a made-up one."""
        assert self._client is not None
        seq = self.cursor(spool_id) if seq is None else seq
        later = sorted(s for i, s in self.rows if i == spool_id and s > seq)
        want = [(seq + 1, later[0] - 1)] if later and self.ask and later[0] > seq + 1 else []
        await self.publish("ack", encode(AckCursor(spool_id, seq, want)), retain=True)

    async def publish(self, kind: str, payload: bytes, *, retain: bool = False) -> None:
        assert self._client is not None
        topic = Topic.parse(f"mg/1/acme/{self.gateway}/{kind}")
        await self._client.publish(str(topic), payload, qos=1, retain=retain)

    async def _run(self) -> None:
        while True:
            client = aiomqtt.Client("127.0.0.1", self.port, identifier="central", clean_session=False, timeout=1.0)
            with contextlib.suppress(aiomqtt.MqttError):
                async with client:
                    self._client = client
                    await client.subscribe([(f"mg/1/acme/+/{kind}", 1) for kind in ("up", "state", "conf", "res")])
                    self.connected.set()
                    async for message in client.messages:
                        await self._take(str(message.topic), message.payload)
            self.connected.clear()
            if client._disconnected.done():
                client._disconnected.exception()  # unread, it would be logged as forgotten
            await asyncio.sleep(0.05)

    async def _take(self, topic: str, payload: object) -> None:
        assert isinstance(payload, bytes)
        kind = Topic.parse(topic).kind
        if kind == "up":
            await self._take_batch(decode(payload, RawBatch))
        elif kind == "res":
            self.progress.append(payload)
        else:
            self.retained[kind] = payload

    async def _take_batch(self, batch: RawBatch) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        self.batches.append((batch.first_seq, len(batch.items)))
        for seq, item in enumerate(batch.items, batch.first_seq):
            row = bytes(item)
            before = self.rows.setdefault((batch.spool_id, seq), row)
            self.again += before is not row
            self.changed += before != row
        if not self.mute:
            await self.ack(batch.spool_id)
