"""The arbiter against a model that is too simple to be wrong: a sorted list."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.lines.arbiter import Arbiter, Ticket
from edge.lines.contract import LineClass

Steps = st.lists(
    st.tuples(st.sampled_from(["ask", "leave owner", "withdraw", "rest", "open"]), st.integers(0, 999)), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(Steps)
def test_owner_and_order_follow_class_then_arrival(steps: list[tuple[str, int]]) -> None:
    arbiter = Arbiter()
    owner: Ticket | None = None
    waiting: list[tuple[int, int, Ticket]] = []
    resting = False

    def next_owner() -> Ticket | None:
        """The best of those that wait; CCEE's alone while the line rests."""
        best = min(waiting, default=None)
        return None if best is None or (resting and best[0] != LineClass.CCEE) else best[2]

    for order, (step, number) in enumerate(steps):
        if step == "ask":
            line_class = LineClass(number % 4)
            ticket = arbiter.ask(line_class, str(order))
            waiting.append((line_class, order, ticket))
            owner = owner or next_owner()
            waiting = [entry for entry in waiting if entry[2] is not owner]
        elif step == "leave owner" and owner is not None:
            following = arbiter.leave(owner)
            owner = next_owner()
            waiting = [entry for entry in waiting if entry[2] is not owner]
            assert following is owner
        elif step == "withdraw" and waiting:
            gone = waiting.pop(number % len(waiting))[2]
            assert arbiter.leave(gone) is None
            assert arbiter.leave(gone) is None, "leaving twice changes nothing"
        elif step in ("rest", "open"):
            resting = step == "rest"
            following = arbiter.rest(resting)
            assert following is None or owner is None
            owner = owner or next_owner()
            waiting = [entry for entry in waiting if entry[2] is not owner]
        assert arbiter.owner is owner
        assert arbiter.ccee_waits == any(entry[0] == LineClass.CCEE for entry in waiting)
        assert len(arbiter) == len(waiting)
        if owner is not None:
            assert arbiter.must_yield(owner) == any(entry[0] < owner.line_class for entry in waiting)


def test_equal_class_never_preempts() -> None:
    arbiter = Arbiter()
    first = arbiter.ask(LineClass.PLANNED, "a")
    arbiter.ask(LineClass.PLANNED, "b")
    arbiter.ask(LineClass.BACKFILL, "c")
    assert not arbiter.must_yield(first)
    arbiter.ask(LineClass.COMMAND, "d")
    assert arbiter.must_yield(first)
