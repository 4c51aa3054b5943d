"""The meter behind the port: what it measured, what it holds, what commands change in it; no I/O (dossier §6-8)."""

import zlib
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from edge.drivers.abnt import commands
from edge.simulators.abnt.clock import MeterClock
from edge.simulators.abnt.measurement import Measurement, Outage
from edge.simulators.abnt.posts import PostTable
from edge.simulators.abnt.setup import MeterSetup
from edge.simulators.load import Channel, LoadReplay

LOG_SIZE: Final = 16
OUTAGE_RECORDS: Final = 20


@dataclass(frozen=True)
class LogEntry:
    """Who changed what: command code, reader's serial, wall-clock instant."""

    code: int
    reader: str
    at: int


class Refused(Exception):
    """The meter says occurrence (answer 40): code and sub-code."""

    def __init__(self, code: int, sub_code: int = 0) -> None:
        super().__init__(f"occurrence {code:02X}/{sub_code:02X}")
        self.code, self.sub_code = code, sub_code


INVALID_PARAMETER: Final = 0x46
PROTECTED: Final = 0x45
BATTERY: Final = 0x30


class Meter:
    """One simulated meter; every reading first measures up to the present.

    ``occurrence``: (code, sub-code) that blocks every command but 37, or None. Without supply (``powered``) it is
    mute and counts nothing.
    """

    def __init__(self, setup: MeterSetup, clock: MeterClock | None = None) -> None:
        self.setup = setup
        self.clock = clock or MeterClock()
        self.replays = [LoadReplay(setup.serial, setup.step, setup.utc_offset, g) for g in range(setup.groups)]
        self.seed = zlib.crc32(setup.serial.encode())
        self.group = 0
        self.occurrence: tuple[int, int] | None = None
        self.log: deque[LogEntry] = deque(maxlen=LOG_SIZE)
        self._dark_since: int | None = None
        shift = setup.utc_offset
        capacity = setup.days * 86400 // setup.step
        installed = min(setup.installed, int(self.clock.now()) - setup.days * 86400)
        self.measurement = Measurement(
            self.replays,
            PostTable(setup.posts, setup.step),
            installed + shift,
            capacity,
            [Outage(start + shift, end + shift) for start, end in setup.outages],
            setup.automatic_reset,
        )
        self.local()

    @property
    def serial(self) -> str:
        return self.setup.serial

    # -- time --------------------------------------------------------------------------------------------------------

    def local(self) -> int:
        """Measure up to the present and return it as wall-clock seconds."""
        now = int(self.clock.now()) + self.setup.utc_offset
        if self._dark_since is None:
            self.measurement.advance(now)
        return now

    def wall(self) -> datetime:
        """The meter's wall clock (naive, as it shows it)."""
        return stamp(self.local())

    @property
    def powered(self) -> bool:
        """Not within an outage, be it a planned one (measured ahead to its end) or one of :meth:`power_off`."""
        return self.local() >= self.measurement.position and self._dark_since is None

    def power_off(self) -> None:
        """Take the supply away; measuring ends now."""
        if self._dark_since is None:
            self._dark_since = self.local()

    def power_on(self) -> None:
        """Give the supply back; the outage is recorded."""
        since, self._dark_since = self._dark_since, None
        now = int(self.clock.now()) + self.setup.utc_offset
        if since is not None and now > since:
            self.measurement.add_outage(max(since, self.measurement.position), now)
            self.local()

    # -- what tests compare with -------------------------------------------------------------------------------------

    def recorded(self, channel: int, start: int) -> int | None:
        """Pulses that memory holds of the interval starting at ``start`` (UTC seconds); None when it holds none."""
        self.local()
        return self.measurement.word(channel, start + self.setup.utc_offset)

    def memory(self) -> tuple[int, int]:
        """[first, end) of the intervals in memory, UTC seconds."""
        self.local()
        first, end = self.measurement.held()
        return first - self.setup.utc_offset, end - self.setup.utc_offset

    # -- what commands change ----------------------------------------------------------------------------------------

    def select(self, group: int) -> None:
        """Make a channel group visible (octet 6 of 20, 21, 22, 51)."""
        if group >= self.setup.groups:
            raise Refused(INVALID_PARAMETER)
        self.group = group

    def reset_demand(self, reader: str, code: int = commands.DEMAND_RESET) -> None:
        """Close the period; refused while the last close is too young."""
        now = self.local()
        last = self.measurement.closes[-1].at
        if self.measurement.resets and 0 <= now - last < self.setup.reset_protection:
            raise Refused(PROTECTED)
        self.measurement.reset()
        self.log.append(LogEntry(code, reader, now))

    def set_date(self, day: date | None, reader: str) -> None:
        if day is None:
            raise Refused(INVALID_PARAMETER)
        self._set_clock(commands.SET_DATE, datetime.combine(day, self.wall().time(), UTC), reader)

    def set_time(self, clock: time | None, reader: str) -> None:
        if clock is None:
            raise Refused(INVALID_PARAMETER)
        self._set_clock(commands.SET_TIME, datetime.combine(self.wall().date(), clock, UTC), reader)

    def _set_clock(self, code: int, wall: datetime, reader: str) -> None:
        self.log.append(LogEntry(code, reader, self.local()))
        local = int(wall.timestamp())
        self.clock.set(local - self.setup.utc_offset)
        self.measurement.jump(local)

    def clear_occurrence(self, code: int, reader: str) -> None:
        """Command 37: acknowledge the blocking condition named; there being none is no error."""
        if self.occurrence is not None and self.occurrence[0] != code:
            raise Refused(INVALID_PARAMETER)
        self.occurrence = None
        self.log.append(LogEntry(commands.CLEAR_OCCURRENCE, reader, self.local()))

    # -- present load ------------------------------------------------------------------------------------------------

    def power(self) -> tuple[float, float]:
        """Present active and reactive (inductive positive) power in W and var."""
        self.local()
        num, den = self.replays[0].constant
        each = num / den * 1000 * 3600 / self.setup.step
        active, inductive, capacitive = (self.measurement.power(c) for c in Channel)
        return active * each, (inductive - capacitive) * each


def stamp(local: int) -> datetime:
    """Wall-clock seconds as the naive time a meter shows."""
    return datetime.fromtimestamp(local, UTC).replace(tzinfo=None)
