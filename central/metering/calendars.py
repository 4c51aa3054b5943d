"""The tariff calendar in force of a meter: its own, else its tariff's, else the Brazilian default; on top of it the
days of its holiday group and its daylight-saving rule.
"""

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.registry.models import DaylightSaving, Holiday, HolidayMember, Meter, Tariff
from shared.calendar import CalendarError, DstPeriod, TariffCalendar
from shared.calendar_builders import brazil_calendar
from shared.holidays import Annual, HolidayGroup, Single
from shared.intervals import IntervalError

#: Name within a calendar of the days of a meter's holiday group; no calendar that people write has one so called.
_OWN_DAYS = "holiday group of the meter"


class _Day(NamedTuple):
    name: str
    month: int
    day: int
    year: int | None


class _Rule(NamedTuple):
    policy: str
    periods: str


def calendar_of(text: str, zone: str) -> TariffCalendar:
    """Return the calendar that ``Meter.calendar`` holds (JSON; "" = default A4 of Brazil in ``zone``)."""
    return _parse(text) if text else _default(zone)


def check_calendar(text: str) -> TariffCalendar:
    """Parse a calendar a person gives; raises :class:`Refused` with the place that is wrong."""
    try:
        return msgspec.json.decode(text, type=TariffCalendar)
    except (msgspec.MsgspecError, CalendarError, IntervalError) as error:
        raise Refused("calendar", str(error)) from error


async def calendar_in_force(db: AsyncSession, meter: Meter, zone: str) -> TariffCalendar:
    """The calendar of one meter, whose zone in force is ``zone``."""
    return (await calendars_in_force(db, [(meter, zone)]))[meter.id]


async def calendars_in_force(db: AsyncSession, meters: Iterable[tuple[Meter, str]]) -> dict[int, TariffCalendar]:
    """Calendars of many meters, each with its zone in force, by the meter's id; meters alike share one object."""
    wanted = list(meters)
    tariffs = await _tariffs(db, {meter.tariff_id for meter, _ in wanted} - {None})
    days = await _days(db, {meter.holiday_group_id for meter, _ in wanted} - {None})
    rules = await _rules(db, {meter.daylight_saving_id for meter, _ in wanted} - {None})
    return {
        meter.id: combined(
            meter.calendar, tariffs.get(meter.tariff_id, ""), zone, days.get(meter.holiday_group_id, ()),
            rules.get(meter.daylight_saving_id),
        )
        for meter, zone in wanted
    }  # fmt: skip


@lru_cache(maxsize=1024)
def combined(own: str, tariff: str, zone: str, days: tuple[_Day, ...], rule: _Rule | None) -> TariffCalendar:
    """The calendar made of these parts. A tariff's hours are those of the meter's own zone."""
    if own:
        calendar = _parse(own)
    elif tariff:
        calendar = msgspec.structs.replace(_parse(tariff), zone=zone)
    else:
        calendar = _default(zone)
    if days:
        group = HolidayGroup([
            Single(day.name, date(day.year, day.month, day.day)) if day.year else Annual(day.name, day.month, day.day)
            for day in days
        ])  # fmt: skip
        versions = [
            msgspec.structs.replace(version, groups=[_OWN_DAYS, *version.groups]) for version in calendar.versions
        ]
        calendar = msgspec.structs.replace(calendar, versions=versions, groups=calendar.groups | {_OWN_DAYS: group})
    if rule is not None:
        periods = msgspec.json.decode(rule.periods, type=list[DstPeriod])
        calendar = msgspec.structs.replace(calendar, dst=periods, dst_policy=rule.policy)
    return calendar


async def _tariffs(db: AsyncSession, ids: set[int | None]) -> dict[int | None, str]:
    if not ids:
        return {}
    rows = await db.execute(select(Tariff.id, Tariff.calendar).where(Tariff.id.in_(ids)))
    return {row[0]: row[1] for row in rows}


async def _days(db: AsyncSession, ids: set[int | None]) -> dict[int | None, tuple[_Day, ...]]:
    found: dict[int | None, tuple[_Day, ...]] = {}
    if ids:
        query = (
            select(HolidayMember.group_id, Holiday.name, Holiday.month, Holiday.day, Holiday.year)
            .join(Holiday, Holiday.id == HolidayMember.holiday_id)
            .where(HolidayMember.group_id.in_(ids))
            .order_by(HolidayMember.group_id, Holiday.id)
        )
        for group_id, name, month, day, year in await db.execute(query):
            found[group_id] = (*found.get(group_id, ()), _Day(name, month, day, year))
    return found


async def _rules(db: AsyncSession, ids: set[int | None]) -> dict[int | None, _Rule]:
    if not ids:
        return {}
    query = select(DaylightSaving.id, DaylightSaving.policy, DaylightSaving.periods).where(DaylightSaving.id.in_(ids))
    return {row[0]: _Rule(row[1], row[2]) for row in await db.execute(query)}


@lru_cache(maxsize=256)
def _parse(text: str) -> TariffCalendar:
    return check_calendar(text)


@lru_cache(maxsize=64)
def _default(zone: str) -> TariffCalendar:
    return brazil_calendar(zone=zone)
