"""The door of the guardian: octets in, masked octets and a finding out.

All decoders listen until one of them is sure; then the others are let go. What is masked until then is what any of them
would call a password.
"""

from collections.abc import Callable
from typing import Any, Final

from edge.guardian.abnt import AbntDecoder
from edge.guardian.book import Book
from edge.guardian.contract import UNKNOWN, CloseReason, Expected, Finding, Kind, Side, Verdict
from edge.guardian.decoder import Decoder
from edge.guardian.dlms import DlmsDecoder
from edge.guardian.iec import IecDecoder
from edge.guardian.modbus import ModbusDecoder
from edge.guardian.veil import MASK, Span, masked
from edge.guardian.verdicts import Case, judge

#: Pieces that decoders take at once: what they do for a piece may grow with its square.
PIECE: Final = 4096

#: Asked in this order where two are sure at the same octet.
DECODERS: Final[tuple[Callable[[Expected], Decoder], ...]] = (AbntDecoder, DlmsDecoder, ModbusDecoder, IecDecoder)


class Inspector:
    """Listens to one connection. No I/O, no clock of its own, bounded memory; none of its methods raises.

    ``fault``: what went wrong inside, "" as a rule; from then on nothing is decoded and everything is masked.
    """

    def __init__(self, expected: Expected, began: float) -> None:
        self.expected, self.began = expected, began
        self.fault = ""
        self._decoders = [kind(expected) for kind in DECODERS]
        self._octets = [0, 0]
        self._last = [began, began]

    @property
    def _sure(self) -> Decoder | None:
        only = self._decoders[0] if len(self._decoders) == 1 else None
        return only if only is not None and only.sure else None

    def heard(self, at: float, side: Side, data: bytes) -> bytes:
        """Take octets as they passed at ``at`` (UTC seconds); return as many, with what may be a secret masked."""
        if not data:
            return data
        self._octets[side] += len(data)
        self._last[side] = at
        if self.fault:
            return bytes((MASK,)) * len(data)
        try:
            if len(data) <= PIECE:
                return self._take(at, side, data)
            return b"".join(self._take(at, side, data[i : i + PIECE]) for i in range(0, len(data), PIECE))
        except Exception as error:  # a decoder's fault must not touch the connection
            self.fault = f"{type(error).__name__}: {error}"[:300]
            return bytes((MASK,)) * len(data)

    def _take(self, at: float, side: Side, data: bytes) -> bytes:
        sure = self._sure
        if sure is not None:
            if isinstance(sure, IecDecoder) and sure.mode_e:
                self._hand_over(at, sure)
            return masked(data, self._decoders[0].feed(at, side, data))
        spans: list[Span] = []
        for decoder in self._decoders:
            found = decoder.feed(at, side, data)
            if decoder.sure:
                self._decoders = [decoder]
                return masked(data, found)
            spans += found
        return masked(data, spans)

    def _hand_over(self, at: float, agreed: IecDecoder) -> None:
        """Mode E: from here on both sides speak HDLC, and it is still one conversation."""
        agreed.settle(at)
        decoder = DlmsDecoder(self.expected)
        decoder.book, decoder.carrier, decoder.sure = agreed.book, "hdlc", True
        self._decoders = [decoder]

    @property
    def protocol(self) -> str:
        """What is spoken here: beyond doubt, else by the hints there are, else unknown."""
        if self._sure is not None:
            return self._sure.name
        hints = [decoder.name for decoder in self._decoders if decoder.hint]
        if self.expected.protocol in hints:
            return self.expected.protocol
        return hints[0] if len(hints) == 1 else UNKNOWN

    def _named(self) -> Decoder | None:
        return next((d for d in self._decoders if d.name == self.protocol), None)

    def live(self) -> dict[str, Any]:
        """What is known so far, plain values for the gateway's live view."""
        decoder = None if self.fault else self._named()
        known = decoder.live() if decoder is not None else {"protocol": UNKNOWN}
        return known | {"sent": self._octets[Side.CLIENT], "received": self._octets[Side.METER]}

    def finish(self, at: float, reason: CloseReason) -> Finding:
        """Judge the connection that ended at ``at``."""
        try:
            return self._finish(at, reason)
        except Exception as error:
            self.fault = self.fault or f"{type(error).__name__}: {error}"[:300]
            facts = {"fault": self.fault, "sent": self._octets[Side.CLIENT], "received": self._octets[Side.METER]}
            return Finding(UNKNOWN, Verdict.NOT_UNDERSTOOD, "The guardian failed on this connection.", facts)

    def _finish(self, at: float, reason: CloseReason) -> Finding:
        decoder = None if self.fault else self._named()
        if decoder is not None:
            decoder.close(at)
        book = decoder.book if decoder is not None else Book()
        enqs = decoder.enqs if isinstance(decoder, AbntDecoder) else 0
        case = Case(
            self.expected,
            decoder.name if decoder is not None else UNKNOWN,
            book,
            reason,
            self.began,
            at,
            self._octets[Side.CLIENT],
            self._octets[Side.METER],
            self._last[Side.CLIENT],
            self._last[Side.METER],
            enqs,
        )
        first, *others = judge(case)
        memory = [e.detail for e in book.last.values() if e.kind is Kind.MEMORY]
        starts, ends, delivered = ([d[k] for d in memory if k in d] for k in ("start", "end", "delivered"))
        facts = dict(first.facts) | ({"fault": self.fault} if self.fault else {})
        return Finding(
            case.protocol,
            first.code,
            first.sentence,
            facts,
            [(ruling.code, ruling.sentence) for ruling in others],
            book.exchanges,
            book.more,
            next(reversed(book.serials), ""),
            book.clock_offset,
            min(starts, default=None),
            max(ends, default=None),
            max(delivered, default=None),
            dict(book.constants),
        )
