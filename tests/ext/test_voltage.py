from array import array
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.voltage import Band, band

MISSING = 1
VOLT = Fraction(1)
LOW = (110, 117, 133, 135)  # of 127 V, in volts


def flags(count: int, *gone: int) -> "array[int]":
    return array("H", [MISSING if i in gone else 0 for i in range(count)])


def test_the_example_of_the_dossier(voltage: ModuleType) -> None:
    """The worst phase has 40 precarious readings, another the 6 critical ones."""
    good, odd = [127] * 1008, [127] * 962 + [115] * 40 + [127] * 6
    critical = [100] * 6 + [127] * 1002
    phases = [voltage.classify(array("q", v), flags(1008), MISSING, LOW) for v in (good, odd, critical)]
    assert [phase[:3] for phase in phases] == [(1008, 0, 0), (1008, 40, 0), (1008, 0, 6)]
    found = voltage.indicators(phases)
    assert found == (Fraction(4000, 1008), Fraction(600, 1008))
    assert [round(float(value), 3) for value in found] == [3.968, 0.595]


def test_limits_belong_to_the_better_band(voltage: ModuleType) -> None:
    low = voltage.limits(band(127), VOLT / 10)
    tenths = array("q", [1099, 1100, 1169, 1170, 1330, 1331, 1350, 1351])
    found = [voltage.classify(array("q", [v]), flags(1), MISSING, low, 1)[1:3] for v in tenths]
    assert found == [(0, 1), (1, 0), (1, 0), (0, 0), (0, 0), (1, 0), (1, 0), (0, 1)]
    # a count of 3/7 V: 273 counts are 117 V, 272 less, 310 are 132.86, 311 more than 133
    low = voltage.limits(band(127), Fraction(3, 7))
    odd = [voltage.classify(array("q", [v]), flags(1), MISSING, low, 1)[1:3] for v in (272, 273, 310, 311)]
    assert odd == [(1, 0), (0, 0), (0, 0), (1, 0)]


def test_no_upper_precarious_band_in_medium_voltage(voltage: ModuleType) -> None:
    """13.8 kV: above 105 % is critical at once."""
    values = array("q", [12_419, 12_420, 12_833, 12_834, 14_490, 14_491])
    assert voltage.classify(values, flags(6), MISSING, voltage.limits(band(13_800), VOLT), 6) == (6, 2, 2, 0, 6)


def test_discarded_readings_are_replaced_by_later_ones(voltage: ModuleType) -> None:
    values = array("q", [127, 50, 127, 115, 127, 50, 127, 50])
    assert voltage.classify(values, flags(8, 1, 5), MISSING, LOW, 5) == (5, 1, 0, 2, 7)
    short = voltage.classify(values, flags(8, 1, 5, 7), MISSING, LOW, 6)
    assert short == (5, 1, 0, 3, 8)


def test_too_few_readings_give_no_indicator(voltage: ModuleType) -> None:
    whole = voltage.classify(array("q", [127] * 1008), flags(1008), MISSING, LOW)
    short = voltage.classify(array("q", [127] * 1008), flags(1008, 500), MISSING, LOW)
    assert (short.valid, short.discarded, short.used) == (1007, 1, 1008)
    assert voltage.indicators([whole]) == (0, 0)
    assert voltage.indicators([whole, short, whole]) is None
    with pytest.raises(voltage.VoltageError, match="at least one phase"):
        voltage.indicators([])


@given(
    rows=st.lists(st.tuples(st.integers(-9, 40) | st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)), max_size=120),
    limits=st.lists(st.fractions(-5, 20, max_denominator=9), min_size=4, max_size=4).map(sorted),
    scale=st.fractions(Fraction(1, 9), 2, max_denominator=9),
    readings=st.integers(1, 130),
)
def test_against_plain_python(
    voltage: ModuleType, rows: list[tuple[int, int]], limits: list[Fraction], scale: Fraction, readings: int
) -> None:
    own = Band(*limits)
    valid = [(i, value * scale) for i, (value, flag) in enumerate(rows) if not flag & MISSING][:readings]
    critical = [value for _, value in valid if not own.low <= value <= own.high]
    outside = [value for _, value in valid if not own.adequate_low <= value <= own.adequate_high]
    used = valid[-1][0] + 1 if len(valid) == readings else len(rows)
    values, marks = array("q", [row[0] for row in rows]), array("H", [row[1] for row in rows])
    found = voltage.classify(values, marks, MISSING, voltage.limits(own, scale), readings)
    assert found == (len(valid), len(outside) - len(critical), len(critical), used - len(valid), used)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flags": array("H", [0])}, "2 values and 1 flags"),
        ({"mask": -1}, "mask -1"),
        ({"readings": 0}, "0 readings"),
        ({"bands": (-(2**63), 1, 2, 3)}, "bands from -9223372036854775808 to 3 counts"),
        ({"bands": (0, 1, 2, 2**63)}, "to 9223372036854775808 counts are beyond"),
    ],
)
def test_refuses_what_does_not_fit(voltage: ModuleType, change: dict[str, Any], message: str) -> None:
    sound: dict[str, Any] = {"values": array("q", [1, 2]), "flags": array("H", [0, 0]), "mask": 1, "bands": LOW}
    with pytest.raises(voltage.VoltageError, match=message):
        voltage.classify(**(sound | change))
    with pytest.raises(TypeError, match="values must be"):
        voltage.classify(**(sound | {"values": array("d", [1.0, 2.0])}))


def test_refuses_bands_that_are_none(voltage: ModuleType) -> None:
    with pytest.raises(voltage.VoltageError, match="bands 1, 1, 1, 0 do not ascend"):
        voltage.limits(Band(VOLT, VOLT, VOLT, Fraction(0)), VOLT)
    with pytest.raises(voltage.VoltageError, match="scale 0"):
        voltage.limits(band(127), Fraction(0))


def test_takes_numpy(voltage: ModuleType) -> None:
    assert voltage.classify(np.full(9, 127), np.zeros(9, np.uint16), MISSING, LOW, 9).valid == 9
