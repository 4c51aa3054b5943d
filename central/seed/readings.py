"""Rows of ``register_set`` and ``meter_month`` of a block of meters."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from central.metering.month_rows import month_number
from central.metering.store import digest
from central.seed.chance import Ints
from central.seed.energy import POSTS, Block, Table, registers, running_maximum
from central.seed.plan import Plan
from shared.intervals import day_start, zone

Row = tuple[Any, ...]

REGISTER_COLUMNS: Final = (
    "tenant_id", "meter_id", "at", "read_at", "period", "resets", "reset_at", "digest", "data",
)  # fmt: skip
MONTH_COLUMNS: Final = (
    "tenant_id", "meter_id", "month", "days", "read_at", "first_at", "first_total", "last_at", "last_total",
)  # fmt: skip
_DEN: Final = 1000
_encode = msgspec.msgpack.Encoder().encode
#: Local second of the day at which a post's highest demand is reached.
_REACHED: Final = (19 * 3600 + 900, 12 * 3600 + 2700, 17 * 3600 + 1800)


class Lot(NamedTuple):
    """Billing periods of a lot, by number of the day: the last due day up to it, and how many there were."""

    since: Ints
    resets: Ints
    begun_at: Ints
    due: Sequence[int]

    @classmethod
    def of(cls, plan: Plan, lot: int) -> "Lot":
        tz, count = zone(plan.of.zone), len(plan.days)
        number = {day: n for n, day in enumerate(plan.days)}
        due = sorted(number[day] for day in plan.due(lot, plan.due_months) if day in number)
        since, resets = np.zeros(count, np.int64), np.zeros(count, np.int64)
        begun_at = np.full(count, day_start(plan.days[0], tz), np.int64)
        for n, day in enumerate(due):
            since[day:], resets[day:], begun_at[day:] = day, n + 1, plan.midnights[day]
        return cls(since, resets, begun_at, due)


def register_rows(plan: Plan, part: Block, tenant: int, base: int) -> Iterator[Row]:
    """Rows of ``register_set``, meter by meter in order of time.

    A meter's id is ``base`` + its number. On the day a bill is due two registers are read: those of the period that
    ended, with its maxima, and the running ones.
    """
    columns, reverse = _columns(part)
    demands = {lot: _demands(plan, part, lot) for lot in np.unique(plan.lot_of(plan.feeder_of(part.customers)))}
    lots = plan.lot_of(plan.feeder_of(part.customers)).tolist()
    midnights = plan.midnights.tolist()
    for i, number in enumerate(part.meters.tolist()):
        lot, running, closed = demands[lots[i]]
        names = [name for name, _ in columns]
        tables = [table[i] for _, table in columns]
        if part.solar[i, 0]:
            names += [name for name, _ in reverse]
            tables += [table[i] for _, table in reverse]
        held = np.flatnonzero(part.held[i])
        if not plan.of.daily:
            last = held[-1:]
            held = np.union1d(np.intersect1d(held, np.array(lot.due, int)), last)
        values = zip(*(table[held].tolist() for table in tables), strict=True)
        maxima = zip(*(table[i, held].tolist() for pair in running for table in pair), strict=True)
        due = set(lot.due)
        meter, lag = base + number, part.lag[i].tolist()
        for day, counts, tops in zip(held.tolist(), values, maxima, strict=True):
            at = midnights[day]
            energy = [(name, count, 1, _DEN, None) for name, count in zip(names, counts, strict=True)]
            begun, resets = int(lot.begun_at[day]), int(lot.resets[day])
            if day in due:
                ended = [int(table[i, day]) for pair in closed for table in pair]
                data = _encode(energy + _maxima(ended, midnights))
                yield tenant, meter, at, at + lag[day], 1, resets, at, digest(data), data
            data = _encode(energy + _maxima(tops, midnights))
            yield tenant, meter, at, at + lag[day], 0, resets, begun, digest(data), data


def _columns(part: Block) -> tuple[list[tuple[str, Table]], list[tuple[str, Table]]]:
    """Cumulative registers of all meters, and those of meters that feed in."""
    peak, off_peak, intermediate = (
        registers(part.start * share // 100, table) for share, table in zip((24, 64, 12), part.daily, strict=True)
    )
    found = [
        ("1.8.0", peak + off_peak + intermediate), ("1.8.1", peak), ("1.8.2", off_peak), ("1.8.4", intermediate),
        ("5.8.0", registers(part.start // 4, part.inductive)), ("8.8.0", registers(part.start // 50, part.capacitive)),
    ]  # fmt: skip
    fed_in = registers(part.start // 3, part.solar)
    return found, [("2.8.0", fed_in), ("2.8.2", fed_in)]


def _demands(plan: Plan, part: Block, number: int) -> tuple[Lot, list[tuple[Table, Table]], list[tuple[Table, Table]]]:
    """A lot, the running maxima by post, and those of the period that ended on each due day."""
    lot = Lot.of(plan, number)
    before = np.zeros_like(lot.since)
    before[1:] = lot.since[:-1]
    return (
        lot,
        [running_maximum(table, lot.since) for table in part.peaks],
        [running_maximum(table, before) for table in part.peaks],
    )


def _maxima(tops: Sequence[int], midnights: Sequence[int]) -> list[Row]:
    """Registers of the highest demand by post, from (value, number of its day) in turn."""
    return [
        (f"1.6.{post:d}", top, 1, _DEN, midnights[day] + second if top else None)
        for post, top, day, second in zip(POSTS, tops[::2], tops[1::2], _REACHED, strict=True)
    ]


def month_rows(plan: Plan, part: Block, tenant: int, base: int) -> Iterator[Row]:
    """Rows of ``meter_month`` that agree with :func:`register_rows`."""
    (_, totals), *_ = _columns(part)[0]
    held = part.held if plan.of.daily else _monthly(plan, part)
    months = np.array([month_number(day) for day in plan.days])
    bits = np.array([1 << (day.day - 1) for day in plan.days], np.int64)
    edges = [*np.flatnonzero(np.diff(months, prepend=0)).tolist(), len(months)]
    midnights = plan.midnights.tolist()
    for i, number in enumerate(part.meters.tolist()):
        for begin, end in itertools.pairwise(edges):
            there = np.flatnonzero(held[i, begin:end])
            if len(there):
                first, last = begin + int(there[0]), begin + int(there[-1])
                total = (int(totals[i, day]) * 1_000_000 // _DEN for day in (first, last))
                yield (
                    tenant, base + number, int(months[begin]), int(bits[begin + there].sum()), midnights[last],
                    midnights[first], next(total), midnights[last], next(total),
                )  # fmt: skip


def _monthly(plan: Plan, part: Block) -> Any:
    """Which readings are there when only those on due days and the last are."""
    lots = plan.lot_of(plan.feeder_of(part.customers)).tolist()
    due = {lot: np.array(Lot.of(plan, lot).due, int) for lot in set(lots)}
    kept = np.zeros_like(part.held)
    for i, lot in enumerate(lots):
        held = np.flatnonzero(part.held[i])
        kept[i, np.intersect1d(held, due[lot])] = True
        kept[i, held[-1:]] = True
    return kept
