"""Field tables: a block's class is its table; one definition gives name, octets, decoding and encoding.

::

    class Outages(Block):
        records: tuple[Outage, ...] = at(6, 245, many(record(Outage), 12))

``at(first, last, codec)`` takes octet positions counted from 1 as the standard prints them. Records inside a block
count from 1 again. Decoding raises :class:`OctetError` naming octet and value; encoding raises ``ValueError``
(our mistake).
"""

import math
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar, dataclass_transform

from edge.drivers.abnt.frames import ANSWER_BODY, Answer, FrameError
from edge.errors import ProtocolError
from ext import bcd

T = TypeVar("T")
R = TypeVar("R", bound="Record")
B = TypeVar("B", bound="Block")

_METADATA: Final = "octets"


class OctetError(ProtocolError):
    """Octets of a well-framed answer hold what their field cannot mean. ``octet`` counts from 1."""

    def __init__(self, where: str, octet: int, value: bytes, reason: str) -> None:
        super().__init__(f"{where}, octet {octet}: {value.hex(' ')} is {reason}")
        self.where, self.octet, self.value, self.reason = where, octet, value, reason


class Unreadable(Exception):
    """Inside codecs: these octets, beginning ``offset`` after the field's first, are not what they should be."""

    def __init__(self, reason: str, offset: int = 0, value: bytes | None = None) -> None:
        super().__init__(reason)
        self.reason, self.offset, self.value = reason, offset, value


class Codec(Protocol[T]):
    """Both directions of one kind of field. ``decode`` raises :class:`Unreadable`, ``encode`` ``ValueError``."""

    def decode(self, octets: bytes) -> T: ...

    def encode(self, value: T, size: int) -> bytes: ...


@dataclass(frozen=True)
class Place:
    """Where a field stands, 1-based, both ends included."""

    first: int
    last: int
    codec: Codec[Any]

    @property
    def size(self) -> int:
        return self.last - self.first + 1


_UNSET: Final = object()


