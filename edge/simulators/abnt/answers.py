"""Commands to answers: what a meter says, laid out by the driver's own tables (dossier abnt-nbr-14522 §6-8)."""

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, overload

from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import Answer, Command
from edge.drivers.abnt.layout import (
    WORDS_PER_BLOCK,
    Block,
    Change,
    ChangeLog,
    ChannelRegisters,
    Constant,
    Measurement,
    Outage,
    Outages,
    Parameters,
    PartialRegisters,
    ProfileWords,
    Ratio,
    Refusal,
    Registers,
    blocks_for,
)
from edge.drivers.abnt.layout.fields import OctetError, Record
from edge.drivers.abnt.layout.requests import ClearOccurrence, Group, OutagePeriod, SetDate, SetTime
from edge.simulators.abnt.instant import instantaneous
from edge.simulators.abnt.measurement import REFERENCE_POWER_FACTOR, Close, Totals
from edge.simulators.abnt.meter import BATTERY, INVALID_PARAMETER, OUTAGE_RECORDS, Meter, Refused, stamp
from edge.simulators.abnt.posts import MAX_HOLIDAYS, four_starts
from edge.simulators.abnt.setup import GROUP_QUANTITIES
from ext import bcd
from ext.nibbles import Order, pack
from shared.quantities import Post

_CHANNELS: Final = 3
_TOTAL_WRAP: Final = 10**10  # 5 octets BCD
_DEMAND_WRAP: Final = 10**6
_DAY: Final = 86400
_LONG_OUTAGE: Final = 180  # seconds; shorter ones are not counted in octets 250-251
#: Order of the six accumulated values: that of the maxima (most likely, §7.2).
_MAXIMA: Final = (Post.PEAK, Post.OFF_PEAK, Post.RESERVED)


L = TypeVar("L", bound=Record)


def lay(kind: type[L], **values: Any) -> L:
    """Make a record of which only ``values`` are known; everything else is 00."""
    return kind(**values)


class ProfileAnswers(Sequence[Answer]):
    """The blocks of a composite answer, made when they are asked for."""

    def __init__(self, code: int, serial: str, words: "array[int]", order: Order) -> None:
        self._code, self._serial, self._words, self._order = code, serial, words, order

    def __len__(self) -> int:
        return max(1, blocks_for(len(self._words)))

    @overload
    def __getitem__(self, at: int) -> Answer: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Answer]: ...

    def __getitem__(self, at: int | slice) -> Answer | Sequence[Answer]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        words = self._words[at * WORDS_PER_BLOCK : (at + 1) * WORDS_PER_BLOCK]
        block = ProfileWords.make(at + 1, at + 1 == len(self), pack(words, self._order))
        return block.answer(self._code, self._serial)


