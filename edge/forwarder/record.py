"""From what was counted and what the guardian found to a ``ForwardConnection`` (F7), and what it means. Pure."""

from typing import Any, Final

import msgspec

from edge.guardian import CloseReason, Exchange, Finding, Verdict
from shared.wire import ForwardConnection, ForwardExchange, MeterEvent, WireError, decode_item, encode

MAX_EXCHANGES: Final = 512

#: CCEE has what it came for; I00 is neither good nor bad.
GOOD: Final = frozenset({Verdict.GOOD, Verdict.INSPECTION, Verdict.CLOCK, Verdict.CONSTANTS})
NEUTRAL: Final = frozenset({Verdict.NOT_UNDERSTOOD})
SELF_TEST: Final = "self_test"


def complete(opened: ForwardConnection, ended_ms: int, finding: Finding, **counted: Any) -> ForwardConnection:
    """The record of a connection that has ended; ``counted``: fields of the record that the pump knows."""
    try:
        return _sound(_filled(opened, ended_ms, finding, **counted))
    except (WireError, msgspec.MsgspecError, ValueError, TypeError) as error:
        text = f"What the guardian found cannot be told: {error}".replace("\0", "")
        return _filled(opened, ended_ms, Finding("unknown", Verdict.NOT_UNDERSTOOD, text[:2000]), **counted)


def _sound(record: ForwardConnection) -> ForwardConnection:
    """``record`` itself; raises when the spool or the aggregator would refuse it: then it would be offered for ever."""
    decode_item(encode(record))
    return record


def _filled(opened: ForwardConnection, ended_ms: int, finding: Finding, **counted: Any) -> ForwardConnection:
    offset = finding.meter_clock_offset
    listed = [_exchange(each, opened.started_ms) for each in finding.exchanges[:MAX_EXCHANGES]]
    return msgspec.structs.replace(
        opened,
        ended_ms=max(ended_ms, opened.started_ms),
        protocol=finding.protocol[:32] or "unknown",
        verdict=str(finding.verdict),
        reason=finding.reason[:2000],
        serial=finding.serial[:2000],
        clock_offset_ms=None if offset is None else round(offset * 1000),
        range_start=finding.range_start,
        range_end=finding.range_end,
        delivered_end=finding.range_delivered,
        exchanges=listed,
        more=finding.more + len(finding.exchanges) - len(listed),
        constants=dict(finding.constants),
        facts={**finding.facts, "also": [[str(code), text] for code, text in finding.also]},
        **counted,
    )


def cut_by_restart(opened: ForwardConnection, now_ms: int) -> ForwardConnection:
    """The record of a connection that was open when the gateway was killed: of its octets nothing is known."""
    return msgspec.structs.replace(
        opened,
        ended_ms=max(now_ms, opened.started_ms),
        close_reason=str(CloseReason.RESTART),
        verdict=str(Verdict.CUT),
        reason="The gateway was restarted while the connection was open; it ended at the latest then.",
    )


def judged(record: ForwardConnection, failures: int) -> tuple[int, list[MeterEvent]]:
    """CCEE's failures in a row after ``record``, and the events it is worth (I11: at once at the second)."""
    if record.mode == SELF_TEST or record.close_reason == CloseReason.PREEMPTED or record.verdict in NEUTRAL:
        return failures, []
    if record.verdict in GOOD:
        return 0, []
    failures += 1
    at = record.ended_ms // 1000
    detail = {"verdict": record.verdict, "reason": record.reason, "source": record.source, "failures": failures}
    events = [MeterEvent(record.meter, at, "ccee_failure", detail=detail)]
    if failures >= 2:
        events.append(MeterEvent(record.meter, at, "ccee_repeated_failure", detail=detail))
    return failures, events


def _exchange(exchange: Exchange, started_ms: int) -> ForwardExchange:
    return ForwardExchange(
        max(round(exchange.at * 1000) - started_ms, 0),
        f"{exchange.code} {exchange.command}"[:2000],
        str(exchange.result),
        exchange.asked,
        exchange.answered,
        max(round(exchange.seconds * 1000), 0),
        {"kind": str(exchange.kind), **exchange.detail},
    )
