"""NBR 14522 overheard: commands, answers, signals, in all wire variants (dossier abnt-nbr-14522 §13).

The reader's octets come over TCP and are whole; the meter's cross a serial line and may be damaged. So the reader's
side is parsed from clean beginnings only, and whatever the reader says puts the meter's side in order again: a command
or a NAK ends a block that was cut short.
"""

import re
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import (
    ADDRESS_MARK,
    COMMAND_SIZE,
    HEADER,
    Answer,
    Command,
    Damaged,
    FrameError,
    Heard,
    Signal,
    Variant,
    next_from_meter,
)
from edge.guardian.abnt_contents import Contents, kind_of
from edge.guardian.contract import ABNT, Exchange, Expected, Result, Side
from edge.guardian.decoder import QUIET, Decoder
from edge.guardian.veil import Span, Veil
from ext.checksums import crc16_arc, crc16_modbus

_COMPLEMENT: Final = bytes(255 - i for i in range(256))
_TO_METER: Final = {int(s): s for s in (Signal.ACK, Signal.NAK, Signal.ALO)}
_TO_METER_INVERTED: Final = {255 - s: s for s in (Signal.ACK, Signal.NAK)}
#: Codes a conversation is believed to begin with; later any code is taken.
_KNOWN: Final = frozenset(commands.COMMANDS) | commands.DANGEROUS
_NO_CODE: Final = commands.REFUSALS | {0x00}
#: Octets 5-64 of a command and its check, which would tell 16 bits of them; octets 6-15 of the seed's answer.
_PARAMETERS: Final = (4, COMMAND_SIZE)
_SEED: Final = (5, 15)


def hides_parameters(code: int) -> bool:
    """Say whether a command's parameters may be a secret: the password token, and what a maker puts into his own."""
    return code == commands.PASSWORD_TOKEN or code not in commands.COMMANDS


