"""Parameters: answers 20, 21, 22 and 51 (dossier abnt-nbr-14522 §7.1)."""

from datetime import date, datetime, time

from edge.drivers.abnt import commands
from edge.drivers.abnt.layout.fields import (
    BCD,
    DATE,
    DAY_MONTH,
    DIGITS,
    HOUR_MINUTE,
    MAYBE,
    OCTET,
    RAW,
    STAMP,
    Block,
    Lenient,
    Record,
    at,
    many,
    record,
)

_TIMES = Lenient(many(HOUR_MINUTE, 2))
_DAY = Lenient(DAY_MONTH)


class Constant(Record):
    """Channel constant: value = pulses x numerator / denominator (§8.2); 0 where the meter gives none."""

    numerator: int = at(1, 3, BCD)
    denominator: int = at(4, 6, BCD)


class Parameters(Block):
    """What a meter says of itself. Fields not needed to bill are None where a meter fills them with what is no BCD."""

    codes = commands.PARAMETER_CODES

    now: datetime | None = at(6, 11, STAMP)
    weekday: int | None = at(12, 12, MAYBE)  # Sunday 1 .. Saturday 7
    last_interval: datetime | None = at(13, 18, STAMP)  # end of the newest profile interval
    last_reset: datetime | None = at(19, 24, STAMP)
    reset_before: datetime | None = at(25, 30, STAMP)
    unknown_31_50: bytes = at(31, 50, RAW)
    peak_starts: tuple[time, ...] | None = at(51, 58, _TIMES)
    off_peak_starts: tuple[time, ...] | None = at(59, 66, _TIMES)
    reserved_starts: tuple[time, ...] | None = at(67, 74, _TIMES)
    words_running: int = at(75, 77, BCD)  # 12-bit words of answer 26 (of 52 after a 51)
    words_closed: int = at(78, 80, BCD)  # of answer 27
    resets: int = at(81, 81, BCD)  # demand resets, modulo 100
    demand_minutes: int | None = at(82, 82, MAYBE)
    demand_minutes_before: int | None = at(83, 83, MAYBE)
    holidays: tuple[date | None, ...] = at(84, 128, many(Lenient(DATE), 3))
    constants: tuple[Constant, ...] = at(129, 146, many(record(Constant), 6))
    battery: int = at(147, 147, OCTET)  # 00 good, 01 bad
    firmware: str = at(148, 149, DIGITS)
    unknown_150_152: bytes = at(150, 152, RAW)
    model: str = at(153, 154, DIGITS)
    extra_codes: int = at(155, 155, OCTET)
    automatic_reset: int = at(156, 156, OCTET)
    automatic_reset_day: int | None = at(157, 157, MAYBE)
    summer_time: int = at(158, 158, OCTET)  # 01 active
    winter_time_end: tuple[int, int] | None = at(159, 160, _DAY)
    summer_time_end: tuple[int, int] | None = at(161, 162, _DAY)
    second_set: int = at(163, 163, OCTET)  # polarity differs between makers
    set_starts: tuple[tuple[int, int] | None, ...] = at(164, 171, many(_DAY, 2))
    second_peak_starts: tuple[time, ...] | None = at(172, 179, _TIMES)
    second_off_peak_starts: tuple[time, ...] | None = at(180, 187, _TIMES)
    second_reserved_starts: tuple[time, ...] | None = at(188, 195, _TIMES)
    quantities: tuple[int | None, ...] = at(196, 198, many(MAYBE, 1))  # §8.3
    power_factor_composition: int = at(199, 199, OCTET)
    clock_source: int = at(200, 200, OCTET)
    unknown_201_203: bytes = at(201, 203, RAW)
    interval_minutes: int | None = at(204, 204, MAYBE)
    interval_seconds: int | None = at(205, 205, MAYBE)
    interval_hundredths: int | None = at(206, 206, MAYBE)
    pulse_reversal: int = at(207, 207, OCTET)
    unknown_208_209: bytes = at(208, 209, RAW)
    rule_saturday: int = at(210, 210, OCTET)
    rule_sunday: int = at(211, 211, OCTET)
    rule_holiday: int = at(212, 212, OCTET)
    tariff: int = at(213, 213, OCTET)  # 00 blue, 01 green, 02 irrigation, 03 yellow, 04 none
    reactive_minutes: int | None = at(214, 215, MAYBE)
    reactive_demand_minutes: int | None = at(216, 217, MAYBE)
    reference_inductive: int | None = at(218, 218, MAYBE)  # power factor x 100
    reference_capacitive: int | None = at(219, 219, MAYBE)
    inductive_starts: tuple[time, ...] | None = at(220, 223, _TIMES)
    capacitive_starts: tuple[time, ...] | None = at(224, 227, _TIMES)
    second_reactive_starts: tuple[time, ...] | None = at(228, 235, _TIMES)
    unknown_236_237: bytes = at(236, 237, RAW)
    slots: int | None = at(238, 238, MAYBE)
    unknown_239: bytes = at(239, 239, RAW)
    measurement_available: int = at(240, 240, OCTET)  # command 80
    user_output: int = at(241, 241, OCTET)
    upgrade: int = at(242, 242, OCTET)
    sync_hours: int = at(243, 243, OCTET)
    gmt_offset: int = at(244, 244, OCTET)
    password: int = at(245, 245, OCTET)
    fiscal_page: int = at(246, 246, OCTET)
    groups: int | None = at(247, 247, MAYBE)  # channel groups
    unknown_248: bytes = at(248, 248, RAW)
    automatic_reset_hour: int | None = at(249, 249, MAYBE)
    unknown_250_252: bytes = at(250, 252, RAW)
    flags: bytes = at(253, 254, RAW)
    unknown_255_256: bytes = at(255, 256, RAW)

    @property
    def profile_step(self) -> int:
        """Seconds of a profile interval; the demand interval where the meter leaves 204-206 blank; 0 unknown."""
        seconds = 60 * (self.interval_minutes or 0) + (self.interval_seconds or 0)
        return seconds or 60 * (self.demand_minutes or 0)
