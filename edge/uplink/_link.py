"""The state of the connection, and how long to stay away after which failure."""

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final

from edge.backoff import Backoff

#: A connection that lasted so long ends a series of failures; one that breaks sooner belongs to it (two gateways with
#: one name throw each other out within a second).
STABLE_SECONDS: Final = 5.0
#: A wrong password does not mend itself within seconds, and brokers lock out who keeps knocking.
REFUSED_BACKOFF: Final = Backoff(first=30.0, ceiling=900.0)
LINK_FIRST_SECONDS: Final = 0.5


class LinkState(Enum):
    STOPPED = "stopped"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"  # for the next try after a failure of the link
    REFUSED = "refused"  # waiting longer: the broker does not accept us, a person must look


@dataclass
class Link:
    """Counts failures in a row and names the delay; ``error`` is the last failure in words, "" while all is well."""

    ceiling: float
    random: Random = field(default_factory=Random)
    state: LinkState = LinkState.STOPPED
    error: str = ""
    failures: int = 0
    refusals: int = 0

    def connected(self) -> None:
        self.state, self.error = LinkState.CONNECTED, ""

    def failed(self, words: str, refused: bool, lasted: float) -> float:
        """Note a failure after ``lasted`` s of connection (0: it never came about); returns seconds to stay away."""
        self.error = words
        if lasted >= STABLE_SECONDS:
            self.failures = self.refusals = 0
        if refused:
            self.state = LinkState.REFUSED
            self.refusals += 1
            return REFUSED_BACKOFF.delay(self.refusals, self.random)
        self.state = LinkState.WAITING
        self.failures += 1
        return Backoff(LINK_FIRST_SECONDS, self.ceiling, jitter=0.5).delay(self.failures, self.random)
