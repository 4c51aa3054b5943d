"""Answers octet by octet, read with positions from the dossier rather than with the layouts that wrote them."""

import struct
from datetime import datetime

import pytest

from edge.simulators.abnt.posts import PostPlan
from edge.simulators.abnt.setup import MeterSetup
from tests.edge.simulators.rawreader import number, octets, words
from tests.edge.simulators.simmeter import OFFSET, SERIAL, Bench, local, utc


def stamp(body: bytes, first: int) -> datetime:
    return datetime.strptime(octets(body, first, first + 5).hex(), "%H%M%S%d%m%y")  # noqa: DTZ007 - wall clock


def floats(body: bytes, first: int, count: int) -> list[float]:
    return list(struct.unpack(f"<{count}f", octets(body, first, first + 4 * count - 1)))


def test_parameters() -> None:
    bench = Bench(at="2026-03-18 10:07:30")
    body = bench.one(0x21)
    assert octets(body, 1, 5).hex() == f"21{SERIAL}"
    assert stamp(body, 6) == datetime(2026, 3, 18, 10, 7, 30)  # noqa: DTZ001
    assert body[11] == 4  # Wednesday, Sunday = 1
    assert stamp(body, 13) == datetime(2026, 3, 18, 10, 0)  # noqa: DTZ001
    assert stamp(body, 19) == datetime(2026, 3, 1)  # noqa: DTZ001
    assert stamp(body, 25) == datetime(2026, 2, 1)  # noqa: DTZ001
    assert octets(body, 51, 58).hex() == "1800" * 4
    assert octets(body, 59, 66).hex() == "0600" + "2100" * 3
    assert octets(body, 67, 74).hex() == "0000" + "2200" * 3
    assert number(body, 75, 77) == 3 * (17 * 96 + 40)
    assert number(body, 81, 81) == 3  # Jan, Feb, March
    assert number(body, 82, 82) == number(body, 204, 204) == 15
    num, den = bench.meter.replays[0].constant
    for first in (129, 135, 141):
        assert (number(body, first, first + 2), number(body, first + 3, first + 5)) == (num, den)
    assert octets(body, 196, 198).hex() == "011011"
    assert octets(body, 156, 157).hex() == "0101"
    assert number(body, 247, 247) == 1
    assert len(body) == 256


def test_words_shrink_to_what_memory_holds() -> None:
    body = Bench(at="2026-03-18 10:07:30", days=5).one(0x21)
    assert number(body, 75, 77) == 3 * 5 * 96
    assert number(body, 78, 80) == 0
    body = Bench(at="2026-03-18 10:07:30", days=35).one(0x22)
    assert number(body, 78, 80) == 3 * (35 * 96 - (17 * 96 + 40))


