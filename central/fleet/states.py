"""Stored gateway states, decoded; and the part of them that lists of gateways show."""

from collections.abc import Container

import msgspec

from central.fleet.models import GatewayLive
from shared.wire import GatewayState, LineState, MeterState, WireError, decode


class Summary(msgspec.Struct, frozen=True):
    """A gateway's state without the meters that are well, of which there may be hundreds: what lists need."""

    version: str = ""
    spool_rows: int = 0
    alarms: list[str] = []
    lines: list[LineState] = []
    well: int = 0
    troubled: list[MeterState] = []


_summaries = msgspec.msgpack.Decoder(Summary)


def decode_state(live: GatewayLive | None) -> GatewayState | None:
    """What the gateway last told; None before its first word, or when what is stored is no longer understood."""
    if live is None or live.state is None:
        return None
    try:
        return decode(live.state, GatewayState)
    except WireError:
        return None


def decode_summary(live: GatewayLive) -> Summary | None:
    """What lists show of it; from the state itself where the row was written before there were summaries."""
    if live.summary is not None:
        return _summaries.decode(live.summary)
    state = decode_state(live)
    return summarise(state) if state else None


def summarise(state: GatewayState) -> Summary:
    """The part of a state that lists show."""
    troubled = [meter for meter in state.meters if meter.state != "ok"]
    well = len(state.meters) - len(troubled)
    return Summary(state.version, state.spool_rows, state.alarms, state.lines, well, troubled)


def part_of(state: GatewayState, meters: Container[str]) -> GatewayState:
    """What may be told of a state to who reaches only these meters (keys) of the gateway."""
    return msgspec.structs.replace(
        state, config="", meters=[each for each in state.meters if each.meter in meters],
        forwards=[each for each in state.forwards if each.meter in meters],
        lines=[msgspec.structs.replace(each, owner="", error="") for each in state.lines],
    )  # fmt: skip


def meter_states(state: GatewayState | None) -> dict[str, MeterState]:
    """States by meter key."""
    return {meter.meter: meter for meter in state.meters} if state else {}
