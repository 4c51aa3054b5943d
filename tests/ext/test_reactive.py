"""UFER and DMCR: the dossier's example, and hours computed one by one with decimals of 60 digits."""

import sys
from array import array
from collections import defaultdict
from decimal import Decimal, localcontext
from fractions import Fraction
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.quality import ALL_FLAGS, NOT_BILLABLE, Quality
from tests.ext.builds import load_source

MASK = int(NOT_BILLABLE)
Series = tuple["array[int]", "array[int]"]


def series(values: list[int], flags: list[int] | None = None) -> Series:
    return array("q", values), array("H", flags or [0] * len(values))


class Reference(NamedTuple):
    """What a slot comes to with exact decisions and 60 digits; energy and demand in common counts."""

    hours: int
    excess: int
    incomplete: int
    zero_active: int
    reverse: int
    energy: Decimal
    demand: Decimal | None
    demand_at: int | None


def decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def by_hand(
    three: tuple[Series, Series, Series], hours: Any, scales: tuple[Fraction, Fraction], factor: Fraction,
    zero_active: str, reverse: str, direction: str,
) -> dict[int, Reference]:  # fmt: skip
    """Return the definition of §6, hour by hour."""
    found: dict[int, list[Any]] = defaultdict(lambda: [0, 0, 0, 0, 0, Decimal(0), None, None])
    for hour, (slot, counted) in enumerate(zip(hours.slots, hours.counted, strict=True)):
        own, other = (three[1], three[2]) if counted == 1 else (three[2], three[1])
        if counted == 0:
            continue
        mine = found[slot]
        part = slice(hour * hours.intervals, (hour + 1) * hours.intervals)
        needed = [three[0], own, other] if direction == "net" else [three[0], own]
        if any(flag & MASK for _, flags in needed for flag in flags[part]):
            mine[2] += 1
            continue
        energy = sum(three[0][0][part]) * scales[0]
        reactive = (sum(own[0][part]) - (sum(other[0][part]) if direction == "net" else 0)) * scales[1]
        if energy < 0:
            mine[4] += 1
            if reverse == "skip":
                continue
            energy = -energy
        mine[0] += 1
        if reactive <= 0 or energy**2 >= factor**2 * (energy**2 + reactive**2):
            continue
        if energy == 0:
            mine[3] += 1
            if zero_active == "zero":
                continue
        apparent = decimal(factor) * decimal(energy**2 + reactive**2).sqrt()
        mine[1] += 1
        mine[5] += apparent - decimal(energy)
        if mine[6] is None or apparent > mine[6]:
            mine[6:] = [apparent, hour]
    return {slot: Reference(*row) for slot, row in found.items()}


def test_the_example_of_the_dossier(reactive: ModuleType) -> None:
    """14 h inductive and 03 h capacitive beyond the reference, 15 h capacitive outside its window."""
    hours = reactive.Hours(4, array("H", [2, 2, 2]), bytes([2, 1, 1]))
    active = series([5, 5, 5, 5, 50, 50, 50, 50, 50, 50, 50, 50])
    inductive = series([0] * 4 + [30] * 4 + [0] * 4)
    capacitive = series([7, 6, 6, 6] + [0] * 4 + [13, 12, 12, 13])
    (found,) = reactive.excess(active, inductive, capacitive, hours, MASK)
    assert found[:6] == (2, 3, 2, 0, 0, 0)
    assert float(found.energy) == pytest.approx(24.0334, abs=1e-4)
    assert float(found.demand) == pytest.approx(214.58, abs=0.005)
    assert found.demand_at == 1
    assert round(found.energy * Fraction(30, 100), 2) == Fraction(721, 100)
    separate = reactive.Hours(4, array("H", [2, 2, 2]), bytes([2, 0, 0]))
    (night,) = reactive.excess(active, inductive, capacitive, separate, MASK)
    assert float(night.energy) == pytest.approx(9.4544, abs=1e-4)


