"""The tariff calendar of a meter: its own, else the Brazilian default in its zone."""

from functools import lru_cache

import msgspec

from central.errors import Refused
from shared.calendar import CalendarError, TariffCalendar
from shared.calendar_builders import brazil_calendar
from shared.intervals import IntervalError


def calendar_of(text: str, zone: str) -> TariffCalendar:
    """Return the calendar that ``Meter.calendar`` holds (JSON; "" = default A4 of Brazil in ``zone``)."""
    return _parse(text) if text else _default(zone)


def check_calendar(text: str) -> TariffCalendar:
    """Parse a calendar a person gives; raises :class:`Refused` with the place that is wrong."""
    try:
        return msgspec.json.decode(text, type=TariffCalendar)
    except (msgspec.MsgspecError, CalendarError, IntervalError) as error:
        raise Refused("calendar", str(error)) from error


@lru_cache(maxsize=256)
def _parse(text: str) -> TariffCalendar:
    return check_calendar(text)


@lru_cache(maxsize=64)
def _default(zone: str) -> TariffCalendar:
    return brazil_calendar(zone=zone)
