"""Measurement parameters: answer 80 (dossier abnt-nbr-14522 §7.3, one source)."""

from datetime import time

from edge.drivers.abnt import commands
from edge.drivers.abnt.layout.fields import (
    HOUR_MINUTE,
    MAYBE,
    OCTET,
    RAW,
    TEXT,
    Block,
    Lenient,
    Record,
    at,
    many,
    record,
)


class Ratio(Record):
    """Numerator and denominator, None where not BCD. Which of the four pairs is RTP, RTC is not established."""

    numerator: int | None = at(1, 3, MAYBE)
    denominator: int | None = at(4, 6, MAYBE)


class Measurement(Block):
    """How the meter measures and shows."""

    codes = frozenset({commands.MEASUREMENT})

    display_mode: bytes = at(6, 12, RAW)
    universal_condition: int = at(13, 13, OCTET)
    universal_starts: bytes = at(14, 141, RAW)
    ratios: tuple[Ratio, ...] = at(142, 165, many(record(Ratio), 6))
    mode_active: int = at(166, 166, OCTET)
    mode_reactive: int = at(167, 167, OCTET)
    reactive_constant: Ratio = at(168, 173, record(Ratio))
    display_time: int = at(174, 174, OCTET)
    unknown_175: bytes = at(175, 175, RAW)
    fourth_starts: tuple[time, ...] | None = at(176, 183, Lenient(many(HOUR_MINUTE, 2)))
    universal_weekdays: bytes = at(184, 191, RAW)
    summer_time_behaviour: int = at(192, 192, OCTET)
    billing_quantities: int = at(193, 193, OCTET)
    instantaneous_available: int = at(194, 194, OCTET)
    connection: int = at(195, 195, OCTET)
    user_output: int = at(196, 196, OCTET)
    pulse_constant: Ratio = at(197, 202, record(Ratio))  # Kp
    consumer: str = at(203, 216, TEXT)
    unknown_217_256: bytes = at(217, 256, RAW)
