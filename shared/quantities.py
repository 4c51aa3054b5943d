"""Quantities by OBIS code C.D.E, with unit and label.

C is the measured thing (1 active import, 2 active export, 3 reactive import ...), D how it is processed (8 cumulative,
6 maximum demand, 2 accumulated maxima, 5 last demand interval, 29 energy per profile interval, 7 instantaneous) and
E the post (0 = all). Codes follow IEC 62056-6-1; C from 128 on is the range left to makers, used here for the
Brazilian excess quantities. Labels are source strings of the translation catalogues: English here, translated on
screen.
"""

import re
from enum import IntEnum
from typing import Final, NamedTuple


class Post(IntEnum):
    """Time-of-use slot, equal to the E of its registers."""

    TOTAL = 0
    PEAK = 1  # ponta
    OFF_PEAK = 2  # fora ponta
    RESERVED = 3  # reservado
    INTERMEDIATE = 4  # intermediário, "fourth slot"


POSTS: Final = (Post.PEAK, Post.INTERMEDIATE, Post.OFF_PEAK, Post.RESERVED)


class Process(IntEnum):
    """The D of an OBIS code, as far as used."""

    ACCUMULATED_MAXIMUM = 2
    LAST_DEMAND = 5
    MAXIMUM_DEMAND = 6
    INSTANTANEOUS = 7
    CUMULATIVE = 8
    PROFILE = 29


class Measurand(NamedTuple):
    """What a C stands for: English label, unit of its energy (D 8, 29), its demand (D 2, 5, 6), its instant value."""

    label: str
    energy: str
    demand: str
    instant: str

    @property
    def power_label(self) -> str:
        """The label where no energy is meant but its rate: demand and instantaneous values."""
        return self.label.replace(" energy", " power")


MEASURANDS: Final[dict[int, Measurand]] = {
    1: Measurand("Active energy delivered", "kWh", "kW", "W"),
    2: Measurand("Active energy received", "kWh", "kW", "W"),
    3: Measurand("Reactive energy delivered", "kvarh", "kvar", "var"),
    4: Measurand("Reactive energy received", "kvarh", "kvar", "var"),
    5: Measurand("Reactive energy inductive, delivered", "kvarh", "kvar", "var"),
    6: Measurand("Reactive energy capacitive, received", "kvarh", "kvar", "var"),
    7: Measurand("Reactive energy inductive, received", "kvarh", "kvar", "var"),
    8: Measurand("Reactive energy capacitive, delivered", "kvarh", "kvar", "var"),
    9: Measurand("Apparent energy delivered", "kVAh", "kVA", "VA"),
    11: Measurand("Current", "Ah", "A", "A"),
    12: Measurand("Voltage", "Vh", "V", "V"),
    13: Measurand("Power factor", "h", "1", "1"),
    14: Measurand("Frequency", "", "Hz", "Hz"),
    16: Measurand("Active power, net", "kWh", "kW", "W"),
    21: Measurand("Active power phase A", "kWh", "kW", "W"),
    41: Measurand("Active power phase B", "kWh", "kW", "W"),
    61: Measurand("Active power phase C", "kWh", "kW", "W"),
    23: Measurand("Reactive power phase A", "kvarh", "kvar", "var"),
    43: Measurand("Reactive power phase B", "kvarh", "kvar", "var"),
    63: Measurand("Reactive power phase C", "kvarh", "kvar", "var"),
    29: Measurand("Apparent power phase A", "kVAh", "kVA", "VA"),
    49: Measurand("Apparent power phase B", "kVAh", "kVA", "VA"),
    69: Measurand("Apparent power phase C", "kVAh", "kVA", "VA"),
    31: Measurand("Current phase A", "Ah", "A", "A"),
    51: Measurand("Current phase B", "Ah", "A", "A"),
    71: Measurand("Current phase C", "Ah", "A", "A"),
    91: Measurand("Current neutral", "Ah", "A", "A"),
    32: Measurand("Voltage phase A", "Vh", "V", "V"),
    52: Measurand("Voltage phase B", "Vh", "V", "V"),
    72: Measurand("Voltage phase C", "Vh", "V", "V"),
    33: Measurand("Power factor phase A", "h", "1", "1"),
    53: Measurand("Power factor phase B", "h", "1", "1"),
    73: Measurand("Power factor phase C", "h", "1", "1"),
    81: Measurand("Angle", "", "deg", "deg"),
    # makers' range: excess quantities of the Brazilian rules, and angles of single phasors
    130: Measurand("Excess reactive (UFER, DMCR)", "kWh", "kW", "kW"),
    131: Measurand("Excess reactive, reverse", "kWh", "kW", "kW"),
    141: Measurand("Angle of voltage A", "", "deg", "deg"),
    142: Measurand("Angle of voltage B", "", "deg", "deg"),
    143: Measurand("Angle of voltage C", "", "deg", "deg"),
    151: Measurand("Shift between voltage and current A", "", "deg", "deg"),
    152: Measurand("Shift between voltage and current B", "", "deg", "deg"),
    153: Measurand("Shift between voltage and current C", "", "deg", "deg"),
    160: Measurand("Meter temperature", "", "degC", "degC"),
    161: Measurand("Voltage distortion phase A", "", "%", "%"),
    162: Measurand("Voltage distortion phase B", "", "%", "%"),
    163: Measurand("Voltage distortion phase C", "", "%", "%"),
    171: Measurand("Current distortion phase A", "", "%", "%"),
    172: Measurand("Current distortion phase B", "", "%", "%"),
    173: Measurand("Current distortion phase C", "", "%", "%"),
    182: Measurand("Voltage A to B", "Vh", "V", "V"),
    183: Measurand("Voltage B to C", "Vh", "V", "V"),
    184: Measurand("Voltage C to A", "Vh", "V", "V"),
}

