"""A meter's clock: it runs from a given instant, may drift, may be set, and may run faster than ours."""

import time
from collections.abc import Callable

PPM = 1e-6


class MeterClock:
    """Instants are UTC seconds as the meter believes them.

    ``source`` gives real seconds; ``start`` the meter's first instant (default: now); ``offset`` is added to it;
    ``drift_ppm`` is gained (or lost) per million seconds; ``speed`` makes simulated time run faster than ``source``.
    """

    def __init__(
        self,
        source: Callable[[], float] = time.time,
        start: float | None = None,
        offset: float = 0.0,
        drift_ppm: float = 0.0,
        speed: float = 1.0,
    ) -> None:
        if speed <= 0:
            raise ValueError(f"a clock cannot run at speed {speed}: give a number above 0")
        self._source = source
        self._origin = source()
        self._start = (self._origin if start is None else start) + offset
        self.speed = speed
        self._rate = speed * (1 + drift_ppm * PPM)

    def now(self) -> float:
        return self._start + (self._source() - self._origin) * self._rate

    def set(self, instant: float) -> None:
        """Set the meter's clock; drift and speed stay."""
        self._origin, self._start = self._source(), instant
