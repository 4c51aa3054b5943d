"""Report ``billing``: of each meter the registers on the day its lot is read in a month.

The reading is the last one at or before the end of that day, and not older than ``window`` days before it began; the
day is the one the lot's calendar names for the month, else the lot's reading day, at most the month's last.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import RegisterSet
from central.metering.stored import date_of
from central.registry.models import Customer, Lot, LotDate
from central.reports.columns import BRIEF_COLUMNS, NOTES, Column, Kind, Row, codes_of, register_columns
from central.reports.parameters import REGISTERS, SELECTION
from central.reports.periods import Period, month_number
from central.reports.readings import last_of, last_readings, register_cells
from central.reports.selection import Line, Selection
from central.reports.table import Asked, MeterTable, Report, Table, Total, meter_table
from shared.intervals import Range, local_date
from shared.intervals import zone as zone_of


async def due_dates(session: AsyncSession, tenant_id: int, month: Period) -> dict[int, date]:
    """The day each lot is read in a month."""
    dated = {
        lot: date_of(day)
        for lot, day in (
            await session.execute(
                select(LotDate.lot_id, LotDate.due_on).where(LotDate.month == month_number(month.first))
            )
        ).all()
    }
    lots = (await session.execute(select(Lot.id, Lot.reading_day).where(Lot.tenant_id == tenant_id))).all()
    return {lot: dated.get(lot) or month.first.replace(day=max(1, min(day, month.last.day))) for lot, day in lots}


def window(due: date, days: int, zone: str) -> Range:
    """[start, end) in which a reading counts for a lot that is due on ``due``."""
    return Range(Period(due - timedelta(days=days), due).span(zone).start, Period(due, due).span(zone).end)


async def _open(session: AsyncSession, asked: Asked) -> Table:
    columns = (
        *BRIEF_COLUMNS, Column("due_on", Kind.DAY), Column("read_at", Kind.INSTANT, "sql"),
        *register_columns(asked.filters), NOTES,
    )  # fmt: skip
    due = await due_dates(session, asked.scope.tenant_id, asked.period)
    found = await meter_table(session, asked, columns, _rows, sums=_totals)
    found.selection.require(Customer.lot_id.is_not(None), needs=(Customer,))
    orders = {"read_at": _read(asked, due)}
    return MeterTable(asked, columns, found.selection, _rows, orders, _totals)


async def _rows(session: AsyncSession, asked: Asked, lines: Sequence[Line]) -> list[Row]:
    due = await due_dates(session, asked.scope.tenant_id, asked.period)
    days = {line.id: due[line.lot_id] for line in lines if line.lot_id in due}
    zones = {line.id: line.zone for line in lines}
    spans: dict[int, tuple[int | None, int]] = {
        id_: window(day, asked.filters.window, zones[id_]) for id_, day in days.items()
    }
    found = await last_readings(session, asked.scope.tenant_id, spans)
    wanted = codes_of(asked.filters)
    rows = []
    for line in lines:
        reading, day = found.get(line.id), days.get(line.id)
        notes = []
        if reading is None:
            notes = ["unread" if day is None or day < asked.scope.today else "awaited"]
        elif day and local_date(reading.at, zone_of(line.zone)) < day:
            notes = ["earlier"]
        rows.append(
            line.cells()
            | {"due_on": day, "read_at": reading.at if reading else None, "notes": notes or None}
            | register_cells(reading, line, asked.filters, wanted)
        )
    return rows


async def _totals(session: AsyncSession, asked: Asked, selection: Selection) -> list[Total]:
    due = await due_dates(session, asked.scope.tenant_id, asked.period)
    query = selection.statement(
        func.count(), func.count(Customer.lot_id.distinct()), func.count(_read(asked, due)), needs=(Customer,)
    )
    meters, lots, read = (await session.execute(query)).one()
    return [Total("meters", meters), Total("lots", lots), Total("without", meters - read)]


def _read(asked: Asked, due: Mapping[int, date]) -> Any:
    """Scalar: when ``Meter`` was read for its customer's lot; the tenant's days, a meter in another zone by its own in
    the rows."""
    if not due:
        return literal(None)
    spans = {lot: window(day, asked.filters.window, asked.scope.zone) for lot, day in due.items()}
    start, end = (case({lot: span[i] for lot, span in spans.items()}, value=Customer.lot_id) for i in (0, 1))
    return last_of(asked.scope.tenant_id, start, end, RegisterSet.at)


REPORT = Report(
    "billing", frozenset({"month", "date", "window"}) | SELECTION | REGISTERS, "month", 31, _open, totals=True
)
