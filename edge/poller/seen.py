"""Logs in a meter are read again and again: only what is new in them travels. Pure."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, TypeVar

from shared.wire import MeterEvent, RegisterReading, Wire, encode

W = TypeVar("W", bound=Wire)

#: Fingerprints kept per meter; its logs hold some tens of entries.
KEPT: Final = 400


class Seen:
    """Fingerprints of events and closed registers that are in the spool already, in order of arrival."""

    def __init__(self, prints: Iterable[str] = ()) -> None:
        self._prints = dict.fromkeys(prints)

    def copy(self) -> "Seen":
        return Seen(self._prints)

    def fresh(self, items: Sequence[W]) -> list[W]:
        """Those not seen before; they are noted."""
        found = []
        for item in items:
            mark = fingerprint(item)
            if mark is None:
                found.append(item)
                continue
            if mark not in self._prints:
                found.append(item)
            self._prints.pop(mark, None)  # seen again: it stays among the recent ones
            self._prints[mark] = None
        for old in list(self._prints)[:-KEPT]:
            del self._prints[old]
        return found

    def dump(self) -> list[str]:
        return list(self._prints)


def fingerprint(item: Wire) -> str | None:
    """Names what an item says, whenever it was read; None for what is new each time."""
    if isinstance(item, RegisterReading):
        if item.period == 0:
            return None
        item = RegisterReading(item.meter, item.at, 0, item.period, item.values, item.resets, item.reset_at)
    elif not isinstance(item, MeterEvent):
        return None
    return blake2b(encode(item), digest_size=8).hexdigest()
