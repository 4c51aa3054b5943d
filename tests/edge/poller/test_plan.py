"""The planner as a pure machine: grid, stagger, penalties, back-fill's share, clocks that jump."""

from collections import Counter
from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.model import Schedule
from edge.errors import (
    BusyError,
    EdgeError,
    LinkError,
    NoiseError,
    NotPermittedError,
    PreemptedError,
    ProtocolError,
    RefusedError,
    RetryError,
    SilenceError,
    WrongMeterError,
)
from edge.poller.plan import BACKFILL_SHARE, Backfill, Plan, Visit, Wait
from edge.poller.policy import PENALTIES, Scope, penalty_of
from edge.poller.schedule import SETTLE, SPREAD, Kind, after_window, next_due, offset_of, periods

START = 1_700_000_100.0
EVERY = periods(Schedule())


@given(st.floats(0, 4e9), st.integers(1, 86400 * 30), st.integers(0, 1000))
def test_next_due_is_on_the_grid_and_the_very_next(after: float, period: int, offset: int) -> None:
    due = next_due(after, period, offset)
    assert (due - offset) % period == 0
    assert after < due <= after + period


@given(st.text("abcdefMG-0123456789", min_size=1, max_size=20))
def test_offset_is_fixed_and_within_the_spread(meter: str) -> None:
    assert offset_of(meter) == offset_of(meter)
    assert SETTLE <= offset_of(meter) < SETTLE + SPREAD


def test_meters_are_spread_over_the_grid() -> None:
    thirds = Counter((offset_of(f"MG-{number:04}") - SETTLE) * 3 // SPREAD for number in range(300))
    assert min(thirds.values()) > 60


def test_profile_is_asked_for_just_after_the_quarter_hour() -> None:
    plan = Plan(Random(1))
    plan.add("m", {Kind.PROFILE: 900}, START)
    plan.done("m", Kind.PROFILE, START)
    now = START
    while isinstance(plan.next(now), Wait):
        now += 1
    assert SETTLE <= now % 900 <= SETTLE + SPREAD + 1


def test_switched_off_kinds_are_never_due() -> None:
    assert periods(Schedule(instantaneous=0, clock=0)).keys() == {Kind.PROFILE, Kind.REGISTERS, Kind.EVENTS}
    plan = Plan()
    plan.add("m", {}, START)
    assert isinstance(plan.next(START + 1e6), Wait)


def run(plan: Plan, start: float, seconds: float, cost: float = 1.0) -> list[tuple[float, Visit | Backfill]]:
    """Drive a plan with visits that always succeed and take ``cost`` s per kind."""
    now = start
    done: list[tuple[float, Visit | Backfill]] = []
    while now < start + seconds:
        step = plan.next(now)
        if isinstance(step, Wait):
            now += step.seconds
        elif isinstance(step, Backfill):
            done.append((now, step))
            now += cost
            plan.backfilled(step.meter)
        else:
            done.append((now, step))
            for kind in step.kinds:
                now += cost
                plan.done(step.meter, kind, now)
    return done


def test_a_day_of_one_meter_has_every_reading_once_per_period() -> None:
    plan = Plan(Random(1))
    plan.add("m", EVERY, START)
    visits = run(plan, START, 86400, cost=0.2)
    counted = Counter(kind for _, visit in visits if isinstance(visit, Visit) for kind in visit.kinds)
    assert 96 <= counted[Kind.PROFILE] <= 98
    assert 24 <= counted[Kind.REGISTERS] <= 26
    assert 1440 <= counted[Kind.INSTANTANEOUS] <= 1442
    assert counted[Kind.CLOCK] in (1, 2)
    assert len(visits) <= counted[Kind.INSTANTANEOUS] + 3, "what is due together is read in one visit"


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.floats(0.05, 5.0), st.integers(0, 10_000))
def test_an_overloaded_line_serves_all_meters_alike(meters: int, cost: float, seed: int) -> None:
    plan = Plan(Random(seed))
    for number in range(meters):
        plan.add(f"MG-{seed}-{number}", {Kind.INSTANTANEOUS: 60}, START)
    visits = Counter(step.meter for _, step in run(plan, START, 3600, cost))
    assert len(visits) == meters
    assert max(visits.values()) - min(visits.values()) <= 2


def test_a_stall_is_not_made_up_for() -> None:
    plan = Plan(Random(1))
    plan.add("m", {Kind.INSTANTANEOUS: 60}, START)
    run(plan, START, 120)
    later = START + 86400
    assert len(run(plan, later, 59)) <= 2


def test_backfill_waits_for_planned_readings_but_not_for_ever() -> None:
    plan = Plan(Random(1))
    for number in range(30):
        plan.add(f"m{number}", {Kind.INSTANTANEOUS: 60}, START)
    plan.want_backfill("m3", True)
    plan.want_backfill("m4", True)
    steps = run(plan, START, 3600, cost=3.0)  # 90 s of work per minute: never idle
    fills = [(at, step.meter) for at, step in steps if isinstance(step, Backfill)]
    assert len(fills) >= 3600 / (BACKFILL_SHARE + 6) - 1
    assert {meter for _, meter in fills} == {"m3", "m4"}
    assert len(fills) < len(steps) / 20


def test_backfill_uses_an_idle_line_at_once() -> None:
    plan = Plan(Random(1))
    plan.add("m", {Kind.PROFILE: 900}, START)
    plan.done("m", Kind.PROFILE, START)
    plan.want_backfill("m", True)
    assert plan.next(START) == Backfill("m")
    assert plan.next(START + 1) == Backfill("m")
    plan.want_backfill("m", False)
    assert isinstance(plan.next(START + 2), Wait)


