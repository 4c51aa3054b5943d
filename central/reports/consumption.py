"""Report ``consumption``: what registers counted between the first and the last reading of a period, by post."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from central.reports.columns import BRIEF_COLUMNS, NOTES, Column, Kind, Row, codes_of, register_columns
from central.reports.day_masks import count, days_of, read_days
from central.reports.excess import profile_excess
from central.reports.parameters import PERIOD, REGISTERS, SELECTION
from central.reports.readings import Ends, first_and_last, register_cells, spans_of
from central.reports.selection import Line
from central.reports.table import Asked, Report, Table, meter_table
from shared.quantities import Quantity

_UFER: Final = 130


async def _open(session: AsyncSession, asked: Asked) -> Table:
    columns = (
        *BRIEF_COLUMNS, Column("first_at", Kind.INSTANT), Column("last_at", Kind.INSTANT),
        Column("availability", Kind.SHARE, "sql", digits=2), *register_columns(asked.filters), NOTES,
    )  # fmt: skip
    orders = {"availability": read_days(asked.scope.tenant_id, asked.begun)}
    return await meter_table(session, asked, columns, _rows, orders=orders)


async def _rows(session: AsyncSession, asked: Asked, lines: Sequence[Line]) -> list[Row]:
    tenant, begun = asked.scope.tenant_id, asked.begun
    ends = await first_and_last(session, tenant, spans_of(lines, asked.period.span))
    days = await days_of(session, tenant, begun, lines)
    rows = []
    for line in lines:
        found = ends.get(line.id)
        cells, notes = difference(found, line, asked)
        if found and "ufer" in asked.filters.energy and asked.filters.values == "units":
            notes += await _excess(session, asked, line, found, cells)
        rows.append(
            line.cells()
            | {
                "first_at": found.first.at if found else None,
                "last_at": found.last.at if found else None,
                "availability": Fraction(count(days[line.id]), begun.days),
                "notes": notes or None,
            }
            | cells
        )
    return rows


def difference(ends: Ends | None, line: Line, asked: Asked) -> tuple[Row, list[str]]:
    """Last less first reading of each register, and what has to be said. A register that went backwards (exchanged,
    rolled over) says nothing; neither does one reading alone."""
    wanted = codes_of(asked.filters)
    if ends is None or ends.first.id == ends.last.id:
        return dict.fromkeys(wanted), ["unread" if ends is None else "single"]
    before = register_cells(ends.first, line, asked.filters, wanted)
    after = register_cells(ends.last, line, asked.filters, wanted)
    cells: Row = {}
    notes = []
    for code, last in after.items():
        first = before[code]
        cells[code] = None if first is None or last is None or last < first else last - first
        if first is not None and last is not None and last < first:
            notes = ["backwards"]
    return cells, notes


async def _excess(session: AsyncSession, asked: Asked, line: Line, ends: Ends, cells: Row) -> list[str]:
    """Fill the UFER of a meter without such registers from its profile; says so."""
    codes = [code for code in cells if code.startswith(f"{_UFER}.")]
    if any(cells[code] is not None for code in codes) or ends.first.at >= ends.last.at:
        return []
    ratio = Fraction(*line.ratio) if asked.filters.side == "primary" else Fraction(1)
    found = await profile_excess(
        session, asked.scope.tenant_id, line.id, line.zone, line.calendar, (ends.first.at, ends.last.at), ratio,
        asked.scope.rules,
    )  # fmt: skip
    if found is None:
        return []
    for code in codes:
        cells[code] = found.energy.get(Quantity.parse(code).e)
    return ["computed", "incomplete"] if found.incomplete else ["computed"]


REPORT = Report("consumption", PERIOD | SELECTION | REGISTERS, "period", 366, _open)
