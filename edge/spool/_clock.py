"""Running time, and jumps of the wall clock.

Retention must not depend on a clock that may jump by years (a flat battery, a wrong time server). What counts is the
gateway's running time: it grows with ``CLOCK_BOOTTIME`` while the process runs, is stored with each commit, and stands
still while the gateway is off. It is therefore never more than the true time that has passed, whatever the wall clock
says: a row may be kept too long, never too short.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Smaller differences are the time server's daily work.
JUMP_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Jump:
    """The wall clock said ``after`` where ``before`` was expected (UTC seconds)."""

    before: float
    after: float

    @property
    def seconds(self) -> float:
        return self.after - self.before


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Clock:
    """Where the spool has its time from; tests put their own in."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = _boot_time


class AgeClock:
    """Continues the running time ``lived`` of a stream whose last commit was at ``wall`` of the wall clock."""

    def __init__(self, clock: Clock, lived: float, wall: float) -> None:
        self._clock = clock
        self._steady = clock.steady()
        self.lived = lived
        self.wall = wall
        self._first = True

    def tick(self) -> Jump | None:
        """Take the time; returns the jump of the wall clock since the last tick, if there was one.

        Over a restart only a step back can be told from time spent off.
        """
        steady, wall = self._clock.steady(), self._clock.wall()
        passed = max(steady - self._steady, 0.0)
        expected = self.wall + passed
        self._steady = steady
        self.lived += passed
        self.wall = wall
        first, self._first = self._first, False
        if wall < expected - JUMP_SECONDS or (not first and wall > expected + JUMP_SECONDS):
            return Jump(expected, wall)
        return None
