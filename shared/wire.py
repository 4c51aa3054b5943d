"""What gateway and aggregator say to each other: msgpack, array-like tagged structs (design §5).

Rules: a struct is a list ``[tag, field, ...]``; new fields go at the end with a default; an order, a tag or a type
never changes. ``tests/shared/test_wire.py`` holds golden bytes of every struct. Instants are UTC seconds; a scale is
the exact fraction ``num/den`` that turns a raw integer into the unit of its quantity.
"""

from math import isfinite
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from shared.ids import SPOOL_ID_BYTES

#: Bounds a peer is held to; decoding refuses more (the largest honest batch is far below).
MAX_BATCH_BYTES: Final = 1 << 20
MAX_BATCH_ITEMS: Final = 4096
MAX_DEPTH: Final = 8

# What one side cannot store the other must not take: no control characters in names, no NUL in texts, no integer beyond
# 64 bits, no NaN. A row that a database refuses would hold up its whole batch.
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Code = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Text = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*\Z")]
Int64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]  # excludes NaN as well
Instant = Annotated[int, Meta(ge=0, le=253402300799)]  # to the end of year 9999
Seq = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]
Positive = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]
SpoolId = Annotated[bytes, Meta(min_length=SPOOL_ID_BYTES, max_length=SPOOL_ID_BYTES)]


class Wire(msgspec.Struct, array_like=True, frozen=True):
    """Base of everything sent."""


def _check_plain(value: Any, place: str, depth: int = 0) -> None:
    """Raise ValueError unless ``value`` is what JSON can hold, 64-bit integers, at most :data:`MAX_DEPTH` deep."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{place} is nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or "\0" in key:
                raise ValueError(f"{place} has the key {repr(key)[:60]}: keys are texts without NUL")
            _check_plain(inner, f"{place}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            _check_plain(inner, f"{place}[{i}]", depth + 1)
    elif not (
        value is None
        or (isinstance(value, str) and "\0" not in value)
        or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63)
        or (isinstance(value, float) and isfinite(value))
    ):
        raise ValueError(
            f"{place} holds {repr(value)[:60]}: it takes texts without NUL, 64-bit integers, finite numbers, lists"
        )


# -- items of a batch: what the spool keeps -------------------------------------------------------------------------


class RegisterValue(Wire, frozen=True):
    """One register: OBIS code (E = post), raw count, scale, and for a maximum the instant it was reached."""

    quantity: Code
    value: Int64
    num: Positive = 1
    den: Positive = 1
    at: Instant | None = None


class RegisterReading(Wire, frozen=True, tag=1):
    """All registers of a meter at its own instant ``at``; ``period`` 0 running, 1 closed by the last reset."""

    meter: Name
    at: Instant
    read_at: Instant
    period: Annotated[int, Meta(ge=0, le=1)]
    values: Annotated[list[RegisterValue], Meta(max_length=512)]
    resets: Int64 | None = None  # demand-reset counter
    reset_at: Instant | None = None  # the reset that closed the period before


class ProfileBlock(Wire, frozen=True, gc=False, tag=2):
    """Consecutive intervals of one channel: ``count`` of ``step`` seconds from ``start``, packed by ``ext.profile``."""

    meter: Name
    channel: Code  # OBIS C.29.0
    start: Instant
    step: Annotated[int, Meta(ge=1, le=86400)]
    count: Annotated[int, Meta(ge=1, le=100_000)]
    data: Annotated[bytes, Meta(max_length=MAX_BATCH_BYTES)]
    num: Positive = 1
    den: Positive = 1


class InstantSnapshot(Wire, frozen=True, tag=3):
    """Instantaneous values: OBIS codes and as many little-endian 32-bit floats; NaN = not available."""

    meter: Name
    at: Instant
    quantities: Annotated[list[Code], Meta(max_length=256)]
    values: Annotated[bytes, Meta(max_length=1024)]

    def __post_init__(self) -> None:
        if len(self.values) != 4 * len(self.quantities):
            raise ValueError(
                f"{len(self.quantities)} quantities and {len(self.values)} octets of values, not 4 for each"
            )


class MeterEvent(Wire, frozen=True, tag=4):
    """Something that happened at or to a meter. Kinds: :data:`EVENT_KINDS`; ``until`` for those that last."""

    meter: Name
    at: Instant
    kind: Code
    until: Instant | None = None
    detail: dict[str, Any] = {}  # what JSON can hold

    def __post_init__(self) -> None:
        _check_plain(self.detail, "detail")


class LineTelemetry(Wire, frozen=True):
    """Counters of one line since the gateway's start."""

    line: Name
    exchanges: Count
    errors: Count
    timeouts: Count
    busy_seconds: Finite = 0.0


