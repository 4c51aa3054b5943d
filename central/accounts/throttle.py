"""Back-off after failed logins. For known users it is kept in the database; here for addresses and unknown names."""

from collections import OrderedDict
from typing import Final

from central.accounts.errors import LoginThrottled

FREE_TRIES: Final = 5
FREE_TRIES_ADDRESS: Final = 20  # a whole office may sit behind one address
FIRST_WAIT_S: Final = 15
LONGEST_WAIT_S: Final = 900
_MAX_ENTRIES: Final = 10_000


def wait_after(failures: int, free: int = FREE_TRIES) -> int:
    """Seconds to wait after so many failures in a row: none at first, then doubling up to :data:`LONGEST_WAIT_S`."""
    if failures < free:
        return 0
    return min(FIRST_WAIT_S << min(failures - free, 10), LONGEST_WAIT_S)


class Throttle:
    """Failures per name, in memory and bounded: the oldest goes first, each is forgotten after a quiet time."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._entries: OrderedDict[str, tuple[int, int]] = OrderedDict()  # name -> failures, last one's instant

    def retry_after(self, name: str, now: int) -> int:
        """Seconds until ``name`` may try again, 0 for now."""
        failures, last = self._entries.get(name, (0, 0))
        return max(0, last + wait_after(failures, self._free) - now) if failures else 0

    def failed(self, name: str, now: int) -> None:
        """Count one failure."""
        failures, last = self._entries.pop(name, (0, now))
        if now - last > 2 * LONGEST_WAIT_S:
            failures = 0
        self._entries[name] = (failures + 1, now)
        if len(self._entries) > _MAX_ENTRIES:
            self._entries.popitem(last=False)


class LoginGate:
    """What one process remembers of failed logins; one per application."""

    def __init__(self) -> None:
        self.addresses = Throttle(FREE_TRIES_ADDRESS)
        self.strangers = Throttle(FREE_TRIES)

    def check_address(self, address: str, now: int) -> None:
        """Raise :class:`LoginThrottled` while ``address`` has to wait."""
        if wait := self.addresses.retry_after(address, now):
            raise LoginThrottled(wait)
