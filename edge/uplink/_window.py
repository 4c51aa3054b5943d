"""Which rows to send next: what is out, what was asked for again, and what to believe of a cursor. No I/O.

Sending is a sliding window of batches. Progress of the aggregator's cursor opens it by one, up to its limit; no
progress for the waiting time closes it by half, doubles the waiting time, and everything after the cursor is sent
again: the broker is trusted with nothing. Ranges the aggregator asks for go first, unless they are on their way.

A cursor that goes back has two explanations. It may be old news: a broker that came back with old retained messages,
or two ingest workers whose messages crossed. Or the aggregator has been restored from a backup and lost rows it had
confirmed. So a lower cursor is only doubted at first; when nothing contradicts it for :data:`DOUBT_SECONDS`, the rows
behind it are offered as a probe; and only if the aggregator answers the probe with a cursor that is still lower than
ours, ours goes back (:attr:`Verdict.BACK`). Second deliveries change nothing there, so doubt costs only bytes.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

DOUBT_SECONDS: Final = 10.0
#: A range asked for while its batch may still be on its way waits so long.
WANT_SECONDS: Final = 2.0
WAIT_MAX_SECONDS: Final = 120.0
START_SIZE: Final = 2  # batches out at once after a (re)connect
MAX_WANTS: Final = 64  # ranges remembered; the waiting time takes care of the rest


class Verdict(Enum):
    """What a cursor from the aggregator means."""

    SAME = "nothing new"
    FORWARD = "rows were committed"
    DOUBT = "lower than ours, not believed yet"
    BACK = "the aggregator has lost rows it had confirmed"
    BEYOND = "beyond what this spool ever wrote"


@dataclass(frozen=True)
class Span:
    """Seqs ``first`` .. ``last`` and the instant (monotonic seconds) they were sent or are due."""

    first: int
    last: int
    at: float


class Window:
    """Times are monotonic seconds, given by the caller."""

    def __init__(self, cursor: int, *, limit: int, wait: float) -> None:
        self.limit = limit
        self._wait_first = wait
        self.reset(cursor)

    def reset(self, cursor: int) -> None:
        """Begin behind ``cursor``: after a connect, or when the stream is another."""
        self.cursor = cursor
        self.size = min(START_SIZE, self.limit)
        self.wait = self._wait_first
        self._next = cursor + 1
        self._out: deque[Span] = deque()
        self._wants: list[Span] = []
        self._progress_at = 0.0
        self._doubt: Span | None = None  # first: the row behind the lower cursor; at: since when
        self._probed_at: float | None = None

    @property
    def out(self) -> int:
        """Batches sent and not confirmed."""
        return len(self._out)

    def next(self, last_seq: int, now: float) -> tuple[int, int] | None:
        """The span to send now; None when there is nothing, or the window is full."""
        self._give_up_waiting(now)
        if self._doubt is not None and self._probe_due(now):
            return self._doubt.first, last_seq
        for want in self._wants:
            if want.at <= now:
                return want.first, want.last
        if len(self._out) < self.size and self._next <= last_seq:
            return self._next, last_seq
        return None

    def due(self) -> float | None:
        """When :meth:`next` should be asked again although nothing happens; None for never."""
        times = [want.at for want in self._wants]
        if self._out:
            times.append(self._waits_until())
        if self._doubt is not None:
            times.append(self._doubt.at + DOUBT_SECONDS if self._probed_at is None else self._probed_at + self.wait)
        return min(times, default=None)

    def sent(self, first: int, last: int, now: float) -> None:
        """Rows ``first`` .. ``last``, the begin of what :meth:`next` named, are handed to the broker.

        A probe may begin later than named, where the first rows are held no more.
        """
        if self._probe_due(now):
            self._probed_at = now  # whichever rows they are, the answer tells where the aggregator is
        rest = [Span(max(w.first, last + 1), w.last, w.at) if w.first == first else w for w in self._wants]
        self._wants = [want for want in rest if want.first <= want.last]
        if first == self._next:
            self._next = last + 1
            self._out.append(Span(first, last, now))
        else:
            self._out = deque(
                Span(s.first, s.last, now) if first <= s.last and s.first <= last else s for s in self._out
            )

    def postpone(self, now: float) -> None:
        """There is no row to probe with: doubt goes on."""
        if self._doubt is not None:
            self._doubt = Span(self._doubt.first, self._doubt.last, now)
            self._probed_at = None

    def on_cursor(self, seq: int, wants: Sequence[tuple[int, int]], last_seq: int, now: float) -> Verdict:
        """Take the aggregator's cursor; on BACK and BEYOND nothing is changed here, the caller resets."""
        if seq > last_seq:
            return Verdict.BEYOND
        if seq < self.cursor:
            return self._lower(seq, now)
        self._doubt = self._probed_at = None
        verdict = Verdict.SAME
        if seq > self.cursor:
            verdict = Verdict.FORWARD
            self.cursor = seq
            self._next = max(self._next, seq + 1)
            self._progress_at = now
            self.wait = self._wait_first
            self.size = min(self.size + 1, self.limit)
            while self._out and self._out[0].last <= seq:
                self._out.popleft()
            self._wants = [want for want in self._wants if want.last > seq]
        for first, last in wants:
            self._want(max(first, seq + 1), min(last, self._next - 1), now)
        return verdict

    def _want(self, first: int, last: int, now: float) -> None:
        if first > last or len(self._wants) >= MAX_WANTS or any(w.first <= first <= w.last for w in self._wants):
            return
        sent = max((span.at for span in self._out if span.first <= last and first <= span.last), default=0.0)
        self._wants.append(Span(first, last, max(now, sent + WANT_SECONDS)))

    def _lower(self, seq: int, now: float) -> Verdict:
        if self._probed_at is not None:
            return Verdict.BACK
        self._doubt = Span(seq + 1, seq + 1, now if self._doubt is None else self._doubt.at)
        return Verdict.DOUBT

    def _probe_due(self, now: float) -> bool:
        if self._doubt is None:
            return False
        if self._probed_at is None:
            return now >= self._doubt.at + DOUBT_SECONDS
        return now >= self._probed_at + self.wait

    def _waits_until(self) -> float:
        return max(self._progress_at, self._out[0].at) + self.wait

    def _give_up_waiting(self, now: float) -> None:
        if self._out and now >= self._waits_until():
            self._out.clear()
            self._wants.clear()
            self._next = self.cursor + 1
            self.size = max(self.size // 2, 1)
            self.wait = min(self.wait * 2, WAIT_MAX_SECONDS)