class ModuleTelemetry(Wire, frozen=True):
    """Communication module: what it knows of itself; None where its hardware cannot tell."""

    module: Name
    temperature: Finite | None = None  # degC
    signal_dbm: Finite | None = None
    signal_percent: Finite | None = None
    operator: Text = ""
    technology: Text = ""


class GatewayTelemetry(Wire, frozen=True, tag=5):
    """Health of the gateway at one instant."""

    at: Instant
    uptime: Count
    rss_bytes: Count
    memory_free_bytes: Count
    disk_free_bytes: Count
    load: Finite
    spool_rows: Count  # not yet acknowledged
    spool_bytes: Count
    clock_offset_ms: Finite | None = None
    modules: list[ModuleTelemetry] = []
    lines: list[LineTelemetry] = []
    completeness: dict[Name, Finite] = {}  # meter -> share of yesterday's intervals held, 0..1


class Result(Wire, frozen=True, tag=6):
    """Final answer to a command; travels through the spool, so it is lost no more than a reading is."""

    command: Name
    at: Instant
    ok: bool
    code: Code  # done, refused, expired, unknown_meter, unreachable, rolled_back, failed ...
    message: Text = ""
    data: dict[str, Any] = {}  # what JSON can hold

    def __post_init__(self) -> None:
        _check_plain(self.data, "data")


class ForwardExchange(Wire, frozen=True):
    """One question of the CCEE and what came back; milliseconds count from the connection's start."""

    at_ms: Count
    command: Text
    result: Code
    asked: Count  # octets of the question
    answered: Count  # octets of the answer
    took_ms: Count
    detail: dict[str, Any] = {}  # what JSON can hold

    def __post_init__(self) -> None:
        _check_plain(self.detail, "detail")


class ForwardConnection(Wire, frozen=True, tag=7):
    """A connection through a forwarded port to a meter, what the guardian understood of it, and its verdict.

    Rules F7 and verdicts I02 .. I14 of dossier ccee-ons §13. Instants of ``_ms`` are UTC milliseconds.
    """

    meter: Name
    forward: Name
    mode: Code  # exclusive, shared, self_test
    source: Text  # host:port
    listen: Text
    started_ms: Count
    ended_ms: Count
    sent: Count  # octets to the meter
    received: Count  # octets from the meter
    first_byte_ms: Count | None
    longest_silence_ms: Count
    close_reason: Code
    protocol: Code
    verdict: Code
    reason: Text = ""
    serial: Text = ""
    clock_offset_ms: Int64 | None = None
    range_start: Instant | None = None  # of the profile asked for
    range_end: Instant | None = None
    delivered_end: Instant | None = None  # of the profile delivered without interruption
    exchanges: Annotated[list[ForwardExchange], Meta(max_length=512)] = []
    more: Count = 0  # exchanges beyond these
    constants: dict[str, Any] = {}  # what JSON can hold
    facts: dict[str, Any] = {}  # what the verdict rests on; ``also``: [code, sentence] of further verdicts that hold

    def __post_init__(self) -> None:
        _check_plain(self.constants, "constants")
        _check_plain(self.facts, "facts")


