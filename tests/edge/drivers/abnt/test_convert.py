"""Clock, events, flags, scales: what decoded answers become."""

import struct
from array import array
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from edge.drivers.abnt.clock import GUARD, WallClock, wait_before_setting
from edge.drivers.abnt.convert import Channel, channels, register_values, snapshot
from edge.drivers.abnt.events import (
    battery_event,
    change_events,
    occurrence_event,
    outage_events,
    reset_event,
)
from edge.drivers.abnt.frames import Answer
from edge.drivers.abnt.layout import (
    Change,
    ChannelRegisters,
    Constant,
    Instantaneous,
    Outage,
    Parameters,
    ProfileWords,
    Registers,
)
from edge.drivers.abnt.memory import Memory
from edge.drivers.abnt.profile import Marks, blocks, join
from edge.drivers.abnt.quantities import measurand, profile_channel
from edge.drivers.abnt.reading import Held, Source, choose, held, partial_request
from edge.drivers.abnt.reconcile import Stream
from edge.drivers.abnt.settings import AbntSettings, PartialRequest
from edge.drivers.abnt.visit import GroupView
from edge.errors import ConfigError, ProtocolError
from ext import profile as codec
from ext.nibbles import pack
from shared.quality import Quality
from shared.wire import RegisterValue
from tests.edge.drivers.abnt import vectors

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
CLOCK = WallClock(SAO_PAULO, summer=False)


