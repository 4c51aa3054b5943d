"""The reader's state machine: a table, no I/O (dossier abnt-nbr-14522 §5.3). A pair that is not listed raises.

An exchange begins in UNSYNC and ends in IDLE. The table says what to send; counting limits is the session's part, and
so is giving up: silence in UNSYNC and in the HOLD states ends the exchange, so it is not listed there.
ENQ means four things: "go ahead" (UNSYNC, HOLD), "left over from before the command" (SENT), "your signal did not reach
me" once the meter has answered (REPEAT, NEXT, NEXT_REPEAT), and there, when it goes on whatever we send, "I have given
up": the meter is idle again and has to be asked anew (FALLEN).
"""

from enum import Enum, auto
from typing import Final, NamedTuple


class State(Enum):
    UNSYNC = auto()  # waiting for ENQ before the command may be sent
    SENT = auto()  # command sent, nothing of the answer seen
    HOLD = auto()  # the meter said WAIT
    RECEIVING = auto()  # inside the first answer block
    REPEAT = auto()  # first block damaged, NAK sent
    NEXT = auto()  # composite: block acknowledged, the following one is due
    NEXT_HOLD = auto()  # the same after a WAIT
    NEXT_RECEIVING = auto()
    NEXT_REPEAT = auto()
    IDLE = auto()  # the last block is acknowledged


class Event(Enum):
    ENQ = auto()
    NAK = auto()
    WAIT = auto()
    JUNK = auto()  # an octet that is neither signal nor block start
    START = auto()  # first octet of a block
    MORE = auto()  # good block, others follow
    LAST = auto()  # good block, the only or last one
    REPEATED = auto()  # good block, already had: the ACK was lost
    DAMAGED = auto()  # CRC wrong, or a burst that does not even begin like a block
    GAP = auto()  # silence inside a block
    SILENCE = auto()  # nothing for as long as the state allows
    BLIND = auto()  # no ENQ on this link: send without
    UNHEARD = auto()  # directional: nothing yet, call the meter again
    FALLEN = auto()  # ENQ again and again where our signal should have brought a block


class Action(Enum):
    NOTHING = auto()
    COMMAND = auto()
    ACK = auto()
    NAK = auto()
    ALO = auto()


class Step(NamedTuple):
    state: State
    action: Action


class UnlistedError(RuntimeError):
    """An event that cannot happen in this state: our own mistake."""


def _same(state: State, *events: Event) -> dict[Event, Step]:
    return {event: Step(state, Action.NOTHING) for event in events}


TABLE: Final[dict[State, dict[Event, Step]]] = {
    State.UNSYNC: {
        Event.ENQ: Step(State.SENT, Action.COMMAND),
        Event.BLIND: Step(State.SENT, Action.COMMAND),
        Event.UNHEARD: Step(State.UNSYNC, Action.ALO),
        **_same(State.UNSYNC, Event.NAK, Event.WAIT, Event.JUNK),
    },
    State.SENT: {
        Event.NAK: Step(State.SENT, Action.COMMAND),
        Event.WAIT: Step(State.HOLD, Action.NOTHING),
        Event.START: Step(State.RECEIVING, Action.NOTHING),
        Event.DAMAGED: Step(State.REPEAT, Action.NAK),
        Event.SILENCE: Step(State.UNSYNC, Action.NOTHING),
        **_same(State.SENT, Event.ENQ, Event.JUNK),
    },
    State.HOLD: {
        Event.ENQ: Step(State.SENT, Action.COMMAND),
        Event.BLIND: Step(State.SENT, Action.COMMAND),
        Event.START: Step(State.RECEIVING, Action.NOTHING),
        Event.DAMAGED: Step(State.REPEAT, Action.NAK),
        **_same(State.HOLD, Event.WAIT, Event.NAK, Event.JUNK),
    },
    State.RECEIVING: {
        Event.LAST: Step(State.IDLE, Action.ACK),
        Event.MORE: Step(State.NEXT, Action.ACK),
        Event.DAMAGED: Step(State.REPEAT, Action.NAK),
        Event.GAP: Step(State.REPEAT, Action.NAK),
    },
    State.REPEAT: {
        Event.ENQ: Step(State.REPEAT, Action.NAK),
        Event.NAK: Step(State.REPEAT, Action.NAK),
        Event.DAMAGED: Step(State.REPEAT, Action.NAK),
        Event.FALLEN: Step(State.SENT, Action.COMMAND),
        Event.START: Step(State.RECEIVING, Action.NOTHING),
        Event.SILENCE: Step(State.UNSYNC, Action.NOTHING),
        **_same(State.REPEAT, Event.WAIT, Event.JUNK),
    },
    State.NEXT: {
        Event.ENQ: Step(State.NEXT, Action.ACK),
        Event.NAK: Step(State.NEXT, Action.ACK),
        Event.SILENCE: Step(State.NEXT, Action.ACK),
        Event.WAIT: Step(State.NEXT_HOLD, Action.NOTHING),
        Event.START: Step(State.NEXT_RECEIVING, Action.NOTHING),
        Event.DAMAGED: Step(State.NEXT_REPEAT, Action.NAK),
        Event.FALLEN: Step(State.SENT, Action.COMMAND),
        **_same(State.NEXT, Event.JUNK),
    },
    State.NEXT_HOLD: {
        Event.ENQ: Step(State.NEXT, Action.ACK),
        Event.BLIND: Step(State.NEXT, Action.ACK),
        Event.START: Step(State.NEXT_RECEIVING, Action.NOTHING),
        Event.DAMAGED: Step(State.NEXT_REPEAT, Action.NAK),
        **_same(State.NEXT_HOLD, Event.WAIT, Event.NAK, Event.JUNK),
    },
    State.NEXT_RECEIVING: {
        Event.LAST: Step(State.IDLE, Action.ACK),
        Event.MORE: Step(State.NEXT, Action.ACK),
        Event.REPEATED: Step(State.NEXT, Action.ACK),
        Event.DAMAGED: Step(State.NEXT_REPEAT, Action.NAK),
        Event.GAP: Step(State.NEXT_REPEAT, Action.NAK),
    },
    State.NEXT_REPEAT: {
        Event.ENQ: Step(State.NEXT_REPEAT, Action.NAK),
        Event.NAK: Step(State.NEXT_REPEAT, Action.NAK),
        Event.SILENCE: Step(State.NEXT_REPEAT, Action.NAK),
        Event.DAMAGED: Step(State.NEXT_REPEAT, Action.NAK),
        Event.FALLEN: Step(State.SENT, Action.COMMAND),
        Event.START: Step(State.NEXT_RECEIVING, Action.NOTHING),
        **_same(State.NEXT_REPEAT, Event.WAIT, Event.JUNK),
    },
    State.IDLE: {},
}

#: States in which a block may begin; elsewhere only signals are understood.
LISTENING: Final = frozenset(TABLE) - {State.UNSYNC, State.IDLE}
RECEIVING: Final = frozenset({State.RECEIVING, State.NEXT_RECEIVING})


def step(state: State, event: Event) -> Step:
    """Return where ``event`` leads and what to send; raises :class:`UnlistedError`."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise UnlistedError(f"event {event.name} cannot happen in state {state.name}") from None