class ForwardCapture(Wire, frozen=True, tag=8):
    """Part of the octets of a :class:`ForwardConnection`, secrets masked: msgpack of [ms since start, side, octets]."""

    meter: Name
    started_ms: Count
    part: Count
    parts: Positive
    data: Annotated[bytes, Meta(max_length=MAX_BATCH_BYTES)]


Item = (
    RegisterReading
    | ProfileBlock
    | InstantSnapshot
    | MeterEvent
    | GatewayTelemetry
    | Result
    | ForwardConnection
    | ForwardCapture
)

EVENT_KINDS: Final = (
    "outage", "clock_set", "clock_drift", "demand_reset", "battery", "occurrence", "change", "wrong_serial",
    "unreconciled", "reconciled", "meter_unreachable", "meter_back", "profile_lost", "spool_pressure", "spool_damaged",
    "clock_jump", "ccee_failure", "ccee_repeated_failure", "ccee_unknown_source", "forward_trouble",
)  # fmt: skip

# -- up: batches -----------------------------------------------------------------------------------------------------


class Batch(Wire, frozen=True, tag=20):
    """Consecutive spool rows: item i has sequence number ``first_seq + i`` in the stream ``spool_id``."""

    spool_id: SpoolId
    first_seq: Seq
    items: Annotated[list[Item], Meta(min_length=1, max_length=MAX_BATCH_ITEMS)]


class RawBatch(Wire, frozen=True, tag=20):
    """The same bytes as :class:`Batch`, items left encoded: so a gateway builds one, so ingest isolates a bad item."""

    spool_id: SpoolId
    first_seq: Seq
    items: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_BATCH_ITEMS)]


# -- ack -------------------------------------------------------------------------------------------------------------


#: A cursor that no stream reaches: this one is another gateway's (a copied card, a changed id), begin a new one.
FOREIGN_STREAM: Final = 1 << 62


class AckCursor(Wire, frozen=True, tag=21):
    """All rows of ``spool_id`` up to and including ``seq`` are committed; ``want``: [first, last] ranges to repeat."""

    spool_id: SpoolId
    seq: Annotated[int, Meta(ge=0)]
    want: list[tuple[int, int]] = []


# -- cmd and res -----------------------------------------------------------------------------------------------------


class ReadNow(Wire, frozen=True, tag=40):
    """Read these kinds of one meter now (``registers``, ``profile``, ``instantaneous``, ``events``)."""

    meter: Name
    kinds: Annotated[list[Code], Meta(min_length=1, max_length=8)]


class ReadRange(Wire, frozen=True, tag=41):
    """Read the profile of one meter again for [start, end), whether held or not."""

    meter: Name
    start: Instant
    end: Instant


class SetClock(Wire, frozen=True, tag=42):
    """Set a meter's clock to the gateway's, if it is off by at most ``max_shift`` seconds."""

    meter: Name
    max_shift: Annotated[int, Meta(ge=1, le=86400)] = 300


class ApplyConfig(Wire, frozen=True, tag=43):
    """Put this TOML text in force: validated, atomic, rolled back if the broker is then out of reach."""

    toml: Annotated[str, Meta(max_length=200_000)]
    base: Text = ""  # hash of the configuration it was made from; refused when another is in force


class CloseBill(Wire, frozen=True, tag=44):
    """Demand reset (ABNT command 20). Needs the gateway's own permission; no schedule can send it."""

    meter: Name
    confirm: Name  # the meter's serial, typed again


class SetForward(Wire, frozen=True, tag=45):
    """Open or change the forwarded port of a meter (TOML of its ``[meters.forward]``), or close it (no TOML)."""

    meter: Name
    toml: Annotated[str, Meta(max_length=20_000)]
    base: Text = ""  # hash of the configuration it was made from; refused when another is in force