def stamp(*parts: int) -> datetime:
    """The meter's own wall clock has no zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


# -- clock -------------------------------------------------------------------------------------------------------------


def test_wall_clock_and_utc() -> None:
    assert CLOCK.present(stamp(2026, 11, 20, 0, 0)) == utc("2026-11-20T03:00:00")
    assert CLOCK.show(utc("2026-11-20T03:00:00") + 0.9) == stamp(2026, 11, 20, 0, 0)


def test_summer_time_is_what_the_meter_says_it_is() -> None:
    # the zone database knows none for Brazil since 2019; a meter left with it on is an hour ahead all the same
    ahead = WallClock(SAO_PAULO, summer=True)
    assert ahead.present(stamp(2026, 11, 20, 1, 0)) == utc("2026-11-20T03:00:00")
    assert ahead.show(utc("2026-11-20T03:00:00")) == stamp(2026, 11, 20, 1, 0)
    # in January 2018 zone and flag agreed
    assert ahead.present(stamp(2018, 1, 10, 12, 0)) == utc("2018-01-10T14:00:00")
    assert CLOCK.past(stamp(2018, 1, 10, 12, 0)) == utc("2018-01-10T14:00:00")


@pytest.mark.parametrize(
    ("meter", "target", "wait"),
    [
        (100, 130, 0),  # in the middle of an interval
        (895, 905, 10),  # the meter has not ended the interval yet: wait until it is well into the next
        (905, 895, 10),
        (2, 30, 3),
        (890, 896, 15),
        (100, 2000, 0),  # longer than an interval: cannot be helped
    ],
)
def test_the_clock_is_not_set_across_an_intervals_end(meter: int, target: int, wait: int) -> None:
    assert wait_before_setting(meter, target, 900) == wait
    if wait:
        low, high = sorted((meter + wait, target + wait))
        assert low // 900 == high // 900
        assert GUARD <= low % 900 <= high % 900 < 900 - GUARD


# -- quantities and scales ---------------------------------------------------------------------------------------------


def test_quantity_codes() -> None:
    assert [profile_channel(code) for code in (1, 10, 11, 14)] == ["1.29.0", "5.29.0", "8.29.0", "2.29.0"]
    assert [profile_channel(code) for code in (0, 6, 7, 99, None)] == [None] * 5
    assert measurand(36) == 236  # no code of its own: makers' range


def parameters(**changes: object) -> Parameters:
    constants = (Constant(numerator=2, denominator=1000),) * 3
    known = {"constants": constants, "quantities": (1, 10, 14), "demand_minutes": 15, **changes}
    return Parameters(**known)  # type: ignore[arg-type]


def test_registers_become_scaled_values_by_post() -> None:
    first = ChannelRegisters(
        total=1000, peak=100, peak_second=7, off_peak=900, demand_last=5, demand_peak=50, demand_off_peak_second=3
    )
    second = ChannelRegisters(total=300, peak=30, peak_second=11)
    third = ChannelRegisters(total=40)
    group = channels(parameters(), 0, AbntSettings())
    values = register_values(Registers(channels=(first, second, third), fourth=77, demand_fourth=6), group, 15)
    assert values["1.8.0"] == RegisterValue("1.8.0", 1000, 2, 1000)
    assert values["1.8.1"].value == 100
    assert values["1.8.4"].value == 77
    assert values["130.8.1"].value == 7  # UFER
    # 15 minutes: four times the pulses of an hour, so 50 pulses of 2 Wh are 0.4 kW
    assert values["1.6.1"] == RegisterValue("1.6.1", 50, 1, 125)
    assert values["130.6.2"].value == 3
    assert values["5.8.0"].value == 300
    assert values["7.8.1"].value == 11  # inductive, the other way
    assert values["2.8.0"].value == 40
    assert "1.8.0" in values
    assert not any(name.startswith("1.") and value.value == 0 for name, value in values.items() if name == "1.8.0")


def test_reverse_of_one_channel_does_not_overwrite_a_channel_of_its_own() -> None:
    group = (Channel(3, 1, 1, 1), Channel(4, 14, 1, 1), Channel(5, 0, 1, 1))
    registers = Registers(channels=(ChannelRegisters(peak_second=5), ChannelRegisters(peak=9), ChannelRegisters()))
    values = register_values(registers, group, None)
    assert values["2.8.1"].value == 9
    assert not any(name.split(".")[1] in ("2", "5", "6") for name in values)  # no demand without its interval


def test_constants_are_checked_against_the_expected_ones() -> None:
    expected: list[tuple[int, int]] = [(1, 500), (2, 1000), (2, 1000)]
    assert channels(parameters(), 0, AbntSettings(expected_constants=expected))[0].num == 2
    with pytest.raises(ConfigError, match=r"channel 2: the meter's constant is 2/1000, .* expects 3/1000"):
        channels(parameters(), 0, AbntSettings(expected_constants=[(1, 500), (3, 1000)]))
    blank = parameters(constants=(Constant(),) * 3)
    assert channels(blank, 0, AbntSettings(expected_constants=expected))[1] == Channel(1, 10, 2, 1000)
    with pytest.raises(ProtocolError, match="channel 1 records quantity 01 with constant 0/0"):
        channels(blank, 0, AbntSettings())


def test_quantities_of_the_settings_fill_what_the_meter_leaves_open() -> None:
    view = channels(parameters(quantities=(0, 10, 0)), 0, AbntSettings(quantities=[1, 2, 14]))
    assert [channel.code for channel in view] == [1, 10, 14]


def test_snapshot_of_a_real_meter() -> None:
    values = Instantaneous.decode(Answer.from_bytes(vectors.INSTANTANEOUS).body)
    found = snapshot(values, "m1", 5)
    floats = dict(zip(found.quantities, struct.unpack(f"<{len(found.quantities)}f", found.values), strict=True))
    assert floats["32.7.0"] == pytest.approx(129.299, abs=1e-3)
    assert floats["16.7.0"] == 5517.0
    assert floats["91.7.0"] == pytest.approx(0.017)
    assert floats["14.7.0"] == 60.0
    assert floats["171.7.0"] == 8.0


def test_absent_values_are_nan() -> None:
    found = snapshot(Instantaneous.decode(b"\x14" + bytes(4) + bytes(6) + b"\xff" * 245), "m1", 5)
    assert all(value != value for value in struct.unpack(f"<{len(found.quantities)}f", found.values))


# -- profile -----------------------------------------------------------------------------------------------------------


def made(words: list[int], marks: Marks = Marks(), *, reconciled: bool = True) -> tuple[list[int], list[int]]:  # noqa: B008
    stream = Stream(pack(array("H", words)), len(words) // 3, 9000, 900)
    group = (Channel(0, 1, 1, 10), Channel(1, 99, 1, 1), Channel(2, 11, 1, 10))
    found = blocks(stream, "high_first", group, (0, 10**10), marks, "m1", reconciled)
    assert [block.channel for block in found] == ["1.29.0", "8.29.0"]
    values, flags, step = codec.unpack(found[0].data)
    assert (step, found[0].start, found[0].num, found[0].den) == (900, stream.start, 1, 10)
    return list(values), list(flags)


def test_intervals_and_flags() -> None:
    words = [1, 0, 9, 2, 0, 9, 0xFFF, 0, 9, 4, 0, 9]  # intervals from 5400, 6300, 7200, 8100
    marks = Marks(outages=[(6300, 7200), (8100, 8100)], clock_sets=[5400, 9000])
    assert made(words, marks) == (
        [1, 2, 0xFFF, 4],
        [Quality.CLOCK_ADJUSTED, Quality.OUTAGE, Quality.OVERFLOW, Quality.OUTAGE],
    )
    assert made(words, reconciled=False)[1] == [Quality.UNRECONCILED] * 2 + [320] + [Quality.UNRECONCILED]
    assert made(words, Marks(doubtful_before=6301))[1][:3] == [4, 4, Quality.OVERFLOW]


def test_window_takes_whole_intervals_only() -> None:
    stream = Stream(pack(array("H", range(12))), 4, 9000, 900)
    group = (Channel(0, 1, 1, 1),)
    (block,) = blocks(stream, "high_first", group, (5401, 9000), Marks(), "m1", True)
    assert (block.start, block.count) == (6300, 3)
    assert blocks(stream, "high_first", group, (9000, 99999), Marks(), "m1", True) == []


def test_join_refuses_what_cannot_be_whole_intervals() -> None:
    body = ProfileWords.make(1, True, b"").answer(0x26, "12345678").body
    assert join([body], 165, 0, 900).count == 55
    with pytest.raises(ProtocolError, match="100 profile words"):
        join([body], 100, 0, 900)
    with pytest.raises(ProtocolError, match="1 profile blocks where 168 words need 2"):
        join([body], 168, 0, 900)


def test_spans_of_a_real_meter() -> None:
    view = GroupView(0, Parameters.decode(vectors.PARAMETERS), (), CLOCK, 0.0)
    span = held(view)
    assert span.closed_end == span.end == span.running_start == utc("2021-10-08T01:15:00")
    assert span.closed_start == utc("2021-10-01T03:00:00")


SPAN = Held(running_start=100 * 86400, end=110 * 86400, closed_start=70 * 86400, closed_end=100 * 86400)


@pytest.mark.parametrize(
    ("start", "end", "whole", "partial", "sources"),
    [
        (105, 110, True, False, (Source.RUNNING,)),
        (108, 110, True, True, (Source.PARTIAL,)),
        (101, 110, True, True, (Source.RUNNING,)),
        (80, 90, True, False, (Source.CLOSED,)),
        (80, 110, True, False, (Source.CLOSED, Source.RUNNING)),
        (10, 110, True, False, (Source.ALL,)),
        (10, 110, False, False, (Source.CLOSED, Source.RUNNING)),
        (110, 120, True, False, ()),
    ],
)
def test_the_answers_that_hold_the_range(
    start: int, end: int, whole: bool, partial: bool, sources: tuple[Source, ...]
) -> None:
    assert choose(SPAN, start * 86400, end * 86400, whole=whole, partial=partial) == sources


def test_partial_request() -> None:
    octets = partial_request(2, 12, PartialRequest(amount_octet=7, unit_octet=8, days=1))
    assert octets[:4].hex() == "00021201"
    assert len(octets) == 60


# -- events ------------------------------------------------------------------------------------------------------------


def test_outages_are_reported_once_when_they_ended() -> None:
    memory = Memory()
    one = Outage(start=stamp(2026, 11, 19, 1), end=stamp(2026, 11, 19, 2))
    running = Outage(start=stamp(2026, 11, 20, 1))
    (event,) = outage_events([one, one, running], "m1", CLOCK, memory)
    assert (event.kind, event.at, event.until) == ("outage", utc("2026-11-19T04:00:00"), utc("2026-11-19T05:00:00"))
    assert outage_events([one, running], "m1", CLOCK, memory) == []
    ended = Outage(start=running.start, end=stamp(2026, 11, 20, 1, 30))
    assert len(outage_events([one, ended], "m1", CLOCK, memory)) == 1


def test_changes_are_reported_once_with_their_reader() -> None:
    memory = Memory()
    clock = Change(code=0x30, reader="654321", when=stamp(2026, 11, 19, 2))
    holidays = Change(code=0x32, reader="000001", when=stamp(2026, 11, 19, 1))
    first, second = change_events([clock, holidays], "m1", CLOCK, memory)
    assert (first.kind, first.detail["code"], first.detail["name"]) == ("change", "32", "set holidays")
    assert (second.kind, second.detail["reader"]) == ("clock_set", "654321")
    assert change_events([clock, holidays], "m1", CLOCK, memory) == []


def test_resets_and_battery_are_reported_once() -> None:
    memory = Memory()
    bad = parameters(last_reset=stamp(2026, 11, 1), resets=7, battery=1)
    (event,) = reset_event(bad, "m1", CLOCK, memory)
    assert (event.kind, event.at, event.detail) == ("demand_reset", utc("2026-11-01T03:00:00"), {"resets": 7})
    assert reset_event(bad, "m1", CLOCK, memory) == []
    assert [e.kind for e in battery_event(bad, "m1", 1, memory)] == ["battery"]
    assert battery_event(bad, "m1", 2, memory) == []
    assert battery_event(parameters(), "m1", 3, memory) == []
    assert len(battery_event(bad, "m1", 4, memory)) == 1
    assert reset_event(parameters(), "m1", CLOCK, Memory()) == []


def test_occurrences() -> None:
    assert occurrence_event("m1", 1, 0x30, 0).kind == "battery"
    assert occurrence_event("m1", 1, 0x33, None).detail == {"code": "33", "sub_code": "00", "name": "clock"}
