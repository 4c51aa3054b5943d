"""Who may connect: networks that are listed, and nobody else; strangers are counted (F3). Pure."""

from collections import deque
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final

#: So many strangers within so many seconds are an alarm; the next one is raised after as long a time again.
STRANGERS: Final = 3
WITHIN: Final = 600.0


class Admission:
    """The allow-list of one listener. ``refused`` counts strangers since the start."""

    def __init__(self, allow: Iterable[str]) -> None:
        self._networks = [ip_network(network, strict=False) for network in allow]
        self._lately: deque[float] = deque(maxlen=STRANGERS)
        self._alarmed = float("-inf")
        self.refused = 0

    def admits(self, host: str) -> bool:
        """Whether an address is in one of the networks; an IPv4 address inside IPv6 counts as itself."""
        address = ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address.version == network.version and address in network for network in self._networks)

    def refuse(self, now: float) -> bool:
        """Count a stranger at ``now`` (monotonic s); True when that is worth an alarm."""
        self.refused += 1
        self._lately.append(now)
        alarm = len(self._lately) == STRANGERS and now - self._lately[0] <= WITHIN and now - self._alarmed >= WITHIN
        if alarm:
            self._alarmed = now
        return alarm
