"""Report ``events``: what happened at meters and gateways in a period, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import Event
from central.registry.models import Gateway, Meter
from central.reports.columns import Column, Kind, Row
from central.reports.parameters import PERIOD, SELECTION
from central.reports.selection import Selection, select_meters
from central.reports.table import Asked, Report, Table
from central.reports.times import TimeTable

_COLUMNS = (
    Column("at", Kind.INSTANT, "sql"), Column("kind", Kind.EVENT), Column("serial", Kind.TEXT),
    Column("customer", Kind.TEXT), Column("external_key", Kind.TEXT, hidden=True),
    Column("lot", Kind.TEXT, hidden=True),
    Column("gateway", Kind.TEXT), Column("until", Kind.INSTANT), Column("lasted", Kind.SECONDS),
    Column("detail", Kind.DETAIL), Column("received_at", Kind.INSTANT, hidden=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Events(TimeTable):
    selection: Selection

    async def rows(self, session: AsyncSession, found: Sequence[Any]) -> list[Row]:
        events: list[Event] = [row[2] for row in found]
        lines = await self.selection.lines(session, sorted({e.meter_id for e in events if e.meter_id is not None}))
        meters = {line.id: line.cells() for line in lines}
        named = select(Gateway.id, Gateway.name, Gateway.key)
        ids = {event.gateway_id for event in events if event.gateway_id is not None}
        gateways = {
            id_: name or key for id_, name, key in (await session.execute(named.where(Gateway.id.in_(ids)))).all()
        }
        return [
            meters.get(event.meter_id or 0, {})
            | {
                "at": event.at,
                "kind": event.kind,
                "gateway": gateways.get(event.gateway_id or 0),
                "until": event.until,
                "lasted": event.until - event.at if event.until is not None else None,
                "detail": {"kind": event.kind, "values": msgspec.json.decode(event.detail)},
                "received_at": event.received_at,
            }
            for event in events
        ]


async def _open(session: AsyncSession, asked: Asked) -> Table:
    scope, filters = asked.scope, asked.filters
    selection = await select_meters(session, scope.tenant_id, scope.zone, filters, asked.at)
    start, end = asked.period.span(scope.zone)
    query = select(Event.at, Event.id, Event).where(
        Event.tenant_id == scope.tenant_id, Event.at >= start, Event.at < end
    )
    if filters.kind:
        query = query.where(Event.kind == filters.kind)
    if selection.where:
        chosen: Any = Event.meter_id.in_(selection.statement(Meter.id))
        if filters.gateway and not (
            filters.serial or filters.customer or filters.model or filters.lot or filters.group
        ):
            own = select(Gateway.id).where(Gateway.tenant_id == scope.tenant_id, Gateway.key.in_(filters.gateway))
            chosen = or_(chosen, Event.meter_id.is_(None) & Event.gateway_id.in_(own)) if not filters.meter else chosen
        query = query.where(chosen)
    return _Events(columns=_COLUMNS, query=query, at=Event.at, id=Event.id, selection=selection)


REPORT = Report("events", PERIOD | SELECTION | {"kind"}, "period", 366, _open, counted="events")