class TestForward(Wire, frozen=True, tag=46):
    """Try a meter's forwarded port as the CCEE would, now (rule F8)."""

    meter: Name


Action = ReadNow | ReadRange | SetClock | ApplyConfig | CloseBill | SetForward | TestForward


class Command(Wire, frozen=True, tag=22):
    """An order for a gateway; it may arrive more than once and is carried out once."""

    id: Name
    issued_at: Instant
    expires_at: Instant
    by: Annotated[str, Meta(max_length=200)]
    action: Action


class Progress(Wire, frozen=True, tag=23):
    """Live progress of a command or a planned reading; sent without guarantee, never stored."""

    at: Instant
    line: Text
    meter: Text
    kind: Text
    done: Count
    total: Count
    command: Text | None = None


# -- state and conf --------------------------------------------------------------------------------------------------


class LineState(Wire, frozen=True):
    """One line: ``state`` is idle, busy, connecting, backing_off or disabled."""

    line: Name
    state: Code
    owner: Text = ""
    queue: Count = 0
    error: Text = ""
    since: Instant = 0


class MeterState(Wire, frozen=True):
    """One meter as its gateway sees it: ``state`` is ok, stale, unreachable, wrong_serial, unreconciled or new."""

    meter: Name
    line: Name
    state: Code
    protocol: Code
    last_ok: Instant | None = None
    error: Text = ""
    module: Text = ""
    missing: Count = 0  # intervals known to be missing and still worth asking for


class ForwardState(Wire, frozen=True):
    """One forwarded port: ``state`` is listening, connected, testing, closed or failed; ``live`` of the connection."""

    meter: Name
    listen: Text
    mode: Code
    state: Code
    source: Text = ""
    since_ms: Count = 0
    last_ccee_ok: Instant | None = None
    last_own_ok: Instant | None = None
    failures: Count = 0  # CCEE sessions in a row that failed
    refused: Count = 0  # connections from networks that are not allowed
    error: Text = ""
    live: dict[str, Any] = {}  # what JSON can hold

    def __post_init__(self) -> None:
        _check_plain(self.live, "live")


class GatewayState(Wire, frozen=True, tag=24):
    """Retained; the last will is the same struct with ``online`` false."""

    at: Instant
    online: bool
    version: Text = ""
    spool_id: bytes = b""
    config: Text = ""  # hash of the configuration in force
    started_at: Instant | None = None
    spool_rows: Count = 0
    lines: list[LineState] = []
    meters: list[MeterState] = []
    alarms: list[str] = []
    forwards: list[ForwardState] = []


class GatewayConfig(Wire, frozen=True, tag=25):
    """Retained: the configuration in force, secrets masked."""

    at: Instant
    hash: Text
    toml: str


Message = Batch | AckCursor | Command | Progress | GatewayState | GatewayConfig

# -- coding ----------------------------------------------------------------------------------------------------------


class WireError(ValueError):
    """Bytes that are not what their topic should carry; the text names the place."""


W = TypeVar("W", bound=Wire)

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def encode(message: Wire) -> bytes:
    """Encode any struct of this module."""
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[W]) -> W:
    """Decode ``payload`` as one struct type; raises :class:`WireError` for anything else, whatever the bytes are."""
    return _decode(payload, kind)  # type: ignore[no-any-return]


def decode_item(payload: bytes | msgspec.Raw) -> Item:
    """Decode one item of a :class:`RawBatch`; raises :class:`WireError`."""
    return _decode(payload, Item)  # type: ignore[no-any-return]


def _decode(payload: bytes | msgspec.Raw, kind: Any) -> Any:
    if len(memoryview(payload)) > MAX_BATCH_BYTES:
        raise WireError(f"payload of {len(memoryview(payload))} bytes is over the limit of {MAX_BATCH_BYTES}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        name = getattr(kind, "__name__", "Item")
        raise WireError(f"not a {name}: {error}") from error
