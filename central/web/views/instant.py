"""The table of instantaneous values: one row per kind, one column per phase and one for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from central.metering.snapshots import SnapshotView
from central.web.i18n import N_, NOTHING, current, gettext
from central.web.views.phasors import Phasors, phasors
from shared.quantities import MEASURANDS, Process, Quantity

#: (words, C of A, B, C and of all, decimals); 0: there is none.
ROWS: Final = (
    (N_("Voltage"), (32, 52, 72, 0), 1),
    (N_("Line voltage A–B, B–C, C–A"), (182, 183, 184, 0), 1),
    (N_("Current"), (31, 51, 71, 91), 2),
    (N_("Active power"), (21, 41, 61, 16), 2),
    (N_("Reactive power"), (23, 43, 63, 3), 2),
    (N_("Apparent power"), (29, 49, 69, 9), 2),
    (N_("Power factor"), (33, 53, 73, 13), 3),
    (N_("Voltage angle"), (141, 142, 143, 0), 1),
    (N_("Shift between voltage and current"), (151, 152, 153, 0), 1),
    (N_("Voltage distortion"), (161, 162, 163, 0), 1),
    (N_("Current distortion"), (171, 172, 173, 0), 1),
    (N_("Frequency"), (0, 0, 0, 14), 2),
    (N_("Meter temperature"), (0, 0, 0, 160), 1),
)
_THOUSANDS: Final = {"W": "kW", "var": "kvar", "VA": "kVA"}


@dataclass(frozen=True, slots=True)
class Row:
    words: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class SnapshotTable:
    at: int
    rows: Sequence[Row]


def table(snapshot: SnapshotView) -> SnapshotTable:
    """Rows of everything the meter gave."""
    rows = []
    for words, codes, digits in ROWS:
        # active power of all phases is delivered power on meters that know no net power
        numbers = [_value(snapshot, c) if c != 16 else _first(_value(snapshot, 16), _value(snapshot, 1)) for c in codes]
        if any(number is not None for number in numbers):
            texts = [_text(number, c, digits) for number, c in zip(numbers, codes, strict=True)]
            if codes[3] == 91 and numbers[3] is not None:
                texts[3] = f"N: {texts[3]}"
            rows.append(Row(gettext(words), texts))
    return SnapshotTable(snapshot.at, rows)


def diagram(snapshot: SnapshotView) -> Phasors | None:
    """The phasor diagram of a snapshot; None without voltages."""
    return phasors(lambda c: _value(snapshot, c))


def _value(snapshot: SnapshotView, c: int) -> float | None:
    return snapshot.values.get(Quantity(c, Process.INSTANTANEOUS)) if c else None


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _text(value: float | None, c: int, digits: int) -> str:
    if not c or value is None:
        return NOTHING if c else ""
    unit = MEASURANDS[c].instant
    if unit in _THOUSANDS:
        return current().amount(value / 1000, _THOUSANDS[unit], digits)
    return current().amount(value, unit, digits)
