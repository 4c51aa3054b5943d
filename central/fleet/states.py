"""Stored gateway states, decoded."""

from central.fleet.models import GatewayLive
from shared.wire import GatewayState, MeterState, WireError, decode


def decode_state(live: GatewayLive | None) -> GatewayState | None:
    """What the gateway last told; None before its first word, or when what is stored is no longer understood."""
    if live is None or live.state is None:
        return None
    try:
        return decode(live.state, GatewayState)
    except WireError:
        return None


def meter_states(state: GatewayState | None) -> dict[str, MeterState]:
    """States by meter key."""
    return {meter.meter: meter for meter in state.meters} if state else {}
