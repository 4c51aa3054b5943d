"""The state table: what is listed is reachable and leads somewhere; the rest raises."""

import pytest

from edge.drivers.abnt.states import LISTENING, RECEIVING, TABLE, Action, Event, State, UnlistedError, step


def test_every_state_is_reachable_and_can_end() -> None:
    reached = {State.UNSYNC}
    while new := {s.state for state in reached for s in TABLE[state].values()} - reached:
        reached |= new
    assert reached == set(State) == set(TABLE)
    ending = {State.IDLE}
    while new := {state for state in State if any(s.state in ending for s in TABLE[state].values())} - ending:
        ending |= new
    assert ending == set(State)


@pytest.mark.parametrize("state", State)
def test_unlisted_pairs_raise(state: State) -> None:
    for event in Event:
        if event in TABLE[state]:
            step(state, event)
        else:
            with pytest.raises(UnlistedError, match=state.name):
                step(state, event)


def test_what_is_sent() -> None:
    for state, row in TABLE.items():
        for event, following in row.items():
            if following.action is Action.COMMAND:
                assert following.state is State.SENT
                assert state in (State.UNSYNC, State.SENT, State.HOLD) or event is Event.FALLEN
            if event in (Event.DAMAGED, Event.GAP):
                assert following.action is Action.NAK
            if event in (Event.LAST, Event.MORE, Event.REPEATED):
                assert following.action is Action.ACK
                assert state in RECEIVING


def test_late_enq_is_skipped_before_an_answer_and_asks_for_the_ack_after_one() -> None:
    assert step(State.SENT, Event.ENQ) == (State.SENT, Action.NOTHING)
    assert step(State.NEXT, Event.ENQ) == (State.NEXT, Action.ACK)


def test_a_started_block_always_reaches_a_receiving_state() -> None:
    for state in LISTENING - RECEIVING:
        assert step(state, Event.START).state in RECEIVING
