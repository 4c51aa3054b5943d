"""Live progress of readings, kept in memory only: what gateways publish under ``res`` (design: never stored)."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from shared.wire import Progress

#: Progress that was not renewed for so long is over, whatever it said last (s).
FRESH_S: Final = 20
_MOST: Final = 20_000


class ProgressBoard:
    """Last word per tenant, gateway, line and meter; bounded, the oldest goes first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str, str, str], tuple[float, Progress]] = OrderedDict()

    def put(self, tenant: str, gateway: str, progress: Progress) -> None:
        """Take one message."""
        key = (tenant, gateway, progress.line, progress.meter)
        self._entries.pop(key, None)
        self._entries[key] = (self._clock(), progress)
        if len(self._entries) > _MOST:
            self._entries.popitem(last=False)

    def of_gateway(self, tenant: str, gateway: str) -> Sequence[Progress]:
        """What runs at a gateway now, by line."""
        found = [progress for key, progress in self._fresh() if key[:2] == (tenant, gateway)]
        return sorted(found, key=lambda progress: (progress.line, progress.meter))

    def of_commands(self, tenant: str) -> dict[str, Progress]:
        """Running commands of a tenant by id."""
        return {progress.command: progress for key, progress in self._fresh() if key[0] == tenant and progress.command}

    def _fresh(self) -> list[tuple[tuple[str, str, str, str], Progress]]:
        oldest = self._clock() - FRESH_S
        return [(key, progress) for key, (at, progress) in self._entries.items() if at >= oldest]
