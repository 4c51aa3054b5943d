"""When a kind of reading is due: on a grid aligned to UTC, shifted per meter so that not all come at once."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zlib import crc32
from zoneinfo import ZoneInfo

from edge.config.model import Schedule

#: A meter closes its interval on its own clock and some need a moment for it; ask no earlier after a boundary.
SETTLE: Final = 20  # s
#: Meters of one gateway are spread over this much of the grid.
SPREAD: Final = 240  # s


class Kind(StrEnum):
    """What is read on a schedule, in the order in which one visit reads it."""

    CLOCK = "clock"
    INSTANTANEOUS = "instantaneous"
    PROFILE = "profile"
    REGISTERS = "registers"
    EVENTS = "events"


def offset_of(meter: str) -> int:
    """Seconds after a boundary at which this meter's turn comes: ``SETTLE`` and a share of ``SPREAD``, always the same.

    One offset for all kinds of a meter: what is due in the same minute is read in one visit.
    """
    return SETTLE + crc32(meter.encode()) % SPREAD


def next_due(after: float, period: int, offset: int) -> float:
    """First instant later than ``after`` that is ``offset`` past a multiple of ``period`` (UTC seconds)."""
    return (int(after) - offset) // period * period + period + offset


def after_window(at: float, window: str, zone: ZoneInfo) -> float:
    """``at`` (UTC seconds), or the end of the local "hh:mm-hh:mm" window that it lies in; it may pass midnight."""
    if not window:
        return at
    begin, end = (60 * int(part[:2]) + int(part[3:]) for part in window.split("-"))
    local = datetime.fromtimestamp(at, zone)
    minute = 60 * local.hour + local.minute
    inside = begin <= minute < end if begin <= end else minute >= begin or minute < end
    if not inside:
        return at
    day = local.date() + timedelta(days=int(minute >= end))
    return datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=zone).timestamp()


def periods(schedule: Schedule) -> dict[Kind, int]:
    """Seconds between readings of each kind that is switched on."""
    every = {kind: int(getattr(schedule, kind.value)) for kind in Kind}
    return {kind: seconds for kind, seconds in every.items() if seconds > 0}
