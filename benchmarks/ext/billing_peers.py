"""The billing run of test_billing.py, written for each peer as its own users would; all give the same array.

Every function takes the columns and the slot of every interval from ``FIRST`` on, and returns int64 of meters x slots x
(energy, intervals, windows, maximum, its first instant), zeros where nothing occurs. Meters are 1..METERS.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

METERS = 100
STEP = 300
WINDOW = 3
WIDTH = 5

Columns = tuple[Any, Any, Any]  # meter int32, start int64, value int32
Peer = Callable[[Columns], Any]


def numpy_peer(table: Any, first: int, slots: int) -> Peer:
    def run(columns: Columns) -> Any:
        meters, starts, values = columns
        index = (starts - first) // STEP
        cell = (meters - 1) * np.int32(slots) + table[index]
        size = METERS * slots
        found = np.zeros((size, WIDTH), np.int64)
        found[:, 0] = np.bincount(cell, values, size)  # float64, exact below 2**53
        found[:, 1] = np.bincount(cell, minlength=size)
        whole = (index[:-2] % WINDOW == 0) & (index[2:] - index[:-2] == WINDOW - 1) & (meters[2:] == meters[:-2])
        at = np.flatnonzero(whole)
        demand = values[at].astype(np.int64) + values[at + 1] + values[at + 2]
        cell = cell[at]
        found[:, 2] = np.bincount(cell, minlength=size)
        best = np.full(size, np.iinfo(np.int64).min)
        np.maximum.at(best, cell, demand)
        tops = np.flatnonzero(demand == best[cell])[::-1]  # the earliest is written last
        found[cell[tops], 3] = demand[tops]
        found[cell[tops], 4] = starts[at[tops]]
        return found.reshape(METERS, slots, WIDTH)

    return run


def numba_peer(table: Any, first: int, slots: int) -> Peer:
    numba = import_module("numba")

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def loop(meters: Any, starts: Any, values: Any, table: Any, found: Any) -> None:
        before, quarter, present, demand, cell = -1, -1, 0, 0, 0
        for i in range(len(meters)):
            meter = meters[i] - 1
            if meter != before:
                before = meter
                quarter = -1
            index = (starts[i] - first) // STEP
            slot = table[index]
            found[meter, slot, 0] += values[i]
            found[meter, slot, 1] += 1
            if index // WINDOW != quarter:
                quarter = index // WINDOW
                present = 0
                demand = 0
                cell = slot
            present += 1
            demand += values[i]
            if present == WINDOW:
                if found[meter, cell, 2] == 0 or demand > found[meter, cell, 3]:
                    found[meter, cell, 3] = demand
                    found[meter, cell, 4] = first + quarter * (WINDOW * STEP)
                found[meter, cell, 2] += 1

    def run(columns: Columns) -> Any:
        found = np.zeros((METERS, slots, WIDTH), np.int64)
        loop(*columns, table, found)
        return found

    return run


def pandas_peer(table: Any, first: int, slots: int) -> Peer:
    pandas = import_module("pandas")

    def run(columns: Columns) -> Any:
        frame = pandas.DataFrame(dict(zip(("meter", "start", "value"), columns, strict=True)), copy=False)
        index = (frame.start - first) // STEP
        frame["slot"] = table[index]
        whole = (index % WINDOW == 0) & (index.shift(-2, fill_value=0) - index == WINDOW - 1)
        whole &= frame.meter.shift(-2, fill_value=0) == frame.meter
        value = frame.value.astype("int64")
        frame["demand"] = value + value.shift(-1, fill_value=0) + value.shift(-2, fill_value=0)
        cells = frame.groupby(["meter", "slot"]).value.agg(["sum", "count"])
        windows = frame[whole].groupby(["meter", "slot"]).demand.agg(["count", "max", "idxmax"])
        windows["idxmax"] = frame.start.to_numpy()[windows["idxmax"]]
        return _filled(slots, cells.reset_index().to_numpy().T, windows.reset_index().to_numpy().T)

    return run


def polars_peer(table: Any, first: int, slots: int) -> Peer:
    os.environ["POLARS_MAX_THREADS"] = "1"  # read when it is imported
    polars = import_module("polars")
    if polars.thread_pool_size() != 1:
        raise RuntimeError("polars was imported before and has several threads")
    lookup, column = polars.Series(table), polars.col

    def run(columns: Columns) -> Any:
        frame = polars.DataFrame(dict(zip(("meter", "start", "value"), columns, strict=True))).lazy()
        index = (column("start") - first) // STEP
        frame = frame.with_columns(
            polars.lit(lookup).gather(index).alias("slot"),
            demand=column("value").cast(polars.Int64) + column("value").shift(-1) + column("value").shift(-2),
            whole=(index % WINDOW == 0)
            & (column("start").shift(-2) - column("start") == (WINDOW - 1) * STEP)
            & (column("meter").shift(-2) == column("meter")),
        )
        cells = frame.group_by("meter", "slot").agg(column("value").sum().cast(polars.Int64), polars.len())
        windows = (
            frame.filter("whole")
            .group_by("meter", "slot")
            .agg(polars.len(), column("demand").max().alias("best"), column("start").get(column("demand").arg_max()))
        )
        both = polars.collect_all([cells, windows])
        return _filled(slots, *([part[:, i].to_numpy() for i in range(part.width)] for part in both))

    return run


DUCKDB = """
with cells as (
    select meter, slot, sum(value) as energy, count(*) as intervals
    from readings join lookup on index = (start - {first}) // {step} group by all),
quarters as (
    select meter, (start - {first}) // {quarter} as quarter, sum(value)::bigint as demand
    from readings group by all having count(*) = {window}),
windows as (
    select meter, slot, count(*) as windows, max(demand * 65536 + 65535 - quarter) as best
    from quarters join lookup on index = quarter * {window} group by all)
select meter, slot, energy::bigint, intervals, coalesce(windows, 0), coalesce(best >> 16, 0),
    coalesce({first} + (65535 - (best & 65535)) * {quarter}, 0)
from cells left join windows using (meter, slot)
"""


def duckdb_peer(table: Any, first: int, slots: int) -> Peer:
    duckdb, arrow = import_module("duckdb"), import_module("pyarrow")
    query = DUCKDB.format(first=first, step=STEP, window=WINDOW, quarter=STEP * WINDOW)
    connection = duckdb.connect(config={"threads": 1})
    connection.register("slots", arrow.table({"index": np.arange(len(table)), "slot": table}))
    connection.execute("create table lookup as from slots")

    def run(columns: Columns) -> Any:
        connection.register("readings", arrow.table(dict(zip(("meter", "start", "value"), columns, strict=True))))
        rows = [column.astype(np.int64) for column in connection.execute(query).fetchnumpy().values()]
        return _filled(slots, rows[:4], [*rows[:2], *rows[4:]])

    return run


def _filled(slots: int, cells: Any, windows: Any) -> Any:
    """Return the common array from rows of (meter, slot, energy, intervals) and (meter, slot, windows, best, at)."""
    found = np.zeros((METERS, slots, WIDTH), np.int64)
    for part, (meter, slot, *numbers) in ((slice(0, 2), cells), (slice(2, 5), windows)):
        found[meter - 1, slot, part] = np.stack(numbers, 1)
    return found


PEERS: dict[str, Callable[[Any, int, int], Peer]] = {
    "numba": numba_peer,
    "numpy": numpy_peer,
    "duckdb": duckdb_peer,
    "polars": polars_peer,
    "pandas": pandas_peer,
}
