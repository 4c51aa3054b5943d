"""A billing run beside NumPy, numba, DuckDB, polars and pandas: 10 M five-minute samples of 100 meters, one thread.

Out per (meter, local month, post): energy, count, highest quarter hour with all three samples, its first instant. A
peer that is not installed is skipped by name; all answers are checked equal before anything is timed.
"""

import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.ext.billing_peers import METERS, PEERS, STEP, WIDTH, WINDOW, Columns
from shared.calendar_builders import brazil_calendar
from shared.slots import SLOTS_PER_MONTH, SlotLookup, month_lookup
from tests.ext.builds import load_compiled

SAMPLES = 10_000_000


class Run(NamedTuple):
    columns: Columns
    lookup: SlotLookup
    first: int
    table: Any
    answer: Any


def readings(first: int, count: int) -> Columns:
    """Return a year of each meter with 0.5 % of rows missing, and a whole day of every tenth, cut to ``SAMPLES``."""
    rng = np.random.default_rng(2018)
    parts = []
    for meter in range(1, METERS + 1):
        present = rng.random(count) >= 0.005
        if meter % 10 == 0:
            gone = int(rng.integers(0, count // 288 - 1)) * 288
            present[gone : gone + 288] = False
        index = np.flatnonzero(present)
        daily = 3000 + 2500 * np.sin(2 * np.pi * (index % 288) / 288)
        parts.append((np.full(len(index), meter), first + STEP * index, daily + rng.integers(0, 1500, len(index))))
    # shorter years for all meters alike, so that 100 remain
    share = SAMPLES / sum(len(part[0]) for part in parts)
    cut = [[column[: round(len(column) * share)] for column in part] for part in parts]
    types = (np.int32, np.int64, np.int32)
    meters, starts, values = (
        np.concatenate(column).astype(kind) for column, kind in zip(zip(*cut, strict=True), types, strict=True)
    )
    return meters, starts, values


def ours(run: Run, threads: int) -> Any:
    totals = load_compiled("billing").bill(*run.columns, run.lookup, WINDOW, threads)
    return np.frombuffer(totals.sums, np.int64).reshape(METERS, totals.slots, WIDTH)


@pytest.fixture(scope="module")
def run() -> Run:
    lookup = month_lookup(brazil_calendar(intermediate_minutes=60), STEP, date(2018, 1, 1), 12)
    first, table = lookup.begin * STEP, np.asarray(lookup.dense())
    columns = readings(first, len(table))
    answer = PEERS["numpy"](table, first, int(table.max()) + 1)(columns)
    return Run(columns, lookup, first, table, answer)


def series(run: Run) -> list[tuple[Any, Any]]:
    """Return each meter's readings as values and flags of every interval, 1 for those without a row."""
    found = []
    meters, starts, values = run.columns
    for meter in range(1, METERS + 1):
        mine = slice(*np.searchsorted(meters, (meter, meter + 1)))
        index = (starts[mine] - run.first) // STEP
        every, flags = np.zeros(len(run.table), np.int64), np.ones(len(run.table), np.uint16)
        every[index], flags[index] = values[mine], 0
        found.append((every, flags))
    return found


def ours_of_series(run: Run, all_series: list[tuple[Any, Any]]) -> Any:
    bill_series = load_compiled("billing").bill_series
    sums = [bill_series(*one, run.first, run.lookup, 1, WINDOW).sums for one in all_series]
    return np.array([np.frombuffer(one, np.int64) for one in sums]).reshape(METERS, -1, WIDTH)


def packed(run: Run) -> list[list[bytes]]:
    """Return each meter's readings as they are stored, a block a day."""
    pack_each = load_compiled("profile").pack_each
    return [pack_each(values, flags, STEP, 86_400 // STEP) for values, flags in series(run)]


def ours_of_blocks(run: Run, meters: list[list[bytes]]) -> Any:
    """Unpack and bill meter by meter, in the same two buffers."""
    bill_series, unpack_into = load_compiled("billing").bill_series, load_compiled("profile").unpack_into
    values, flags = np.empty(len(run.table), np.int64), np.empty(len(run.table), np.uint16)
    sums = []
    for blocks in meters:
        unpack_into(blocks, values, flags, STEP)
        sums.append(bill_series(values, flags, run.first, run.lookup, 1, WINDOW).sums)
    return np.array([np.frombuffer(one, np.int64) for one in sums]).reshape(len(meters), -1, WIDTH)


def ours_of_blocks_by(threads: int, run: Run, meters: list[list[bytes]]) -> Any:
    """As before, the meters in shares."""
    shares = [meters[first :: 4 * threads] for first in range(4 * threads)]
    found = np.empty_like(run.answer)
    with ThreadPoolExecutor(threads) as pool:
        for first, sums in enumerate(pool.map(partial(ours_of_blocks, run), shares)):
            found[first :: 4 * threads] = sums
    return found


@pytest.fixture(scope="module")
def rates(sizes: list[str]) -> Iterator[dict[str, float]]:
    """Return where each case notes its M samples/s; prints them with the ratio at the end."""
    found: dict[str, float] = {}
    yield found
    best = found.get("ours")
    if best:
        sizes.append(f"billing run, M samples/s, on {machine()}:")
        for case, rate in found.items():
            name = f"{case} {version(case)}" if case in PEERS else case
            sizes.append(f"  {name:<26}{rate:8.1f}   ours is x{best / rate:.2f}")


def machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{models[0].split(':')[1].strip() if models else platform.processor()}, {len(models)} cores"


OURS: dict[str, Callable[[Run], Callable[[], Any]]] = {
    "ours": lambda run: partial(ours, run, 1),
    "ours, two threads": lambda run: partial(ours, run, 2),
    "ours, block series": lambda run: partial(ours_of_series, run, series(run)),
    "ours, packed blocks": lambda run: partial(ours_of_blocks, run, packed(run)),
    "ours, packed, two threads": lambda run: partial(ours_of_blocks_by, 2, run, packed(run)),
}


@pytest.mark.benchmark(group="billing run, 10 M samples")
@pytest.mark.parametrize("case", [*OURS, *PEERS])
def test_bill(benchmark: Any, case: str, run: Run, rates: dict[str, float]) -> None:
    if case in PEERS:
        if find_spec(case) is None:
            pytest.skip(f"the peer {case} is not installed")
        work: Callable[[], Any] = partial(PEERS[case](run.table, run.first, run.answer.shape[1]), run.columns)
    else:
        work = OURS[case](run)
    assert np.array_equal(work(), run.answer)
    benchmark.pedantic(work, rounds=25 if case.startswith(("ours", "numba")) else 3, iterations=1)
    if benchmark.stats:
        rates[case] = len(run.columns[0]) / benchmark.stats.stats.min / 1e6


@pytest.mark.benchmark(group="lookup of a year of five minutes")
@pytest.mark.parametrize("case", ["compiled anew", "kept"])
def test_lookup(benchmark: Any, case: str) -> None:
    calendar = brazil_calendar(intermediate_minutes=60)
    if case == "kept":
        lookup = benchmark(month_lookup, calendar, STEP, date(2018, 1, 1), 12)
    else:
        from shared.slots import _compiled

        lookup = benchmark.pedantic(
            month_lookup, (calendar, STEP, date(2018, 1, 1), 12), setup=_compiled.cache_clear, rounds=20
        )
    assert max(lookup.slots) < 12 * SLOTS_PER_MONTH
