"""Steady-state voltage of Brazilian supply: bands, limits and compensation as data (dossier brazil-billing §15).

PRODIST Module 8, section 8.1, v14. What the dossier marks as not confirmed is named so here; a table in force elsewhere
or later replaces these by configuration.
"""

from fractions import Fraction
from typing import Final, NamedTuple


class Band(NamedTuple):
    """Adequate from ``adequate_low`` to ``adequate_high``, else precarious from ``low`` to ``high``, else critical."""

    low: Fraction
    adequate_low: Fraction
    adequate_high: Fraction
    high: Fraction


def _band(*limits: str) -> Band:
    return Band(*map(Fraction, limits))


#: In volts, by nominal voltage phase to neutral or between phases. 127 and 220 seen in three sources, 115 and 120 in
#: two, the others in one.
VOLTS: Final[dict[int, Band]] = {
    115: _band("100", "106", "121", "122"),
    120: _band("104", "110", "126", "127"),
    127: _band("110", "117", "133", "135"),
    220: _band("191", "202", "231", "233"),
    254: _band("221", "234", "267", "269"),
    380: _band("331", "350", "399", "403"),
    440: _band("383", "405", "462", "466"),
}

#: As share of the reference voltage. Up to 1 kV (two sources); above, to below 69 kV, with no upper precarious band
#: (one source and own knowledge); from there to below 230 kV (own knowledge only).
LOW_VOLTAGE: Final = _band("0.87", "0.92", "1.05", "1.06")
MEDIUM_VOLTAGE: Final = _band("0.90", "0.93", "1.05", "1.05")
HIGH_VOLTAGE: Final = _band("0.90", "0.95", "1.05", "1.07")

#: Most that DRP and DRC may be, in percent.
DRP_LIMIT: Final = Fraction(3)
DRC_LIMIT: Final = Fraction(1, 2)

#: Weights of what is above: of DRP anywhere; of DRC by supply (5 and 3 from one source).
PRECARIOUS_WEIGHT: Final = 3
CRITICAL_WEIGHTS: Final = {"low": 7, "medium": 5, "high": 3}


def band(nominal: int) -> Band:
    """Return the volts of a nominal voltage: of the table where it has it, else by share."""
    if nominal in VOLTS:
        return VOLTS[nominal]
    if not 0 < nominal < 230_000:
        raise ValueError(f"nominal voltage {nominal} V is not above 0 and below 230 kV: no bands are known")
    shares = LOW_VOLTAGE if nominal <= 1000 else MEDIUM_VOLTAGE if nominal < 69_000 else HIGH_VOLTAGE
    return Band(*(share * nominal for share in shares))


def compensation(drp: Fraction, drc: Fraction, supply: str) -> Fraction:
    """Return the share of a month's EUSD that is due, exact; ``supply`` is a key of :data:`CRITICAL_WEIGHTS`."""
    precarious = max(Fraction(0), drp - DRP_LIMIT) * PRECARIOUS_WEIGHT
    critical = max(Fraction(0), drc - DRC_LIMIT) * CRITICAL_WEIGHTS[supply]
    return (precarious + critical) / 100
