"""The sending window alone: what goes out when, and that everything gets there whatever is lost on the way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.uplink._window import DOUBT_SECONDS, WAIT_MAX_SECONDS, WANT_SECONDS, Verdict, Window

BATCH = 10


def take(window: Window, last_seq: int, now: float) -> tuple[int, int] | None:
    """Send what is due, as a sender with batches of ten would."""
    span = window.next(last_seq, now)
    if span is None:
        return None
    first, last = span[0], min(span[1], span[0] + BATCH - 1)
    window.sent(first, last, now)
    return first, last


def drain(window: Window, last_seq: int, now: float) -> list[tuple[int, int]]:
    spans = []
    while span := take(window, last_seq, now):
        spans.append(span)
        assert len(spans) < 1000
    return spans


def test_the_window_opens_with_progress_and_closes_without() -> None:
    window = Window(0, limit=4, wait=10.0)
    assert drain(window, 1000, 0.0) == [(1, 10), (11, 20)]
    assert window.on_cursor(10, [], 1000, 1.0) is Verdict.FORWARD
    assert drain(window, 1000, 1.0) == [(21, 30), (31, 40)]
    assert window.on_cursor(40, [], 1000, 2.0) is Verdict.FORWARD
    assert len(drain(window, 1000, 2.0)) == 4
    assert window.due() == 12.0
    assert take(window, 1000, 11.9) is None
    assert drain(window, 1000, 12.0) == [(41, 50), (51, 60)], "again from the cursor, half as many"
    assert window.due() == 32.0, "and twice as patient"
    for _ in range(10):
        now = window.due() or 0.0
        assert drain(window, 1000, now)[0] == (41, 50)
    assert window.wait == WAIT_MAX_SECONDS
    assert window.out == 1
    window.on_cursor(50, [], 1000, now)
    assert window.wait == 10.0


def test_a_range_asked_for_goes_first_but_not_while_it_is_on_its_way() -> None:
    window = Window(0, limit=8, wait=60.0)
    window.on_cursor(0, [], 100, 0.0)
    assert drain(window, 100, 0.0) == [(1, 10), (11, 20)]
    window.on_cursor(0, [(1, 10)], 100, 0.5)
    window.on_cursor(0, [(1, 10)], 100, 0.6)
    assert take(window, 100, 0.7) is None
    assert window.due() == WANT_SECONDS
    assert drain(window, 100, WANT_SECONDS) == [(1, 10)]
    window.on_cursor(0, [(1, 15)], 100, 10.0)
    assert drain(window, 100, 10.0) == [(1, 10), (11, 15)]


def test_ranges_that_were_never_sent_or_make_no_sense_are_left_alone() -> None:
    window = Window(0, limit=8, wait=60.0)
    drain(window, 100, 0.0)
    window.on_cursor(0, [(50, 60), (5, 2), (-7, -1), (10**9, 10**12)], 100, 20.0)
    assert take(window, 100, 20.0) is None
    window.on_cursor(15, [(1, 10**12)], 100, 20.0)
    assert drain(window, 30, 30.0) == [(16, 20), (21, 30)]


def test_a_lower_cursor_is_doubted_probed_and_then_believed() -> None:
    window = Window(100, limit=8, wait=5.0)
    assert window.on_cursor(30, [], 100, 0.0) is Verdict.DOUBT
    assert window.on_cursor(30, [], 100, 5.0) is Verdict.DOUBT
    assert take(window, 100, DOUBT_SECONDS - 0.1) is None
    assert window.due() == DOUBT_SECONDS
    assert take(window, 100, DOUBT_SECONDS) == (31, 40)
    assert take(window, 105, DOUBT_SECONDS) == (101, 105), "new rows are not held up"
    assert window.cursor == 100
    assert window.on_cursor(40, [], 105, DOUBT_SECONDS + 1) is Verdict.BACK


def test_a_lower_cursor_that_is_contradicted_is_forgotten() -> None:
    window = Window(100, limit=8, wait=5.0)
    window.on_cursor(30, [], 100, 0.0)
    assert window.on_cursor(100, [], 100, 1.0) is Verdict.SAME
    assert take(window, 100, 60.0) is None
    assert window.due() is None
    window.on_cursor(30, [], 100, 100.0)
    assert take(window, 100, 100.0 + DOUBT_SECONDS) == (31, 40)
    assert window.on_cursor(100, [], 100, 111.0) is Verdict.SAME, "the answer to the probe"
    assert window.on_cursor(40, [], 100, 112.0) is Verdict.DOUBT


def test_a_cursor_beyond_everything_changes_nothing() -> None:
    window = Window(0, limit=8, wait=5.0)
    assert window.on_cursor(101, [(1, 2)], 100, 0.0) is Verdict.BEYOND
    assert window.cursor == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_everything_arrives_whatever_is_lost(data: st.DataObject) -> None:
    """Batches and answers are lost, doubled and late; the aggregator keeps a gap-free prefix. No row is forgotten."""
    window = Window(0, limit=4, wait=10.0)
    last_seq, held, now = 0, set[int](), 0.0
    answers: list[tuple[int, list[tuple[int, int]]]] = []
    faults = data.draw(st.integers(0, 40))
    for step in range(2000):
        now += 1.0
        if last_seq < 200:
            last_seq = min(last_seq + data.draw(st.integers(0, 30)), 200) if step < faults else 200
        for first, last in drain(window, last_seq, now):
            assert 1 <= first <= last <= last_seq
            if step < faults and data.draw(st.booleans()):
                continue
            held.update(range(first, last + 1))
            seq = next(n for n in range(last_seq + 2) if n + 1 not in held)
            beyond = [n for n in held if n > seq]
            answers.append((seq, [(seq + 1, min(beyond) - 1)] if beyond else []))
        while answers:
            place = data.draw(st.integers(0, len(answers) - 1)) if step < faults else 0
            seq, wants = answers.pop(place)
            if step < faults and data.draw(st.booleans()):
                continue
            before = window.cursor
            if window.on_cursor(seq, wants, last_seq, now) is Verdict.BACK:
                window.reset(seq)
            else:
                assert window.cursor == max(before, seq)
        if window.cursor == 200:
            break
    assert held == set(range(1, 201))
    assert window.cursor == 200
