"""Reactive excess, voltage indicators and reconciliation beside NumPy and numba, written as their users would.

A peer that is not installed is skipped by name; answers are checked equal before anything is timed. Peers compute in
floating point: reactive excess is compared within what the kernel's rounding allows.
"""

from array import array
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from shared.voltage import band
from tests.ext.builds import load_compiled

HOURS = 8760
PER_HOUR = 12
STEP = 300
REFERENCE = 0.92


def peer(name: str) -> Any:
    if find_spec(name) is None:
        pytest.skip(f"the peer {name} is not installed")
    return import_module(name)


# -- reactive excess: a year of five minutes, two slots --------------------------------------------------------------


def year() -> tuple[Any, ...]:
    rng = np.random.default_rng(6)
    count = HOURS * PER_HOUR
    active = rng.integers(200, 5000, count)
    reactive = (active * rng.uniform(0.1, 0.8, count)).astype(np.int64)
    inductive = np.where(np.arange(count) // PER_HOUR % 24 >= 6, reactive, 0)
    flags = (rng.random(count) < 0.005).astype(np.uint16)
    hour = np.arange(HOURS) % 24
    slots = np.where((hour >= 18) & (hour < 21), 1, 2).astype(np.uint16)
    counted = np.where(hour < 6, 2, 1).astype(np.uint8)
    return (active, flags), (inductive, flags), (reactive - inductive, flags), slots, counted


def excess_ours(data: tuple[Any, ...]) -> Any:
    kernel = load_compiled("reactive")
    rows = kernel.excess(*data[:3], kernel.Hours(PER_HOUR, data[3], data[4]), 1)
    return [
        (row.hours, row.excess, row.incomplete, float(row.energy), float(row.demand), row.demand_at) for row in rows
    ]


def excess_numpy(data: tuple[Any, ...]) -> Any:
    (active, flags), (inductive, _), (capacitive, _), slots, counted = data
    whole = (flags.reshape(-1, PER_HOUR) == 0).all(axis=1)
    energy = active.reshape(-1, PER_HOUR).sum(axis=1)
    reactive = np.where(
        counted == 1, inductive.reshape(-1, PER_HOUR).sum(axis=1), capacitive.reshape(-1, PER_HOUR).sum(axis=1)
    )
    apparent = REFERENCE * np.hypot(energy, reactive)
    over = whole & (apparent > energy)
    found = []
    for slot in (1, 2):
        mine = slots == slot
        at = np.flatnonzero(mine & over)
        best = at[np.argmax(apparent[at])]
        found.append(
            ((mine & whole).sum(), len(at), (mine & ~whole).sum(), (apparent - energy)[at].sum(), apparent[best], best)
        )
    return found


def excess_numba() -> Callable[[tuple[Any, ...]], Any]:
    @peer("numba").njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def loop(active: Any, flags: Any, inductive: Any, capacitive: Any, slots: Any, counted: Any, found: Any) -> None:
        for hour in range(len(slots)):
            energy, reactive, whole = 0, 0, True
            for i in range(hour * PER_HOUR, (hour + 1) * PER_HOUR):
                whole &= flags[i] == 0
                energy += active[i]
                reactive += inductive[i] if counted[hour] == 1 else capacitive[i]
            row = found[slots[hour] - 1]
            if not whole:
                row[2] += 1
                continue
            row[0] += 1
            apparent = REFERENCE * np.sqrt(float(energy * energy + reactive * reactive))
            if apparent > energy:
                row[1] += 1
                row[3] += apparent - energy
                if apparent > row[4]:
                    row[4] = apparent
                    row[5] = hour

    def run(data: tuple[Any, ...]) -> Any:
        (active, flags), (inductive, _), (capacitive, _), slots, counted = data
        found = np.zeros((2, 6))
        loop(active, flags, inductive, capacitive, slots, counted, found)
        return found

    return run


# -- voltage: a week of 300 phases -----------------------------------------------------------------------------------

PHASES = 300


def week() -> Any:
    rng = np.random.default_rng(8)
    values = rng.normal(1270, 60, (PHASES, 1200)).astype(np.int64)
    return values, (rng.random(values.shape) < 0.02).astype(np.uint16)


def voltage_ours(data: Any) -> Any:
    kernel = load_compiled("voltage")
    limits = kernel.limits(band(127), Fraction(1, 10))
    return [kernel.classify(values, flags, 1, limits)[:3] for values, flags in zip(*data, strict=True)]


def voltage_numpy(data: Any) -> Any:
    found = []
    for values, flags in zip(*data, strict=True):
        valid = values[flags == 0][:1008]
        critical = np.count_nonzero((valid < 1100) | (valid > 1350))
        outside = np.count_nonzero((valid < 1170) | (valid > 1330))
        found.append((len(valid), outside - critical, critical))
    return found


def voltage_numba() -> Callable[[Any], Any]:
    @peer("numba").njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def loop(values: Any, flags: Any) -> Any:
        valid, precarious, critical = 0, 0, 0
        for i in range(len(values)):
            if flags[i] == 0:
                valid += 1
                if values[i] < 1100 or values[i] > 1350:
                    critical += 1
                elif values[i] < 1170 or values[i] > 1330:
                    precarious += 1
                if valid == 1008:
                    break
        return valid, precarious, critical

    return lambda data: [loop(values, flags) for values, flags in zip(*data, strict=True)]


# -- reconciliation: a year of five minutes, a reading each day ------------------------------------------------------


def readings() -> tuple[Any, ...]:
    rng = np.random.default_rng(9)
    count = HOURS * PER_HOUR
    values, flags = rng.integers(0, 5000, count), (rng.random(count) < 0.0005).astype(np.uint16)
    instants = [int(at) for at in np.arange(0, count * STEP, 86_400) + 130]
    sums = np.concatenate(([0], np.cumsum(values)))
    registers = [int(sums[at // STEP]) + 17 for at in instants]
    return values, flags, instants, registers


def reconcile_ours(data: tuple[Any, ...]) -> Any:
    checks = load_compiled("reconcile").check(data[0], data[1], 0, STEP, 1, data[2], data[3])
    return [(check.low, check.high, check.gaps) for check in checks]


def reconcile_numpy(data: tuple[Any, ...]) -> Any:
    values, flags, instants, _ = data
    good = flags == 0
    sums, gaps = np.concatenate(([0], np.cumsum(values * good))), np.concatenate(([0], np.cumsum(~good)))
    edges = np.asarray(instants)
    down, up = edges // STEP, -(-edges // STEP)
    low, high = sums[down[1:]] - sums[up[:-1]], sums[up[1:]] - sums[down[:-1]]
    return list(zip(low.tolist(), high.tolist(), (gaps[up[1:]] - gaps[down[:-1]]).tolist(), strict=True))


def reconcile_numba() -> Callable[[tuple[Any, ...]], Any]:
    @peer("numba").njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def loop(values: Any, flags: Any, first: int, last: int) -> Any:
        begin, end = -(-first // STEP), last // STEP
        low, high, gaps = 0, 0, 0
        for i in range(first // STEP, -(-last // STEP)):
            if flags[i] != 0:
                gaps += 1
                continue
            high += values[i]
            if begin <= i < end:
                low += values[i]
        return low, high, gaps

    return lambda data: [loop(data[0], data[1], *pair) for pair in pairwise(data[2])]


CASES: dict[str, tuple[Callable[[], Any], dict[str, Callable[[], Callable[[Any], Any]]]]] = {
    "reactive excess, a year of five minutes": (
        year,
        {"ours": lambda: excess_ours, "numpy": lambda: excess_numpy, "numba": excess_numba},
    ),
    "voltage, a week of 300 phases": (
        week,
        {"ours": lambda: voltage_ours, "numpy": lambda: voltage_numpy, "numba": voltage_numba},
    ),
    "reconciliation, a year of five minutes, daily readings": (
        readings,
        {"ours": lambda: reconcile_ours, "numpy": lambda: reconcile_numpy, "numba": reconcile_numba},
    ),
}


@pytest.mark.parametrize("side", ["ours", "numpy", "numba"])
@pytest.mark.parametrize("case", CASES)
def test_analysis(benchmark: Any, case: str, side: str, sizes: list[str]) -> None:
    benchmark.group = case
    make, sides = CASES[case]
    data = make()
    work = partial(sides[side](), data)
    answer = np.array(sides["numpy"]()(data), dtype=float)
    assert np.allclose(np.array(work(), dtype=float), answer, rtol=1e-12, atol=HOURS / 2**16)
    benchmark.pedantic(work, rounds=30, iterations=3, warmup_rounds=3)
    if benchmark.stats:
        sizes.append(f"{case}: {side} {benchmark.stats.stats.min * 1e6:.0f} us")


@pytest.mark.parametrize("side", ["ours", "plain Python"])
def test_words(benchmark: Any, side: str) -> None:
    """What a driver asks for of 35 days of three channels of words."""
    benchmark.group = "sum and highest of 3 360 words of one of three channels"
    data = array("H", np.random.default_rng(5).integers(0, 4095, 3 * 3360).astype(np.uint16).tobytes())
    ours = partial(load_compiled("reconcile").words, data, 1, 3, 0, 3360, 4095)

    def plain() -> tuple[int, int, bool]:
        own = data[1::3]
        return sum(own), max(own), 4095 in own

    assert ours() == plain()
    benchmark(ours if side == "ours" else plain)
