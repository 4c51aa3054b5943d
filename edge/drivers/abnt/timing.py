"""Timers and limits of a session, in seconds (dossier abnt-nbr-14522 §5.1)."""

from dataclasses import dataclass
from typing import Final

CHARACTER: Final = 10 / 9600  # Tcar: ten bits at 9600 bit/s
T_GAP: Final = CHARACTER + 0.005  # Tmaxcar: start bit to start bit inside one block
T_TURN: Final = CHARACTER + 0.001  # Tminrev: turnaround before answering
T_ENQ_MAX: Final = T_TURN + 0.5  # Tmaxenq: longest spacing of ENQ
T_SYNC: Final = T_TURN + 0.010  # Tmaxsinc: ENQ to first octet of the command
T_ANSWER: Final = T_TURN + 0.5  # Tmaxrsp: last octet sent to first octet received
T_HOLD: Final = 305.0  # Tsemwait: silence allowed after a WAIT

MAX_TRANSMISSIONS: Final = 7  # of one command without answer, and of one acknowledgement
MAX_NAKS: Final = 7  # for one block, either direction
MAX_WAITS: Final = 12  # for one block
MAX_ALOS: Final = 5  # calls of a directional meter
MAX_ENQS: Final = 3  # answered by a signal in vain: the meter does not wait for it, it is idle (own choice)
MAX_RESTARTS: Final = 2  # of one exchange with such a meter
MIN_BURST: Final = 8  # octets that mean nothing without a pause: a block whose first octet was damaged
MAX_JUNK: Final = 4096  # octets that mean nothing, in one exchange: a line that babbles is not a meter

#: Longest single wait: how soon a higher class of the line is noticed.
SLICE: Final = 0.5


@dataclass(frozen=True)
class LinkTiming:
    """What a kind of link adds to the standard's times.

    ``gap``: silence that ends a block cut short. ``block``: longest time from its first octet to its last, since a
    meter that waits for its ACK fills a block cut short with ENQ. ``answer``: silence before a command is sent again.
    ``enq``: how long ENQ may stay out before the link is taken as one without. ``quiet``: a damaged burst is over.
    ``turn``: pause before a signal is sent. ``again``: an ENQ sooner after a signal than this does not ask for it.
    """

    gap: float
    block: float
    answer: float
    enq: float
    quiet: float
    turn: float
    again: float
    hold: float = T_HOLD


LINKS: Final[dict[str, LinkTiming]] = {
    # the standard's own figures: a port with a driver that keeps milliseconds
    "strict": LinkTiming(
        gap=T_GAP, block=0.5, answer=T_ANSWER, enq=2 * T_ENQ_MAX, quiet=T_GAP, turn=T_TURN, again=T_TURN
    ),
    "serial": LinkTiming(gap=0.1, block=1.0, answer=0.8, enq=1.5, quiet=0.05, turn=T_TURN, again=0.1),
    # USB adapters deliver in bursts of some 16 ms, optical probes may sleep between
    "usb": LinkTiming(gap=0.25, block=1.0, answer=1.5, enq=2.0, quiet=0.1, turn=T_TURN, again=0.2),
    # networks delay and lump; field readers wait up to 20 s in all
    "tcp": LinkTiming(gap=2.0, block=3.0, answer=3.0, enq=4.0, quiet=0.3, turn=0.0, again=0.5),
}
