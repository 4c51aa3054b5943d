"""One way to time what takes nanoseconds as well as what takes milliseconds."""

import timeit
from collections.abc import Callable
from typing import Any, Final

#: Seconds of a round at least: then the clock, read twice a round, costs no case more than another.
ROUND: Final = 1e-4

#: Seconds of all rounds together, about.
TIME: Final = 0.2


def measure(benchmark: Any, group: str, function: Callable[..., Any], *given: Any) -> None:
    """Time ``function(*given)``, which has answered right before."""
    once = min(timeit.repeat(lambda: function(*given), number=1, repeat=3))
    calls = max(1, round(ROUND / once))
    benchmark.group = group
    benchmark.pedantic(function, given, iterations=calls, rounds=max(5, round(TIME / (once * calls))))
