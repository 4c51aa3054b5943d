"""The gateway's store: what is in it counts as taken (design §5)."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import structlog

from edge.drivers.contract import Evidence
from edge.spool import _file
from edge.spool._clock import Clock
from edge.spool._errors import SpoolDiskError
from edge.spool._room import Level
from edge.spool._rows import COLUMNS, Row, encode_item
from edge.spool._stores import (
    CommandStore,
    ConnectionStore,
    EvidenceStore,
    IntervalStore,
    Ranges,
    StateStore,
    encode_ranges,
    encode_state,
    put_connection,
    put_evidence,
    put_ranges,
    put_result,
    put_state,
)
from edge.spool._transaction import Transaction
from edge.spool._writer import Writer
from edge.spool.settings import SpoolSettings
from shared.ids import check_id
from shared.wire import ForwardConnection, Item, Result

log = structlog.get_logger("spool")

T = TypeVar("T")

#: Rows filled in with one transaction where rows are missing.
MEND_ROWS: Final = 4096


@dataclass(frozen=True)
class Visit:
    """What one visit to a meter changes, stored whole or not at all.

    items: what goes to the aggregator. state: driver state by meter. intervals: all that is held now, by (meter,
    channel). evidence: raw frames.
    """

    items: Sequence[Item] = ()
    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    intervals: Mapping[tuple[str, str], Ranges] = field(default_factory=dict)
    evidence: Sequence[Evidence] = ()


@dataclass(frozen=True)
class SpoolStatus:
    """``rows`` are not yet acknowledged; ``bytes`` is the size of the file and its log."""

    rows: int
    bytes: int
    last_seq: int
    cursor: int
    level: Level


class Spool:
    """One stream of items with gap-free sequence numbers, kept until acknowledged and past retention.

    ``async with Spool(path, "gw1") as spool``: opening migrates, checks and salvages as needed and raises the errors of
    ``edge.spool``. All methods belong to the event loop it was opened in.
    """

    def __init__(
        self, path: Path, gateway: str, settings: SpoolSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        self.path = path
        self.gateway = check_id(gateway, "gateway")
        self.settings = settings or SpoolSettings()
        self._clock = clock or Clock()
        self._mended = 0
        self._grown = asyncio.Event()
        self._reader: sqlite3.Connection | None = None
        self._reader_generation = 0
        self.state = StateStore(self)
        self.intervals = IntervalStore(self)
        self.commands = CommandStore(self)
        self.evidence = EvidenceStore(self)
        self.connections = ConnectionStore(self)

    async def __aenter__(self) -> "Spool":
        loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"read {self.path.name}")
        self._writer = Writer(self.path, self.gateway, self.settings, self._clock, loop, self._wake)
        try:
            await self._writer.start()
        except BaseException:
            self._pool.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(self._pool, self._close_reader)
        self._pool.shutdown()

    # -- the stream ------------------------------------------------------------------------------------------------

    @property
    def spool_id(self) -> bytes:
        """Random name of the stream, 16 bytes; another one after :meth:`restart_stream` or a salvage without it."""
        return self._writer.committed.spool_id

    @property
    def last_seq(self) -> int:
        """Highest sequence number given, 0 in a new stream."""
        return self._writer.committed.last_seq

    @property
    def cursor(self) -> int:
        """All rows up to this seq are committed by the aggregator."""
        return max(self._writer.acknowledged - self._writer.committed.base, 0)

    @property
    def level(self) -> Level:
        """Room as of the last commit."""
        return Level.FULL if self._writer.refused else self._writer.level

    @property
    def losses(self) -> int:
        """How often rows were found lost since the start; when it grows, :attr:`intervals` have been forgotten."""
        return self._mended + self._writer.generation - 1

    @property
    def status(self) -> SpoolStatus:
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        return SpoolStatus(self.last_seq - self.cursor, size, self.last_seq, self.cursor, self.level)

    async def add(self, items: Sequence[Item]) -> list[int]:
        """Store items; returns their seqs after the commit has reached the disk, and not before."""
        return await self.commit(Visit(items))

    async def commit(self, visit: Visit) -> list[int]:
        """Store all of a visit in one transaction; returns the seqs of its items.

        Raises :class:`SpoolItemError` for an item the aggregator would refuse, :class:`SpoolFullError` without room;
        then nothing of the visit is stored. A caller cancelled while waiting does not undo it.
        """
        encoded = [encode_item(item) for item in visit.items]
        results = [(i.command, e.payload) for i, e in zip(visit.items, encoded, strict=True) if isinstance(i, Result)]
        closed = [(item.meter, item.started_ms) for item in visit.items if isinstance(item, ForwardConnection)]
        states = [(meter, encode_state(state)) for meter, state in visit.state.items()]
        ranges = [(*key, encode_ranges(held)) for key, held in visit.intervals.items()]

        def job(tx: Transaction) -> list[int]:
            seqs = tx.append(encoded)
            for command, payload in results:
                put_result(tx, command, payload)
            for connection in closed:
                put_connection(tx, *connection)
            for meter, text in states:
                put_state(tx, meter, text)
            for meter, channel, data in ranges:
                put_ranges(tx, meter, channel, data)
            put_evidence(tx, visit.evidence)
            return seqs

        return await self.write(job)

    async def grown(self, seq: int) -> None:
        """Wait until there is a row beyond ``seq``."""
        while self.last_seq <= seq:
            self._grown.clear()
            await self._grown.wait()

    async def batch(self, first: int, max_rows: int, max_bytes: int) -> list[bytes]:
        """Encoded items of consecutive seqs from ``first``, at least one when there is any, about ``max_bytes``.

        A row that is missing or does not match its checksum is replaced by an event for good before it is returned:
        the stream has no holes, and the aggregator is told instead of waiting for ever. What is acknowledged may be
        deleted by now: from there nothing is returned, and :meth:`first_held` tells where to go on.
        """
        while True:
            base, last = self._writer.committed.base, self._writer.committed.last
            number = base + first
            if first < 1 or number > last:
                return []
            rows, bad = await self.read(lambda c, n=number: _intact_rows(c, n, max_rows, max_bytes))  # type: ignore[misc]
            if rows or number <= self._writer.acknowledged:
                return rows
            await self.write(lambda tx, n=number, b=bad: _mend(tx, n, b))  # type: ignore[misc]
            self._mended += 1

    async def first_held(self, seq: int) -> int | None:
        """The first seq from ``seq`` on whose row is still there; None without."""
        base = self._writer.committed.base
        found = await self.read(
            lambda c: c.execute("SELECT min(number) FROM items WHERE number >= ?", (base + max(seq, 1),)).fetchone()
        )
        return None if found[0] is None else found[0] - base

    def acknowledge(self, seq: int) -> None:
        """Move the cursor forward to ``seq``; it is stored within seconds. ValueError beyond what was written."""
        if seq > self.last_seq:
            raise ValueError(f"cursor {seq} is beyond the last row {self.last_seq} of this spool")
        number = self._writer.committed.base + seq
        self._writer.acknowledged = max(self._writer.acknowledged, number)

    async def rewind(self, seq: int) -> None:
        """Move the cursor back to ``seq``: the aggregator has lost what came after it (restored from a backup).

        Where the rows behind ``seq`` were deleted long ago, what is still held goes on as a new stream: to stand in for
        each of millions of rows with an event would fill the file. Interval maps are forgotten, and meters read again.
        """

        def job(tx: Transaction) -> bool:
            stream = tx.stream
            stream.cursor = min(stream.cursor, stream.base + max(seq, 0))
            query = "SELECT min(number) FROM items WHERE number > ?"
            oldest = tx.connection.execute(query, (stream.cursor,)).fetchone()[0]
            end = stream.last if oldest is None else oldest - 1
            gone = end - stream.cursor
            if gone <= MEND_ROWS:
                return False
            event = tx.event("profile_lost", first_seq=seq + 1, last_seq=seq + gone, rows=gone, stream_kept=False)
            log.error("rows lost, stream restarted", first_seq=seq + 1, last_seq=seq + gone)
            stream.spool_id = os.urandom(len(stream.spool_id))
            stream.base = stream.cursor = end
            tx.full = None  # this event is worth the reserve
            tx.append([event])
            tx.connection.execute("DELETE FROM intervals")
            return True

        if await self.write(job):
            self._mended += 1

    async def restart_stream(self, reason: str) -> None:
        """Go on under a new random name with what is not acknowledged, numbered from 1; leaves an event.

        For a file that has gone back in time (an old copy put back, a card that lost writes): numbers given since would
        repeat numbers the aggregator has rows for, and would be taken for second deliveries.
        """

        def job(tx: Transaction) -> None:
            tx.stream.spool_id = os.urandom(len(tx.stream.spool_id))
            tx.stream.base = tx.stream.cursor
            tx.full = None  # this event is worth the reserve
            tx.append([tx.event("spool_damaged", reason=reason, stream_kept=False)])

        log.error("stream restarted", path=str(self.path), reason=reason)
        await self.write(job)

    # -- access for the stores -------------------------------------------------------------------------------------

    async def write(self, job: Callable[[Transaction], T]) -> T:
        """Run ``job`` in the writer's next transaction; returns after its commit."""
        return await self._writer.submit(job)

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``job`` on a read-only connection; a damaged file is replaced before the error is raised."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run_read, job)
        except sqlite3.DatabaseError as error:
            if not _file.is_damage(error):
                raise SpoolDiskError(self.path, str(error)) from error
            damage = error

        def repair(tx: Transaction) -> None:
            raise damage

        await self.write(repair)  # raises SpoolDamagedError, or what prevented the repair
        raise SpoolDiskError(self.path, str(damage))

    def _run_read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        generation = self._writer.generation
        if self._reader is None or self._reader_generation != generation:
            self._close_reader()
            self._reader, self._reader_generation = _file.open_reader(self.path), generation
        return job(self._reader)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _wake(self) -> None:
        self._grown.set()


