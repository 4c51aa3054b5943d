"""What the gateway keeps beside the stream: driver state, interval maps, commands done, evidence."""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from edge.drivers.contract import Evidence
from edge.spool._transaction import Transaction
from shared.wire import ForwardConnection, Result, decode, encode

T = TypeVar("T")

#: Held intervals of one channel: sorted, disjoint [start, end) in UTC seconds.
Ranges = Sequence[tuple[int, int]]

_ranges = msgspec.msgpack.Decoder(list[tuple[int, int]])
_frames = msgspec.msgpack.Decoder(tuple[bytes, ...])


class Access(Protocol):
    """How a store reaches the file: reads beside the writer, writes through it."""

    def read(self, job: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...

    def write(self, job: Callable[[Transaction], T]) -> Awaitable[T]: ...


@dataclass(frozen=True)
class StateStore:
    """What a driver wants to find again at the next start, one JSON object per meter."""

    access: Access

    async def get(self, meter: str) -> dict[str, Any] | None:
        found = await self.access.read(
            lambda c: c.execute("SELECT state FROM driver_state WHERE meter = ?", (meter,)).fetchone()
        )
        return json.loads(found[0]) if found else None

    async def put(self, meter: str, state: Mapping[str, Any]) -> None:
        text = encode_state(state)
        await self.access.write(lambda tx: put_state(tx, meter, text))


@dataclass(frozen=True)
class IntervalStore:
    """Which intervals of a channel are held, so that only missing ones are read."""

    access: Access

    async def get(self, meter: str) -> dict[str, list[tuple[int, int]]]:
        """All channels of a meter; empty when nothing is held (or the file had to be salvaged)."""
        rows = await self.access.read(
            lambda c: c.execute("SELECT channel, ranges FROM intervals WHERE meter = ?", (meter,)).fetchall()
        )
        return {channel: _ranges.decode(ranges) for channel, ranges in rows}

    async def put(self, meter: str, channel: str, ranges: Ranges) -> None:
        data = encode_ranges(ranges)
        await self.access.write(lambda tx: put_ranges(tx, meter, channel, data))


@dataclass(frozen=True)
class CommandStore:
    """Commands taken up, so that each is carried out once whatever is delivered twice or crashes half-way.

    A ``Result`` that is added to the spool closes its command in the same transaction.
    """

    access: Access

    async def begin(self, command: str) -> bool:
        """Note that a command is taken up; False when it was before (then :meth:`result` tells how it ended)."""

        def job(tx: Transaction) -> bool:
            row = (command, tx.now, tx.lived)
            done = tx.connection.execute(
                "INSERT OR IGNORE INTO commands (id, begun_at, lived_at) VALUES (?, ?, ?)", row
            )
            return done.rowcount == 1

        return await self.access.write(job)

    async def seen(self, command: str) -> bool:
        """Whether a command was ever taken up."""
        found = await self.access.read(
            lambda c: c.execute("SELECT 1 FROM commands WHERE id = ?", (command,)).fetchone()
        )
        return found is not None

    async def result(self, command: str) -> Result | None:
        """How a command ended; None when it has not, or was never taken up."""
        found = await self.access.read(
            lambda c: c.execute("SELECT result FROM commands WHERE id = ?", (command,)).fetchone()
        )
        return decode(found[0], Result) if found and found[0] is not None else None

    async def unfinished(self) -> list[str]:
        """Commands taken up without a result: after a start, those that a crash interrupted."""
        rows = await self.access.read(
            lambda c: c.execute("SELECT id FROM commands WHERE result IS NULL ORDER BY begun_at").fetchall()
        )
        return [row[0] for row in rows]


@dataclass(frozen=True)
class EvidenceStore:
    """Raw frames that gave a billing value, kept for ``evidence_days``."""

    access: Access

    async def add(self, evidence: Sequence[Evidence]) -> None:
        await self.access.write(lambda tx: put_evidence(tx, evidence))

    async def find(self, meter: str, start: int, end: int) -> list[Evidence]:
        """Evidence of a meter with ``start <= at < end`` (UTC seconds), oldest first."""
        rows = await self.access.read(
            lambda c: c.execute(
                "SELECT meter, at, what, frames FROM evidence WHERE meter = ? AND at >= ? AND at < ? ORDER BY at, id",
                (meter, start, end),
            ).fetchall()
        )
        return [Evidence(meter, at, what, _frames.decode(frames)) for meter, at, what, frames in rows]


@dataclass(frozen=True)
class ConnectionStore:
    """Forwarded connections that are open. A ``ForwardConnection`` that is added to the spool closes its own."""

    access: Access

    async def open(self, opened: ForwardConnection) -> None:
        """Note that a connection was opened, with all that is known of it."""
        row = (opened.meter, opened.started_ms, encode(opened))
        query = "INSERT OR REPLACE INTO connections (meter, started_ms, opened) VALUES (?, ?, ?)"
        await self.access.write(lambda tx: tx.connection.execute(query, row).rowcount)

    async def unfinished(self) -> list[ForwardConnection]:
        """Connections that were never closed: after a start, those that it cut."""
        rows = await self.access.read(
            lambda c: c.execute("SELECT opened FROM connections ORDER BY started_ms").fetchall()
        )
        return [decode(row[0], ForwardConnection) for row in rows]


def encode_state(state: Mapping[str, Any]) -> str:
    return json.dumps(state, separators=(",", ":"), sort_keys=True)


def encode_ranges(ranges: Ranges) -> bytes:
    """Pack held ranges; ValueError unless they are sorted, disjoint and not empty."""
    end = None
    for start, stop in ranges:
        if stop <= start or (end is not None and start < end):
            raise ValueError(f"ranges must be sorted, disjoint and not empty: [{start}, {stop}) after {end}")
        end = stop
    return msgspec.msgpack.encode(list(ranges))


def put_state(tx: Transaction, meter: str, text: str) -> None:
    tx.connection.execute("INSERT OR REPLACE INTO driver_state (meter, state) VALUES (?, ?)", (meter, text))


def put_ranges(tx: Transaction, meter: str, channel: str, data: bytes) -> None:
    tx.connection.execute(
        "INSERT OR REPLACE INTO intervals (meter, channel, ranges) VALUES (?, ?, ?)", (meter, channel, data)
    )


def put_evidence(tx: Transaction, evidence: Sequence[Evidence]) -> None:
    tx.connection.executemany(
        "INSERT INTO evidence (meter, at, what, frames, lived_at) VALUES (?, ?, ?, ?, ?)",
        [(e.meter, e.at, e.what, msgspec.msgpack.encode(e.frames), tx.lived) for e in evidence],
    )


def put_result(tx: Transaction, command: str, payload: bytes) -> None:
    tx.connection.execute(
        "INSERT INTO commands (id, begun_at, lived_at, result) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET result = excluded.result",
        (command, tx.now, tx.lived, payload),
    )


def put_connection(tx: Transaction, meter: str, started_ms: int) -> None:
    tx.connection.execute("DELETE FROM connections WHERE meter = ? AND started_ms = ?", (meter, started_ms))
