"""Quantity codes of the channels (octets 196-198) as OBIS codes (dossier abnt-nbr-14522 §8.3)."""

from typing import Final

from shared.quantities import Quantity

#: Codes that say a channel records nothing.
ABSENT: Final = frozenset({0, 6, 7, 99})

#: Channels whose totals count what their profile words count, so that both can be reconciled.
ENERGY: Final = frozenset({1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 25, 47, 48, 49, 50, 51, 52})

_C: Final[dict[int, int]] = {
    1: 1,  # kWh delivered
    2: 3,  # kvarh
    8: 12,  # Vh
    9: 11,  # Ih
    10: 5,  # kvarh inductive
    11: 8,  # kvarh capacitive
    14: 2,  # kWh received
    15: 7,  # kvarh inductive received
    16: 6,  # kvarh capacitive received
    17: 32,  # Vh phase A, B, C
    18: 52,
    19: 72,
    20: 31,  # Ih phase A, B, C
    21: 51,
    22: 71,
    23: 13,  # PFh three-phase
    25: 9,  # kVAh
    27: 33,  # PFh phase A, B, C
    28: 53,
    29: 73,
    30: 161,  # THDh voltage A, B, C
    31: 162,
    32: 163,
    33: 171,  # THDh current A, B, C
    34: 172,
    35: 173,
    45: 91,  # neutral current
    47: 21,  # active power A, B, C, and reverse
    48: 41,
    49: 61,
    50: 22,
    51: 42,
    52: 62,
}

#: Codes without a C of their own stand in the makers' range: 200 + code.
_MAKERS_RANGE: Final = 200

#: The same quantity flowing the other way.
REVERSE: Final[dict[int, int]] = {1: 2, 2: 1, 3: 4, 4: 3, 5: 7, 7: 5, 8: 6, 6: 8}


def measurand(code: int | None) -> int | None:
    """Return the C of a quantity code, None for a channel that records nothing or an unreadable code."""
    if code is None or code in ABSENT:
        return None
    if code in _C:
        return _C[code]
    return _MAKERS_RANGE + code if _MAKERS_RANGE + code <= 255 else None


def profile_channel(code: int | None) -> str | None:
    """Return the OBIS code of a channel's profile, such as ``1.29.0``."""
    c = measurand(code)
    return None if c is None else str(Quantity(c, 29))


def code_of(obis: str) -> int | None:
    """Return the quantity code whose channel's profile is ``obis``; None where the standard has none."""
    return next((code for code in range(100) if profile_channel(code) == obis), None)
