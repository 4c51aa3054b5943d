"""Modbus overheard, RTU and TCP: unit, function, addresses, exceptions (MODBUS Application Protocol V1.1b3).

::

    RTU  | unit | function, data | CRC lo | CRC hi |
    TCP  | transaction 2 | 0 0 | length 2 | unit | function, data |

An RTU frame ends where its function says; answers are told by the request they follow.
"""

import re
from typing import Final

from edge.guardian.contract import MODBUS, Exchange, Expected, Kind, Result, Side
from edge.guardian.decoder import Decoder
from edge.guardian.veil import Veil
from ext.checksums import crc16_modbus

FUNCTIONS: Final[dict[int, tuple[str, Kind]]] = {
    0x01: ("read coils", Kind.REGISTERS),
    0x02: ("read discrete inputs", Kind.REGISTERS),
    0x03: ("read holding registers", Kind.REGISTERS),
    0x04: ("read input registers", Kind.REGISTERS),
    0x05: ("write single coil", Kind.WRITE),
    0x06: ("write single register", Kind.WRITE),
    0x07: ("read exception status", Kind.OTHER),
    0x08: ("diagnostics", Kind.OTHER),
    0x0B: ("get communication event counter", Kind.OTHER),
    0x0C: ("get communication event log", Kind.OTHER),
    0x0F: ("write multiple coils", Kind.WRITE),
    0x10: ("write multiple registers", Kind.WRITE),
    0x11: ("report server id", Kind.OTHER),
    0x14: ("read file record", Kind.MEMORY),
    0x15: ("write file record", Kind.WRITE),
    0x16: ("mask write register", Kind.WRITE),
    0x17: ("read and write multiple registers", Kind.WRITE),
    0x18: ("read FIFO queue", Kind.OTHER),
    0x2B: ("encapsulated interface", Kind.PARAMETERS),
}
EXCEPTIONS: Final[dict[int, tuple[str, Result]]] = {
    0x01: ("illegal function", Result.UNSUPPORTED),
    0x02: ("illegal data address", Result.UNSUPPORTED),
    0x03: ("illegal data value", Result.UNSUPPORTED),
    0x04: ("server device failure", Result.REFUSED),
    0x05: ("acknowledge: still at it", Result.REFUSED),
    0x06: ("server device busy", Result.REFUSED),
    0x08: ("memory parity error", Result.REFUSED),
    0x0A: ("gateway path unavailable", Result.SILENT),
    0x0B: ("gateway target device failed to respond", Result.SILENT),
}
MAX_PDU: Final = 253
MAX_PENDING: Final = 16  # requests a client may have on the way; older ones count as not answered
_FIXED_REQUEST: Final = {
    **dict.fromkeys(range(1, 7), 5),
    7: 1,
    8: 5,
    0x0B: 1,
    0x0C: 1,
    0x11: 1,
    0x16: 7,
    0x18: 3,
    0x2B: 4,
}
_COUNTED_REQUEST: Final = {0x0F: 5, 0x10: 5, 0x14: 1, 0x15: 1, 0x17: 9}  # where the octet count stands
_FIXED_ANSWER: Final = {5: 5, 6: 5, 7: 2, 8: 5, 0x0B: 5, 0x0F: 5, 0x10: 5, 0x16: 7}
_COUNTED_ANSWER: Final = frozenset({1, 2, 3, 4, 0x0C, 0x11, 0x14, 0x15, 0x17})


def request_size(pdu: bytes) -> int | None:
    """Octets of a request that begins so; 0 for what is none, None while it is too short to tell."""
    if not pdu:
        return None
    function = pdu[0]
    if function in _FIXED_REQUEST:
        return _FIXED_REQUEST[function]
    place = _COUNTED_REQUEST.get(function)
    if place is None:
        return 0
    return place + 1 + pdu[place] if len(pdu) > place else None


def answer_size(pdu: bytes) -> int | None:
    """The same for an answer."""
    if len(pdu) < 2:
        return None
    function = pdu[0]
    if function & 0x80:
        return 2
    if function in _FIXED_ANSWER:
        return _FIXED_ANSWER[function]
    if function in _COUNTED_ANSWER:
        return 2 + pdu[1]
    if function == 0x18:
        return 3 + int.from_bytes(pdu[1:3], "big") if len(pdu) > 2 else None
    return _identification_size(pdu) if function == 0x2B else 0


