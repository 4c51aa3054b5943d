from fractions import Fraction

import pytest

from shared.voltage import VOLTS, band, compensation


def volts(nominal: int) -> list[float]:
    return [float(limit) for limit in band(nominal)]


def test_bands_of_the_table_and_by_share() -> None:
    assert volts(220) == [191, 202, 231, 233]
    assert volts(13_800) == [12_420, 12_834, 14_490, 14_490]
    assert volts(600) == [522, 552, 630, 636]
    assert band(138_000).high == 147_660
    for nominal, own in VOLTS.items():
        assert list(own) == sorted(own)
        assert own.adequate_low < nominal < own.adequate_high


@pytest.mark.parametrize("nominal", [0, -127, 230_000])
def test_no_bands_are_made_up(nominal: int) -> None:
    with pytest.raises(ValueError, match=f"nominal voltage {nominal} V"):
        band(nominal)


def test_compensation() -> None:
    """The dossier's example: 40 precarious and 6 critical of 1008, low voltage, EUSD 100.00: R$ 3.57."""
    drp, drc = Fraction(4000, 1008), Fraction(600, 1008)
    assert round(compensation(drp, drc, "low") * 100, 2) == Fraction(357, 100)
    assert compensation(Fraction(3), Fraction(1, 2), "low") == 0
    assert compensation(Fraction(4), Fraction(0), "high") == Fraction(3, 100)
    assert compensation(Fraction(0), Fraction(3, 2), "medium") == Fraction(5, 100)
