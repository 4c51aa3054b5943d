"""What DLMS messages ask and answer, as far as they are not ciphered (dossier protocols §4.1; IEC 62056-5-3)."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from edge.guardian.contract import Kind, Result

AARQ, AARE, RLRQ, RLRE = 0x60, 0x61, 0x62, 0x63
GET, SET, ACTION = 0xC0, 0xC1, 0xC3
READ, WRITE = 0x05, 0x06
ANSWERS: Final = {GET: 0xC4, SET: 0xC5, ACTION: 0xC7, READ: 0x0C, WRITE: 0x0D, AARQ: AARE, RLRQ: RLRE}
NAMES: Final = {AARQ: "AARQ", RLRQ: "RLRQ", GET: "get", SET: "set", ACTION: "action", READ: "read", WRITE: "write"}
EXCEPTION, SERVICE_ERROR = 0xD8, 0x0E
#: Requests and answers in cipher, global or dedicated key, and general ones of either side.
CIPHERED: Final[dict[int, str]] = {
    0x25: "read", 0x26: "write", 0xC8: "get", 0xC9: "set", 0xCB: "action", 0xD0: "get", 0xD1: "set", 0xD3: "action",
    0xDB: "message", 0xDC: "message", 0xDD: "message", 0xDF: "message", 0xE0: "block",
}  # fmt: skip
CIPHERED_ANSWERS: Final = frozenset({0x2C, 0x2D, 0xCC, 0xCD, 0xCF, 0xD4, 0xD5, 0xD7, 0xDB, 0xDC, 0xDD, 0xDF, 0xE0})
#: Sent by a meter unasked.
UNASKED: Final = frozenset({0x0F, 0xC2})
REQUESTS: Final = frozenset(ANSWERS) | frozenset(CIPHERED)

ACCESS_RESULTS: Final[dict[int, tuple[str, Result]]] = {
    1: ("hardware-fault", Result.REFUSED),
    2: ("temporary-failure", Result.REFUSED),
    3: ("read-write-denied", Result.DENIED),
    4: ("object-undefined", Result.UNSUPPORTED),
    9: ("object-class-inconsistent", Result.UNSUPPORTED),
    11: ("object-unavailable", Result.UNSUPPORTED),
    12: ("type-unmatched", Result.UNSUPPORTED),
    13: ("scope-of-access-violated", Result.DENIED),
    14: ("data-block-unavailable", Result.PARTIAL),
    15: ("long-get-aborted", Result.PARTIAL),
    16: ("no-long-get-in-progress", Result.PARTIAL),
    17: ("long-set-aborted", Result.PARTIAL),
    18: ("no-long-set-in-progress", Result.PARTIAL),
    19: ("data-block-number-invalid", Result.PARTIAL),
}
DIAGNOSTICS: Final = {
    1: "no reason given", 2: "application context not supported", 3: "calling title not recognised",
    11: "authentication mechanism not recognised", 12: "authentication mechanism required",
    13: "authentication failure", 14: "authentication required",
}  # fmt: skip
_EXCEPTIONS: Final = {
    1: ("operation-not-possible", Result.UNSUPPORTED),
    2: ("service-not-supported", Result.UNSUPPORTED),
    3: ("other-reason", Result.REFUSED),
    4: ("pdu-too-long", Result.UNSUPPORTED),
    5: ("deciphering-error", Result.DENIED),
    6: ("invocation-counter-error", Result.DENIED),
}
_MECHANISM: Final = re.compile(rb"\x8b\x07\x60\x85\x74\x05\x08\x02(.)", re.DOTALL)
_CONTEXT: Final = re.compile(rb"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01(.)", re.DOTALL)
_MECHANISMS: Final = ("none", "LLS", "HLS", "HLS-MD5", "HLS-SHA1", "HLS-GMAC", "HLS-SHA256", "HLS-ECDSA")
#: Secrets: the calling authentication value; what is written to or invoked on association (15), security setup (64).
SECRET: Final = rb"(?=(\xac.\x80.|\x00[\x0f\x40]\x00\x00[\x28\x2b]..[\xff]))"
SECRET_OCTETS: Final = 96
_STAMP: Final = re.compile(rb"(?:\x09\x0c|\x19)(\x07[\xd0-\xff].{10}|\x08[\x00-\x3f].{10})", re.DOTALL)
STAMP_SIZE: Final = 14


@dataclass
class Request:
    """``key`` tells what is asked; ``classes``: class, OBIS and attribute, where there is one of each."""

    tag: int
    code: str
    command: str
    kind: Kind
    key: str
    detail: dict[str, Any] = field(default_factory=dict)
    object: tuple[int, str, int] | None = None
    continues: bool = False  # asks for the next block of the answer before


def is_request(apdu: bytes) -> bool:
    return bool(apdu) and apdu[0] in REQUESTS


def hides(match: re.Match[bytes]) -> tuple[int, int]:
    """Where a secret stands behind the beginning of a :data:`SECRET`."""
    found = match[1]
    if found[0] == 0xAC:
        return (4, found[3]) if found[1] == found[3] + 2 else (0, 0)
    return 9, SECRET_OCTETS  # behind class, OBIS and attribute


def secrets(apdu: bytes) -> tuple[tuple[int, int], ...]:
    """Spans of a whole request that must not be kept."""
    if not apdu:
        return ()
    if apdu[0] == AARQ:
        found = re.search(rb"\xac(.)\x80(.)", apdu, re.DOTALL)
        return ((found.start() + 4, min(len(apdu), found.start() + 4 + found[2][0])),) if found else ()
    if apdu[0] in (SET, ACTION) and len(apdu) > 12 and int.from_bytes(apdu[3:5], "big") in (15, 64):
        return ((12, len(apdu)),)
    return ()


def request(apdu: bytes) -> Request:
    """Read a request; what is not understood is named by its tag."""
    tag = apdu[0]
    if tag in CIPHERED:
        name = f"ciphered {CIPHERED[tag]}"
        return Request(tag, name, name, Kind.OTHER, apdu[:16].hex())
    name = NAMES[tag]
    if tag == AARQ:
        mechanism, context = _MECHANISM.search(apdu), _CONTEXT.search(apdu)
        number = mechanism[1][0] if mechanism else 0
        detail = {"authentication": _MECHANISMS[number] if number < len(_MECHANISMS) else f"mechanism {number}"}
        if context:
            detail["context"] = {1: "LN", 2: "SN", 3: "LN ciphered", 4: "SN ciphered"}.get(context[1][0], "other")
        return Request(tag, name, "AARQ associate", Kind.ACCESS, name, detail)
    if tag == RLRQ:
        return Request(tag, name, "RLRQ release", Kind.ACCESS, name)
    if tag in (READ, WRITE):
        kind = Kind.REGISTERS if tag == READ else Kind.WRITE
        return Request(tag, f"{name}-sn", f"{name} (short names)", kind, apdu[:24].hex())
    return _attribute(tag, name, apdu)


def _attribute(tag: int, name: str, apdu: bytes) -> Request:
    way = apdu[1] if len(apdu) > 1 else 0
    if (way == 2 and tag == GET) or (way in (2, 3, 5, 6) and tag in (SET, ACTION) and not _begins(tag, way)):
        return Request(tag, name, f"{name} next block", Kind.OTHER, "", continues=True)
    if len(apdu) < 12 or way not in (1, 2, 4):
        return Request(tag, name, f"{name} list", Kind.REGISTERS if tag == GET else Kind.WRITE, apdu[:32].hex())
    number = int.from_bytes(apdu[3:5], "big")
    obis, attribute = ".".join(str(octet) for octet in apdu[5:11]), apdu[11]
    kind = kind_of(tag, number, obis, attribute)
    detail: dict[str, Any] = {"class": number, "obis": obis, "attribute": attribute}
    key = f"{name} {number} {obis} {attribute}"
    if tag == GET and len(apdu) > 14 and apdu[12] == 1:
        detail["selector"] = apdu[13]
        key += f" {apdu[13:].hex()}"[:200]
    code = f"{name} {obis}"[:32]
    return Request(tag, code, f"{name} {number}/{obis}/{attribute}", kind, key, detail, (number, obis, attribute))


def _begins(tag: int, way: int) -> bool:
    """Set and action that begin with their first block still name the object."""
    return (tag, way) in ((SET, 2), (ACTION, 4))


def kind_of(tag: int, number: int, obis: str, attribute: int) -> Kind:
    """Say what access to an attribute or method is about."""
    if number in (15, 64):
        return Kind.ACCESS if tag == ACTION else Kind.PARAMETERS
    if tag in (SET, ACTION):
        return Kind.WRITE
    if number == 8:
        return Kind.CLOCK
    if number == 7:
        if attribute != 2:
            return Kind.PARAMETERS
        c, d = obis.split(".")[2:4]
        return Kind.AUDIT if (c, d) == ("99", "98") else Kind.MEMORY if c == "99" else Kind.REGISTERS
    group = obis.split(".")
    if group[1] == "0" and group[2] in ("0", "42", "96"):
        return Kind.PARAMETERS
    return Kind.REGISTERS


def access_result(code: int) -> tuple[str, Result]:
    meaning, result = ACCESS_RESULTS.get(code, ("other reason", Result.REFUSED))
    return f"data-access-result {code}: {meaning}", result


def associated(apdu: bytes) -> tuple[str, Result]:
    """What an AARE says; a second pass may still follow when authentication is required (HLS)."""
    result = re.search(rb"\xa2\x03\x02\x01(.)", apdu, re.DOTALL)
    diagnostic = re.search(rb"\xa3\x05[\xa1\xa2]\x03\x02\x01(.)", apdu, re.DOTALL)
    number = diagnostic[1][0] if diagnostic else 0
    said = DIAGNOSTICS.get(number, f"diagnostic {number}")
    if result is None:
        return "the answer cannot be read", Result.REFUSED
    if result[1][0] == 0:
        return ("accepted" if not number else said), Result.OK
    return f"rejected: {said}", Result.UNSUPPORTED if number == 2 else Result.DENIED


def exception(apdu: bytes) -> tuple[str, Result]:
    """Exception response D8, or confirmed service error 0E."""
    if apdu[0] == SERVICE_ERROR:
        return f"confirmed-service-error {apdu[1:4].hex(' ')}", Result.DENIED if apdu[
            2:3
        ] == b"\x06" else Result.REFUSED
    state, service = apdu[1] if len(apdu) > 1 else 0, apdu[2] if len(apdu) > 2 else 0
    meaning, result = _EXCEPTIONS.get(service, ("unknown", Result.REFUSED))
    return (
        f"exception: {'service not allowed, ' if state == 1 else ''}{meaning}",
        Result.DENIED if state == 1 else result,
    )


def stamps(octets: bytes, utc_offset: int) -> list[float]:
    """UTC seconds of all date-times in data; a deviation that is not given is that of ``utc_offset``."""
    found = (instant(match[1], utc_offset) for match in _STAMP.finditer(octets))
    return [at for at in found if at is not None]


def instant(octets: bytes, utc_offset: int) -> float | None:
    """UTC seconds of a date-time of 12 octets; None for one that is open or impossible. Deviation: local to UTC."""
    year, deviation = int.from_bytes(octets[:2], "big"), int.from_bytes(octets[9:11], "big", signed=True)
    hundredths = octets[8] if octets[8] < 100 else 0
    try:
        local = datetime(
            year, octets[2], octets[3], octets[5], octets[6], octets[7] if octets[7] < 60 else 0, tzinfo=UTC
        )
    except ValueError:
        return None
    shift = 60 * deviation if -720 <= deviation <= 840 else -utc_offset
    return local.timestamp() + hundredths / 100 + shift


def length(octets: bytes, at: int) -> tuple[int, int]:
    """A-XDR length at a place: value and place behind it."""
    first = octets[at] if at < len(octets) else 0
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    return int.from_bytes(octets[at + 1 : at + 1 + size], "big"), at + 1 + size


def simple(data: bytes) -> str:
    """A short text for one value: texts and numbers readably, everything else as hex."""
    if not data:
        return ""
    tag = data[0]
    if tag in (9, 10):
        size, at = length(data, 1)
        text = data[at : at + size]
        return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else text.hex()
    signed = {15: 1, 16: 2, 5: 4, 20: 8}.get(tag)
    unsigned = {17: 1, 22: 1, 18: 2, 6: 4, 21: 8}.get(tag)
    size = signed or unsigned or 0
    if size:
        return str(int.from_bytes(data[1 : 1 + size], "big", signed=signed is not None))
    return data[:32].hex()
