"""Meter states: one event per transition, whatever happens in between, restarts included."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import LinkError, NoiseError, PreemptedError, ProtocolError, SilenceError, WrongMeterError
from edge.poller.health import FAILING_SECONDS, Health, State
from edge.poller.seen import KEPT, Seen
from shared.wire import MeterEvent, RegisterReading, RegisterValue

ERRORS = [
    SilenceError("s"),
    LinkError("l"),
    NoiseError("n"),
    WrongMeterError("1", "2"),
    PreemptedError("p"),
    ProtocolError("x"),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(-4, len(ERRORS) - 1), st.booleans()), max_size=60))
def test_events_alternate(steps: list[tuple[int, int, bool]]) -> None:
    health, now, kinds = Health("m"), 1000.0, list[str]()
    for seconds, error, restart in steps:
        now += seconds
        events = health.succeeded(now) if error < 0 else health.failed(now, ERRORS[error])
        kinds += [event.kind for event in events]
        if restart:
            stored = health.dump()
            health = Health("m")
            health.load(stored)
    for first, second in pairwise(kinds):
        assert first != second, "a transition is told once"
        assert "meter_back" in (first, second) or {first, second} == {"meter_unreachable", "wrong_serial"}
    assert not kinds or kinds[0] != "meter_back"


def test_unreachable_takes_failures_and_time() -> None:
    health = Health("m")
    for second in range(10):
        assert health.failed(second, SilenceError("x")) == []
    events = health.failed(FAILING_SECONDS, SilenceError("no answer"))
    assert [(event.kind, event.detail["reason"]) for event in events] == [("meter_unreachable", "no answer")]
    assert health.failed(FAILING_SECONDS + 60, SilenceError("x")) == []
    back = health.succeeded(FAILING_SECONDS + 90)
    assert back[0].detail == {"after": "unreachable", "since": 0}


def test_preemption_is_nobodys_fault() -> None:
    health = Health("m")
    for second in range(0, 10_000, 100):
        assert health.failed(second, PreemptedError("x")) == []
    assert health.state is State.NEW
    assert health.error == ""


def test_shown_states() -> None:
    health = Health("m")
    assert health.shown(0, 60) == "new"
    health.succeeded(1000)
    assert health.shown(1100, 60) == "ok"
    assert health.shown(1181, 60) == "stale"
    assert health.shown(99999, 0) == "ok"
    health.notice([MeterEvent("m", 0, "unreconciled")])
    assert health.shown(1100, 60) == "unreconciled"
    health.notice([MeterEvent("m", 0, "reconciled")])
    assert health.shown(1100, 60) == "ok"


def test_damaged_stored_state_is_a_fresh_start() -> None:
    health = Health("m")
    health.load({"state": "confused", "last_ok": "yesterday"})
    assert health == Health("m")


def outage(at: int) -> MeterEvent:
    return MeterEvent("m", at, "outage", at + 60)


def test_only_what_is_new_travels() -> None:
    seen = Seen()
    assert len(seen.fresh([outage(1), outage(2), outage(1)])) == 2
    again = Seen(seen.dump())
    assert again.fresh([outage(1), outage(2), outage(3)]) == [outage(3)]


def test_running_registers_always_travel_closed_ones_once() -> None:
    seen = Seen()
    values = [RegisterValue("1.8.0", 5)]
    running, closed = RegisterReading("m", 1, 2, 0, values), RegisterReading("m", 1, 2, 1, values)
    closed_later = RegisterReading("m", 1, 99, 1, values)
    assert seen.fresh([running, closed]) == [running, closed]
    assert seen.fresh([running, closed_later]) == [running]


def test_fingerprints_are_bounded_and_recent_ones_stay() -> None:
    seen = Seen()
    for at in range(3 * KEPT):
        assert seen.fresh([outage(10_000), outage(at)])[-1] == outage(at)
    assert len(seen.dump()) == KEPT
    assert seen.fresh([outage(10_000)]) == []
