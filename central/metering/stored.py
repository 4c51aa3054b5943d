"""How stored days are asked for: a day's row with what its series says, and bounds over the one integer of its key."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import DAYS, ProfileDay, ProfileSeries
from ext.profile import header

_EPOCH: Final = date(1970, 1, 1)
_SECONDS: Final = 86400

#: The local date of a row, as days since 1970-01-01.
DAY: Final[ColumnElement[int]] = ProfileDay.id % DAYS


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A day in force, as far as a series is stitched from it; ``start`` UTC seconds of its first interval."""

    start: int
    step: int
    count: int
    num: int
    den: int
    data: bytes


def number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """The date of a day number."""
    return _EPOCH + timedelta(days=day)


def day_id(series_id: int, day: int) -> int:
    """The key of a day's row."""
    return series_id * DAYS + day


def between(first: date, last: date) -> ColumnElement[bool]:
    """Join condition: the days ``first`` to ``last`` of a series, of which those without a key are left out."""
    low = ProfileSeries.id * DAYS
    return ProfileDay.id.between(low + max(number(first), 0), low + min(number(last), DAYS - 1))


def ever() -> ColumnElement[bool]:
    """Join condition: all days of a series."""
    low = ProfileSeries.id * DAYS
    return ProfileDay.id.between(low, low + (DAYS - 1))


def days(*columns: Any, within: ColumnElement[bool]) -> Select[Any]:
    """Select columns of days and their series; ``within`` from :func:`between` or :func:`ever`."""
    return select(*columns).select_from(ProfileSeries).join(ProfileDay, within)


async def stored_days(
    session: AsyncSession, within: ColumnElement[bool], *where: ColumnElement[bool]
) -> list[StoredDay]:
    """The days that fulfil conditions on their series, in order of their date."""
    columns = ProfileSeries.shift, ProfileSeries.step, ProfileSeries.num, ProfileSeries.den, DAY, ProfileDay.data
    rows = await session.execute(days(*columns, within=within).where(*where).order_by(DAY))
    return [
        StoredDay(day * _SECONDS + shift, step, header(data)[0], num, den, data)
        for shift, step, num, den, day, data in rows
    ]


def series_of(tenant_id: int, meter_id: int, channel: int | None = None) -> Iterator[ColumnElement[bool]]:
    """Conditions: the series of a meter, or of one of its channels."""
    yield ProfileSeries.tenant_id == tenant_id
    yield ProfileSeries.meter_id == meter_id
    if channel is not None:
        yield ProfileSeries.channel == channel
