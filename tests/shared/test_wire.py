"""The wire contract: golden bytes of every struct, written by hand with MessagePack's specification beside it."""

import math
import struct
from collections.abc import Iterator
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import wire
from shared.wire import Wire, WireError

AT = 1_795_000_000  # 6A FD 86 C0
SPOOL = bytes(range(16))
SPOOL_HEX = "C410 000102030405060708090A0B0C0D0E0F"
COMMAND_HEX = "96 16 A26331 CE6AFD86C0 CE6AFD86FC A26F70"  # tag 22, "c1", issued, expires, "op", then the action


def command(action: wire.Action) -> wire.Command:
    return wire.Command("c1", AT, AT + 60, "op", action)


GOLDEN: dict[str, tuple[Wire, str]] = {
    "register reading": (
        wire.RegisterReading(
            "m1",
            AT,
            AT + 2,
            0,
            [wire.RegisterValue("1.8.0", 1234567, 1, 100), wire.RegisterValue("1.6.1", -4095, 24, 1000, AT - 60)],
            7,
            AT - 86_400,
        ),
        (
            "98 01 A26D31 CE6AFD86C0 CE6AFD86C2 00"
            "92 95 A5312E382E30 CE0012D687 01 64 C0"
            "   95 A5312E362E31 D1F001 18 CD03E8 CE6AFD8684"
            "07 CE6AFC3540"
        ),
    ),
    "profile block": (
        wire.ProfileBlock("m1", "1.29.0", AT, 900, 96, b"\x01\x02", 1, 100),
        "99 02 A26D31 A6312E32392E30 CE6AFD86C0 CD0384 60 C4020102 01 64",
    ),
    "instantaneous snapshot": (
        wire.InstantSnapshot("m1", AT, ["32.7.0"], struct.pack("<f", 127.0)),
        "95 03 A26D31 CE6AFD86C0 91 A633322E372E30 C404 0000FE42",
    ),
    "meter event": (
        wire.MeterEvent("m1", AT, "outage", AT + 60, {"by": "meter"}),
        "96 04 A26D31 CE6AFD86C0 A66F7574616765 CE6AFD86FC 81 A26279 A56D65746572",
    ),
    "gateway telemetry": (
        wire.GatewayTelemetry(
            AT,
            3600,
            50_000_000,
            1 << 30,
            1 << 33,
            0.25,
            12,
            4096,
            -1.5,
            [wire.ModuleTelemetry("gsm", 41.5, -71.0, 60.0, "op", "lte")],
            [wire.LineTelemetry("rs485", 10, 1, 2, 0.5)],
            {"m1": 0.5},
        ),
        (
            "9D 05 CE6AFD86C0 CD0E10 CE02FAF080 CE40000000 CF0000000200000000 CB3FD0000000000000 0C CD1000"
            "CBBFF8000000000000"
            "91 96 A367736D CB4044C00000000000 CBC051C00000000000 CB404E000000000000 A26F70 A36C7465"
            "91 95 A57273343835 0A 01 02 CB3FE0000000000000"
            "81 A26D31 CB3FE0000000000000"
        ),
    ),
    "result": (
        wire.Result("c1", AT, ok=False, code="refused", message="no such meter", data={"n": 1}),
        "97 06 A26331 CE6AFD86C0 C2 A772656675736564 AD6E6F2073756368206D65746572 81 A16E 01",
    ),
    "forwarded connection": (
        wire.ForwardConnection(
            "m1",
            "m1",
            "shared",
            "10.0.0.9:4001",
            "10.0.0.1:5001",
            1000 * AT,
            1000 * AT + 2500,
            66,
            258,
            40,
            900,
            "client",
            "abnt",
            "I14",
            "all delivered",
            "12345678",
            -1500,
            AT - 86_400,
            AT,
            AT,
            [wire.ForwardExchange(0, "14", "ok", 66, 258, 40, {"retries": 1})],
            3,
            {"tc": "20"},
            {"b": 2},
        ),
        (
            "DC0019 07 A26D31 A26D31 A6736861726564 AD31302E302E302E393A34303031 AD31302E302E302E313A35303031"
            "CF000001A1EE565E00 CF000001A1EE5667C4 42 CD0102 28 CD0384 A6636C69656E74 A461626E74 A3493134"
            "AD616C6C2064656C697665726564 A83132333435363738 D1FA24 CE6AFC3540 CE6AFD86C0 CE6AFD86C0"
            "91 97 00 A23134 A26F6B 42 CD0102 28 81 A772657472696573 01"
            "03 81 A27463 A23230 81 A162 02"
        ),
    ),
    "captured octets": (
        wire.ForwardCapture("m1", 1000 * AT, 0, 2, b"\x01\x02"),
        "96 08 A26D31 CF000001A1EE565E00 00 02 C4020102",
    ),
    "batch": (
        wire.Batch(SPOOL, 5, [wire.MeterEvent("m1", AT, "battery")]),
        f"94 14 {SPOOL_HEX} 05 91 96 04 A26D31 CE6AFD86C0 A762617474657279 C0 80",
    ),
    "raw batch": (
        wire.RawBatch(SPOOL, 5, [msgspec.Raw(bytes.fromhex("96 04 A26D31 CE6AFD86C0 A762617474657279 C0 80"))]),
        f"94 14 {SPOOL_HEX} 05 91 96 04 A26D31 CE6AFD86C0 A762617474657279 C0 80",
    ),
    "ack cursor": (wire.AckCursor(SPOOL, 300, [(10, 12)]), f"94 15 {SPOOL_HEX} CD012C 91 92 0A 0C"),
    "read now": (command(wire.ReadNow("m1", ["profile"])), f"{COMMAND_HEX} 93 28 A26D31 91 A770726F66696C65"),
    "read range": (
        command(wire.ReadRange("m1", AT, AT + 900)),
        f"{COMMAND_HEX} 94 29 A26D31 CE6AFD86C0 CE6AFD8A44",
    ),
    "set clock": (command(wire.SetClock("m1")), f"{COMMAND_HEX} 93 2A A26D31 CD012C"),
    "apply config": (command(wire.ApplyConfig("a = 1\n", "ab")), f"{COMMAND_HEX} 93 2B A661203D20310A A26162"),
    "close bill": (command(wire.CloseBill("m1", "12345678")), f"{COMMAND_HEX} 93 2C A26D31 A83132333435363738"),
    "set forward": (
        command(wire.SetForward("m1", "port = 1\n", "ab")),
        f"{COMMAND_HEX} 94 2D A26D31 A9706F7274203D20310A A26162",
    ),
    "test forward": (command(wire.TestForward("m1")), f"{COMMAND_HEX} 92 2E A26D31"),
    "progress": (
        wire.Progress(AT, "rs485", "m1", "profile", 1, 96, "c1"),
        "98 17 CE6AFD86C0 A57273343835 A26D31 A770726F66696C65 01 60 A26331",
    ),
    "gateway state": (
        wire.GatewayState(
            AT,
            online=True,
            version="0.1.0",
            spool_id=SPOOL,
            config="ab",
            started_at=AT - 3600,
            spool_rows=12,
            lines=[wire.LineState("rs485", "busy", "plan", 1, "", AT)],
            meters=[wire.MeterState("m1", "rs485", "ok", "abnt", AT, "", "gsm", 3)],
            alarms=["disk"],
            forwards=[
                wire.ForwardState(
                    "m1",
                    "10.0.0.1:5001",
                    "shared",
                    "connected",
                    "10.0.0.9:4001",
                    1000 * AT,
                    AT - 60,
                    AT - 30,
                    1,
                    2,
                    "",
                    {"command": "14"},
                )
            ],
        ),
        (
            f"9C 18 CE6AFD86C0 C3 A5302E312E30 {SPOOL_HEX} A26162 CE6AFD78B0 0C"
            "91 96 A57273343835 A462757379 A4706C616E 01 A0 CE6AFD86C0"
            "91 98 A26D31 A57273343835 A26F6B A461626E74 CE6AFD86C0 A0 A367736D 03"
            "91 A46469736B"
            "91 9C A26D31 AD31302E302E302E313A35303031 A6736861726564 A9636F6E6E6563746564"
            "AD31302E302E302E393A34303031 CF000001A1EE565E00 CE6AFD8684 CE6AFD86A2 01 02 A0"
            "81 A7636F6D6D616E64 A23134"
        ),
    ),
    "gateway config": (wire.GatewayConfig(AT, "ab", "a = 1\n"), "94 19 CE6AFD86C0 A26162 A661203D20310A"),
}

