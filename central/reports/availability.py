"""Reports ``availability`` (share of the days with a register reading) and ``availability-days`` (day by day).

A day counts when at least one register reading of it is held; of a running period the days count that have begun.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import RegisterSet
from central.reports.columns import BRIEF_COLUMNS, METER_COLUMNS, Column, Kind, Row
from central.reports.day_masks import count, days_of, read_days, sum_days, unread_on
from central.reports.parameters import PERIOD, SELECTION
from central.reports.periods import month_number
from central.reports.readings import last_instants, last_of, spans_of
from central.reports.selection import Line, Selection
from central.reports.table import Asked, MeterTable, Report, Rows, Table, Total, meter_table

_PARAMETERS = PERIOD | SELECTION | {"missing"}


async def _open(session: AsyncSession, asked: Asked) -> Table:
    columns = (
        *METER_COLUMNS, Column("last_at", Kind.INSTANT, "sql"), Column("days_read", Kind.NUMBER, "sql"),
        Column("availability", Kind.SHARE, "sql", digits=2),
    )  # fmt: skip
    return await _table(session, asked, columns, _rows)


async def _open_days(session: AsyncSession, asked: Asked) -> Table:
    columns = (
        *BRIEF_COLUMNS, Column("days", Kind.DAYS, days=tuple(asked.period)),
        Column("availability", Kind.SHARE, "sql", digits=1),
    )  # fmt: skip
    return await _table(session, asked, columns, _day_rows)


async def _table(session: AsyncSession, asked: Asked, columns: Sequence[Column], rows: Rows) -> MeterTable:
    tenant = asked.scope.tenant_id
    read = read_days(tenant, asked.begun)
    last = last_of(tenant, *asked.period.span(asked.scope.zone), RegisterSet.at)
    orders = {"availability": read, "days_read": read, "last_at": last}
    table = await meter_table(session, asked, columns, rows, orders=orders, sums=_totals)
    if asked.filters.missing:
        table.selection.require(unread_on(tenant, asked.begun))
    return table


async def _rows(session: AsyncSession, asked: Asked, lines: Sequence[Line]) -> list[Row]:
    tenant, begun = asked.scope.tenant_id, asked.begun
    days = await days_of(session, tenant, begun, lines)
    last = await last_instants(session, tenant, spans_of(lines, asked.period.span))
    return [
        line.cells()
        | {
            "last_at": last.get(line.id),
            "days_read": count(days[line.id]),
            "availability": Fraction(count(days[line.id]), begun.days),
        }
        for line in lines
    ]


async def _day_rows(session: AsyncSession, asked: Asked, lines: Sequence[Line]) -> list[Row]:
    begun = asked.begun
    days = await days_of(session, asked.scope.tenant_id, begun, lines)

    def state(read: dict[int, int], day: Any) -> bool | None:
        return None if day > begun.last else bool(read.get(month_number(day), 0) >> day.day - 1 & 1)

    return [
        line.cells()
        | {
            "days": [state(days[line.id], day) for day in asked.period],
            "availability": Fraction(count(days[line.id]), begun.days),
        }
        for line in lines
    ]


async def _totals(session: AsyncSession, asked: Asked, selection: Selection) -> list[Total]:
    meters = await selection.count(session)
    days, read = await sum_days(session, asked.scope.tenant_id, asked.begun, selection)
    share = Fraction(days, meters * asked.begun.days) if meters else None
    return [Total("meters", meters), Total("availability", share, share=True), Total("without", meters - read)]


AVAILABILITY = Report("availability", _PARAMETERS, "period", 366, _open, totals=True)
DAYS = Report("availability-days", _PARAMETERS, "period", 92, _open_days, totals=True)
