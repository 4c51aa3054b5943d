"""Where secrets may stand in a stream that arrives in pieces of any size.

Octets leave as they come, long before a check can say what they were. So there are two rules: octets of a frame that
has proved whole (``prove``) are masked exactly where its secret stands; all others wherever one *may* stand: behind
every trigger, an octet pattern that begins a password in some protocol. A trigger inside a proved frame is none.
"""

import re
from collections.abc import Callable
from typing import Final

#: (begin, end) of octets to hide, relative to a piece of data.
Span = tuple[int, int]

_NOWHERE: Final = -2  # trigger of what no proof of one frame uncovers
MASK: Final = 0x2A  # "*"
#: Longest trigger; that much of the stream is looked at again with the next piece.
LEAD: Final = 12


class Veil:
    """Secrets of one direction. ``trigger``: a look-ahead with one group; ``hides``: of a match, (skip, octets)."""

    def __init__(self, trigger: bytes | None, hides: Callable[[re.Match[bytes]], tuple[int, int]]) -> None:
        self._trigger = re.compile(trigger, re.DOTALL) if trigger is not None else None
        self._hides = hides
        self._tail = b""
        self._position = 0  # octets before the present piece
        self._size = 0
        self._hidden: list[tuple[int, int, int]] = []  # trigger, begin, end; positions in the stream
        self._proved: list[Span] = []
        self._secrets: list[Span] = []

    @property
    def end(self) -> int:
        """Position in the stream behind the present piece."""
        return self._position + self._size

    def take(self, data: bytes) -> None:
        """A new piece of the stream."""
        self._position += self._size
        self._size = len(data)
        self._hidden = [h for h in self._hidden if h[2] > self._position]
        self._proved.clear()
        self._secrets = [s for s in self._secrets if s[1] > self._position]
        if self._trigger is None:
            return
        text = self._tail + data
        offset = self._position - len(self._tail)
        known = self._position - offset  # a match that ended in the tail was found before
        for match in self._trigger.finditer(text):
            skip, size = self._hides(match)
            if size and match.end(1) > known:
                self.hide(offset + match.start(), skip, size)
        self._tail = text[-LEAD:]

    def hide(self, trigger: int, skip: int, size: int) -> None:
        """Hide ``size`` octets that begin ``skip`` behind the position of a trigger."""
        begin, end = trigger + skip, trigger + skip + size
        if self._hidden:
            before, first, last = self._hidden[-1]
            if trigger == before + 1 and begin <= last:  # a run of triggers is one stretch
                self._hidden[-1] = (trigger, first, max(last, end))
                return
        self._hidden.append((trigger, begin, end))

    def cover(self, size: int) -> None:
        """Hide the last ``size`` octets of the present piece unless they prove to be no secret."""
        self._hidden.append((_NOWHERE, self.end - size, self.end))

    def prove(self, start: int, end: int, secrets: tuple[Span, ...] = ()) -> None:
        """The octets [start, end) of the stream are a whole frame; ``secrets`` relative to its start."""
        self._proved.append((start, end))
        self._secrets += [(start + begin, start + stop) for begin, stop in secrets]

    def spans(self) -> list[Span]:
        """What to hide of the present piece."""
        if not self._hidden and not self._secrets:
            return []
        if self._proved:
            self._hidden = [h for h in self._hidden if not any(s <= h[0] < e for s, e in self._proved)]
        found = list(self._secrets)
        for _, begin, end in self._hidden:
            found += _without(begin, end, self._proved)
        first, size = self._position, self._size
        return [
            (max(0, begin - first), min(size, end - first))
            for begin, end in found
            if begin < first + size and end > first
        ]


def _without(begin: int, end: int, holes: list[Span]) -> list[Span]:
    """[begin, end) less the parts in ``holes``, which are in order."""
    parts = []
    for start, stop in holes:
        if stop <= begin or start >= end:
            continue
        if start > begin:
            parts.append((begin, start))
        begin = max(begin, stop)
    if begin < end:
        parts.append((begin, end))
    return parts


def masked(data: bytes, spans: list[Span]) -> bytes:
    """Return ``data`` with the octets of ``spans`` replaced."""
    if not spans:
        return data
    octets = bytearray(data)
    for begin, end in spans:
        octets[begin:end] = bytes((MASK,)) * (end - begin)
    return bytes(octets)
