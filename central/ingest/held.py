"""Which rows of a stream are committed: a gap-free prefix and parts beyond it (pure)."""

from collections.abc import Iterable
from typing import Final

from shared.intervals import IntervalSet
from shared.wire import AckCursor

#: Ranges asked for again in one message; the rest follows when these have come.
MAX_WANTED: Final = 64
#: Parts one stream may have; a batch that would make more waits until gaps are filled.
MAX_PARTS: Final = 4096


class Held:
    """Committed rows of one stream, numbered from 1."""

    def __init__(self, spool_id: bytes, cursor: int, parts: Iterable[tuple[int, int]] = ()) -> None:
        self.spool_id = spool_id
        self._rows = IntervalSet([(1, cursor + 1), *((first, last + 1) for first, last in parts)])

    @property
    def cursor(self) -> int:
        """End of the gap-free prefix; 0 when row 1 is missing."""
        first = next(iter(self._rows), None)
        return first.end - 1 if first is not None and first.start == 1 else 0

    @property
    def newest(self) -> int:
        """Highest row held."""
        return self._rows.span.end - 1 if self._rows.span else 0

    @property
    def parts(self) -> list[tuple[int, int]]:
        """Ranges [first, last] beyond the cursor."""
        return [(start, end - 1) for start, end in self._rows if start > 1]

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """Ranges of [first, last] that are not held yet."""
        return [(start, end - 1) for start, end in self._rows.missing(first, last + 1)]

    def add(self, first: int, last: int) -> None:
        self._rows.add(first, last + 1)

    def ack(self, ask: bool) -> AckCursor:
        """What to tell the gateway; ``ask`` for the gaps again."""
        gaps = self.missing(1, self.newest)[:MAX_WANTED] if ask and self.newest else []
        return AckCursor(self.spool_id, self.cursor, gaps)
