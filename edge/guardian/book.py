"""What a decoder writes down while it listens; bounded, whatever comes."""

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from edge.guardian.contract import Exchange, Kind, Result

#: Exchanges kept: the first and the newest half of them; those between are counted.
MAX_EXCHANGES: Final = 512
#: Different serials, constants and exchanges by key that are remembered: an honest meter has far fewer.
MAX_NAMES: Final = 512


@dataclass
class Book:
    """Exchanges and what they told of the meter.

    ``frames``: whole frames of the meter, and ``broken``: bursts of octets that were none. ``last``: the newest
    exchange for each thing that can be asked, so that a repeat that went well makes good what failed before.
    """

    frames: int = 0
    broken: int = 0
    more: int = 0
    results: Counter[Result] = field(default_factory=Counter)
    serials: dict[str, int] = field(default_factory=dict)
    clock_offset: float | None = None
    constants: dict[str, str] = field(default_factory=dict)
    last: dict[str, Exchange] = field(default_factory=dict)
    facts: dict[str, str | int] = field(default_factory=dict)
    _first: list[Exchange] = field(default_factory=list)
    _newest: deque[Exchange] = field(default_factory=lambda: deque(maxlen=MAX_EXCHANGES // 2))

    @property
    def exchanges(self) -> list[Exchange]:
        """Those kept, in order."""
        return list(chain(self._first, self._newest))

    @property
    def newest(self) -> Exchange | None:
        return self._newest[-1] if self._newest else self._first[-1] if self._first else None

    def open(self, exchange: Exchange, key: str) -> Exchange:
        """Write down a request that was asked; ``key`` says what it asks for."""
        if len(self._first) < MAX_EXCHANGES // 2:
            self._first.append(exchange)
        else:
            self.more += len(self._newest) == self._newest.maxlen
            self._newest.append(exchange)
        self.last.pop(key, None)  # to the end: the order is that of asking
        if len(self.last) < MAX_NAMES:
            self.last[key] = exchange
        return exchange

    def close(self, exchange: Exchange, result: Result, at: float) -> None:
        """Write down how it ended."""
        exchange.result = result
        exchange.seconds = max(0.0, round(at - exchange.at, 6))
        self.results[result] += 1

    def saw_serial(self, serial: str) -> None:
        if serial in self.serials or len(self.serials) < MAX_NAMES:
            self.serials[serial] = self.serials.get(serial, 0) + 1

    def saw_constant(self, name: str, value: str) -> None:
        if name in self.constants or len(self.constants) < MAX_NAMES:
            self.constants[name] = value

    def done(self, *kinds: Kind) -> bool:
        """Say whether anything of ``kinds`` was delivered whole."""
        return any(e.result is Result.OK and e.kind in kinds for e in self.last.values())

    def ended(self, *results: Result) -> list[Exchange]:
        """Exchanges that ended so, and no later one of the same key otherwise."""
        return [e for e in self.last.values() if e.result in results]
