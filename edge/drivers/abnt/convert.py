"""Decoded answers as wire structs: scaled registers, instantaneous values (dossier abnt-nbr-14522 §7, §8.2)."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.drivers.abnt import quantities
from edge.drivers.abnt.layout import ChannelRegisters, Instantaneous, Parameters, Registers
from edge.drivers.abnt.settings import AbntSettings
from edge.errors import ConfigError, ProtocolError
from shared.quantities import Post, Process, Quantity
from shared.wire import InstantSnapshot, RegisterValue

#: C of the excess quantities (UFER, DMCR) of channel 1.
_EXCESS: Final = 130


@dataclass(frozen=True)
class Channel:
    """One recorded channel: its number in the meter (from 0), its code (§8.3) and exact scale pulses to unit."""

    number: int
    code: int | None
    num: int
    den: int

    @property
    def measurand(self) -> int | None:
        return quantities.measurand(self.code)

    @property
    def energy(self) -> bool:
        return self.code in quantities.ENERGY


def channels(parameters: Parameters, group: int, settings: AbntSettings) -> tuple[Channel, ...]:
    """Return the three visible channels of ``group``.

    Settings fill what the meter leaves at 0; a constant that contradicts the expected one raises :class:`ConfigError`,
    a channel that records something without any constant :class:`ProtocolError`.
    """
    found = []
    for index in range(3):
        number = 3 * group + index
        code = parameters.quantities[index]
        if not code and number < len(settings.quantities):
            code = settings.quantities[number]
        constant = parameters.constants[index]
        num, den = constant.numerator, constant.denominator
        if number < len(settings.expected_constants):
            expected = settings.expected_constants[number]
            if not num or not den:
                num, den = expected
            elif num * expected[1] != den * expected[0]:
                raise ConfigError(
                    f"channel {number + 1}: the meter's constant is {num}/{den}, the configuration expects "
                    f"{expected[0]}/{expected[1]}: correct expected_constants, or find out who changed the meter"
                )
        if quantities.measurand(code) is not None and (not num or not den):
            raise ProtocolError(
                f"channel {number + 1} records quantity {code:02d} with constant {num}/{den}: "
                "give the true one as expected_constants"
            )
        found.append(Channel(number, code, num or 1, den or 1))
    return tuple(found)


def register_values(
    registers: Registers, group: Sequence[Channel], demand_minutes: int | None
) -> dict[str, RegisterValue]:
    """Return the values of three channels by OBIS code; demands only when the demand interval is known.

    The second value of each pair is the excess (UFER, DMCR) on channel 1 and the reverse flow on the others; a
    quantity that has a channel of its own is not taken from another channel's reverse.
    """
    values: dict[str, RegisterValue] = {}
    seconds: dict[str, RegisterValue] = {}
    for index, channel in enumerate(group):
        c = channel.measurand
        if c is None:
            continue
        own = _Scaled(c, channel, demand_minutes)
        second_c = _EXCESS if channel.number == 0 else quantities.REVERSE.get(c)
        second = None if second_c is None else _Scaled(second_c, channel, demand_minutes)
        _channel_values(registers.channels[index], own, second)
        if index == 0:
            own.energy(Post.INTERMEDIATE, registers.fourth)
            own.demand(Process.MAXIMUM_DEMAND, Post.INTERMEDIATE, registers.demand_fourth)
            own.demand(Process.ACCUMULATED_MAXIMUM, Post.INTERMEDIATE, registers.accumulated_fourth[0])
            if second is not None:
                second.energy(Post.INTERMEDIATE, registers.fourth_second)
                second.demand(Process.MAXIMUM_DEMAND, Post.INTERMEDIATE, registers.demand_fourth_second)
        for name, value in own.values.items():
            values.setdefault(name, value)
        if second is not None:
            seconds.update(second.values)
    primary = {Quantity.parse(name).c for name in values}
    values.update((name, value) for name, value in seconds.items() if Quantity.parse(name).c not in primary)
    return values


class _Scaled:
    """Values of one measurand as they gather."""

    def __init__(self, c: int, channel: Channel, demand_minutes: int | None) -> None:
        self.values: dict[str, RegisterValue] = {}
        self._c = c
        self._channel = channel
        self._minutes = demand_minutes

    def energy(self, post: int, value: int) -> None:
        name = str(Quantity(self._c, Process.CUMULATIVE, post))
        self.values[name] = RegisterValue(name, value, self._channel.num, self._channel.den)

    def demand(self, process: int, post: int, value: int) -> None:
        """Pulses of a demand interval: power = pulses x constant x 60 / minutes."""
        if not self._minutes:
            return
        num, den = 60 * self._channel.num, self._channel.den * self._minutes
        common = math.gcd(num, den)
        name = str(Quantity(self._c, process, post))
        self.values[name] = RegisterValue(name, value, num // common, den // common)


def _channel_values(record: ChannelRegisters, own: _Scaled, second: _Scaled | None) -> None:
    own.energy(Post.TOTAL, record.total)
    own.demand(Process.LAST_DEMAND, Post.TOTAL, record.demand_last)
    posts = (
        (Post.PEAK, record.peak, record.peak_second, record.demand_peak, record.demand_peak_second),
        (Post.OFF_PEAK, record.off_peak, record.off_peak_second, record.demand_off_peak, record.demand_off_peak_second),
        (Post.RESERVED, record.reserved, record.reserved_second, record.demand_reserved, record.demand_reserved_second),
    )
    for place, (post, energy, energy_second, demand, demand_second) in enumerate(posts):
        own.energy(post, energy)
        own.demand(Process.MAXIMUM_DEMAND, post, demand)
        own.demand(Process.ACCUMULATED_MAXIMUM, post, record.accumulated[2 * place])
        if second is not None:
            second.energy(post, energy_second)
            second.demand(Process.MAXIMUM_DEMAND, post, demand_second)
            second.demand(Process.ACCUMULATED_MAXIMUM, post, record.accumulated[2 * place + 1])


#: Fields of answer 14 and the C each value stands for.
_INSTANT: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    ("voltage", (32, 52, 72)),
    ("line_voltage", (182, 183, 184)),
    ("current", (31, 51, 71, 91)),
    ("active", (21, 41, 61, 16)),
    ("reactive", (23, 43, 63, 3)),
    ("apparent", (29, 49, 69, 9)),
    ("power_factor", (33, 53, 73, 13)),
    ("shift", (151, 152, 153)),
    ("voltage_angle", (141, 142, 143)),
    ("voltage_thd", (161, 162, 163)),
    ("current_thd", (171, 172, 173)),
)


def snapshot(values: Instantaneous, meter: str, at: int) -> InstantSnapshot:
    """Return answer 14 as a snapshot; NaN where the meter gives none. Cos phi stands in for a missing power factor."""
    codes: list[str] = []
    floats: list[float] = []

    def add(c: int, value: float | None) -> None:
        codes.append(str(Quantity(c, Process.INSTANTANEOUS)))
        floats.append(math.nan if value is None else value)

    for name, measurands in _INSTANT:
        given: Sequence[float | None] = getattr(values, name)
        if name == "power_factor" and all(v is None for v in given):
            given = values.cos_phi
        for c, value in zip(measurands, given, strict=True):
            add(c, value)
    add(14, values.frequency)
    add(160, values.temperature)
    return InstantSnapshot(meter, at, codes, struct.pack(f"<{len(floats)}f", *floats))
