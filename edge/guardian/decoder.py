"""What every protocol's decoder is: two directions in, a book and hidden spans out."""

from typing import Any, ClassVar, Final

from edge.guardian.book import Book
from edge.guardian.contract import Exchange, Expected, Kind, Result, Side
from edge.guardian.veil import Span, Veil

#: Seconds of silence after which the next octet may begin a frame, whatever came before.
QUIET: Final = 0.2
#: Seconds after which the beginning of a frame will not be continued.
STALE: Final = 10.0
#: Frames that fail their check are searched for the beginning of another one this often without a good one between.
MAX_SEARCHES: Final = 32


class Lane:
    """One direction: octets not yet understood, and when the first of them came.

    ``dirty``: octets came that are none of this protocol; nothing is understood before a pause.
    """

    def __init__(self, veil: Veil) -> None:
        self.veil = veil
        self.buffer = bytearray()
        self.front_at = 0.0  # when the first octet of the buffer came
        self.heard_at = float("-inf")
        self.dirty = False

    def take(self, at: float, data: bytes) -> int:
        """Add a piece; returns the number of octets of a frame given up because its rest never came."""
        lost = 0
        self.veil.take(data)
        if self.buffer and at - self.heard_at > STALE:
            lost = len(self.buffer)
            self.buffer.clear()
        if at - self.heard_at > QUIET:
            self.dirty = False
        if not self.buffer:
            self.front_at = at
        self.heard_at = at
        self.buffer += data
        return lost

    @property
    def front(self) -> int:
        """Position in the stream of the buffer's first octet."""
        return self.veil.end - len(self.buffer)

    def use(self, size: int) -> None:
        """These octets are dealt with; what stands behind them came with the present piece."""
        del self.buffer[:size]
        self.front_at = self.heard_at

    def prove(self, size: int, secrets: tuple[Span, ...] = ()) -> None:
        """The next ``size`` octets are a whole frame, and dealt with."""
        self.veil.prove(self.front, self.front + size, secrets)
        self.use(size)

    def spoil(self) -> None:
        """Nothing here is understood."""
        self.buffer.clear()
        self.dirty = True


class Decoder:
    """Base of the decoders. ``sure``: octets came that are this protocol beyond doubt, as far as one frame can tell.

    ``hint``: what came could be this protocol.
    """

    name: ClassVar[str]

    def __init__(self, expected: Expected, client: Veil, meter: Veil) -> None:
        self.expected = expected
        self.book = Book()
        self.client, self.meter = Lane(client), Lane(meter)
        self.sure = False
        self.hint = False
        self.current: Exchange | None = None
        self.outcome: Result | None = None  # of the present exchange, once its answer is whole
        self.searches = MAX_SEARCHES
        self.junk = False  # in a burst of the meter that means nothing
        self._counted = False  # that burst is counted

    # -- what the inspector calls ------------------------------------------------------------------------------------

    def feed(self, at: float, side: Side, data: bytes) -> list[Span]:
        """Take a piece of one direction; returns what of it must be hidden."""
        lane = self.client if side is Side.CLIENT else self.meter
        lost = lane.take(at, data)
        if lost and self.sure:
            self.damaged(side)
        if side is Side.CLIENT:
            self.hear_client(at)
        else:
            self.hear_meter(at)
        return lane.veil.spans()

    def close(self, at: float) -> None:
        """The connection ended."""
        self.cut_off()
        self.settle(at)

    def live(self) -> dict[str, Any]:
        """What the live view shows, plain values."""
        newest = self.book.newest
        detail = newest.detail if newest else {}
        return {
            "protocol": self.name,
            "command": newest.command if newest else "",
            "result": str(newest.result) if newest and newest is not self.current else "",
            "exchanges": self.book.more + len(self.book.exchanges),
            "serial": next(reversed(self.book.serials), ""),
            "clock_offset": self.book.clock_offset,
            "constants": dict(self.book.constants),
            "range": {k: detail[k] for k in ("start", "end", "delivered") if k in detail},
        }

    # -- what decoders do --------------------------------------------------------------------------------------------

    def hear_client(self, at: float) -> None:
        raise NotImplementedError

    def hear_meter(self, at: float) -> None:
        raise NotImplementedError

    def ask(self, at: float, code: str, command: str, kind: Kind, asked: int, key: str = "") -> Exchange:
        """A new request came; what was open before is settled."""
        self.settle(at)
        self.outcome = None
        self.current = self.book.open(Exchange(at, code, command, kind, asked=asked), key or code)
        return self.current

    def answered(self, at: float, began: float, size: int, outcome: Result | None = None) -> None:
        """A good frame of the meter for the present exchange; ``outcome`` when it ends it."""
        self.book.frames += 1
        self.restored()
        exchange = self.current
        if exchange is None:
            return
        exchange.answered += size
        exchange.detail["until"] = at
        exchange.detail.setdefault("latency", round(max(0.0, began - exchange.at), 6))
        if outcome is not None:
            self.outcome = outcome

    def settle(self, at: float) -> None:
        """The present exchange is over."""
        if self.current is not None:
            exchange, self.current = self.current, None
            self.book.close(exchange, self.judge(exchange), exchange.detail.pop("until", at))

    def judge(self, exchange: Exchange) -> Result:
        """Say how an exchange ended that is closed now."""
        if self.outcome is not None:
            return self.outcome
        if exchange.answered or "cut_off" in exchange.detail:
            return Result.PARTIAL
        return Result.BROKEN if "broken" in exchange.detail else Result.SILENT

    def cut_off(self) -> None:
        """The connection ended within an answer: that is not noise."""
        if self.meter.buffer and self.current is not None and not self.junk:
            self.current.detail["cut_off"] = len(self.meter.buffer)

    def spoilt(self) -> None:
        """Octets of the meter are no frame; counted once until either side is understood again."""
        self.junk = True
        if not self._counted:
            self._counted = True
            self.damaged(Side.METER)

    def restored(self) -> None:
        """The meter is understood, or has been asked anew."""
        self.junk = self._counted = False
        self.searches = MAX_SEARCHES

    def damaged(self, side: Side) -> None:
        """A frame came that is none."""
        self.book.broken += 1
        if side is Side.METER and self.current is not None:
            self.current.detail["broken"] = self.current.detail.get("broken", 0) + 1