class Answerer:
    """Answers commands for one meter.

    A parameter answer fixes which intervals the profile commands after it deliver, as its word counts promise.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._spans: dict[int, tuple[int, int]] = {}
        simple = self._simple
        self._table: dict[int, Callable[[Command], Sequence[Answer]]] = {
            commands.INSTANTANEOUS: simple(self._instantaneous),
            commands.DEMAND_RESET: simple(self._demand_reset),
            commands.PARAMETERS: simple(self._parameters),
            commands.PARAMETERS_CLOSED: simple(self._parameters),
            commands.PARAMETERS_PARTIAL: simple(self._parameters),
            commands.REGISTERS: simple(lambda _: self._registers(meter.measurement.current())),
            commands.REGISTERS_CLOSED: simple(lambda _: self._registers(meter.measurement.closed_totals)),
            commands.OUTAGES: simple(self._outages),
            commands.CHANGE_LOG: simple(self._change_log),
            commands.MEASUREMENT: simple(self._measurement),
            commands.SET_DATE: simple(self._set_date),
            commands.SET_TIME: simple(self._set_time),
            commands.CLEAR_OCCURRENCE: simple(self._clear_occurrence),
            **dict.fromkeys(commands.PROFILE_CODES, self._profile),
            **dict.fromkeys(
                commands.PARTIAL_CLOSED + commands.PARTIAL_RUNNING, simple(lambda _: lay(PartialRegisters))
            ),
        }

    def answer(self, command: Command) -> Sequence[Answer]:
        """Do what ``command`` asks and return its answer's blocks; 39 for unknown codes, 40 for occurrences."""
        self.meter.local()
        handler = self._table.get(command.code)
        if handler is None:
            return self._refuse(commands.NOT_IMPLEMENTED, command.code)
        try:
            if self.meter.occurrence and command.code != commands.CLEAR_OCCURRENCE:
                raise Refused(*self.meter.occurrence)
            return handler(command)
        except OctetError:
            return self._refuse(commands.OCCURRENCE, INVALID_PARAMETER)
        except Refused as refusal:
            return self._refuse(commands.OCCURRENCE, refusal.code, refusal.sub_code)

    def _refuse(self, answer: int, code: int, sub_code: int = 0) -> Sequence[Answer]:
        return (lay(Refusal, code=code, sub_code=sub_code).answer(answer, self.meter.serial),)

    def _simple(self, make: Callable[[Command], Block]) -> Callable[[Command], Sequence[Answer]]:
        return lambda command: (make(command).answer(command.code, self.meter.serial),)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _parameters(self, command: Command) -> Block:
        meter, measured = self.meter, self.meter.measurement
        meter.select(Group.of(command).group)
        partial = command.code == commands.PARAMETERS_PARTIAL
        running = self._partial(Group.of(command)) if partial else measured.running()
        closed = measured.closed()
        self._spans = {
            commands.PROFILE: running,
            commands.PROFILE_PARTIAL: running,
            commands.PROFILE_CLOSED: closed,
        }
        now = meter.local()
        plan, setup = meter.setup.posts, meter.setup
        automatic = setup.automatic_reset
        minutes = setup.step // 60
        num, den = meter.replays[meter.group].constant
        last, before = _last_closes(measured.closes)
        return lay(
            Parameters,
            now=stamp(now),
            weekday=stamp(now).isoweekday() % 7 + 1,
            last_interval=stamp(measured.open),
            last_reset=stamp(last.at),
            reset_before=stamp(before.at),
            peak_starts=four_starts(plan.peak),
            off_peak_starts=four_starts(plan.off_peak),
            reserved_starts=four_starts(plan.reserved),
            words_running=self._word_count(running),
            words_closed=self._word_count(closed),
            resets=measured.resets % 100,
            demand_minutes=minutes,
            demand_minutes_before=minutes,
            holidays=(*plan.holidays, *(None,) * (MAX_HOLIDAYS - len(plan.holidays))),
            constants=(Constant(numerator=num, denominator=den),) * _CHANNELS,
            battery=int(meter.occurrence is not None and meter.occurrence[0] == BATTERY),
            firmware=setup.firmware,
            unknown_150_152=bytes((bool(plan.reserved), 0, 0)),
            model=setup.model,
            automatic_reset=int(automatic is not None),
            automatic_reset_day=automatic[0] if automatic else 0,
            automatic_reset_hour=automatic[1] if automatic else 0,
            second_peak_starts=four_starts(()),
            second_off_peak_starts=four_starts(()),
            second_reserved_starts=four_starts(()),
            quantities=GROUP_QUANTITIES[meter.group],
            power_factor_composition=0x52,
            clock_source=1,
            interval_minutes=minutes,
            interval_seconds=0,
            interval_hundredths=0,
            rule_saturday=plan.saturday,
            rule_sunday=plan.sunday,
            rule_holiday=plan.holiday,
            tariff=1,
            reactive_minutes=minutes,
            reactive_demand_minutes=minutes,
            reference_inductive=REFERENCE_POWER_FACTOR,
            reference_capacitive=REFERENCE_POWER_FACTOR,
            slots=sum(bool(plan.starts(p)) for p in (Post.PEAK, Post.OFF_PEAK, Post.RESERVED, Post.INTERMEDIATE)),
            measurement_available=1,
            groups=setup.groups,
        )

    def _partial(self, request: Group) -> tuple[int, int]:
        """Span asked for by 51: octet 7 amount (BCD, 00 = all), octet 8 unit, 00 hours, 01 days (not established)."""
        first, end = self.meter.measurement.held()
        octet, unit = request.unknown_7_8
        try:
            amount = bcd.decode(bytes((octet,)))
        except bcd.BcdError:
            raise Refused(INVALID_PARAMETER) from None
        if not amount:
            return first, end
        step = self.meter.setup.step
        length = amount * (_DAY if unit else 3600) // step * step
        return max(first, end - length), end

    def _word_count(self, span: tuple[int, int]) -> int:
        return (span[1] - span[0]) // self.meter.setup.step * _CHANNELS

    def _profile(self, command: Command) -> Sequence[Answer]:
        measured, group = self.meter.measurement, self.meter.group
        first, end = self._spans.get(command.code) or (
            measured.closed() if command.code == commands.PROFILE_CLOSED else measured.running()
        )
        start = measured.held()[0]
        words = measured.words(range(group * _CHANNELS, (group + 1) * _CHANNELS), (max(first, start), max(end, start)))
        return ProfileAnswers(command.code, self.meter.serial, words, self.meter.setup.order)

    def _registers(self, totals: Sequence[Totals]) -> Block:
        first = self.meter.group * _CHANNELS
        excess = totals[-1] if first == 0 else Totals()
        channels = [_channel(totals[i], excess if i == 0 else Totals()) for i in range(first, first + _CHANNELS)]
        fourth, lead = Post.INTERMEDIATE, totals[first]
        return lay(
            Registers,
            channels=tuple(channels),
            fourth=lead.by_post[fourth] % _TOTAL_WRAP,
            fourth_second=excess.by_post[fourth] % _TOTAL_WRAP,
            demand_fourth=lead.maximum[fourth],
            demand_fourth_second=excess.maximum[fourth],
            accumulated_fourth=(lead.accumulated[fourth] % _DEMAND_WRAP, excess.accumulated[fourth] % _DEMAND_WRAP),
        )

    def _outages(self, command: Command) -> Block:
        closes = self.meter.measurement.closes
        running = OutagePeriod.of(command).running
        last, before = _last_closes(closes)
        since, until = (last.at, self.meter.local()) if running else (before.at, last.at)
        found = [o for o in self.meter.measurement.outages if since <= o.start < until]
        shown = [Outage(start=stamp(o.start), end=stamp(o.end)) for o in found[-OUTAGE_RECORDS:]]
        seconds = sum(o.end - o.start for o in found)
        long = sum(o.end - o.start >= _LONG_OUTAGE for o in found)
        return lay(
            Outages,
            records=(*(None,) * (OUTAGE_RECORDS - len(shown)), *shown),
            seconds_and_flags=bcd.encode(min(seconds, 99_999_999), 4),
            number=bcd.encode(min(long, 9999), 2),
        )

    def _change_log(self, command: Command) -> Block:
        entries = [Change(code=e.code, reader=e.reader, when=stamp(e.at)) for e in self.meter.log]
        return lay(ChangeLog, ordinary=(*(None,) * (16 - len(entries)), *entries))

    def _measurement(self, command: Command) -> Block:
        one = Ratio(numerator=1, denominator=1)
        num, den = self.meter.replays[0].constant
        return lay(
            Measurement,
            ratios=(one,) * 4,
            reactive_constant=one,
            fourth_starts=four_starts(self.meter.setup.posts.intermediate),
            instantaneous_available=1,
            pulse_constant=Ratio(numerator=num, denominator=den),
            consumer=self.meter.setup.consumer,
        )

    def _instantaneous(self, command: Command) -> Block:
        now = self.meter.local()
        watts, vars_ = self.meter.power()
        return instantaneous(stamp(now), watts, vars_, self.meter.setup.nominal_voltage, self.meter.seed)

    # -- writing -----------------------------------------------------------------------------------------------------

    def _demand_reset(self, command: Command) -> Block:
        self.meter.select(Group.of(command).group)
        self.meter.reset_demand(command.reader)
        return self._parameters(command)

    def _set_date(self, command: Command) -> Block:
        self.meter.set_date(SetDate.of(command).day, command.reader)
        return Block()

    def _set_time(self, command: Command) -> Block:
        self.meter.set_time(SetTime.of(command).time, command.reader)
        return Block()

    def _clear_occurrence(self, command: Command) -> Block:
        self.meter.clear_occurrence(ClearOccurrence.of(command).code, command.reader)
        return Block()


def _last_closes(closes: Sequence[Close]) -> tuple[Close, Close]:
    """The last close and the one before; a meter never closed shows its installation twice."""
    return closes[-1], closes[-2] if len(closes) > 1 else closes[-1]


def _channel(totals: Totals, second: Totals) -> ChannelRegisters:
    energy = {
        name: values[post] % _TOTAL_WRAP
        for post, label in ((Post.PEAK, "peak"), (Post.OFF_PEAK, "off_peak"), (Post.RESERVED, "reserved"))
        for name, values in ((label, totals.by_post), (f"{label}_second", second.by_post))
    }
    demand = {
        f"demand_{name}": values[post]
        for post, label in ((Post.PEAK, "peak"), (Post.OFF_PEAK, "off_peak"), (Post.RESERVED, "reserved"))
        for name, values in ((label, totals.maximum), (f"{label}_second", second.maximum))
    }
    return lay(
        ChannelRegisters,
        total=totals.total % _TOTAL_WRAP,
        demand_last=totals.last,
        accumulated=tuple(t.accumulated[p] % _DEMAND_WRAP for p in _MAXIMA for t in (totals, second)),
        **energy,
        **demand,
    )