class AbntDecoder(Decoder):
    """One conversation."""

    name = ABNT

    def __init__(self, expected: Expected) -> None:
        token = rb"(?=([\x11\xee]))"
        super().__init__(expected, Veil(token, lambda _: (4, COMMAND_SIZE - 4)), Veil(None, lambda _: (0, 0)))
        self.contents = Contents(self.book, expected)
        self.variant = Variant.PLAIN
        self.command: Command | None = None
        self.enqs = 0
        self._only_enqs = True

    # -- from the reader ---------------------------------------------------------------------------------------------

    def hear_client(self, at: float) -> None:
        lane = self.client
        while lane.buffer:
            if lane.dirty:
                lane.spoil()
                return
            signal = self._signal(lane.buffer[0])
            if signal is not None:
                self._signalled(signal)
                lane.prove(1) if self.sure else lane.use(1)
                continue
            found = self._command()
            if found is None:
                self._veil_parameters()
                return
            variant, size, command = found
            if command is None:
                if self.sure:
                    self.damaged(Side.CLIENT)
                lane.spoil()
                return
            shift = size - COMMAND_SIZE
            secret = hides_parameters(command.code)
            began = lane.front_at
            lane.prove(size, ((_PARAMETERS[0] + shift, size),) if secret else ())
            self._commanded(began, variant, size, command)

    def _signal(self, octet: int) -> Signal | None:
        signal = _TO_METER.get(octet)
        if signal is None and self.variant is Variant.DIRECTIONAL:
            return _TO_METER_INVERTED.get(octet)
        return signal

    def _signalled(self, signal: Signal) -> None:
        exchange = self.current
        if signal is Signal.NAK:
            self._end_block()
        if exchange is None:
            return
        exchange.asked += 1
        if signal is Signal.NAK:
            exchange.detail["naks"] = exchange.detail.get("naks", 0) + 1

    def _command(self) -> tuple[Variant, int, Command | None] | None:
        """The command the buffer begins with, in whichever dress; None while more octets may make it one."""
        buffer = self.client.buffer
        first = buffer[0]
        tries = [Variant.PLAIN, Variant.DIRECTIONAL]
        if first == HEADER[0] and buffer[1:2] in (b"", HEADER[1:]):
            tries.append(Variant.HEADED)
        elif first == ADDRESS_MARK:
            tries.append(Variant.ADDRESSED)
        for variant in tries:
            size = variant.command_size
            if len(buffer) < size:
                return None
            octets = bytes(buffer[:size])
            if not _sealed(octets, variant):
                continue
            try:
                command = Command.from_bytes(octets, variant)
            except FrameError:
                continue
            if command.code not in _NO_CODE and (self.sure or command.code in _KNOWN):
                return variant, size, command
        return tries[-1], 0, None

    def _veil_parameters(self) -> None:
        """A command is on its way whose parameters nobody may read, told by its beginning alone."""
        lane = self.client
        shift = {ADDRESS_MARK: 5, HEADER[0]: 2}.get(lane.buffer[0], 0)
        code = lane.buffer[shift : shift + 1]
        if code and all(hides_parameters(c) and (self.sure or c in _KNOWN) for c in (code[0], 255 - code[0])):
            lane.veil.hide(lane.front + shift, _PARAMETERS[0], _PARAMETERS[1] - _PARAMETERS[0])

    def _commanded(self, at: float, variant: Variant, size: int, command: Command) -> None:
        self.sure = True
        self._end_block()
        self.variant = variant
        exchange = self.current
        if exchange is not None and command == self.command and not self.contents.blocks and not self.contents.final:
            exchange.asked += size
            exchange.detail["repeats"] = exchange.detail.get("repeats", 0) + 1
            return
        self.command = command
        key, detail = self.contents.asked(command)
        name = f"{command.code:02X} {commands.name_of(command.code)}"
        exchange = self.ask(at, f"{command.code:02X}", name, kind_of(command.code), size, key)
        exchange.detail.update(detail)
        if variant is not Variant.PLAIN:
            exchange.detail["variant"] = variant.value
        self.contents.begin(command, exchange)

    # -- from the meter ----------------------------------------------------------------------------------------------

    def feed(self, at: float, side: Side, data: bytes) -> list[Span]:
        if side is Side.METER and at - self.meter.heard_at > QUIET and not self.meter.buffer:
            self.junk = False
        return super().feed(at, side, data)

    def hear_meter(self, at: float) -> None:
        lane = self.meter
        if not self.sure:
            enqs = lane.buffer.count(Signal.ENQ)
            self._only_enqs = self._only_enqs and enqs == len(lane.buffer)
            self.enqs += enqs
            self.hint = self._only_enqs
            lane.buffer.clear()
            return
        exchange, code = self.current, self.command.code if self.command else 0
        if code == commands.PASSWORD_SEED:  # until its check has come, or when that fails
            lane.veil.cover(len(lane.buffer))
        while lane.buffer:
            if self.junk and not self._skip(code):
                return
            used, message = next_from_meter(lane.buffer, self.variant, (code,) if exchange else ())
            if message is None:
                return
            if isinstance(message, Answer):
                self._answered(at, used, message)
            elif isinstance(message, Heard):
                self._heard(message.signal)
                lane.prove(1)
            elif isinstance(message, Damaged) and self.searches <= 0:
                self.spoilt()
                lane.use(used)
            else:
                self.searches -= isinstance(message, Damaged)
                self.spoilt()
                lane.use(1)

    def _skip(self, code: int) -> bool:
        """Throw away what cannot begin a block; False when nothing is left."""
        lane = self.meter
        if self.variant is Variant.HEADED:
            starts = HEADER[:1]
        else:
            starts = bytes((code, *commands.REFUSALS))
            if self.variant is Variant.DIRECTIONAL:
                starts = starts.translate(_COMPLEMENT)
        found = re.search(b"[" + re.escape(starts) + b"]", lane.buffer)
        lane.use(found.start() if found else len(lane.buffer))
        return found is not None

    def _end_block(self) -> None:
        """The reader spoke: a block of the meter that is not whole will not become so."""
        if self.meter.buffer and self.sure:
            self.spoilt()
            self.meter.buffer.clear()
        self.restored()

    def _heard(self, signal: Signal) -> None:
        exchange = self.current
        if signal is Signal.ENQ:
            self.enqs += 1
        elif exchange is not None:
            if signal is Signal.NAK:
                self.damaged(Side.CLIENT)
                exchange.detail["meter_naks"] = exchange.detail.get("meter_naks", 0) + 1
            else:
                exchange.detail["waits"] = exchange.detail.get("waits", 0) + 1
        if exchange is not None:
            exchange.detail["signals"] = exchange.detail.get("signals", 0) + 1

    def _answered(self, at: float, size: int, answer: Answer) -> None:
        lane = self.meter
        began = lane.front_at
        shift = len(HEADER) if self.variant is Variant.HEADED else 0
        seed = answer.code == commands.PASSWORD_SEED
        lane.prove(size, ((_SEED[0] + shift, _SEED[1] + shift), (size - 2, size)) if seed else ())
        self.answered(at, began, size)
        if self.current is not None:
            self.contents.answered(began, answer)

    def judge(self, exchange: Exchange) -> Result:
        return self.contents.result(exchange)


def _sealed(octets: bytes, variant: Variant) -> bool:
    """Say whether a command's check fits, without the cost of an exception."""
    if variant is Variant.HEADED:
        return crc16_modbus(octets) == 0
    if variant is Variant.DIRECTIONAL:
        return crc16_arc(octets.translate(_COMPLEMENT)) == 0
    return crc16_arc(octets[-COMMAND_SIZE:]) == 0
