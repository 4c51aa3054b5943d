"""Register readings, decoded; and the check of register differences against profile sums (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import msgspec

from central.metering.models import RegisterSet
from central.metering.series import Series
from shared.quantities import Quantity
from shared.wire import RegisterValue

_decoder = msgspec.msgpack.Decoder(list[RegisterValue])
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Register:
    """One register: exact ``value`` = ``raw`` x ``scale``, with the meter's multiplier; ``at`` of a maximum."""

    quantity: Quantity
    raw: int
    value: Fraction
    at: int | None
    scale: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class RegisterReadingView:
    """All registers of a meter at one instant."""

    id: int
    at: int
    read_at: int
    period: int
    resets: int | None
    reset_at: int | None
    registers: Sequence[Register]

    def value(self, quantity: Quantity) -> Register | None:
        return next((register for register in self.registers if register.quantity == quantity), None)


@dataclass(frozen=True, slots=True)
class RegisterCheck:
    """Register difference against profile sum over [start, end), both exact in the unit.

    ``low`` sums the whole intervals inside, ``high`` adds those that the ends cut. ``unknown``: an interval is missing,
    or the register went backwards (rolled over, replaced).
    """

    quantity: Quantity
    start: int
    end: int
    difference: Fraction
    low: Fraction
    high: Fraction
    missing: int
    verdict: Literal["agrees", "differs", "unknown"]


def encode_values(values: Sequence[RegisterValue]) -> bytes:
    """Encode registers for ``RegisterSet.data``."""
    return _encoder.encode(values)


def decode_set(row: RegisterSet, multiplier: Fraction) -> RegisterReadingView:
    """Decode a stored reading."""
    registers = [_register(value, multiplier) for value in _decoder.decode(row.data)]
    return RegisterReadingView(row.id, row.at, row.read_at, row.period, row.resets, row.reset_at, registers)


def _register(value: RegisterValue, multiplier: Fraction) -> Register:
    quantity = Quantity.parse(value.quantity)
    scale = Fraction(value.num, value.den) * (multiplier if _transformed(quantity) else 1)
    return Register(quantity, value.value, value.value * scale, value.at, scale)


def check_registers(
    first: RegisterReadingView, last: RegisterReadingView, quantity: Quantity, series: Series
) -> RegisterCheck | None:
    """Compare two readings of cumulative register ``quantity`` with its profile; None when one of them has it not."""
    before, after = first.value(quantity), last.value(quantity)
    if before is None or after is None:
        return None
    difference = after.value - before.value
    scale = Fraction(series.num, series.den)
    around = series.part(first.at - series.step + 1, last.at)
    whole = [
        i for i in range(len(around.values))
        if around.start + i * series.step >= first.at and around.start + (i + 1) * series.step <= last.at
    ]  # fmt: skip
    low = sum(int(around.values[i]) for i in whole) * scale
    high = int(around.values.sum()) * scale
    missing = int((~around.held).sum())
    resolution = abs(Fraction(1) * (after.value / after.raw)) if after.raw else Fraction(0)
    verdict: Literal["agrees", "differs", "unknown"] = "differs"
    if missing or difference < 0:
        verdict = "unknown"
    elif low - resolution <= difference <= high + resolution:
        verdict = "agrees"
    return RegisterCheck(quantity, first.at, last.at, difference, low, high, missing, verdict)


def _transformed(quantity: Quantity) -> bool:
    """Whether the transformers' ratio applies: to energy and demand, not to power factors."""
    return quantity.c not in (13, 33, 53, 73)
