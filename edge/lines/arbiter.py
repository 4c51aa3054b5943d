"""Who owns a line: one owner at a time, lower class first, first come first served within (design §6). No I/O."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from edge.lines.contract import LineClass


@dataclass(eq=False)
class Ticket:
    """One request for a line. Tickets are compared by identity."""

    line_class: LineClass
    owner: str
    withdrawn: bool = field(default=False, repr=False)


class Arbiter:
    """The queue of one line. Every ticket that :meth:`ask` returned must come back through :meth:`leave`, once."""

    def __init__(self) -> None:
        self.owner: Ticket | None = None
        self.resting = False
        self._queue: list[tuple[int, int, Ticket]] = []
        self._order = count()
        self._waiting = 0

    def __len__(self) -> int:
        """Number of tickets waiting."""
        return self._waiting

    def ask(self, line_class: LineClass, owner: str) -> Ticket:
        """Queue for the line; the ticket owns it at once when nobody else does."""
        ticket = Ticket(line_class, owner)
        heappush(self._queue, (line_class, next(self._order), ticket))
        self._waiting += 1
        if self.owner is None:
            self._grant()
        return ticket

    def leave(self, ticket: Ticket) -> Ticket | None:
        """Give the line back, or leave the queue; returns the ticket that owns the line because of it, if any."""
        if ticket is not self.owner:
            if not ticket.withdrawn:
                ticket.withdrawn = True
                self._waiting -= 1
                self._prune()
            return None
        self.owner = None
        return self._grant()

    def rest(self, resting: bool) -> Ticket | None:
        """Keep the line for CCEE alone, or open it again; returns the ticket that owns the line because of it."""
        self.resting = resting
        return self._grant() if self.owner is None else None

    def must_yield(self, ticket: Ticket) -> bool:
        """Whether somebody of a higher class (lower number) waits for what ``ticket`` owns."""
        return bool(self._queue) and self._queue[0][0] < ticket.line_class

    @property
    def ccee_waits(self) -> bool:
        """Whether the head of the queue is CCEE's."""
        return bool(self._queue) and self._queue[0][0] is LineClass.CCEE

    def _grant(self) -> Ticket | None:
        self._prune()
        if self._queue and (not self.resting or self._queue[0][0] is LineClass.CCEE):
            self.owner = heappop(self._queue)[2]
            self._waiting -= 1
        return self.owner

    def _prune(self) -> None:
        """Keep the head of the queue alive, so that :meth:`must_yield` need only look at it."""
        while self._queue and self._queue[0][2].withdrawn:
            heappop(self._queue)
