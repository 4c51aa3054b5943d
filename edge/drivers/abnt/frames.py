"""Octets on the wire: signals, commands, answers, four wire variants; no I/O (dossier abnt-nbr-14522 §3, §5.4).

::

    command  | code | reader serial 3 | parameters 60 | CRC lo | CRC hi |    66 octets
    answer   | code | meter serial 4  | data 251      | CRC lo | CRC hi |   258 octets

Signals stand alone between frames. There is no delimiter and no length: a frame is told by its first octet and ends
after its fixed number of octets. Damage before a frame shows as junk octets, damage inside as a wrong CRC, a
frame cut short as a gap in time, which only the caller can see. The variants:

* plain: as above;
* directional: every octet of a frame is complemented (CRC made before), ALO opens; whether signals are complemented too
  is not established: both forms are understood, since neither can begin a frame;
* addressed: command behind ``99`` and the meter's serial (4), answer plain;
* headed: ``01 99``, octets without CRC, Modbus CRC over all of it, both ways.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from edge.drivers.abnt import commands
from edge.errors import ProtocolError
from ext.checksums import crc16_arc, crc16_modbus

COMMAND_BODY: Final = 64  # octets the CRC covers
ANSWER_BODY: Final = 256
COMMAND_SIZE: Final = COMMAND_BODY + 2
ANSWER_SIZE: Final = ANSWER_BODY + 2
PARAMETER_OCTETS: Final = 60  # octets 5-64 of a command
DATA_OCTETS: Final = 251  # octets 6-256 of an answer
ADDRESS_MARK: Final = 0x99
HEADER: Final = b"\x01\x99"

_COMPLEMENT: Final = bytes(255 - i for i in range(256))


class Signal(IntEnum):
    """Octets that stand alone. No command code is one of them."""

    ENQ = 0x05
    ACK = 0x06
    WAIT = 0x10
    NAK = 0x15
    ALO = 0xFF  # directional only, reader to meter

    def wire(self, complemented: bool = False) -> bytes:
        """Return the octet to send; ALO has one form only."""
        return bytes((255 - self,)) if complemented and self is not Signal.ALO else bytes((self,))


_BY_OCTET: Final = {int(s): s for s in Signal}
_BY_COMPLEMENT: Final = {255 - s: s for s in Signal if s is not Signal.ALO}


class Variant(Enum):
    """How frames are dressed on this line."""

    PLAIN = "plain"
    DIRECTIONAL = "directional"
    ADDRESSED = "addressed"
    HEADED = "headed"  # 01 99

    @property
    def command_size(self) -> int:
        return {Variant.ADDRESSED: COMMAND_SIZE + 5, Variant.HEADED: COMMAND_SIZE + 2}.get(self, COMMAND_SIZE)

    @property
    def answer_size(self) -> int:
        return ANSWER_SIZE + 2 if self is Variant.HEADED else ANSWER_SIZE


class FrameError(ProtocolError):
    """Octets that are no frame of the kind asked for."""


@dataclass(frozen=True)
class Command:
    """Reader to meter. ``reader``: 6 digits; ``parameters``: octets 5-64, zero filled.

    ``address``: the meter's 8 digits, in the addressed variant only.
    """

    code: int
    reader: str = "000000"
    parameters: bytes = bytes(PARAMETER_OCTETS)
    address: str | None = None

    @property
    def body(self) -> bytes:
        """Octets 1-64."""
        if len(self.parameters) > PARAMETER_OCTETS:
            raise ValueError(f"{len(self.parameters)} parameter octets do not fit the {PARAMETER_OCTETS} of a command")
        return bytes((self.code,)) + _serial(self.reader, 3) + self.parameters.ljust(PARAMETER_OCTETS, b"\0")

    def to_bytes(self, variant: Variant = Variant.PLAIN) -> bytes:
        """Return the octets to write; the addressed variant needs ``address``."""
        if variant is Variant.ADDRESSED:
            if self.address is None:
                raise ValueError("the addressed variant needs the meter's serial in the command")
            return bytes((ADDRESS_MARK,)) + _serial(self.address, 4) + _seal(self.body, Variant.PLAIN)
        return _seal(self.body, variant)

    @classmethod
    def from_bytes(cls, octets: bytes, variant: Variant = Variant.PLAIN) -> "Command":
        """Take a whole command apart; wrong size, mark or CRC raise :class:`FrameError`."""
        address = None
        if variant is Variant.ADDRESSED:
            if octets[:1] != bytes((ADDRESS_MARK,)) or len(octets) != variant.command_size:
                raise FrameError(f"not an addressed command: {octets[:6].hex(' ')} ... ({len(octets)} octets)")
            address, octets, variant = _digits(octets[1:5]), octets[5:], Variant.PLAIN
        body = _open(octets, COMMAND_BODY, variant, "command")
        return cls(body[0], _digits(body[1:4]), body[4:], address)


@dataclass(frozen=True)
class Answer:
    """Meter to reader. ``meter``: octets 2-5 as hex digits; ``data``: octets 6-256, zero filled."""

    code: int
    meter: str
    data: bytes

    @property
    def body(self) -> bytes:
        """Octets 1-256: what the layouts decode, evidence keeps and the public file holds."""
        if len(self.data) > DATA_OCTETS:
            raise ValueError(f"{len(self.data)} data octets do not fit the {DATA_OCTETS} of an answer")
        return bytes((self.code,)) + _serial(self.meter, 4) + self.data.ljust(DATA_OCTETS, b"\0")

    def to_bytes(self, variant: Variant = Variant.PLAIN) -> bytes:
        return _seal(self.body, variant)

    @classmethod
    def from_bytes(cls, octets: bytes, variant: Variant = Variant.PLAIN) -> "Answer":
        """Take a whole answer apart; wrong size, mark or CRC raise :class:`FrameError`."""
        return cls.from_body(_open(octets, ANSWER_BODY, variant, "answer"))

    @classmethod
    def from_body(cls, body: bytes) -> "Answer":
        """Make an answer of its 256 octets without CRC, as in a public file."""
        if len(body) != ANSWER_BODY:
            raise FrameError(f"an answer has {ANSWER_BODY} octets without CRC, not {len(body)}")
        return cls(body[0], _digits(body[1:5]), bytes(body[5:]))


@dataclass(frozen=True)
class Damaged:
    """A frame of the right size whose CRC or dress is wrong: answer NAK."""

    octets: bytes
    reason: str


@dataclass(frozen=True)
class Junk:
    """An octet that is neither a signal nor a plausible block start: the sequence is broken."""

    octet: int


@dataclass(frozen=True)
class Heard:
    """A signal, and whether it came complemented (directional only)."""

    signal: Signal
    complemented: bool = False


FromMeter = Heard | Answer | Damaged | Junk
FromReader = Heard | Command | Damaged | Junk


def next_from_meter(
    buffer: bytes | bytearray, variant: Variant, awaited: Collection[int]
) -> tuple[int, FromMeter | None]:
    """Return (octets used, message); (0, None) while a frame is incomplete. ``awaited``: codes a block may begin with.

    39 and 40 are always plausible. With nothing awaited only signals are understood.
    """
    if not buffer:
        return 0, None
    first = buffer[0]
    start = first if variant is not Variant.DIRECTIONAL else 255 - first
    plausible = first == HEADER[0] if variant is Variant.HEADED else start in awaited or start in commands.REFUSALS
    if awaited and plausible:
        size = variant.answer_size
        if variant is Variant.HEADED and len(buffer) > 1 and buffer[1] != HEADER[1]:
            return 1, Junk(first)
        if len(buffer) < size:
            return 0, None
        octets = bytes(buffer[:size])
        try:
            return size, Answer.from_bytes(octets, variant)
        except FrameError as error:
            return size, Damaged(octets, str(error))
    return 1, _signal(first, variant, {Signal.ENQ, Signal.WAIT, Signal.NAK})


def next_from_reader(buffer: bytes | bytearray, variant: Variant) -> tuple[int, FromReader | None]:
    """Return (octets used, message); (0, None) while a frame is incomplete. The meter's and the inspector's side."""
    if not buffer:
        return 0, None
    first = buffer[0]
    heard = _signal(first, variant, {Signal.ACK, Signal.NAK, Signal.ALO})
    if isinstance(heard, Heard):
        return 1, heard
    marks = {Variant.ADDRESSED: ADDRESS_MARK, Variant.HEADED: HEADER[0]}
    start = first if variant is not Variant.DIRECTIONAL else 255 - first
    # a blank code and the answers' own codes begin no command
    if first != marks.get(variant, first) or start in commands.REFUSALS or start == 0:
        return 1, Junk(first)
    size = variant.command_size
    if len(buffer) < size:
        return 0, None
    octets = bytes(buffer[:size])
    try:
        return size, Command.from_bytes(octets, variant)
    except FrameError as error:
        return size, Damaged(octets, str(error))


def _signal(octet: int, variant: Variant, allowed: Collection[Signal]) -> Heard | Junk:
    signal = _BY_OCTET.get(octet)
    if signal is not None and signal in allowed:
        return Heard(signal)
    if variant is Variant.DIRECTIONAL:
        inverted = _BY_COMPLEMENT.get(octet)
        if inverted is not None and inverted in allowed:
            return Heard(inverted, complemented=True)
    return Junk(octet)


def _seal(body: bytes, variant: Variant) -> bytes:
    if variant is Variant.HEADED:
        dressed = HEADER + body
        return dressed + crc16_modbus(dressed).to_bytes(2, "little")
    octets = body + crc16_arc(body).to_bytes(2, "little")
    return octets.translate(_COMPLEMENT) if variant is Variant.DIRECTIONAL else octets


def _open(octets: bytes, size: int, variant: Variant, what: str) -> bytes:
    extra = len(HEADER) if variant is Variant.HEADED else 0
    if len(octets) != size + extra + 2:
        raise FrameError(f"{what} of {len(octets)} octets, {size + extra + 2} expected ({variant.value})")
    if variant is Variant.DIRECTIONAL:
        octets = octets.translate(_COMPLEMENT)
    if octets[:extra] != HEADER[:extra]:
        raise FrameError(f"{what} begins with {octets[:extra].hex(' ')} instead of {HEADER.hex(' ')}")
    expected = (crc16_modbus if extra else crc16_arc)(octets[:-2]).to_bytes(2, "little")
    if octets[-2:] != expected:
        raise FrameError(f"{what} {octets[extra]:02X}: CRC {octets[-2:].hex(' ')} instead of {expected.hex(' ')}")
    return bytes(octets[extra:-2])


def _serial(text: str, octets: int) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != octets or len(text) != 2 * octets:
        raise ValueError(f"serial {text!r} is not {2 * octets} digits")
    return value


def _digits(octets: bytes) -> str:
    return bytes(octets).hex().upper()