def test_a_factor_that_is_the_reference_is_no_excess(reactive: ModuleType) -> None:
    """3, 4, 5: the factor is 0.8 exactly, and one count more of reactive energy is below it."""
    hours = reactive.Hours(1, array("H", [0, 1, 2]), bytes([1, 1, 1]))
    big = 2**28
    active, inductive = series([4, 4 * big, 4 * big]), series([3, 3 * big, 3 * big + 1])
    rows = reactive.excess(active, inductive, series([0] * 3), hours, MASK, reference=Fraction(4, 5))
    assert [(row.excess, row.demand_at) for row in rows] == [(0, None), (0, None), (1, 2)]
    with localcontext(prec=60):
        apparent = ((4 * Decimal(big)) ** 2 + (3 * Decimal(big) + 1) ** 2).sqrt()
        assert 0 <= apparent * 4 / 5 - decimal(rows[2].demand) < Decimal(4) / 5 / 2**16
        assert 0 <= apparent * 4 / 5 - 4 * big - decimal(rows[2].energy) < Decimal(4) / 5 / 2**16


def test_policies(reactive: ModuleType) -> None:
    """An hour without active energy, one of generation, one with both directions."""
    hours = reactive.Hours(1, array("H", [0, 1, 2]), bytes([1, 1, 1]))
    three = series([0, -30, 10]), series([50, 40, 30]), series([0, 0, 29])
    limit, reverse, own = reactive.excess(*three, hours, MASK)
    assert (limit.zero_active, limit.energy, limit.demand) == (1, Fraction(46), Fraction(46))
    assert (reverse.reverse, reverse.hours, reverse.energy) == (1, 1, Fraction(16))
    assert own.excess == 1
    zero = reactive.excess(*three, hours, MASK, zero_active="zero")[0]
    assert (zero.zero_active, zero.excess, zero.energy, zero.demand) == (1, 0, 0, None)
    skipped = reactive.excess(*three, hours, MASK, reverse="skip")[1]
    assert (skipped.reverse, skipped.hours, skipped.energy) == (1, 0, 0)
    net = reactive.excess(*three, hours, MASK, direction="net")[2]
    assert (net.hours, net.excess) == (1, 0)


def test_an_hour_counts_only_when_whole(reactive: ModuleType) -> None:
    hours = reactive.Hours(2, array("H", [5] * 4), bytes([1, 1, 2, 0]))
    gone = int(Quality.MISSING)
    active = series([1] * 8, [0, gone, 0, 0, 0, 0, gone, gone])
    inductive = series([9] * 8, [0, 0, 0, 0, gone, 0, 0, 0])
    capacitive = series([9] * 8, [0, 0, gone, gone, 0, int(Quality.ESTIMATED), 0, 0])
    (found,) = reactive.excess(active, inductive, capacitive, hours, MASK)
    assert (found.hours, found.incomplete, found.excess) == (
        2,
        1,
        2,
    )  # the direction that does not count may be missing
    (found,) = reactive.excess(active, inductive, capacitive, hours, MASK, direction="net")
    assert (found.hours, found.incomplete) == (0, 3)