golden = pytest.mark.parametrize(("message", "hexes"), GOLDEN.values(), ids=GOLDEN.keys())


def structs_in(value: Any) -> Iterator[Wire]:
    if isinstance(value, Wire):
        yield value
        for field in value.__struct_fields__:
            yield from structs_in(getattr(value, field))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from structs_in(inner)


def test_every_struct_has_golden_bytes() -> None:
    shown = {type(found) for message, _ in GOLDEN.values() for found in structs_in(message)}
    defined = {kind for kind in vars(wire).values() if isinstance(kind, type) and issubclass(kind, Wire)}
    assert defined - {Wire} == shown


def test_tags_are_unique() -> None:
    tags: dict[Any, str] = {}
    for message, _ in GOLDEN.values():
        for found in structs_in(message):
            tag = found.__struct_config__.tag
            if tag is not None and not isinstance(found, wire.RawBatch):
                assert tags.setdefault(tag, type(found).__name__) == type(found).__name__


@golden
def test_golden_bytes(message: Wire, hexes: str) -> None:
    data = bytes.fromhex(hexes)
    assert wire.encode(message).hex() == data.hex()
    assert wire.decode(data, type(message)) == message


@golden
def test_another_library_reads_the_same(message: Wire, hexes: str) -> None:
    assert msgpack.unpackb(bytes.fromhex(hexes)) == as_lists(message)


