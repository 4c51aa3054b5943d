"""Kernels over a year of five-minute intervals of one meter, 0.5 % missing, beside NumPy written for each.

Sliding demand also beside pandas' rolling windows and a loop of numba; a peer that is not installed is skipped by name.
"""

from array import array
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tests.ext.builds import load_compiled

COUNT = 105_120
HOUR = 12
WINDOW = 3


class Sum:
    """What a series is added to, again and again."""

    def __init__(self) -> None:
        self.total, self.coverage = np.zeros(COUNT, np.int64), np.zeros(COUNT, np.uint16)

    def ours(self, kernels: Any, values: Any, flags: Any) -> Any:
        kernels.add(self.total, self.coverage, values, flags, 1)
        return self.total, self.coverage

    def numpy(self, values: Any, flags: Any) -> Any:
        good = flags == 0
        np.add(self.total, values, out=self.total, where=good)
        np.add(self.coverage, 1, out=self.coverage, where=good)
        return self.total, self.coverage


def numpy_resample(values: Any, flags: Any) -> Any:
    starts = np.arange(0, COUNT, HOUR)
    good = flags == 0
    return (
        np.add.reduceat(values * good, starts),
        np.bitwise_or.reduceat(flags, starts),
        np.add.reduceat(good.astype(np.int64), starts),
    )


def numpy_gaps(values: Any, flags: Any) -> Any:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (flags != 0).view(np.int8), [0]))))
    return edges.reshape(-1, 2)


def numpy_sliding(values: Any, flags: Any) -> Any:
    good = flags == 0
    sums = np.concatenate(([0], np.cumsum(values * good)))
    counts = np.concatenate(([0], np.cumsum(good)))
    whole = counts[WINDOW:] - counts[:-WINDOW] == WINDOW
    demand = np.where(whole, sums[WINDOW:] - sums[:-WINDOW], np.iinfo(np.int64).min)
    at = np.argmax(demand)
    return demand[at], at, whole.sum()


def pandas_sliding() -> Callable[[Any, Any], Any]:
    pandas = import_module("pandas")

    def run(values: Any, flags: Any) -> Any:
        demand = pandas.Series(values).where(flags == 0).rolling(WINDOW).sum()
        at = demand.idxmax()
        return int(demand[at]), at - WINDOW + 1, demand.count()

    return run


def numba_sliding() -> Callable[[Any, Any], Any]:
    @import_module("numba").njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def run(values: Any, flags: Any) -> Any:
        demand, whole, windows, best, at = 0, 0, 0, 0, -1
        for i in range(len(values)):
            if flags[i] != 0:
                demand, whole = 0, 0
                continue
            demand += values[i]
            whole += 1
            if whole > WINDOW:
                demand -= values[i - WINDOW]
            if whole >= WINDOW:
                windows += 1
                if at < 0 or demand > best:
                    best, at = demand, i - WINDOW + 1
        return best, at, windows

    found: Callable[[Any, Any], Any] = run
    return found


SLIDING = {"pandas": pandas_sliding, "numba": numba_sliding}

HOURS = array("q", range(HOUR, COUNT + 1, HOUR))

Pair = tuple[Callable[[Any, Any, Any], Any], Callable[[Any, Any], Any]]


def add_pair() -> Pair:
    return Sum().ours, Sum().numpy


CASES: dict[str, Callable[[], Pair]] = {
    "sum of meters": add_pair,
    "hours": lambda: (lambda kernels, values, flags: kernels.resample(values, flags, HOURS, 1), numpy_resample),
    "gaps": lambda: (lambda kernels, values, flags: kernels.gaps(flags, 1), numpy_gaps),
    "sliding demand": lambda: (lambda kernels, *series: kernels.sliding(*series, 1, WINDOW), numpy_sliding),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("side", ["ours", "peer: NumPy"])
def test_series(benchmark: Any, case: str, side: str, sizes: list[str]) -> None:
    benchmark.group = f"{case}, a year of five minutes"
    rng = np.random.default_rng(3)
    values, flags = rng.integers(0, 5000, COUNT), (rng.random(COUNT) < 0.005).astype(np.uint16)
    ours, peer = CASES[case]()
    mine = partial(ours, load_compiled("series"), values, flags)
    theirs = partial(peer, values, flags)
    for left, right in zip(mine(), theirs(), strict=True):
        assert np.array_equal(left, right)
    benchmark.pedantic(mine if side == "ours" else theirs, rounds=30, iterations=5, warmup_rounds=3)
    if benchmark.stats:
        sizes.append(f"{case}: {side} {COUNT / benchmark.stats.stats.min / 1e6:.0f} M intervals/s")


@pytest.mark.parametrize("side", SLIDING)
def test_sliding_peers(benchmark: Any, side: str, sizes: list[str]) -> None:
    benchmark.group = "sliding demand, a year of five minutes"
    if find_spec(side) is None:
        pytest.skip(f"the peer {side} is not installed")
    rng = np.random.default_rng(3)
    values, flags = rng.integers(0, 5000, COUNT), (rng.random(COUNT) < 0.005).astype(np.uint16)
    work = partial(SLIDING[side](), values, flags)
    assert tuple(work()) == load_compiled("series").sliding(values, flags, 1, WINDOW)
    benchmark.pedantic(work, rounds=30, iterations=5, warmup_rounds=3)
    if benchmark.stats:
        sizes.append(f"sliding demand: peer: {side} {COUNT / benchmark.stats.stats.min / 1e6:.0f} M intervals/s")
