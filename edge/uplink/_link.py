"""The state of the connection, and how long to stay away after which failure."""

import ssl
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.backoff import Backoff

#: A connection that lasted so long ends a series of failures; one that breaks sooner belongs to it (two gateways with
#: one name throw each other out within a second).
STABLE_SECONDS: Final = 5.0
#: A wrong password does not mend itself within seconds, and brokers lock out who keeps knocking.
REFUSED_BACKOFF: Final = Backoff(first=30.0, ceiling=900.0)
LINK_FIRST_SECONDS: Final = 0.5

#: Answers to CONNECT that blame the gateway: client id, password, permission (codes 2, 4 and 5 of MQTT 3.1.1 §3.2.2.3,
#: which paho tells in the numbers of MQTT 5).
_REFUSALS: Final = (133, 134, 135)


class LinkState(Enum):
    STOPPED = "stopped"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"  # for the next try after a failure of the link
    REFUSED = "refused"  # waiting longer: the broker does not accept us, a person must look


class NotAllowedError(aiomqtt.MqttError):
    """The broker accepted the connection but not a subscription."""


def is_refusal(error: BaseException) -> bool:
    """Whether trying again soon is pointless: credentials, certificate, access rules."""
    if isinstance(error, NotAllowedError):
        return True
    if isinstance(error, aiomqtt.MqttCodeError) and isinstance(error.rc, ReasonCode):
        return error.rc.value in _REFUSALS
    # aiomqtt passes on only the text of what went wrong below it
    below = error.__context__
    return isinstance(below, ssl.SSLCertVerificationError) or (
        isinstance(below, ssl.SSLError) and "ALERT" in (below.reason or "")
    )


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

    def failed(self, error: BaseException, lasted: float) -> float:
        """Note a failure after ``lasted`` s of connection (0: it never came about); returns seconds to stay away."""
        self.error = str(error) or type(error).__name__
        if lasted >= STABLE_SECONDS:
            self.failures = self.refusals = 0
        if is_refusal(error):
            self.state = LinkState.REFUSED
            self.refusals += 1
            return REFUSED_BACKOFF.delay(self.refusals, self.random)
        self.state = LinkState.WAITING
        self.failures += 1
        return Backoff(LINK_FIRST_SECONDS, self.ceiling, jitter=0.5).delay(self.failures, self.random)
