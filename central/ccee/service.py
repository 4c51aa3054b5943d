"""Connections of the CCEE: lists, one with its exchanges, its capture, and what it read beside what we hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from central.ccee.captures import Octets, as_pcapng, join
from central.ccee.models import CceeCapture, CceeConnection
from central.ccee.verdicts import Outcome, Verdict, verdict
from central.errors import NotFound, Refused
from central.metering.service import profile
from central.registry.models import Gateway, Meter
from central.registry.service import MeterView, get_meter
from central.store.pages import Page, bounded, place
from shared.intervals import Range
from shared.quantities import ACTIVE_PROFILE, Quantity
from shared.wire import ForwardExchange

#: Longest range compared in one answer, s.
MAX_COMPARED: int = 100 * 86400
_exchanges = msgspec.msgpack.Decoder(list[ForwardExchange])


@dataclass(frozen=True, slots=True)
class ConnectionFilter:
    """What connections are wanted; ``start`` and ``end`` bound their beginning (UTC s)."""

    meter_id: int | None = None
    gateway_id: int | None = None
    verdict: str | None = None
    mode: str | None = None
    failed: bool = False
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A stored connection with the keys and names of its meter and gateway."""

    row: CceeConnection
    meter: str
    meter_name: str
    gateway: str

    @property
    def verdict(self) -> Verdict:
        """Its verdict in words; one without words for a code that is not known here."""
        return verdict(self.row.verdict)

    @property
    def seconds(self) -> float:
        return (self.row.ended_ms - self.row.started_ms) / 1000


@dataclass(frozen=True, slots=True)
class ConnectionDetail:
    """A connection with its exchanges in order of time; ``parts`` of its capture are held here."""

    view: ConnectionView
    exchanges: Sequence[ForwardExchange]
    constants: dict[str, Any]
    facts: dict[str, Any]
    parts: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The profile range a connection asked for, what it got of it, and what we hold of the same range (seconds).

    ``missing``: ranges that we do not hold; ``theirs``: of these, what the CCEE got.
    """

    channel: Quantity
    start: int
    end: int
    delivered: int
    held: int
    missing: Sequence[Range]
    theirs: Sequence[Range]


async def connections(
    session: AsyncSession,
    tenant_id: int,
    wanted: ConnectionFilter | None = None,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page[ConnectionView]:
    """Connections, newest first, without exchanges; ``after`` is the ``next`` of the page before."""
    limit, wanted, each = bounded(limit), wanted or ConnectionFilter(), CceeConnection
    query = _connections(tenant_id).options(
        defer(each.exchanges, raiseload=True), defer(each.constants, raiseload=True), defer(each.facts, raiseload=True)
    )
    for column, value in (
        (each.meter_id, wanted.meter_id), (each.gateway_id, wanted.gateway_id), (each.verdict, wanted.verdict),
        (each.mode, wanted.mode), (each.outcome, str(Outcome.FAILED) if wanted.failed else None),
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if wanted.start is not None:
        query = query.where(each.started_ms >= wanted.start * 1000)
    if wanted.end is not None:
        query = query.where(each.started_ms < wanted.end * 1000)
    if after is not None:
        at, row_id = place(after)
        query = query.where((each.started_ms < at) | ((each.started_ms == at) & (each.id < row_id)))
    query = query.order_by(each.started_ms.desc(), each.id.desc()).limit(limit + 1)
    views = [_view(row) for row in (await session.execute(query)).all()]
    last = views[limit - 1].row if len(views) > limit else None
    return Page(views[:limit], f"{last.started_ms}-{last.id}" if last else None)


async def get_connection(session: AsyncSession, tenant_id: int, connection_id: int) -> ConnectionDetail:
    """One connection; raises :class:`NotFound`."""
    view = await _get(session, tenant_id, connection_id)
    parts = await _parts(session, view.row, CceeCapture.part)
    return ConnectionDetail(
        view,
        _exchanges.decode(view.row.exchanges),
        msgspec.json.decode(view.row.constants),
        msgspec.json.decode(view.row.facts),
        len(parts),
    )


async def octets(session: AsyncSession, tenant_id: int, connection_id: int) -> tuple[ConnectionView, Sequence[Octets]]:
    """A connection and what is kept of its octets; raises :class:`NotFound` where nothing is (any more)."""
    view = await _get(session, tenant_id, connection_id)
    parts = await _parts(session, view.row, CceeCapture.data)
    if not parts:
        raise NotFound("capture of connection", connection_id)
    return view, join(parts)


def pcapng(view: ConnectionView, kept: Sequence[Octets]) -> bytes:
    """The capture as a file for Wireshark, the verdict in its comment."""
    row = view.row
    comment = f"{view.meter} {row.verdict} {row.reason}".strip()
    return as_pcapng(kept, row.started_ms, row.ended_ms, row.source, row.listen, (row.sent, row.received), comment)


async def compare(
    session: AsyncSession, tenant_id: int, connection_id: int, channel: Quantity = ACTIVE_PROFILE
) -> Comparison | None:
    """What a connection read beside what we hold; None when it told no range. Raises :class:`Refused` for years."""
    view = await _get(session, tenant_id, connection_id)
    row = view.row
    if row.range_start is None or row.range_end is None or row.range_start >= row.range_end:
        return None
    start, end = row.range_start, min(row.range_end, row.ended_ms // 1000)
    if start >= end:
        return None
    if end - start > MAX_COMPARED:
        raise Refused("range", f"{(end - start) / 86400:.0f} days are more than {MAX_COMPARED // 86400}")
    got = min(max(row.delivered_end or start, start), end)
    meter: MeterView = await get_meter(session, tenant_id, view.meter)
    series = await profile(session, meter, channel, start, end)
    missing = _joined(
        [
            Range(max(start, at), min(end, at + series.step))
            for at, held in zip(series.instants().tolist(), series.held.tolist(), strict=True)
            if not held and at < end and at + series.step > start
        ]
    )
    theirs = [Range(part.start, min(part.end, got)) for part in missing if part.start < got]
    held = end - start - sum(part.end - part.start for part in missing)
    return Comparison(channel, start, end, got - start, held, missing, theirs)


def _joined(parts: Sequence[Range]) -> list[Range]:
    """Join ranges that touch; they come in order."""
    if not parts:
        return []
    cuts = [0, *(n for n, (a, b) in enumerate(pairwise(parts), 1) if a.end < b.start), len(parts)]
    return [Range(parts[a].start, parts[b - 1].end) for a, b in pairwise(cuts)]


async def _get(session: AsyncSession, tenant_id: int, connection_id: int) -> ConnectionView:
    row = (await session.execute(_connections(tenant_id).where(CceeConnection.id == connection_id))).one_or_none()
    if row is None:
        raise NotFound("connection", connection_id)
    return _view(row)


async def _parts(session: AsyncSession, row: CceeConnection, column: Any) -> Sequence[Any]:
    query = select(column).where(
        CceeCapture.tenant_id == row.tenant_id, CceeCapture.meter_id == row.meter_id,
        CceeCapture.started_ms == row.started_ms,
    )  # fmt: skip
    return (await session.scalars(query.order_by(CceeCapture.part))).all()


def _connections(tenant_id: int) -> Any:
    return (
        select(CceeConnection, Meter.key, Meter.name, Meter.serial, Gateway.key)
        .join(Meter, Meter.id == CceeConnection.meter_id)
        .join(Gateway, Gateway.id == CceeConnection.gateway_id)
        .where(CceeConnection.tenant_id == tenant_id)
    )


def _view(row: Any) -> ConnectionView:
    return ConnectionView(row[0], row[1], row[2] or row[3], row[4])
