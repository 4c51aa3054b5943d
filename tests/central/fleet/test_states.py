"""What lists show of a gateway's state: counted once when it comes, else from the state itself."""

import msgspec

from central.fleet.models import GatewayLive
from central.fleet.states import decode_summary, part_of, summarise
from shared.wire import ForwardState, GatewayState, LineState, MeterState, encode

STATE = GatewayState(
    at=100, online=True, version="1.2", config="hash", spool_rows=7, alarms=["disk_low"],
    lines=[LineState("a", "busy", owner="m2", error="m2 is silent")],
    meters=[MeterState("m1", "a", "ok", "abnt"), MeterState("m2", "a", "stale", "abnt"),
            MeterState("m3", "a", "ok", "abnt")],
    forwards=[ForwardState("m1", "0.0.0.0:1", "shared", "listening"),
              ForwardState("m2", "0.0.0.0:2", "shared", "listening")],
)  # fmt: skip


def test_the_well_are_counted_and_the_others_named() -> None:
    told = summarise(STATE)
    assert (told.well, [meter.meter for meter in told.troubled]) == (2, ["m2"])
    assert (told.version, told.spool_rows, told.alarms, told.lines) == ("1.2", 7, ["disk_low"], STATE.lines)


def test_rows_without_a_summary_are_read_from_the_state() -> None:
    old = GatewayLive(gateway_id=1, online=True, state=encode(STATE), summary=None)
    new = GatewayLive(gateway_id=1, online=True, state=None, summary=msgspec.msgpack.encode(summarise(STATE)))
    assert decode_summary(old) == decode_summary(new) == summarise(STATE)
    assert decode_summary(GatewayLive(gateway_id=1, online=False)) is None
    assert decode_summary(GatewayLive(gateway_id=1, online=True, state=b"\xff")) is None


def test_a_part_tells_of_no_other_meter() -> None:
    part = part_of(STATE, {"m1"})
    assert [meter.meter for meter in part.meters] == ["m1"]
    assert [forward.meter for forward in part.forwards] == ["m1"]
    assert b"m2" not in encode(part)
    assert part.config == ""
    assert summarise(part).well == 1
