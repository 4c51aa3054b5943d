"""Register readings, decoded; and the check of register differences against profile sums (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import msgspec

from central.metering.models import RegisterSet
from central.metering.series import Series, common_scale
from ext import reconcile
from shared.quality import Quality
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

    ``low`` sums the whole intervals inside, ``high`` adds those that the ends cut. ``unknown``: an interval is missing
    or beyond its format (``missing`` of them), or the register went backwards (rolled over, replaced).
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


def decode_values(data: bytes) -> list[RegisterValue]:
    """Decode ``RegisterSet.data``."""
    return _decoder.decode(data)


def decode_set(row: RegisterSet, multiplier: Fraction) -> RegisterReadingView:
    """Decode a stored reading."""
    registers = [_register(value, multiplier) for value in decode_values(row.data)]
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
    scale, fine = Fraction(series.num, series.den), common_scale((before.scale, after.scale))
    values: Any = series.values
    flags: Any = series.flags
    (found,) = reconcile.check(
        values,
        flags,
        series.start,
        series.step,
        int(Quality.MISSING | Quality.OVERFLOW),
        (first.at, last.at),
        (int(before.value / fine), int(after.value / fine)),
        ratio=fine / scale,
        slack=max(before.scale, after.scale) / fine,
    )
    return RegisterCheck(
        quantity,
        first.at,
        last.at,
        found.difference * fine,
        found.low * scale,
        found.high * scale,
        found.gaps,
        found.verdict.value,
    )


def _transformed(quantity: Quantity) -> bool:
    """Whether the transformers' ratio applies: to energy and demand, not to power factors."""
    return quantity.c not in (13, 33, 53, 73)
