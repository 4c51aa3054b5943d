"""IEC 62056-21 overheard, modes A to E: sign-on, identification, passwords, reads, data, errors (dossier protocols §5).

Octets may carry parity in bit 7; it is taken off before they are read. A block check may be the XOR of the standard or
the sum modulo 128 of one maker; both are taken.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from edge.guardian.contract import IEC62056_21, Exchange, Expected, Kind, Result, Side
from edge.guardian.decoder import Decoder, Lane
from edge.guardian.veil import Veil

SOH, STX, ETX, EOT, ACK, NAK = 0x01, 0x02, 0x03, 0x04, 0x06, 0x15
#: A readout of every tariff and month of a large meter stays below; more without an end is no message.
MAX_MESSAGE: Final = 1 << 16
_START: Final = re.compile(rb"[\x00\x01\x02\x06\x15/\x80\x81\x82\x86\x95\xaf]")
_END: Final = re.compile(rb"[\x03\x04\x83\x84]")
_STRIP: Final = bytes(i & 0x7F for i in range(256))
_SIGN_ON: Final = re.compile(rb"\x00*/\?([^!\r\n]{0,32})!\r\n")
_OPTION: Final = re.compile(rb"\x06([0-9])([0-9A-I])([0-9])\r\n")
_IDENT: Final = re.compile(rb"/([A-Za-z]{3})([0-9A-Z])([^\r\n]{0,32})\r\n")
_PASSWORD: Final = rb"(?=([\x01\x81][P\xd0][1\xb1\x32\xb2]))"
_SECRET: Final = 64  # octets behind a password command that are hidden until it proves whole
_SERIAL: Final = re.compile(rb"(?:^|[:\n\x02])(?:C\.1(?:\.0)?|96\.1\.0)(?:\*255)?\(([0-9A-Za-z]{3,20})\)")
_TIME: Final = re.compile(rb"(?:^|[:\n\x02])0\.9\.1(?:\*255)?\(([0-9:]{6,8})\)")
_DATE: Final = re.compile(rb"(?:^|[:\n\x02])0\.9\.2(?:\*255)?\(([0-9-]{6,10})\)")
_ERROR: Final = re.compile(rb"\(ER|ERROR|\(Err|ERR\d", re.ASCII)
_DENIED: Final = re.compile(rb"password|access|ER0?4\b", re.ASCII | re.IGNORECASE)


class Message(NamedTuple):
    """``kind``: sign-on, option, ident, command, data, ack, nak; ``good``: its check fits; ``more``: EOT ends it."""

    kind: str
    octets: bytes
    good: bool = True
    more: bool = False


def next_message(buffer: bytearray, scanned: int) -> tuple[int, Message | None]:
    """(octets used, message); (0, None) while it is not whole, (n, None) for n octets of nothing.

    ``scanned``: octets known to hold no end.
    """
    first = buffer[0] & 0x7F
    if first in (SOH, STX):
        return _checked(buffer, scanned)
    if first == NAK:
        return 1, Message("nak", b"")
    if first == ACK:
        if len(buffer) < 2 or not 0x30 <= buffer[1] & 0x7F <= 0x39:
            return (1, Message("ack", b"")) if len(buffer) > 1 else (0, None)
        return _line(buffer, _OPTION, "option")
    if first == 0x2F:
        return _line(buffer, _SIGN_ON if buffer[1:2] and buffer[1] & 0x7F == 0x3F else _IDENT, "")
    return 1, None


def _line(buffer: bytearray, pattern: re.Pattern[bytes], kind: str) -> tuple[int, Message | None]:
    text = bytes(buffer[:48]).translate(_STRIP)
    found = pattern.match(text)
    if found is None:
        return (0, None) if len(text) < 48 and b"\n" not in text else (1, None)
    return found.end(), Message(kind or ("sign-on" if pattern is _SIGN_ON else "ident"), found[0])


def _checked(buffer: bytearray, scanned: int) -> tuple[int, Message | None]:
    end = _END.search(buffer, max(1, scanned))
    if end is None and len(buffer) >= MAX_MESSAGE:
        return len(buffer), None
    if end is None or len(buffer) < end.end() + 1:
        return 0, None
    text = bytes(buffer[: end.end() + 1]).translate(_STRIP)
    xor = 0
    for octet in text[1:-1]:
        xor ^= octet
    good = text[-1] in (xor, sum(text[1:-1]) & 0x7F)
    kind = "command" if text[0] == SOH else "data"
    return end.end() + 1, Message(kind, text[1:-2], good, text[-2] == EOT)


class IecDecoder(Decoder):
    """One conversation. ``mode_e``: both sides agreed to go on in HDLC."""

    name = IEC62056_21

    def __init__(self, expected: Expected) -> None:
        super().__init__(expected, Veil(_PASSWORD, lambda _: (3, _SECRET)), Veil(None, lambda _: (0, 0)))
        self.mode_e = False
        self._scanned = [(0, 0), (0, 0)]  # of the message that begins there, octets known to hold no end
        self._date: tuple[float, datetime] | None = None
        self._time: tuple[float, timedelta] | None = None

    def _next(self, side: Side, lane: Lane) -> tuple[int, Message | None]:
        front, scanned = self._scanned[side]
        used, message = next_message(lane.buffer, scanned if front == lane.front else 0)
        if not used:
            self._scanned[side] = lane.front, len(lane.buffer) - 1
        return used, message

    # -- client ------------------------------------------------------------------------------------------------------

    def hear_client(self, at: float) -> None:
        lane = self.client
        while lane.buffer:
            if lane.dirty and not self.sure:
                lane.spoil()
                return
            began = lane.front_at
            used, message = self._next(Side.CLIENT, lane)
            if not used:
                return
            if message is None:
                self._junk(lane, used)
                continue
            if not self.sure and not (message.kind == "sign-on" or (message.kind == "command" and message.good)):
                lane.spoil()
                return
            self.sure = True
            secret = message.kind == "command" and message.octets[:1] == b"P"
            lane.prove(used, ((4, used),) if secret else ())
            self._said(began, used, message)

    def _junk(self, lane: Lane, used: int) -> None:
        """Octets that begin nothing; before the first message they may only be wake-up zeros."""
        if used > 1:
            lane.use(used)
        elif lane.buffer[0] & 0x7F == 0:
            lane.use(len(lane.buffer) - len(lane.buffer.lstrip(b"\0\x80")))
        elif self.sure:
            rest = _START.search(lane.buffer, 1)
            lane.use(rest.start() if rest else len(lane.buffer))
        else:
            lane.spoil()

    def _said(self, at: float, used: int, message: Message) -> None:
        self._flush()
        if message.kind == "sign-on":
            address = message.octets.decode("ascii", "replace").strip("\0\r\n")[2:-1]
            self.ask(at, "/?", "sign-on", Kind.ACCESS, used).detail["address"] = address
        elif message.kind == "option":
            self._option(at, used, message.octets.decode("ascii"))
        elif message.kind == "command":
            self._command(at, used, message)
        elif self.current is not None:
            self.current.asked += used
            if message.kind == "nak":
                self.current.detail["naks"] = self.current.detail.get("naks", 0) + 1
                self.outcome = None

    def _option(self, at: float, used: int, text: str) -> None:
        v, z, y = text[1], text[2], text[3]
        if v == "2":
            exchange = self.ask(at, "mode-e", "switch to HDLC (mode E)", Kind.ACCESS, used)
        elif y == "0":
            exchange = self.ask(at, "readout", "data readout", Kind.REGISTERS, used)
        else:
            exchange = self.ask(at, f"option-{y}", "programming mode" if y == "1" else f"mode {y}", Kind.ACCESS, used)
        exchange.detail |= {"protocol": v, "baud": z, "mode": y}

    def _command(self, at: float, used: int, message: Message) -> None:
        code = message.octets[:2].decode("ascii", "replace")
        if not message.good:
            self.damaged(Side.CLIENT)
        if code[:1] == "P":
            self.ask(at, code, f"{code} password", Kind.ACCESS, used)
        elif code == "B0":
            self.ask(at, code, "B0 break", Kind.ACCESS, used)
            self.outcome = Result.UNANSWERED
        else:
            body = message.octets[3:].decode("ascii", "replace")[:60]
            address = body.split("(")[0]
            names = {"R": "read", "W": "write", "E": "execute"}
            exchange = self.ask(
                at, code, f"{code} {names.get(code[:1], 'command')} {address}", _kind(code, address), used, body
            )
            exchange.detail["address"] = address
            if code[:1] == "R":
                exchange.detail["request"] = body

    # -- meter -------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """The client spoke: what the meter began will not become whole."""
        if self.meter.buffer and self.sure:
            self.spoilt()
        self.meter.buffer.clear()
        self.restored()

    def hear_meter(self, at: float) -> None:
        lane = self.meter
        if not self.sure:
            lane.buffer.clear()
            return
        while lane.buffer:
            began = lane.front_at
            if lane.buffer[0] & 0x7F == ACK and (self.current is None or self.current.code != "mode-e"):
                self._acknowledged(at, 1)
                lane.prove(1)
                continue
            used, message = self._next(Side.METER, lane)
            if not used:
                return
            if message is None:
                if lane.buffer[0] & 0x7F and not self.junk:
                    self.spoilt()
                self._junk(lane, used)
                continue
            lane.prove(used)
            self._told(at, began, used, message)

    def _acknowledged(self, at: float, used: int) -> None:
        done = self.outcome is None and self.current is not None and self.current.code[:1] in ("P", "W", "E")
        self.answered(at, at, used, Result.OK if done else None)

    def _told(self, at: float, began: float, used: int, message: Message) -> None:
        exchange = self.current
        if not message.good:
            self.spoilt()
            return
        if exchange is None:
            return
        if message.kind == "ident":
            text = message.octets.decode("ascii").strip()
            exchange.detail["ident"] = text[5:]
            self.book.saw_constant("ident", text[1:4] + text[5:])
            self.answered(at, began, used, Result.OK)
        elif message.kind == "option":
            self.mode_e = exchange.code == "mode-e"
            self.answered(at, began, used, Result.OK)
        elif message.kind == "nak":
            self._refused(at, began, used, exchange)
        elif message.kind == "command":
            self.answered(at, began, used, self._answered_by_command(message, exchange))
        elif message.kind == "data":
            self._data(at, began, used, message, exchange)
        else:
            self._acknowledged(at, used)

    def _refused(self, at: float, began: float, used: int, exchange: Exchange) -> None:
        exchange.detail["meaning"] = "NAK"
        denied = exchange.code in ("P1", "P2")
        self.answered(at, began, used, Result.DENIED if denied else Result.UNSUPPORTED)

    def _answered_by_command(self, message: Message, exchange: Exchange) -> Result:
        """The meter may challenge (P0), or break off (B0)."""
        if message.octets[:2] != b"B0":
            return Result.OK
        exchange.detail["meaning"] = "the meter broke off (B0)"
        return Result.DENIED if exchange.code in ("P1", "P2") else Result.REFUSED

    def _data(self, at: float, began: float, used: int, message: Message, exchange: Exchange) -> None:
        if exchange.code == "/?":  # modes A, B, and C without an option: data follow the identification
            self.outcome = self.outcome or Result.OK
            exchange = self.ask(exchange.at, "readout", "data readout", Kind.REGISTERS, 0)
        error = _ERROR.search(message.octets)
        outcome = Result.OK
        if error is not None and len(message.octets) < 64:
            exchange.detail["meaning"] = message.octets.decode("ascii", "replace").strip()[:60]
            denied = exchange.kind is Kind.ACCESS or _DENIED.search(message.octets)
            outcome = Result.DENIED if denied else Result.UNSUPPORTED
        exchange.detail["lines"] = exchange.detail.get("lines", 0) + message.octets.count(b"(")
        self._contents(began, message.octets, exchange)
        self.answered(at, began, used, None if message.more else outcome)

    def _contents(self, at: float, octets: bytes, exchange: Exchange) -> None:
        """Serial and clock, by their usual names."""
        for found in _SERIAL.finditer(octets):
            self.book.saw_serial(found[1].decode("ascii"))
        date, time = _DATE.search(octets), _TIME.search(octets)
        if date is not None:
            digits = re.sub(rb"\D", b"", date[1])[-6:].decode()
            try:
                self._date = at, datetime.strptime(digits, "%y%m%d").replace(tzinfo=UTC)
            except ValueError:
                self._date = None
        if time is not None:
            digits = re.sub(rb"\D", b"", time[1])[-6:].decode()
            self._time = at, timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6] or 0))
        if date or time:
            self._clock(exchange)

    def _clock(self, exchange: Exchange) -> None:
        """Date and time of one reading; an order of the date that is not year, month, day is told by being far off."""
        if self._date is None or self._time is None:
            return
        (dated, day), (timed, time) = self._date, self._time
        offset = (day + time).timestamp() - self.expected.utc_offset - timed
        if abs(dated - timed) < 5 and abs(offset) < 86400:
            self.book.clock_offset = round(offset, 3)
            exchange.detail["clock"] = (day + time).isoformat(sep=" ")[:19]


def _kind(code: str, address: str) -> Kind:
    if code[:1] in "WE":
        return Kind.WRITE
    if "P.98" in address or "P.99" in address:
        return Kind.AUDIT
    if "P.0" in address or code in ("R5", "R6"):
        return Kind.MEMORY
    if address.startswith(("0.9.", "C.")):
        return Kind.CLOCK if address.startswith("0.9.") else Kind.PARAMETERS
    return Kind.REGISTERS
