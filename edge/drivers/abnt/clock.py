"""The meter's wall clock and UTC; when it is safe to set it (dossier abnt-nbr-14522 §4, §8.1, §8.4)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

#: Distance kept from an interval's ends while setting the clock, seconds.
GUARD: Final = 5

_HOUR: Final = timedelta(hours=1)
_ZERO: Final = timedelta(0)


@dataclass(frozen=True)
class WallClock:
    """The zone the meter stands in, and whether it shows summer time now (octet 158).

    The flag decides for the present: the zone's standard time, plus an hour when the meter says so. The zone database
    decides for stamps of the past, which the flag of today says nothing about.
    """

    zone: tzinfo
    summer: bool

    def present(self, stamp: datetime) -> int:
        """UTC seconds of a stamp taken under today's flag: now, end of the last interval."""
        standard = self._standard(stamp)
        return int((stamp - standard - (_HOUR if self.summer else _ZERO)).replace(tzinfo=UTC).timestamp())

    def past(self, stamp: datetime) -> int:
        """UTC seconds of a logged stamp; of an hour that came twice the first."""
        return int(stamp.replace(tzinfo=self.zone).timestamp())

    def show(self, instant: float) -> datetime:
        """What the meter should show at a UTC instant."""
        utc = datetime.fromtimestamp(int(instant), UTC)
        standard = self._standard(utc.astimezone(self.zone).replace(tzinfo=None))
        return utc.replace(tzinfo=None) + standard + (_HOUR if self.summer else _ZERO)

    def _standard(self, local: datetime) -> timedelta:
        aware = local.replace(tzinfo=self.zone)
        return (aware.utcoffset() or _ZERO) - (aware.dst() or _ZERO)


def floor_to(instant: int, step: int) -> int:
    return instant - instant % step


def wait_before_setting(meter: int, target: int, step: int) -> int:
    """Seconds to wait until setting a clock from ``meter`` to ``target`` leaves both in one interval, off its ends.

    A shift that is longer than an interval allows can never do so: 0, and the change log will mark the intervals.
    """
    low, high = min(meter, target), max(meter, target)
    if high - low + 2 * GUARD >= step:
        return 0
    begin = floor_to(low, step)
    if low < begin + GUARD:
        return begin + GUARD - low
    if high >= begin + step - GUARD:
        return begin + step + GUARD - low
    return 0