@pytest.mark.parametrize("error", [SilenceError("x"), NoiseError("x"), BusyError("x"), WrongMeterError("1", "2")])
def test_errors_of_the_meter_hold_all_its_kinds_and_grow_to_a_ceiling(error: EdgeError) -> None:
    plan = Plan(Random(1))
    plan.add("m", EVERY, START)
    backoff = penalty_of(error).backoff
    now, delays = START, []
    for _ in range(14):
        delay = plan.failed("m", Kind.PROFILE, now, error)
        delays.append(delay)
        assert isinstance(plan.next(now + delay - 0.01), Wait)
        now += delay + 0.01
    assert all(delay <= backoff.ceiling for delay in delays)
    assert delays[-1] >= backoff.ceiling * 0.75
    assert delays[0] <= backoff.first
    plan.done("m", Kind.PROFILE, now)
    assert plan.failed("m", Kind.PROFILE, now, error) <= backoff.first, "success forgives"


@pytest.mark.parametrize(
    "error", [ProtocolError("x"), RefusedError(0x28, 0x39, None, "unknown"), NotPermittedError("x")]
)
def test_errors_a_person_must_end_hold_one_kind_for_long(error: EdgeError) -> None:
    plan = Plan(Random(1))
    plan.add("m", {Kind.PROFILE: 900, Kind.EVENTS: 60}, START)
    assert plan.failed("m", Kind.EVENTS, START, error) >= 1000
    assert plan.quarantined("m") == ["events"]
    seen: Counter[Kind] = Counter()
    for _, step in run(plan, START + 60, 1200):
        assert isinstance(step, Visit)
        seen.update(step.kinds)
    assert seen[Kind.EVENTS] == 0
    assert seen[Kind.PROFILE] >= 1


@pytest.mark.parametrize("error", [PreemptedError("x"), LinkError("x")])
def test_errors_of_nobody_leave_the_plan_alone(error: EdgeError) -> None:
    plan = Plan(Random(1))
    plan.add("m", {Kind.PROFILE: 900}, START)
    now = START + 15
    step = plan.next(now)
    assert plan.failed("m", Kind.PROFILE, now, error) == 0
    assert plan.next(now) == step == Visit("m", (Kind.PROFILE,))


def test_every_error_class_has_a_penalty() -> None:
    for error in (RetryError("x"), EdgeError("x"), RuntimeError("a bug")):
        assert penalty_of(error).scope is Scope.KIND
    assert {kind for kind, _ in PENALTIES} >= {SilenceError, LinkError, WrongMeterError}


@settings(max_examples=60, deadline=None)
@given(st.floats(-400 * 86400, 400 * 86400), st.booleans())
def test_a_clock_that_jumps_does_not_stop_the_readings(jump: float, failing: bool) -> None:
    plan = Plan(Random(1))
    plan.add("m", {Kind.INSTANTANEOUS: 60, Kind.PROFILE: 900}, START)
    run(plan, START, 300)
    if failing:
        plan.failed("m", None, START + 300, SilenceError("x"))
    after = START + 300 + jump
    steps = run(plan, after, 2000)
    assert any(Kind.PROFILE in step.kinds for _, step in steps if isinstance(step, Visit))
    assert sum(isinstance(step, Visit) for _, step in steps) >= 15


SAO_PAULO = ZoneInfo("America/Sao_Paulo")  # UTC-3


@pytest.mark.parametrize(
    ("at", "window", "free"),
    [
        ("02:59", "00:00-10:00", "02:59"), ("03:00", "00:00-10:00", "13:00"), ("12:59", "00:00-10:00", "13:00"),
        ("13:00", "00:00-10:00", "13:00"), ("05:00", "", "05:00"), ("01:30", "22:00-06:00", "09:00"),
        ("08:59", "22:00-06:00", "09:00"), ("09:00", "22:00-06:00", "09:00"), ("05:00", "02:00-02:00", "05:00"),
    ],
)  # fmt: skip
def test_the_window_of_ccee(at: str, window: str, free: str) -> None:
    def utc(text: str) -> float:
        return datetime(2026, 3, 18, int(text[:2]), int(text[3:]), tzinfo=UTC).timestamp()

    assert after_window(utc(at), window, SAO_PAULO) == utc(free)
    late = datetime(2026, 3, 18, 1, 30, tzinfo=UTC).timestamp()  # 22:30 of the day before
    assert after_window(late, "22:00-06:00", SAO_PAULO) == utc("09:00")


def test_mass_memory_keeps_out_of_the_window_and_all_else_goes_on() -> None:
    """Two days of a plan whose meter CCEE reads over the same line: whatever is missing then is read afterwards."""
    plan, now = Plan(Random(1)), datetime(2026, 3, 18, 12, tzinfo=UTC).timestamp()
    plan.add("m1", EVERY, now, lambda at: after_window(at, "00:00-10:00", SAO_PAULO))
    plan.want_backfill("m1", True)
    end, seen = now + 2 * 86400, Counter[tuple[str, bool]]()
    while now < end:
        step = plan.next(now)
        hour = datetime.fromtimestamp(now, SAO_PAULO).hour
        if isinstance(step, Visit):
            for kind in step.kinds:
                seen[kind.value, hour < 10] += 1
                plan.done("m1", kind, now)
            now += 1
        elif isinstance(step, Backfill):
            seen["backfill", hour < 10] += 1
            plan.backfilled("m1")
            now += 30
        else:
            now += step.seconds
    assert seen["profile", True] == seen["backfill", True] == 0
    assert seen["profile", False] >= 2 * 14 * 4 - 8
    assert seen["backfill", False] > 100
    assert seen["instantaneous", True] > 1000
    assert seen["registers", True] >= 18