def at(first: int, last: int, codec: Codec[Any], default: Any = _UNSET) -> Any:
    """Define a field of a record or block. Without ``default``: what octets of 00 decode to."""
    place = Place(first, last, codec)
    if default is _UNSET:
        try:
            default = codec.decode(bytes(place.size))
        except Unreadable as error:  # a table that cannot be empty must say its default
            raise TypeError(f"octets {first}-{last} need a default: {error}") from error
    return field(default=default, metadata={_METADATA: place})


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """A group of fields; subclasses become frozen keyword-only dataclasses."""

    places: ClassVar[dict[str, Place]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        dataclass(frozen=True, kw_only=True)(cls)
        cls.places = {f.name: f.metadata[_METADATA] for f in fields(cls) if _METADATA in f.metadata}  # type: ignore[arg-type]

    @classmethod
    def unpack(cls: type[R], octets: bytes) -> R:
        """Decode from exactly the octets of the record; raises :class:`Unreadable`."""
        return cls(**cls._values(octets))

    @classmethod
    def _values(cls, octets: bytes) -> dict[str, Any]:
        values = {}
        for name, place in cls.places.items():
            part = octets[place.first - 1 : place.last]
            try:
                values[name] = place.codec.decode(part)
            except Unreadable as error:
                raise Unreadable(
                    f"{error.reason} ({name})" if error.value is None else error.reason,
                    place.first - 1 + error.offset,
                    part if error.value is None else error.value,
                ) from None
        return values

    def pack(self, size: int) -> bytes:
        """Encode into ``size`` octets, 00 where no field stands."""
        octets = bytearray(size)
        for name, place in self.places.items():
            part = place.codec.encode(getattr(self, name), place.size)
            if len(part) != place.size:
                raise ValueError(f"{type(self).__name__}.{name}: {len(part)} octets for a place of {place.size}")
            octets[place.first - 1 : place.last] = part
        return bytes(octets)


class Block(Record):
    """The content of one answer; ``codes`` lists the answers that carry it."""

    codes: ClassVar[frozenset[int]] = frozenset()

    @classmethod
    def decode(cls: type[B], body: bytes) -> B:
        """Decode the 256 octets of an answer without CRC; raises :class:`OctetError` or :class:`FrameError`."""
        if len(body) != ANSWER_BODY:
            raise FrameError(f"an answer has {ANSWER_BODY} octets without CRC, not {len(body)}")
        if cls.codes and body[0] not in cls.codes:
            raise OctetError(cls.__name__, 1, body[:1], "not a code of this block")
        try:
            return cls.unpack(body)
        except Unreadable as error:
            where = f"answer {body[0]:02X} ({cls.__name__})"
            raise OctetError(where, error.offset + 1, error.value or b"", error.reason) from None

    def answer(self, code: int, meter: str) -> Answer:
        """Make the answer frame that carries this block."""
        return Answer(code, meter, self.pack(ANSWER_BODY)[5:])


# -- codecs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Raw:
    def decode(self, octets: bytes) -> bytes:
        return bytes(octets)

    def encode(self, value: bytes, size: int) -> bytes:
        return value.ljust(size, b"\0")


@dataclass(frozen=True)
class _Octet:
    """One octet as it stands: codes and flags."""

    def decode(self, octets: bytes) -> int:
        return octets[0]

    def encode(self, value: int, size: int) -> bytes:
        return bytes((value,))


@dataclass(frozen=True)
class _Bcd:
    """Packed BCD, most significant first (§4)."""

    def decode(self, octets: bytes) -> int:
        try:
            return bcd.decode(octets)
        except bcd.BcdError:
            raise Unreadable("not BCD") from None

    def encode(self, value: int, size: int) -> bytes:
        return bcd.encode(value, size)


@dataclass(frozen=True)
class _MaybeBcd(_Bcd):
    """BCD of a field that is not worth refusing an answer for: None where it is not BCD; None is sent as FF."""

    def decode(self, octets: bytes) -> int | None:  # type: ignore[override]
        try:
            return bcd.decode(octets)
        except bcd.BcdError:
            return None

    def encode(self, value: int | None, size: int) -> bytes:
        return b"\xff" * size if value is None else super().encode(value, size)


@dataclass(frozen=True)
class _Digits:
    """BCD digits as text, as they stand (serials, firmware, model)."""

    def decode(self, octets: bytes) -> str:
        return octets.hex().upper()

    def encode(self, value: str, size: int) -> bytes:
        return bytes.fromhex(value or "00" * size)


@dataclass(frozen=True)
class _Text:
    """ASCII padded with 00 or blanks; octets outside print as they are in Latin-1."""

    def decode(self, octets: bytes) -> str:
        return octets.decode("latin-1").rstrip("\0 ")

    def encode(self, value: str, size: int) -> bytes:
        return value.encode("latin-1").ljust(size, b"\0")


@dataclass(frozen=True)
class _Float:
    """IEEE-754, 32 bit, low octet first; FF FF FF FF and whatever is no finite number is None (§4)."""

    def decode(self, octets: bytes) -> float | None:
        value: float = struct.unpack("<f", octets)[0]
        return value if math.isfinite(value) else None

    def encode(self, value: float | None, size: int) -> bytes:
        return b"\xff\xff\xff\xff" if value is None else struct.pack("<f", value)


def _blank(octets: bytes) -> bool:
    return not any(octets) or all(octet == 0xFF for octet in octets)


@dataclass(frozen=True)
class _Parsed(Generic[T]):
    """BCD pairs made into a date or time; all 00 or all FF is None and is sent as 00."""

    parse: Callable[[list[int]], T]
    parts: Callable[[T], list[int]]
    what: str
    blank_is_none: bool = True

    def decode(self, octets: bytes) -> T | None:
        if self.blank_is_none and _blank(octets):
            return None
        try:
            return self.parse(list(bcd.decode_each(octets, 1)))
        except ValueError:
            raise Unreadable(f"no {self.what}") from None

    def encode(self, value: T | None, size: int) -> bytes:
        return bytes(size) if value is None else bcd.encode_each(array("q", self.parts(value)), 1)


RAW: Final = _Raw()
OCTET: Final = _Octet()
BCD: Final = _Bcd()
MAYBE: Final = _MaybeBcd()
DIGITS: Final = _Digits()
TEXT: Final = _Text()
FLOAT: Final = _Float()

#: hh mm ss dd MM yy, meter local time, year 20yy; None when blank.
STAMP: Final = _Parsed[datetime](
    lambda p: datetime(2000 + p[5], p[4], p[3], p[0], p[1], p[2]),  # noqa: DTZ001 - the meter's own wall clock
    lambda t: [t.hour, t.minute, t.second, t.day, t.month, t.year - 2000],
    "time hh mm ss dd MM yy",
)
#: dd MM yy; None when blank.
DATE: Final = _Parsed[date](
    lambda p: date(2000 + p[2], p[1], p[0]), lambda d: [d.day, d.month, d.year - 2000], "date dd MM yy"
)


def _day_month(parts: list[int]) -> tuple[int, int]:
    date(2000, parts[1], parts[0])
    return parts[0], parts[1]


#: dd MM as (day, month); None when blank.
DAY_MONTH: Final = _Parsed[tuple[int, int]](_day_month, list, "day and month")
#: hh mm; 00 00 is midnight.
HOUR_MINUTE: Final = _Parsed[time](
    lambda p: time(p[0], p[1]), lambda t: [t.hour, t.minute], "time hh mm", blank_is_none=False
)


@dataclass(frozen=True)
class Lenient(Generic[T]):
    """A codec whose trouble is not worth refusing an answer for: None instead, sent as 00 if that is blank, else FF."""

    codec: Codec[T]

    def decode(self, octets: bytes) -> T | None:
        try:
            return self.codec.decode(octets)
        except Unreadable:
            return None

    def encode(self, value: T | None, size: int) -> bytes:
        if value is not None:
            return self.codec.encode(value, size)
        return bytes(size) if self.decode(bytes(size)) is None else b"\xff" * size


@dataclass(frozen=True)
class _Many(Generic[T]):
    codec: Codec[T]
    each: int

    def decode(self, octets: bytes) -> tuple[T, ...]:
        values = []
        for offset in range(0, len(octets), self.each):
            part = octets[offset : offset + self.each]
            try:
                values.append(self.codec.decode(part))
            except Unreadable as error:
                value = part if error.value is None else error.value
                raise Unreadable(error.reason, offset + error.offset, value) from None
        return tuple(values)

    def encode(self, value: tuple[T, ...], size: int) -> bytes:
        if len(value) * self.each > size:
            raise ValueError(f"{len(value)} values of {self.each} octets do not fit {size}")
        return b"".join(self.codec.encode(v, self.each) for v in value).ljust(size, b"\0")


def many(codec: Codec[T], each: int) -> Codec[tuple[T, ...]]:
    """Equal fields of ``each`` octets one after the other; fewer than fit are filled with 00."""
    return _Many(codec, each)


@dataclass(frozen=True)
class _Nested(Generic[R]):
    kind: type[R]

    def decode(self, octets: bytes) -> R:
        return self.kind.unpack(octets)

    def encode(self, value: R, size: int) -> bytes:
        return value.pack(size)


def record(kind: type[R]) -> Codec[R]:
    """A group of fields inside a block."""
    return _Nested(kind)


@dataclass(frozen=True)
class _Optional(Generic[T]):
    codec: Codec[T]

    def decode(self, octets: bytes) -> T | None:
        return None if _blank(octets) else self.codec.decode(octets)

    def encode(self, value: T | None, size: int) -> bytes:
        return bytes(size) if value is None else self.codec.encode(value, size)


def optional(codec: Codec[T]) -> Codec[T | None]:
    """A place that is empty when all its octets are 00 or all are FF."""
    return _Optional(codec)
