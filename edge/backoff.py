"""How long to wait after failures: doubling, with a ceiling and jitter, the same everywhere on the edge."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Backoff:
    """Delay of the n-th failure in a row: ``first * 2**(n-1)`` s, at most ``ceiling`` s, spread by ``jitter`` (0..1).

    Jitter only shortens, so that the ceiling is a promise: many gateways behind one repeater do not knock together.
    """

    first: float
    ceiling: float
    jitter: float = 0.25

    def delay(self, failures: int, random: Random) -> float:
        """Seconds to wait after ``failures`` (>= 1) failures in a row."""
        doublings = min(max(failures, 1) - 1, 30)
        whole = min(self.first * 2.0**doublings, self.ceiling)
        return whole * (1.0 - self.jitter * random.random())
