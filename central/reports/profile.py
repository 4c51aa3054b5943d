"""Report ``profile``: the load profile of one meter, a row per interval, a column per channel."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final

import numpy as np
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.metering.calendars import calendar_of
from central.metering.models import ProfileSeries
from central.metering.series import Series, SeriesError, stitch
from central.metering.stored import between, days, series_of, stored_days
from central.reports.columns import Column, Kind, Row
from central.reports.parameters import PERIOD, Filters
from central.reports.selection import Line
from central.reports.table import CHUNK, Asked, Report, Table, Total, parse_sort
from central.reports.times import AT, the_meter
from central.store.pages import Page
from shared.intervals import ceil, floor, local_date
from shared.intervals import zone as zone_of
from shared.quantities import Quantity

_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class _Intervals:
    """Intervals of ``step`` that begin within [start, end) and have ended."""

    columns: Sequence[Column]
    asked: Asked
    line: Line
    channels: Sequence[Quantity]
    step: int
    start: int
    end: int

    async def count(self, session: AsyncSession) -> int:
        return max(0, self.end - self.start) // self.step

    async def page(self, session: AsyncSession, sort: str, offset: int, limit: int) -> list[Row]:
        count = await self.count(session)
        if parse_sort(sort, self.columns, AT)[1]:
            low, high = max(0, count - offset - limit), max(0, count - offset)
            return (await self._rows(session, low, high))[::-1]
        return await self._rows(session, min(offset, count), min(offset + limit, count))

    async def after(self, session: AsyncSession, after: str | None, limit: int) -> Page[Row]:
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 13):
            raise Refused("after", f"{after[:40]!r} is not the 'next' of a page")
        offset = 0 if after is None else max(0, int(after) - self.start) // self.step + 1
        count = await self.count(session)
        rows = await self._rows(session, min(offset, count), min(offset + limit, count))
        return Page(rows, str(rows[-1]["at"]) if rows and offset + limit < count else None)

    async def walk(self, session: AsyncSession, sort: str) -> AsyncIterator[list[Row]]:
        for offset in range(0, await self.count(session), CHUNK):
            yield await self.page(session, sort, offset, CHUNK)

    async def totals(self, session: AsyncSession) -> list[Total]:
        return []

    async def _rows(self, session: AsyncSession, low: int, high: int) -> list[Row]:
        if low >= high:
            return []
        start, end, tz = self.start + low * self.step, self.start + high * self.step, zone_of(self.line.zone)
        within = between(local_date(max(0, start - _DAY), tz), local_date(end, tz) + timedelta(days=1))
        found = [await self._series(session, channel, within, start, end) for channel in self.channels]
        posts = calendar_of(self.line.calendar, self.line.zone).posts_for(start, self.step, high - low)
        rows = []
        for i, post in enumerate(posts):
            row: Row = {"meter": self.line.key, "at": start + i * self.step, "post": int(post)}
            flags = 0
            for channel, series in zip(self.channels, found, strict=True):
                row[str(channel)] = _value(series, i, self.asked.filters)
                flags |= int(series.flags[i]) if series is not None else 0
            rows.append(row | {"flags": flags or None})
        return rows

    async def _series(
        self, session: AsyncSession, channel: Quantity, within: Any, start: int, end: int
    ) -> Series | None:
        """The channel in this table's step; None where it is held in another one only."""
        of = series_of(self.asked.scope.tenant_id, self.line.id, channel.code)
        ratio = Fraction(*self.line.ratio) if self.asked.filters.side == "primary" else Fraction(1)
        if self.asked.filters.values == "counts":
            ratio = Fraction(1)
        try:
            series = stitch(channel, await stored_days(session, within, *of), start, end, ratio)
        except SeriesError as error:
            raise Refused("from", str(error)) from error
        if series.step != self.step:
            fine = Series(channel, start, self.step, np.zeros(0, np.int64), np.zeros(0, np.uint16), 1, 1)
            return _in_step(series, fine, (end - start) // self.step)
        return series.part(start, end)


def _in_step(series: Series, like: Series, count: int) -> Series | None:
    """A finer series summed into a coarser step; a coarser one says nothing about finer intervals."""
    if not len(series.values) or like.step % series.step:
        return None
    part = series.part(like.start, like.start + count * like.step)
    fine = like.step // series.step
    if len(part.values) != count * fine:
        return None
    values, flags = part.values.reshape(-1, fine).sum(1), np.bitwise_or.reduce(part.flags.reshape(-1, fine), 1)
    return Series(series.quantity, like.start, like.step, values, flags, series.num, series.den)


def _value(series: Series | None, i: int, filters: Filters) -> Fraction | None:
    if series is None or i >= len(series.values) or not series.held[i]:
        return None
    count = int(series.values[i])
    return Fraction(count) if filters.values == "counts" else Fraction(count * series.num, series.den)


async def _open(session: AsyncSession, asked: Asked) -> Table:
    line = await the_meter(session, asked)
    start, end = asked.period.span(line.zone)
    tz = zone_of(line.zone)
    within = between(local_date(start, tz), local_date(end - 1, tz))
    query = (
        days(ProfileSeries.channel, func.max(ProfileSeries.step), within=within)
        .where(*series_of(asked.scope.tenant_id, line.id))
        .group_by(ProfileSeries.channel)
        .order_by(ProfileSeries.channel)
    )
    held = {Quantity.from_code(code): step for code, step in (await session.execute(query)).all()}
    step = max(held.values(), default=900)
    counts = asked.filters.values == "counts"
    columns = [
        Column("at", Kind.INSTANT, "sql"), Column("post", Kind.POST),
        *(Column(str(c), Kind.NUMBER, "", "" if counts else c.unit, 0 if counts else 3, c) for c in held),
        Column("flags", Kind.FLAGS),
    ]  # fmt: skip
    end = min(end, floor(asked.scope.now, step))
    return _Intervals(columns, asked, line, list(held), step, ceil(start, step), end if held else start)


REPORT = Report(
    "profile", PERIOD | {"meter", "side", "values"}, "period", 92, _open, one=True, chart="profile", counted="intervals"
)