def _intact_rows(connection: sqlite3.Connection, number: int, max_rows: int, max_bytes: int) -> tuple[list[bytes], int]:
    """Payloads of consecutive intact rows from ``number``, and the last number of the hole when there is none."""
    payloads: list[bytes] = []
    size = 0
    query = f"SELECT {COLUMNS} FROM items WHERE number >= ? ORDER BY number LIMIT ?"  # noqa: S608
    for raw in connection.execute(query, (number, max_rows)):
        row = Row(*raw)
        size += len(row.payload)
        if row.number != number + len(payloads):
            return payloads, row.number - 1
        if not row.intact:
            return payloads, row.number
        if payloads and size > max_bytes:
            break
        payloads.append(row.payload)
    return payloads, number + MEND_ROWS - 1


def _mend(tx: Transaction, first: int, bad: int) -> None:
    """Put events in the place of rows ``first`` .. ``bad``, which are missing or damaged.

    All events of one call are equal, so the aggregator may keep one of them. Whatever the row said, the profile of
    every meter may have lost an interval: interval maps are forgotten, and the poller reads again.
    """
    last = min(bad, first + MEND_ROWS - 1, tx.stream.last)
    held = tx.connection.execute("SELECT count(*) FROM items WHERE number BETWEEN ? AND ?", (first, last)).fetchone()[0]
    kind = "spool_damaged" if held else "profile_lost"
    base = tx.stream.base
    event = tx.event(kind, first_seq=first - base, last_seq=last - base, rows=last - first + 1)
    log.error("rows lost", kind=kind, first_seq=first - base, last_seq=last - base)
    for number in range(first, last + 1):
        tx.put(number, event)
    tx.connection.execute("DELETE FROM intervals")
