"""Connections of the CCEE as a gateway would tell them."""

import msgspec

from central.ccee.conditions import Session
from shared.wire import ForwardCapture, ForwardConnection, ForwardExchange
from tests.central.samples import MIDNIGHT

DAY = 86400


def connection(
    meter: str = "m1",
    at: int = MIDNIGHT + 3600,
    verdict: str = "I14",
    *,
    mode: str = "exclusive",
    seconds: int = 60,
    start: int | None = None,
    end: int | None = None,
    delivered: int | None = None,
    close: str = "client",
    reason: str = "",
    also: tuple[str, ...] = (),
) -> ForwardConnection:
    """A connection that began at ``at`` (s); unless a range is given it asked for the day before and got it all."""
    midnight = at - (at - MIDNIGHT) % DAY
    start = midnight - DAY if start is None else start
    end = midnight if end is None else end
    failed = verdict not in ("I14", "I09", "I10", "I12")
    got = (start if failed else end) if delivered is None else delivered
    exchange = ForwardExchange(120, "52 mass memory", "ok", 66, 258, 35, {"blocks": 3})
    return ForwardConnection(
        meter=meter, forward=meter, mode=mode, source="10.20.0.9:40100", listen="10.1.0.1:4059",
        started_ms=at * 1000, ended_ms=(at + seconds) * 1000, sent=66, received=258, first_byte_ms=20,
        longest_silence_ms=400, close_reason=close, protocol="abnt", verdict=verdict,
        reason=reason or f"said {verdict}", serial="12345678", clock_offset_ms=1500, range_start=start, range_end=end,
        delivered_end=got, exchanges=[exchange],
        constants={"ke": "3/250"}, facts={"also": [[code, f"said {code}"] for code in also]} if also else {},
    )  # fmt: skip


def capture(item: ForwardConnection, part: int = 0, parts: int = 1) -> ForwardCapture:
    """A part of its octets."""
    octets = [[100 + part, 0, b"\x14\x00ask"], [140 + part, 1, b"\x52answer"]]
    return ForwardCapture(item.meter, item.started_ms, part, parts, msgspec.msgpack.encode(octets))


def session(at: int, verdict: str, outcome: str, mode: str = "exclusive") -> Session:
    """What alarms need of a connection at ``at`` (s)."""
    return Session(at * 1000, at * 1000 + 500, mode, verdict, outcome, "", verdict)
