"""Registers, maxima, profile memory: against sums made here from the replay."""

from datetime import date, time

import pytest

from edge.simulators.abnt.posts import PostPlan, PostTable, Rule
from edge.simulators.load import Channel
from shared.quantities import Post
from tests.edge.simulators.simmeter import OFFSET, Bench, local, utc

STEP = 900


def expected(bench: Bench, channel: int, first: str, end: str) -> list[int]:
    replay = bench.meter.replays[channel // 3]
    return [replay.value(channel % 3, start) for start in range(local(first), local(end), STEP)]


def test_memory_equals_the_replay_value_for_value() -> None:
    bench = Bench(days=35, groups=2)
    first, end = bench.meter.memory()
    assert end == local("2026-03-18 10:00")
    assert (end - first) // STEP == 35 * 96
    for channel in range(6):
        replay = bench.meter.replays[channel // 3]
        for start in range(first, end, STEP):
            assert bench.meter.recorded(channel, start) == replay.value(channel % 3, start)
    assert bench.meter.recorded(0, first - STEP) is None
    assert bench.meter.recorded(0, end) is None


def test_total_counts_from_installation_and_runs_within_the_interval() -> None:
    bench = Bench()
    whole = sum(expected(bench, 0, "2025-12-01 00:00", "2026-03-18 10:00"))
    present = bench.meter.replays[0].value(0, local("2026-03-18 10:00"))
    totals = bench.meter.measurement.current()[0]
    assert totals.total == whole + present * 450 // STEP
    assert totals.last == bench.meter.replays[0].value(0, local("2026-03-18 09:45"))
    assert sum(totals.by_post) == totals.total


def test_a_meter_started_again_goes_on_where_it_was() -> None:
    running = Bench(at="2026-03-17 00:00:00", days=10)
    for at in ("2026-03-17 00:14:59", "2026-03-17 00:15:00", "2026-03-17 06:01:01", "2026-03-18 10:07:30"):
        running.go(at)
        running.meter.local()
    again = Bench(at="2026-03-18 10:07:30", days=10)
    assert running.meter.measurement.current() == again.meter.measurement.current()
    assert running.meter.memory() == again.meter.memory()
    assert running.meter.measurement.memory == again.meter.measurement.memory


def test_posts_split_the_day() -> None:
    bench = Bench(at="2026-03-18 23:59:59")  # a Wednesday
    before = Bench(at="2026-03-18 00:00:00").meter.measurement.current()[0]
    bench.go("2026-03-19 00:00:00")
    bench.meter.local()
    day = bench.meter.measurement.current()[0]
    parts = {
        Post.RESERVED: [("00:00", "06:00"), ("22:00", "24:00")],
        Post.OFF_PEAK: [("06:00", "18:00"), ("21:00", "22:00")],
        Post.PEAK: [("18:00", "21:00")],
        Post.INTERMEDIATE: [],
    }
    for post, spans in parts.items():
        values = [
            v
            for first, end in spans
            for v in expected(
                bench, 0, f"2026-03-18 {first}", f"2026-03-18 {end}" if end != "24:00" else "2026-03-19 00:00"
            )
        ]
        assert day.by_post[post] - before.by_post[post] == sum(values)


def test_weekend_and_holiday_are_off_peak() -> None:
    plan = PostPlan(holidays=(date(2026, 4, 21),))
    table = PostTable(plan, STEP)

    def post(text: str) -> Post:
        return table.run(utc(text))[0]

    assert post("2026-04-20 19:00") is Post.PEAK
    assert post("2026-04-21 19:00") is Post.OFF_PEAK  # holiday
    assert post("2026-04-25 19:00") is Post.OFF_PEAK  # Saturday
    assert post("2026-04-26 19:00") is Post.OFF_PEAK  # Sunday
    assert PostTable(PostPlan(saturday=Rule.ALL), STEP).run(utc("2026-04-25 19:00"))[0] is Post.PEAK
    assert table.run(utc("2026-04-20 23:00")) == (Post.RESERVED, utc("2026-04-21 00:00"))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PostPlan(peak=(time(18, 5),)), "PEAK starts at 18:05:00, which is no interval start of 900 s"),
        (PostPlan(off_peak=()), "at least one off-peak"),
        (PostPlan(peak=tuple(time(h) for h in range(5))), "5 starts of post PEAK"),
        (PostPlan(holidays=tuple(date(2026, 1, d) for d in range(1, 17))), "16 holidays"),
    ],
)
def test_plan_is_checked(plan: PostPlan, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PostTable(plan, STEP)


def test_automatic_reset_closes_the_month() -> None:
    bench = Bench(at="2026-03-31 23:59:59", days=60)
    resets = bench.meter.measurement.resets
    bench.go("2026-04-01 00:00:00")
    bench.meter.local()
    measured = bench.meter.measurement
    assert measured.resets == resets + 1
    assert measured.closes[-1].at == local("2026-04-01 00:00") + OFFSET
    assert measured.closed() == (local("2026-03-01 00:00") + OFFSET, local("2026-04-01 00:00") + OFFSET)
    march = expected(bench, 0, "2026-03-01 00:00", "2026-04-01 00:00")
    closed = measured.closed_totals[0]
    assert max(closed.maximum) == max(march)
    top = march.index(max(march))
    assert max(closed.maximum_at) == local("2026-03-01 00:00") + OFFSET + (top + 1) * STEP
    fresh = measured.current()[0]
    assert fresh.maximum == [0] * 5
    assert fresh.accumulated == [a + m for a, m in zip(closed.accumulated, closed.maximum, strict=True)]
    assert fresh.total == closed.total


def test_reset_by_hand_leaves_the_open_interval_to_the_new_period() -> None:
    bench = Bench(at="2026-03-18 10:07:30")
    bench.meter.reset_demand("123456")
    measured = bench.meter.measurement
    assert measured.closed()[1] == local("2026-03-18 10:00") + OFFSET
    assert measured.running() == (measured.closed()[1],) * 2
    bench.go("2026-03-18 10:15:00")
    bench.meter.local()
    assert measured.running()[1] - measured.running()[0] == STEP
    start = local("2026-03-18 10:00")
    assert bench.meter.recorded(0, start) == bench.meter.replays[0].value(0, start)


def test_outage_leaves_what_was_counted_and_zeros() -> None:
    gone, back = local("2026-03-10 10:05:00"), local("2026-03-10 10:50:00")
    bench = Bench(outages=((gone, back),))
    untouched = Bench()

    def value(text: str, of: Bench = bench) -> int | None:
        return of.meter.recorded(0, local(f"2026-03-10 {text}"))

    plain = value("10:00", untouched)
    assert plain is not None
    assert value("10:00") == plain * 300 // STEP
    assert (value("10:15"), value("10:30")) == (0, 0)
    rest = value("10:45", untouched)
    assert rest is not None
    assert value("10:45") == rest - rest * 300 // STEP
    assert value("11:00") == value("11:00", untouched)
    lost = untouched.meter.measurement.current()[0].total - bench.meter.measurement.current()[0].total
    recorded = sum((value(t, untouched) or 0) - (value(t) or 0) for t in ("10:00", "10:15", "10:30", "10:45"))
    assert lost == recorded > 0
    assert [tuple(o) for o in bench.meter.measurement.outages] == [(gone + OFFSET, back + OFFSET)]


def test_meter_is_mute_during_an_outage() -> None:
    planned = Bench(outages=((local("2026-03-18 11:00"), local("2026-03-18 12:00")),))
    assert planned.meter.powered
    planned.go("2026-03-18 11:30:00")
    assert not planned.meter.powered
    planned.go("2026-03-18 12:00:00")
    assert planned.meter.powered

    live = Bench()
    live.meter.power_off()
    live.go("2026-03-18 10:31:00")
    assert not live.meter.powered
    live.meter.power_on()
    assert live.meter.powered
    assert len(live.meter.measurement.outages) == 1
    assert live.meter.recorded(0, local("2026-03-18 10:15")) == 0


def test_clock_forward_shortens_back_lengthens() -> None:
    start = local("2026-03-18 10:00")
    untouched = Bench().meter.replays[0].value(Channel.ACTIVE, start)

    forward = Bench()
    forward.meter.set_time(time(10, 12, 30), "000001")
    forward.go("2026-03-18 10:10:00")  # meter shows 10:15:00
    assert forward.meter.wall().time() == time(10, 15)
    assert forward.meter.recorded(0, start) == untouched * 450 // STEP + untouched - untouched * 750 // STEP

    back = Bench()
    back.meter.set_time(time(10, 2, 30), "000001")
    back.go("2026-03-18 10:20:00")  # meter shows 10:15:00
    assert back.meter.recorded(0, start) == untouched * 450 // STEP + untouched - untouched * 150 // STEP

    far = Bench()
    far.meter.set_time(time(9, 50), "000001")
    far.go("2026-03-18 10:24:00")  # meter shows 10:06:30, the interval from 10:00 is still open
    assert far.meter.recorded(0, start) is None
    far.go("2026-03-18 10:33:00")
    recorded = far.meter.recorded(0, start)
    assert recorded is not None
    assert recorded > untouched
    assert far.meter.memory()[1] == local("2026-03-18 10:15")


def test_words_interleave_three_channels() -> None:
    bench = Bench(groups=2)
    first, end = local("2026-03-17 00:00"), local("2026-03-17 01:00")
    words = bench.meter.measurement.words(range(3, 6), (first + OFFSET, end + OFFSET))
    replay = bench.meter.replays[1]
    assert list(words) == [replay.value(c, s) for s in range(first, end, STEP) for c in range(3)]


@pytest.mark.parametrize("step", [300, 1800, 3600])
def test_other_intervals(step: int) -> None:
    bench = Bench(step=step, days=7)
    first, end = bench.meter.memory()
    assert (end - first) // step == 7 * 86400 // step
    replay = bench.meter.replays[0]
    assert [bench.meter.recorded(0, s) for s in range(first, end, step)] == [
        replay.value(0, s) for s in range(first, end, step)
    ]