def as_lists(value: Any) -> Any:
    if isinstance(value, Wire):
        tag = value.__struct_config__.tag
        fields = [as_lists(getattr(value, field)) for field in value.__struct_fields__]
        return fields if tag is None else [tag, *fields]
    if isinstance(value, msgspec.Raw):
        return msgpack.unpackb(bytes(value))
    return [as_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value


# -- evolution -------------------------------------------------------------------------------------------------------


@golden
def test_an_old_decoder_reads_what_was_appended(message: Wire, hexes: str) -> None:
    newer = [*msgpack.unpackb(bytes.fromhex(hexes)), "appended later", {"and": ["more"]}]
    assert wire.decode(msgpack.packb(newer), type(message)) == message


@golden
def test_a_new_decoder_reads_what_came_before_the_optional_fields(message: Wire, hexes: str) -> None:
    fields = msgspec.structs.fields(type(message))
    required = [field for field in fields if field.required]
    assert fields[: len(required)] == tuple(required)
    older = msgpack.packb(msgpack.unpackb(bytes.fromhex(hexes))[: 1 + len(required)])
    found = wire.decode(older, type(message))
    for field in fields:
        if field.required:
            assert getattr(found, field.name) == getattr(message, field.name)
        elif field.default_factory is not msgspec.NODEFAULT:
            assert getattr(found, field.name) == field.default_factory()
        else:
            assert getattr(found, field.name) == field.default


def test_items_of_a_newer_gateway_do_not_hide_the_others() -> None:
    event = wire.MeterEvent("m1", AT, "battery")
    raw = wire.decode(
        wire.encode(
            wire.RawBatch(SPOOL, 1, [msgspec.Raw(msgpack.packb([19, "new kind"])), msgspec.Raw(wire.encode(event))])
        ),
        wire.RawBatch,
    )
    with pytest.raises(WireError, match="19"):
        wire.decode_item(raw.items[0])
    assert wire.decode_item(raw.items[1]) == event


# -- refusals --------------------------------------------------------------------------------------------------------

event_head = bytes.fromhex("96 04 A16D 01 A16B C0")  # all but ``detail``


@pytest.mark.parametrize(
    ("payload", "kind", "says"),
    [
        (b"", wire.Batch, "truncated"),
        (b"\xc0", wire.Batch, "Expected `array`"),
        (wire.encode(GOLDEN["ack cursor"][0]), wire.Batch, "21"),
        (wire.encode(wire.Batch(SPOOL, 0, [])), wire.Batch, "Seq|>= 1"),
        (wire.encode(wire.Batch(SPOOL, 1, [])), wire.Batch, "length >= 1"),
        (wire.encode(wire.Batch(SPOOL[:15], 1, [wire.MeterEvent("m", 1, "k")])), wire.Batch, "length >= 16"),
        (wire.encode(wire.MeterEvent("m\n", 1, "k")), wire.MeterEvent, "regex"),
        (wire.encode(wire.MeterEvent("", 1, "k")), wire.MeterEvent, "length >= 1"),
        (wire.encode(wire.MeterEvent("m", -1, "k")), wire.MeterEvent, ">= 0"),
        (wire.encode(wire.Result("c", 1, ok=True, code="done", message="a\0b")), wire.Result, "regex"),
        (wire.encode(wire.ProfileBlock("m", "1.29.0", 1, 0, 1, b"")), wire.ProfileBlock, ">= 1"),
        (wire.encode(wire.ProfileBlock("m", "1.29.0", 1, 900, 1, b"", 1, 0)), wire.ProfileBlock, ">= 1"),
        (bytes.fromhex("92 A131 CF8000000000000000"), wire.RegisterValue, "<= 9223372036854775807"),
        (bytes.fromhex("92 A367736D CB7FF8000000000000"), wire.ModuleTelemetry, "float"),
        (bytes.fromhex("95 03 A16D 01 91 A131 C403 000000"), wire.InstantSnapshot, "not 4 for each"),
        (event_head + bytes.fromhex("81 A161 C40100"), wire.MeterEvent, "detail.a holds b'"),
        (event_head + bytes.fromhex("81 A161 A100"), wire.MeterEvent, "NUL"),
        (event_head + bytes.fromhex("81 A161 81 01 02"), wire.MeterEvent, "key 1"),
        (event_head + bytes.fromhex("81 A161 91 CB7FF0000000000000"), wire.MeterEvent, r"detail.a\[0\] holds inf"),
        (event_head + bytes.fromhex("81 A161 CFFFFFFFFFFFFFFFFF"), wire.MeterEvent, "64-bit"),
        (event_head + bytes.fromhex("81 A161 D6FF 00000000"), wire.MeterEvent, "datetime"),
        (event_head + bytes.fromhex("81 A161") + b"\x91" * 9 + b"\x01", wire.MeterEvent, "deeper than 8"),
        (event_head + bytes.fromhex("81 A161") + b"\x91" * 100_000 + b"\x01", wire.MeterEvent, "recursion"),
        (event_head + bytes.fromhex("81 A161 DDFFFFFFFF"), wire.MeterEvent, "truncated"),
        (event_head + bytes.fromhex("81 A161 A1FF"), wire.MeterEvent, "utf-8"),
    ],
)
def test_refused_with_the_reason(payload: bytes, kind: type[Wire], says: str) -> None:
    with pytest.raises(WireError, match=says):
        wire.decode(payload, kind)


def test_oversized_payload_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="over the limit"):
        wire.decode(bytes(wire.MAX_BATCH_BYTES + 1), wire.Batch)