def _identification_size(pdu: bytes) -> int | None:
    """Answer 2B/0E: a list of objects, each with its length."""
    if pdu[1] != 0x0E:
        return 0
    end = 7
    for _ in range(pdu[6] if len(pdu) > 6 else 0):
        if len(pdu) < end + 2:
            return None
        end += 2 + pdu[end + 1]
    return end if len(pdu) > 6 else None


class ModbusDecoder(Decoder):
    """One conversation, in whichever of the two frames it begins."""

    name = MODBUS

    def __init__(self, expected: Expected) -> None:
        super().__init__(expected, Veil(None, lambda _: (0, 0)), Veil(None, lambda _: (0, 0)))
        self.carrier = ""  # "rtu" or "tcp" once known
        self.pending: dict[int, tuple[Exchange, bytes]] = {}  # TCP: by transaction
        self._request = b""  # RTU: unit and PDU of the present request

    # -- requests ----------------------------------------------------------------------------------------------------

    def hear_client(self, at: float) -> None:
        lane = self.client
        while lane.buffer:
            if lane.dirty:
                lane.spoil()
                return
            rtu = self._rtu_request() if self.carrier != "tcp" else 0
            tcp = self._tcp_request() if self.carrier != "rtu" else 0
            if rtu:
                self.carrier, self.sure = "rtu", True
                self._asked(at, 0, bytes(lane.buffer[: rtu - 2]), rtu)
                lane.prove(rtu)
            elif tcp:
                self.carrier, self.sure = "tcp", True
                self._asked(at, int.from_bytes(lane.buffer[:2], "big"), bytes(lane.buffer[6:tcp]), tcp)
                lane.prove(tcp)
            elif rtu == 0 and tcp == 0:
                if self.sure:
                    self.damaged(Side.CLIENT)
                lane.spoil()
            else:
                return

    def _rtu_request(self) -> int | None:
        """Size of the whole request the buffer begins with; 0 for none, None while it may become one."""
        buffer = bytes(self.client.buffer[: MAX_PDU + 3])
        size = request_size(buffer[1:])
        if not size:
            return size
        if size > MAX_PDU or (len(buffer) >= size + 3 and crc16_modbus(buffer[: size + 3]) != 0):
            return 0
        return size + 3 if len(buffer) >= size + 3 else None

    def _tcp_request(self) -> int | None:
        buffer = self.client.buffer
        if any(buffer[2:4]):
            return 0
        if len(buffer) < 8:
            return None
        size = int.from_bytes(buffer[4:6], "big")
        if not 2 <= size <= MAX_PDU + 1:
            return 0
        if len(buffer) < 6 + size:
            return None
        wanted = request_size(bytes(buffer[7 : 6 + size]))
        known = wanted == size - 1 or (wanted is not None and buffer[7] == 8 and size > wanted)
        return 6 + size if known or self.sure else 0

    def _asked(self, at: float, transaction: int, frame: bytes, size: int) -> None:
        unit, function = frame[0], frame[1]
        began = self.client.front_at
        if self.carrier == "rtu":
            if self.meter.buffer:
                self.spoilt()
                self.meter.buffer.clear()
            self.restored()
            if frame == self._request and self.current is not None and self.outcome is None:
                self.current.asked += size
                self.current.detail["repeats"] = self.current.detail.get("repeats", 0) + 1
                return
            self.settle(at)
            self._request = frame
        name, kind = FUNCTIONS.get(function, (f"function {function:02X}", Kind.OTHER))
        exchange = Exchange(began, f"{function:02X}", f"{function:02X} {name}", kind, asked=size)
        exchange.detail["unit"] = unit
        if function in (1, 2, 3, 4, 5, 6, 0x0F, 0x10, 0x16, 0x17) and len(frame) >= 4:
            exchange.detail["address"] = int.from_bytes(frame[2:4], "big")
        if function in (1, 2, 3, 4, 0x0F, 0x10, 0x17) and len(frame) >= 6:
            exchange.detail["count"] = int.from_bytes(frame[4:6], "big")
        self.book.open(exchange, frame[:6].hex())
        self.outcome = Result.UNANSWERED if unit == 0 and self.carrier == "rtu" else None  # broadcast
        if self.carrier == "rtu":
            self.current = exchange
            return
        if transaction in self.pending:
            self._lost(at, transaction)
        self.pending[transaction] = exchange, frame
        if len(self.pending) > MAX_PENDING:
            self._lost(at, next(iter(self.pending)))

    def _lost(self, at: float, transaction: int) -> None:
        exchange, _ = self.pending.pop(transaction)
        self.book.close(exchange, Result.SILENT, at)

    # -- answers -----------------------------------------------------------------------------------------------------

    def hear_meter(self, at: float) -> None:
        if not self.sure:
            self.meter.buffer.clear()
        elif self.carrier == "tcp":
            self._hear_tcp(at)
        else:
            self._hear_rtu(at)

    def _hear_tcp(self, at: float) -> None:
        lane = self.meter
        while lane.buffer:
            size = int.from_bytes(lane.buffer[4:6], "big")
            if lane.dirty or any(lane.buffer[2:4]) or (len(lane.buffer) >= 6 and not 2 <= size <= MAX_PDU + 1):
                self.spoilt()
                lane.spoil()
                return
            if len(lane.buffer) < 6 + size or len(lane.buffer) < 8:
                return
            found = self.pending.pop(int.from_bytes(lane.buffer[:2], "big"), None)
            frame = bytes(lane.buffer[6 : 6 + size])
            self.book.frames += 1
            self.restored()
            if found is not None:
                exchange, request = found
                exchange.answered += 6 + size
                exchange.detail["latency"] = round(max(0.0, lane.front_at - exchange.at), 6)
                self.book.close(exchange, _outcome(request, frame, exchange), at)
            lane.prove(6 + size)

    def _hear_rtu(self, at: float) -> None:
        lane = self.meter
        while lane.buffer:
            if self.current is None or self.outcome is not None:
                self.spoilt()  # nobody asked
                lane.use(len(lane.buffer))
                return
            unit, function = self._request[0], self._request[1]
            start = re.compile(
                re.escape(bytes((unit,))) + b"(?:[" + re.escape(bytes((function, function | 0x80))) + b"]|$)"
            )
            found = start.search(lane.buffer)
            if found is None or found.start():
                self.spoilt()
                lane.use(found.start() if found else len(lane.buffer))
                continue
            size = answer_size(bytes(lane.buffer[1 : MAX_PDU + 1]))
            if size is None or len(lane.buffer) < size + 3:
                return
            frame = bytes(lane.buffer[: size + 3])
            if not size or crc16_modbus(frame) != 0:
                self.spoilt()
                self.searches -= 1
                lane.use(1 if self.searches > 0 else size + 3)
                continue
            self.answered(at, lane.front_at, len(frame), _outcome(self._request, frame[:-2], self.current))
            lane.prove(size + 3)

    def close(self, at: float) -> None:
        for transaction in list(self.pending):
            self._lost(at, transaction)
        super().close(at)


def _outcome(request: bytes, frame: bytes, exchange: Exchange) -> Result:
    """What an answer (unit and PDU) means for its request."""
    if len(frame) > 2 and frame[1] == request[1] | 0x80:
        meaning, result = EXCEPTIONS.get(frame[2], ("unknown exception", Result.REFUSED))
        exchange.detail["exception"] = frame[2]
        exchange.detail["meaning"] = f"exception {frame[2]:02X}: {meaning}"
        return result
    if frame[1] != request[1] or answer_size(frame[1:]) not in (len(frame) - 1, 0):
        exchange.detail["meaning"] = f"the answer is of function {frame[1]:02X}, {len(frame) - 1} octets"
        return Result.BROKEN
    wanted = exchange.detail.get("count", 0)
    octets = {1: -(-wanted // 8), 2: -(-wanted // 8), 3: 2 * wanted, 4: 2 * wanted}.get(request[1])
    return Result.OK if octets is None or frame[2] == octets else Result.PARTIAL
