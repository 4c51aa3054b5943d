"""Report ``registers-last``: the last register reading of many meters by post, at or before the end of a day."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import RegisterSet
from central.reports.columns import METER_COLUMNS, Column, Kind, Row, codes_of, register_columns
from central.reports.parameters import REGISTERS, SELECTION
from central.reports.readings import last_of, last_readings, register_cells, spans_of
from central.reports.selection import Line
from central.reports.table import Asked, Report, Table, meter_table


async def _open(session: AsyncSession, asked: Asked) -> Table:
    scope = asked.scope
    columns = (*METER_COLUMNS, Column("read_at", Kind.INSTANT, "sql"), *register_columns(asked.filters))
    last = last_of(scope.tenant_id, None, asked.period.span(scope.zone).end, RegisterSet.at)
    return await meter_table(session, asked, columns, _rows, orders={"read_at": last})


async def _rows(session: AsyncSession, asked: Asked, lines: Sequence[Line]) -> list[Row]:
    ends = spans_of(lines, asked.period.span)
    found = await last_readings(session, asked.scope.tenant_id, {id_: (None, span.end) for id_, span in ends.items()})
    wanted = codes_of(asked.filters)
    rows = []
    for line in lines:
        reading = found.get(line.id)
        cells = register_cells(reading, line, asked.filters, wanted)
        rows.append(line.cells() | {"read_at": reading.at if reading else None} | cells)
    return rows


REPORT = Report("registers-last", frozenset({"date"}) | SELECTION | REGISTERS, "day", 1, _open)