@pytest.mark.parametrize("order", ["high_first", "low_first"])
def test_profile_blocks(order: str) -> None:
    bench = Bench(order=order)
    count = number(bench.one(0x21), 75, 77)
    blocks = [a.body for a in bench.ask(0x26)]
    assert len(blocks) == -(-count // 166)
    assert [number(b, 7, 7) + 100 * (b[5] & 15) for b in blocks] == list(range(1, len(blocks) + 1))
    assert [b[5] >> 4 for b in blocks] == [0] * (len(blocks) - 1) + [1]
    first = local("2026-03-01 00:00")
    replay = bench.meter.replays[0]
    assert words(blocks, count, low_first=order == "low_first") == [
        replay.value(channel, first + i * 900) for i in range(count // 3) for channel in range(3)
    ]
    assert not any(words(blocks, 10**6)[count:])  # padding


def test_closed_period_and_whole_memory() -> None:
    bench = Bench(days=80)
    count = number(bench.one(0x22), 78, 80)
    assert count == 3 * 28 * 96  # February
    replay = bench.meter.replays[0]
    february = words([a.body for a in bench.ask(0x27)], count)
    assert february[::3] == [replay.value(0, local("2026-02-01 00:00") + i * 900) for i in range(28 * 96)]
    everything = number(bench.one(0x51), 75, 77)
    assert everything == 3 * 80 * 96
    assert len(bench.ask(0x52)) == -(-everything // 166)
    assert number(bench.one(0x51, "00000201"), 75, 77) == 3 * 2 * 96  # two days
    assert number(bench.one(0x51, "00001200"), 75, 77) == 3 * 12 * 4  # twelve hours
    assert octets(bench.one(0x51, "00000A01"), 1, 6).hex() == f"40{SERIAL}46"  # no BCD
    assert words([a.body for a in bench.ask(0x52)], 3)[0] == replay.value(0, local("2026-03-17 22:00"))


def test_profile_keeps_to_the_counts_of_the_parameters_before_it() -> None:
    bench = Bench(days=5)
    count = number(bench.one(0x21), 75, 77)
    first = words([a.body for a in bench.ask(0x26)], count)
    bench.go("2026-03-18 10:16:00")  # an interval ends, and the oldest is overwritten
    later = [a.body for a in bench.ask(0x26)]
    assert words(later, count)[: count - 3] == first[3:]


def test_empty_profile_is_one_empty_last_block() -> None:
    bench = Bench()
    bench.one(0x20)
    (block,) = bench.ask(0x26)
    assert octets(block.body, 6, 256).hex() == "1001" + "00" * 249


def test_registers() -> None:
    bench = Bench()
    body = bench.one(0x23)
    current = bench.meter.measurement.current()
    for channel, first in enumerate((6, 80, 154)):
        totals = current[channel]
        assert number(body, first, first + 4) == totals.total
        assert number(body, first + 5, first + 9) == totals.by_post[1]
        assert number(body, first + 15, first + 19) == totals.by_post[2]
        assert number(body, first + 25, first + 29) == totals.by_post[3]
        assert number(body, first + 35, first + 37) == totals.last
        assert number(body, first + 38, first + 40) == totals.maximum[1]
        assert number(body, first + 44, first + 46) == totals.maximum[2]
        assert number(body, first + 56, first + 58) == totals.accumulated[1]
    excess = current[-1]
    assert number(body, 16, 20) == excess.by_post[1] > 0
    assert number(body, 47, 49) == excess.maximum[1]
    assert number(body, 90, 94) == 0  # reverse


def test_closed_registers_stay_while_running_ones_go_on() -> None:
    bench = Bench()
    bench.one(0x20)
    closed = bench.one(0x24)
    total = number(closed, 6, 10)
    bench.go("2026-03-18 14:00:00")
    assert bench.one(0x24) == closed
    assert number(bench.one(0x23), 6, 10) > total


def test_second_group() -> None:
    bench = Bench(groups=2)
    body = bench.one(0x21, "0001")
    assert octets(body, 196, 198).hex() == "141516"
    assert number(bench.one(0x23), 6, 10) == bench.meter.measurement.current()[3].total
    bench.one(0x21, "0000")
    assert number(bench.one(0x23), 6, 10) == bench.meter.measurement.current()[0].total
    assert octets(bench.one(0x21, "0002"), 1, 7).hex() == f"40{SERIAL}4600"


def test_demand_reset() -> None:
    bench = Bench()
    before = number(bench.one(0x21), 81, 81)
    body = bench.one(0x20)
    assert body[0] == 0x20
    assert number(body, 81, 81) == before + 1
    assert stamp(body, 19) == datetime(2026, 3, 18, 10, 7, 30)  # noqa: DTZ001
    assert number(body, 75, 77) == 0
    assert octets(bench.one(0x20), 1, 7).hex() == f"40{SERIAL}4500"  # protection period
    bench.go("2026-03-18 10:08:30")
    assert number(bench.one(0x20), 81, 81) == before + 2


def test_clock_writes_and_change_log() -> None:
    bench = Bench()
    assert octets(bench.one(0x30, "120000", "000777"), 1, 6).hex() == f"30{SERIAL}00"
    assert bench.meter.wall() == datetime(2026, 3, 18, 12, 0)  # noqa: DTZ001
    bench.one(0x29, "19032605")
    assert bench.meter.wall() == datetime(2026, 3, 19, 12, 0)  # noqa: DTZ001
    body = bench.one(0x28)
    newest, older = octets(body, 156, 165), octets(body, 146, 155)
    assert newest.hex() == "29123456" + "120000180326"
    assert older.hex() == "30000777" + "100730180326"
    assert not any(octets(body, 6, 145))
    for code, parameters in ((0x29, "31022606"), (0x29, "00000000"), (0x30, "250000"), (0x30, "aa0000")):
        assert octets(bench.one(code, parameters), 1, 6).hex() == f"40{SERIAL}46"


def test_change_log_keeps_sixteen() -> None:
    bench = Bench()
    for minute in range(20):
        bench.one(0x30, f"11{minute:02d}00")
    body = bench.one(0x28)
    assert all(body[i] == 0x30 for i in range(5, 165, 10))


def test_outage_records() -> None:
    gone, back = local("2026-03-10 10:05:00"), local("2026-03-10 10:50:00")
    old = (local("2026-02-10 10:00:00"), local("2026-02-10 10:01:00"))
    bench = Bench(outages=(old, (gone, back)), days=60)
    body = bench.one(0x25, "01")
    assert octets(body, 234, 245).hex() == "100500100326" + "105000100326"
    assert not any(octets(body, 6, 233))
    assert (number(body, 246, 249), number(body, 250, 251)) == (45 * 60, 1)
    body = bench.one(0x25, "00")
    assert octets(body, 234, 245).hex() == "100000100226" + "100100100226"
    assert (number(body, 246, 249), number(body, 250, 251)) == (60, 0)  # shorter than three minutes: not counted


def test_instantaneous_values_agree() -> None:
    bench = Bench()
    body = bench.one(0x14)
    assert stamp(body, 6) == datetime(2026, 3, 18, 10, 7, 30)  # noqa: DTZ001
    voltage, current = floats(body, 12, 3), floats(body, 36, 3)
    active, reactive, apparent = floats(body, 52, 4), floats(body, 68, 4), floats(body, 84, 4)
    for v, i, s, p, q in zip(voltage, current, apparent, active, reactive, strict=False):
        assert v * i == pytest.approx(s, rel=1e-5)
        assert p * p + q * q == pytest.approx(s * s, rel=1e-5)
        assert 0.9 * 220 < v < 1.1 * 220
    assert sum(active[:3]) == pytest.approx(active[3], rel=1e-5)
    pulses = bench.meter.replays[0].value(0, local("2026-03-18 10:00"))
    num, den = bench.meter.replays[0].constant
    assert active[3] == pytest.approx(pulses * num / den * 4 * 1000, rel=1e-6)  # kW = pulses x constant x 60 / 15
    assert floats(body, 132, 1)[0] == pytest.approx(active[0] / apparent[0], rel=1e-5)
    assert octets(body, 148, 151) == (b"LLLL" if reactive[3] > 0 else b"CCCC")
    assert floats(body, 184, 1)[0] == pytest.approx(60, abs=0.1)


def test_occurrence_blocks_until_cleared() -> None:
    bench = Bench()
    bench.meter.occurrence = (0x30, 7)
    assert octets(bench.one(0x21), 1, 7).hex() == f"40{SERIAL}3007"
    assert octets(bench.one(0x37, "31"), 1, 6).hex() == f"40{SERIAL}46"
    assert bench.one(0x37, "30")[0] == 0x37
    assert bench.one(0x21)[0] == 0x21
    assert bench.one(0x37, "30")[0] == 0x37  # nothing left to clear is no error


@pytest.mark.parametrize("code", [0x12, 0x31, 0x38, 0x63, 0x77, 0x98, 0xAB, 0xE2])
def test_unknown_codes(code: int) -> None:
    assert octets(Bench().one(code), 1, 6).hex() == f"39{SERIAL}{code:02x}"


def test_measurement_parameters() -> None:
    bench = Bench(consumer="1234567890", posts=PostPlan())
    body = bench.one(0x80)
    assert octets(body, 203, 212) == b"1234567890"
    assert (number(body, 197, 199), number(body, 200, 202)) == bench.meter.replays[0].constant


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"serial": "123"}, "'123' is not 8 digits"),
        ({"serial": "1234567x"}, "not 8 digits"),
        ({"step": 60}, "interval of 60 s"),
        ({"groups": 3}, "3 channel groups"),
        ({"days": 600}, "600 days"),
        ({"automatic_reset": (31, 0)}, "automatic reset"),
    ],
)
def test_setup_is_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeterSetup(**{"serial": SERIAL, **settings})  # type: ignore[arg-type]


def test_drift_and_speed() -> None:
    from edge.simulators.abnt.clock import MeterClock
    from tests.edge.simulators.simmeter import HandClock

    hand = HandClock(1000.0)
    clock = MeterClock(hand, start=utc("2026-01-01"), offset=5, drift_ppm=100, speed=60)
    assert clock.now() == utc("2026-01-01") + 5
    hand.now += 3600
    assert clock.now() == pytest.approx(utc("2026-01-01") + 5 + 216_000 * 1.0001)
    clock.set(100.0)
    hand.now += 1
    assert clock.now() == pytest.approx(160.006)
    with pytest.raises(ValueError, match="speed 0"):
        MeterClock(speed=0)


def test_offset_is_the_wall_clocks() -> None:
    bench = Bench(at="2026-03-18 10:07:30")
    assert bench.meter.clock.now() + OFFSET == utc("2026-03-18 10:07:30")
