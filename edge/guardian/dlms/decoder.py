"""DLMS/COSEM overheard over HDLC or wrapper: associations, requests, results, clock, range (dossier protocols §4.1)."""

from typing import Final

from edge.guardian.contract import DLMS, Exchange, Expected, Kind, Result, Side
from edge.guardian.decoder import Decoder, Lane
from edge.guardian.dlms import apdu as apdus
from edge.guardian.dlms import hdlc
from edge.guardian.veil import Span, Veil

#: A message in segments is kept up to here; honest ones are far below (PDU sizes are 16 bit).
MAX_MESSAGE: Final = 1 << 16
_UNNUMBERED: Final = {hdlc.SNRM: ("SNRM", "SNRM connect"), hdlc.DISC: ("DISC", "DISC disconnect")}
_SERIALS: Final = ("0.0.96.1.0.255", "1.0.0.0.0.255")


class DlmsDecoder(Decoder):
    """One conversation, in whichever carrier it begins."""

    name = DLMS

    def __init__(self, expected: Expected) -> None:
        super().__init__(expected, Veil(apdus.SECRET, apdus.hides), Veil(None, lambda _: (0, 0)))
        self.carrier = ""  # "hdlc" or "wrapper" once known
        self.request: apdus.Request | None = None
        self._parts = [bytearray(), bytearray()]  # information of segments, per side
        self._said = b""  # the client's last frame
        self._tail = b""  # of a memory answer: a stamp may straddle blocks
        self._stamps: list[float] = []  # first, last but one, last of a memory answer
        self._seen = 0

    # -- framing -----------------------------------------------------------------------------------------------------

    def hear_client(self, at: float) -> None:
        lane = self.client
        while lane.buffer:
            if lane.dirty and self.carrier != "hdlc":
                lane.spoil()
                return
            if self.carrier != "wrapper" and lane.buffer[0] == hdlc.FLAG:
                used = self._hdlc(at, Side.CLIENT, lane)
            elif self.carrier == "hdlc":
                used = self._skip(Side.CLIENT, lane)
            else:
                used = self._wrapper(at, Side.CLIENT, lane)
            if not used:
                return

    def hear_meter(self, at: float) -> None:
        lane = self.meter
        if not self.sure:
            lane.buffer.clear()
            return
        while lane.buffer:
            if self.carrier == "wrapper" and lane.dirty:
                lane.spoil()
                return
            if self.carrier == "wrapper":
                used = self._wrapper(at, Side.METER, lane)
            elif lane.buffer[0] == hdlc.FLAG:
                used = self._hdlc(at, Side.METER, lane)
            else:
                used = self._skip(Side.METER, lane)
            if not used:
                return

    def _skip(self, side: Side, lane: Lane) -> bool:
        """Throw away what stands before a flag."""
        found = lane.buffer.find(hdlc.FLAG)
        if side is Side.METER:
            self.spoilt()
        lane.use(found if found >= 0 else len(lane.buffer))
        return True

    def _hdlc(self, at: float, side: Side, lane: Lane) -> bool:
        """Deal with one frame; False while it is not whole."""
        size = hdlc.frame_size(lane.buffer)
        if size is None or len(lane.buffer) < size:
            if side is Side.CLIENT and _secret(self._parts[side]):  # the rest of a secret is on its way
                lane.veil.hide(lane.front, 0, apdus.SECRET_OCTETS)
            return False
        if size == 0:  # a flag that closes, or fills
            lane.use(1)
            return True
        octets = bytes(lane.buffer[:size])
        frame = hdlc.parse(octets)
        if frame is None:
            if not self.sure:
                lane.spoil()
                return False
            self.searches -= 1
            if side is Side.METER:
                self.spoilt()
            else:
                self.damaged(side)
            lane.use(1 if self.searches > 0 else size)
            return True
        self.carrier, self.sure = "hdlc", True
        began = lane.front_at
        lane.prove(size, self._hidden(side, octets, frame))
        if side is Side.CLIENT:
            self._client_frame(began, octets, frame)
        else:
            self._meter_frame(at, began, size, frame)
        return True

    def _hidden(self, side: Side, octets: bytes, frame: hdlc.Frame) -> tuple[Span, ...]:
        """Secrets in a frame, with its check; of a message in segments everything that may belong to one."""
        if side is Side.METER or not frame.information:
            return ()
        at = len(octets) - 3 - len(frame.information)
        if frame.segmented or self._parts[side]:
            begin = at if self._parts[side] else at + len(hdlc.LLC[0])
            return ((begin, len(octets) - 1),) if _secret(self._parts[side] + frame.information) else ()
        shift = 3 if frame.information[:3] in hdlc.LLC else 0
        spans = apdus.secrets(frame.information[shift:])
        return tuple((at + shift + a, at + shift + b) for a, b in spans) + (
            ((len(octets) - 3, len(octets) - 1),) if spans else ()
        )

    def _wrapper(self, at: float, side: Side, lane: Lane) -> bool:
        """Deal with one message; False while it is not whole."""
        buffer = lane.buffer
        begun, size = bytes(buffer[:2]), hdlc.HEADER + int.from_bytes(buffer[6:8], "big")
        wrong = len(buffer) > hdlc.HEADER and (
            size == hdlc.HEADER or (side is Side.CLIENT and buffer[hdlc.HEADER] not in apdus.REQUESTS)
        )
        if wrong or begun != hdlc.VERSION[: len(begun)]:
            if self.sure and side is Side.METER:
                self.spoilt()
            lane.spoil()
            return False
        if len(buffer) <= hdlc.HEADER or len(buffer) < size:
            return False
        message = bytes(buffer[hdlc.HEADER : size])
        if not self.sure and not _plausible(message):
            lane.spoil()
            return False
        self.carrier, self.sure = "wrapper", True
        addresses = int.from_bytes(buffer[2:4], "big"), int.from_bytes(buffer[4:6], "big")
        began = lane.front_at
        if side is Side.CLIENT:
            lane.prove(size, tuple((hdlc.HEADER + a, hdlc.HEADER + b) for a, b in apdus.secrets(message)))
            self._refresh()
            self._asked(began, size, message, addresses)
        else:
            lane.prove(size)
            self._told(at, began, size, message)
        return True

    # -- HDLC --------------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """The client spoke: what the meter began will not become whole."""
        if self.meter.buffer and self.sure and self.meter.buffer != b"\x7e":
            self.spoilt()
        self.meter.buffer.clear()
        self.meter.dirty = False
        self.restored()

    def _client_frame(self, at: float, octets: bytes, frame: hdlc.Frame) -> None:
        self._refresh()
        addresses = frame.source, frame.destination
        repeated, self._said = octets == self._said, octets
        if repeated and self.current is not None and self.outcome is None:
            self.current.asked += len(octets)
            self.current.detail["repeats"] = self.current.detail.get("repeats", 0) + 1
        elif frame.kind in _UNNUMBERED:
            self._parts = [bytearray(), bytearray()]
            code, name = _UNNUMBERED[frame.kind]
            self.ask(at, code, name, Kind.ACCESS, len(octets)).detail |= _addresses(addresses)
            self.request = None
        elif frame.kind == 0:
            message = self._assembled(Side.CLIENT, frame)
            if message:
                self._asked(at, len(octets), message, addresses)
        elif self.current is not None:  # receive ready: the next segment, please
            self.current.asked += len(octets)

    def _assembled(self, side: Side, frame: hdlc.Frame) -> bytes:
        """The message that a frame completes, without its LLC octets; empty while more segments follow."""
        parts = self._parts[side]
        parts += frame.information[: MAX_MESSAGE - len(parts)]
        if frame.segmented:
            return b""
        message = bytes(parts)
        parts.clear()
        return message[3:] if message[:3] in hdlc.LLC else message

    def _meter_frame(self, at: float, began: float, size: int, frame: hdlc.Frame) -> None:
        exchange = self.current
        if frame.kind == 0:
            message = self._assembled(Side.METER, frame)
            if message:
                self._told(at, began, size, message)
            else:
                self.answered(at, began, size)
        elif frame.kind == 1:
            self.answered(at, began, size)
        elif exchange is not None and frame.kind in (hdlc.DM, hdlc.FRMR) and exchange.code != "DISC":
            exchange.detail["meaning"] = "disconnected mode (DM)" if frame.kind == hdlc.DM else "frame rejected (FRMR)"
            self.answered(at, began, size, Result.REFUSED)
        else:
            self.answered(at, began, size, Result.OK)

    # -- messages ----------------------------------------------------------------------------------------------------

    def _asked(self, at: float, size: int, message: bytes, addresses: tuple[int, int]) -> None:
        if not apdus.is_request(message):
            self.damaged(Side.CLIENT)
            return
        request = apdus.request(message)
        current, before = self.current, self.request
        if request.continues and current is not None:
            current.asked += size
            return
        if current is not None and before is not None and before.key == request.key and self.outcome is None:
            current.asked += size
            current.detail["repeats"] = current.detail.get("repeats", 0) + 1
            return
        self.request = request
        exchange = self.ask(at, request.code, request.command, request.kind, size, request.key)
        exchange.detail |= request.detail
        if request.kind is Kind.ACCESS:
            exchange.detail |= _addresses(addresses)
        self._tail, self._stamps, self._seen = b"", [], 0
        if request.kind in (Kind.MEMORY, Kind.AUDIT) and request.detail.get("selector") == 1:
            span = apdus.stamps(message, self.expected.utc_offset)
            if len(span) >= 2:
                exchange.detail["start"], exchange.detail["end"] = int(span[-2]), int(span[-1])

    def _told(self, at: float, began: float, size: int, message: bytes) -> None:
        exchange, request, tag = self.current, self.request, message[0]
        if tag in apdus.UNASKED:
            self.book.frames += 1
            return
        if exchange is None or request is None or exchange.code in ("SNRM", "DISC"):
            self.answered(at, began, size)
            return
        outcome: Result | None
        if tag in (apdus.EXCEPTION, apdus.SERVICE_ERROR):
            exchange.detail["meaning"], outcome = apdus.exception(message)
        elif tag == apdus.AARE:
            exchange.detail["meaning"], outcome = apdus.associated(message)
        elif tag in apdus.CIPHERED_ANSWERS:
            outcome = Result.OPAQUE
        elif tag != apdus.ANSWERS.get(request.tag):
            exchange.detail["meaning"], outcome = f"answer {tag:02X} is none to this request", Result.BROKEN
        else:
            outcome = self._outcome(began, request, message, exchange)
        self.answered(at, began, size, outcome)

    def _outcome(self, at: float, request: apdus.Request, message: bytes, exchange: Exchange) -> Result | None:
        """What an answer in clear means; None when more blocks follow."""
        way = message[1] if len(message) > 1 else 0
        if request.tag == apdus.GET:
            return self._got(at, way, message, exchange)
        if request.tag == apdus.READ:
            return Result.OK if message[2:3] == b"\x00" else _failed(exchange, message[3] if len(message) > 3 else 250)
        if request.tag == apdus.WRITE:
            return Result.OK if message[2:3] == b"\x00" else _failed(exchange, message[3] if len(message) > 3 else 250)
        if request.tag in (apdus.SET, apdus.ACTION) and way == 1:
            code = message[3] if len(message) > 3 else 250
            return Result.OK if code == 0 else _failed(exchange, code)
        return None if request.tag == apdus.SET and way == 2 else Result.OK

    def _got(self, at: float, way: int, message: bytes, exchange: Exchange) -> Result | None:
        if way == 1:
            if message[3:4] != b"\x00":
                return _failed(exchange, message[4] if len(message) > 4 else 250)
            self._data(at, message[4:], exchange, first=True)
            self._delivered(exchange)
            return Result.OK
        if way == 2:
            number = int.from_bytes(message[4:8], "big")
            if message[8:9] != b"\x00":
                return _failed(exchange, message[9] if len(message) > 9 else 250)
            _, begin = apdus.length(message, 9)
            blocks = exchange.detail.get("blocks", 0)
            if number not in (blocks, blocks + 1):
                exchange.detail["interrupted"] = f"block {number} came where {blocks + 1} was due"
            if number > blocks:
                exchange.detail["blocks"] = number
                self._data(at, message[begin:], exchange, first=number == 1)
            if len(message) < 4 or message[3] == 0:
                return None
            self._delivered(exchange)
            return Result.PARTIAL if "interrupted" in exchange.detail else Result.OK
        count, begin = apdus.length(message, 3)
        exchange.detail["values"] = count
        return Result.OK if begin < len(message) or not count else Result.PARTIAL

    def _data(self, at: float, data: bytes, exchange: Exchange, first: bool) -> None:
        """What a part of an attribute says of clock, serial, constants and memory."""
        if exchange.kind is Kind.MEMORY:
            self._rows(data, exchange, first)
            return
        if not first or self.request is None or self.request.object is None:
            return
        number, obis, attribute = self.request.object
        if number == 8 and attribute == 2 and len(data) >= 13:
            now = apdus.instant(data[-12:] if data[0] == 0x19 else data[2:14], self.expected.utc_offset)
            if now is not None:
                self.book.clock_offset = round(now - at, 3)
        elif number == 1 and attribute == 2 and obis in _SERIALS:
            self.book.saw_serial(apdus.simple(data))
        elif exchange.kind is Kind.PARAMETERS and number != 15:
            self.book.saw_constant(f"{obis}/{attribute}", apdus.simple(data)[:64])

    def _rows(self, data: bytes, exchange: Exchange, first: bool) -> None:
        """Number of rows of a profile, and its last stamps."""
        detail = exchange.detail
        if first:
            detail["rows"] = apdus.length(data, 1)[0] if data[:1] == b"\x01" else 0
        text = self._tail + data
        found = apdus.stamps(text, self.expected.utc_offset)
        self._tail = text[-(apdus.STAMP_SIZE - 1) :]
        self._seen += len(found)
        self._stamps = (self._stamps + found)[-2:]
        if self._stamps:
            detail["delivered"] = int(self._stamps[-1])
        if len(self._stamps) == 2 and self._stamps[1] > self._stamps[0]:
            detail["step"] = int(self._stamps[1] - self._stamps[0])

    def _delivered(self, exchange: Exchange) -> None:
        """All rows came; where some carry no time of their own, the last stamp is not that of the last row."""
        detail = exchange.detail
        if exchange.kind is Kind.MEMORY and self._seen < detail.get("rows", 0) and "end" in detail:
            detail["delivered"] = detail["end"]


def _secret(segments: bytearray | bytes) -> bool:
    """Say whether the information of the first segments begins a message that may hold a secret."""
    information = bytes(segments[:4])
    at = len(hdlc.LLC[0]) if information[:3] in hdlc.LLC else 0
    return information[at : at + 1] in (b"\x60", b"\xc1", b"\xc3")


def _plausible(message: bytes) -> bool:
    """Say whether a first message over the wrapper is whole in itself too."""
    if message[0] == apdus.AARQ:
        size, at = apdus.length(message, 1)
        return at + size == len(message)
    return message[0] in apdus.REQUESTS and len(message) >= 3


def _addresses(addresses: tuple[int, int]) -> dict[str, int]:
    return {"client": addresses[0], "server": addresses[1]}


def _failed(exchange: Exchange, code: int) -> Result:
    exchange.detail["meaning"], result = apdus.access_result(code)
    exchange.detail["access_result"] = code
    return result