def test_what_cannot_be_read_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"detail\.x holds nan"):
        wire.MeterEvent("m", AT, "k", None, {"x": math.nan})
    with pytest.raises(ValueError, match="not 4 for each"):
        wire.InstantSnapshot("m", AT, ["32.7.0"], b"")


kinds = st.sampled_from(sorted({type(message) for message, _ in GOLDEN.values()}, key=lambda kind: kind.__name__))
goldens = st.sampled_from([bytes.fromhex(hexes) for _, hexes in GOLDEN.values()])


def survives(payload: bytes, kind: type[Wire]) -> None:
    try:
        found = wire.decode(payload, kind)
    except WireError:
        return
    again = wire.encode(found)
    assert wire.decode(again, kind) == found


@given(payload=st.binary(max_size=60), kind=kinds)
def test_random_bytes(payload: bytes, kind: type[Wire]) -> None:
    survives(payload, kind)


@settings(max_examples=400)
@given(payload=goldens, at=st.integers(0, 300), new=st.binary(max_size=4), cut=st.integers(0, 4), kind=kinds)
def test_mutated_bytes(payload: bytes, at: int, new: bytes, cut: int, kind: type[Wire]) -> None:
    at %= len(payload)
    mutated = payload[:at] + new + payload[at + cut :]
    survives(mutated, kind)
    for same, hexes in GOLDEN.values():
        if bytes.fromhex(hexes) == payload:
            survives(mutated, type(same))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "ç"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(detail=st.dictionaries(st.sampled_from(["x", "y"]), plain, max_size=2))
def test_any_plain_detail_travels(detail: dict[str, Any]) -> None:
    event = wire.MeterEvent("m", AT, "k", None, detail)
    assert wire.decode(wire.encode(event), wire.MeterEvent) == event