POST_LABELS: Final[dict[int, str]] = {
    Post.TOTAL: "Total",
    Post.PEAK: "Peak",
    Post.OFF_PEAK: "Off-peak",
    Post.RESERVED: "Reserved",
    Post.INTERMEDIATE: "Intermediate",
}

PROCESS_LABELS: Final[dict[int, str]] = {
    Process.ACCUMULATED_MAXIMUM: "Accumulated demand",
    Process.LAST_DEMAND: "Last demand interval",
    Process.MAXIMUM_DEMAND: "Maximum demand",
    Process.INSTANTANEOUS: "Instantaneous",
    Process.CUMULATIVE: "Register",
    Process.PROFILE: "Profile",
}


_PART: Final = re.compile(r"0|[1-9][0-9]{0,2}")


class QuantityError(ValueError):
    """A text that is no OBIS code C.D.E of ours."""


class Quantity(NamedTuple):
    """An OBIS code C.D.E; its text form is what travels and is stored."""

    c: int
    d: int
    e: int = 0

    def __str__(self) -> str:
        return f"{self.c}.{self.d}.{self.e}"

    @classmethod
    def parse(cls, text: str) -> "Quantity":
        """Parse ``"1.8.0"``; each part is 0..255 without sign or leading zero."""
        parts = text.split(".")
        if len(parts) != 3 or any(_PART.fullmatch(part) is None or int(part) > 255 for part in parts):
            raise QuantityError(f"{text!r} is not an OBIS code C.D.E with parts 0 to 255")
        return cls(*map(int, parts))

    @classmethod
    def from_code(cls, code: int) -> "Quantity":
        """Turn the stored integer form back; see :attr:`code`."""
        if not 0 <= code <= 0xFFFFFF:
            raise QuantityError(f"{code} is not a quantity code 0 to {0xFFFFFF}")
        return cls(code >> 16, code >> 8 & 255, code & 255)

    @property
    def code(self) -> int:
        """Integer form ``C << 16 | D << 8 | E``, as databases store it."""
        return self.c << 16 | self.d << 8 | self.e

    @property
    def unit(self) -> str:
        """Unit of the value after its scale; empty when the code is not one of :data:`MEASURANDS`."""
        measurand = MEASURANDS.get(self.c)
        if measurand is None:
            return ""
        if self.d in (Process.CUMULATIVE, Process.PROFILE):
            return measurand.energy
        return measurand.instant if self.d == Process.INSTANTANEOUS else measurand.demand

    @property
    def label(self) -> str:
        """English name of the measured thing, without process and post; the code itself where unknown."""
        measurand = MEASURANDS.get(self.c)
        if measurand is None:
            return str(self)
        return measurand.label if self.d in (Process.CUMULATIVE, Process.PROFILE) else measurand.power_label

    def with_post(self, post: int) -> "Quantity":
        return self._replace(e=post)

    def with_process(self, process: int) -> "Quantity":
        return self._replace(d=process)


ACTIVE_DELIVERED: Final = Quantity(1, Process.CUMULATIVE)
ACTIVE_PROFILE: Final = Quantity(1, Process.PROFILE)
