"""Report ``registers-meter``: every register reading of one meter in a period, a block per quantity and direction:
total, maximum with its instant, accumulated and last demand, by post.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import RegisterSet
from central.reports.columns import Column, Kind, Row
from central.reports.parameters import PERIOD, Filters
from central.reports.readings import figure
from central.reports.selection import Line
from central.reports.table import Asked, Report, Table
from central.reports.times import TimeTable, the_meter
from shared.quantities import POSTS, Post, Process, Quantity
from shared.wire import RegisterValue

_decoder: Final = msgspec.msgpack.Decoder(list[RegisterValue])
_FIGURES: Final = (
    ("total", Process.CUMULATIVE), ("maximum", Process.MAXIMUM_DEMAND),
    ("accumulated", Process.ACCUMULATED_MAXIMUM), ("last", Process.LAST_DEMAND),
)  # fmt: skip
_ORDER: Final = (*POSTS, Post.TOTAL)


def _columns(filters: Filters) -> list[Column]:
    digits = 0 if filters.values == "counts" else 3
    return [
        Column("at", Kind.INSTANT, "sql"), Column("billed", Kind.BILLED),
        Column("measured", Kind.MEASURED, digits=digits),
        Column("post", Kind.POST), Column("total", Kind.NUMBER, digits=digits),
        Column("maximum", Kind.NUMBER, digits=digits), Column("maximum_at", Kind.INSTANT),
        Column("accumulated", Kind.NUMBER, digits=digits), Column("last", Kind.NUMBER, digits=digits),
        Column("resets", Kind.NUMBER, hidden=True),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readings(TimeTable):
    line: Line
    filters: Filters

    async def rows(self, session: AsyncSession, found: Sequence[Any]) -> list[Row]:
        rows: list[Row] = []
        for at, _, period, resets, data in found:
            about = {"meter": self.line.key, "at": at, "billed": bool(period), "resets": resets}
            rows += (about | row for row in blocks(_decoder.decode(data), self.line, self.filters))
        return rows


def blocks(values: Sequence[RegisterValue], line: Line, filters: Filters) -> list[Row]:
    """A row per measured thing and post that the reading has, in the order of the standard's codes and of posts."""
    known = {Quantity.parse(value.quantity): value for value in values}
    processes = {process for _, process in _FIGURES}
    present = {(quantity.c, quantity.e) for quantity in known if quantity.d in processes}
    rows = []
    for c in sorted({c for c, _ in present}):
        for post in sorted({e for each, e in present if each == c}, key=_place):
            found = {name: known.get(Quantity(c, process, post)) for name, process in _FIGURES}
            maximum = found["maximum"]
            rows.append(
                {"measured": f"{c}.8.0", "post": post, "maximum_at": maximum.at if maximum else None}
                | {name: figure(value, line, filters) for name, value in found.items()}
            )
    return rows


def _place(post: int) -> tuple[bool, int]:
    return (post not in _ORDER, _ORDER.index(Post(post)) if post in _ORDER else post)


async def _open(session: AsyncSession, asked: Asked) -> Table:
    line = await the_meter(session, asked)
    start, end = asked.period.span(line.zone)
    query = select(RegisterSet.at, RegisterSet.id, RegisterSet.period, RegisterSet.resets, RegisterSet.data).where(
        RegisterSet.tenant_id == asked.scope.tenant_id, RegisterSet.meter_id == line.id, RegisterSet.at >= start,
        RegisterSet.at < end,
    )  # fmt: skip
    return _Readings(
        columns=_columns(asked.filters), query=query, at=RegisterSet.at, id=RegisterSet.id, line=line,
        filters=asked.filters,
    )  # fmt: skip


REPORT = Report(
    "registers-meter", PERIOD | {"meter", "side", "values"}, "period", 366, _open, one=True, counted="readings"
)