@st.composite
def cases(draw: st.DrawFn) -> Any:
    count, intervals = draw(st.integers(0, 12)), draw(st.sampled_from([1, 4, 12]))
    most = draw(st.sampled_from([3, 5000, 2**31 // 60 // intervals]))
    flag = st.one_of(*[st.just(0)] * 20, st.integers(0, ALL_FLAGS))

    def one(least: int) -> Series:
        size = count * intervals
        return (
            array("q", draw(st.lists(st.integers(least, most), min_size=size, max_size=size))),
            array("H", draw(st.lists(flag, min_size=size, max_size=size))),
        )

    slots = array("H", draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    counted = bytes(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    scales = draw(st.sampled_from([("1", "1"), ("1/4", "1/6"), ("7/100", "1/100")]))
    factor = draw(st.sampled_from([Fraction(92, 100), Fraction(4, 5), Fraction(957, 1000)]))
    policies = draw(st.tuples(*map(st.sampled_from, (("limit", "zero"), ("absolute", "skip"), ("own", "net")))))
    three = one(-1 if draw(st.booleans()) else 0), one(0), one(0)
    return three, (intervals, slots, counted), (Fraction(scales[0]), Fraction(scales[1])), factor, policies


@given(case=cases())
def test_against_decimals(reactive: ModuleType, case: Any) -> None:
    three, hours, scales, factor, (zero_active, reverse, direction) = case
    hours = reactive.Hours(*hours)
    rows = reactive.excess(
        *three, hours, MASK, scales=scales, reference=factor,
        zero_active=zero_active, reverse=reverse, direction=direction,
    )  # fmt: skip
    with localcontext(prec=60):
        expected = by_hand(three, hours, scales, factor, zero_active, reverse, direction)
        assert {row.slot for row in rows} == set(expected)
        for row in rows:
            mine = expected[row.slot]
            assert row[1:6] == mine[:5]
            assert row.demand_at == mine.demand_at
            unit = decimal(factor * min(scales)) / 2**16
            assert -(Decimal(10) ** -40) <= mine.energy - decimal(row.energy) <= max(1, mine.excess) * unit
            if mine.demand is not None:
                assert -(Decimal(10) ** -40) <= mine.demand - decimal(row.demand) <= unit


@given(energy=st.integers(0, 2**31 - 1), kind=st.integers(2**31 - 4, 2**31 - 1) | st.integers(1, 2**31 - 1))
def test_the_root_is_rounded_down_and_not_further(reactive: ModuleType, energy: int, kind: int) -> None:
    hours = reactive.Hours(1, array("H", [0]), bytes([1]))
    factor = Fraction(999, 1000)
    (row,) = reactive.excess(series([energy]), series([kind]), series([0]), hours, MASK, reference=factor)
    square = energy**2 + kind**2
    assert row.excess == (energy**2 < factor**2 * square)
    if row.energy:
        root = (row.energy + energy) / factor * 2**16
        assert root.denominator == 1
        assert root**2 <= square << 32 < (root + 1) ** 2
        assert row.demand == row.energy + energy


def refused(reactive: ModuleType, message: str, **change: Any) -> None:
    hours = change.pop("hours", reactive.Hours(1, array("H", [0]), bytes([1])))
    three = [change.pop(name, series([1])) for name in ("active", "inductive", "capacitive")]
    mask = change.pop("mask", MASK)
    with pytest.raises(reactive.ReactiveError, match=message):
        reactive.excess(*three, hours, mask, **change)


def test_refuses_what_does_not_fit(reactive: ModuleType) -> None:
    refused(reactive, "2 inductive values and 2 flags, the hours have 1", inductive=series([1, 2]))
    refused(reactive, "1 active values and 0 flags", active=(array("q", [1]), array("H")))
    refused(reactive, "mask 10000", mask=65536)
    refused(reactive, "1 slots and 0 counted", hours=reactive.Hours(1, array("H", [0]), b""))
    refused(reactive, "0 intervals per hour", hours=reactive.Hours(0, array("H", [0]), b"\1"))
    refused(reactive, "slot 19200", hours=reactive.Hours(1, array("H", [19_200]), b"\1"))
    refused(reactive, "not 3", hours=reactive.Hours(1, array("H", [0]), b"\3"))
    for factor in (Fraction(0), Fraction(1), Fraction(1, 1001)):
        refused(reactive, f"reference factor {factor}", reference=factor)
    refused(reactive, "scales 0 and 1", scales=(Fraction(0), Fraction(1)))
    refused(reactive, "no common count", scales=(Fraction(1), Fraction(1, 2**31)))
    refused(reactive, "reverse 'x' is neither 'absolute' nor 'skip'", reverse="x")
    for value in (2**31, 2**42, 2**63 - 1, -(2**63)):
        refused(reactive, "hour 0 has counts from", active=series([value]))
        refused(reactive, "hour 0 has counts from", inductive=series([abs(value) - 1 if value < 0 else value]))
    refused(reactive, "hour 0 has counts", active=series([2**30]), scales=(Fraction(2), Fraction(1)))
    with pytest.raises(TypeError, match="active values must be"):
        reactive.excess((array("i", [1]), array("H", [0])), series([1]), series([1]),
                        reactive.Hours(1, array("H", [0]), b"\1"), MASK)  # fmt: skip


def test_the_source_needs_no_cython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cython", None)
    reactive = load_source("reactive")
    hours = reactive.Hours(1, array("H", [0]), b"\1")
    (row,) = reactive.excess(series([3]), series([4]), series([0]), hours, MASK)
    assert row.energy == Fraction(23, 25) * 5 - 3


def test_counts_that_do_not_count_may_be_anything_and_numpy_may_bring_them(reactive: ModuleType) -> None:
    hours = reactive.Hours(1, array("H", [0, 0]), bytes([1, 1]))
    junk = np.array([2**63 - 1, 3]), np.array([Quality.OVERFLOW, 0], np.uint16)
    (row,) = reactive.excess(junk, series([4, 4]), series([0, 0]), hours, MASK)
    assert (row.hours, row.incomplete, row.excess) == (1, 1, 1)
    assert reactive.excess(series([]), series([]), series([]), reactive.Hours(4, array("H"), b""), MASK) == []
