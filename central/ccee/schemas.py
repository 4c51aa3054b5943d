"""Shapes of what the CCEE did: connections, days, weeks, forwards, verdicts."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from central.api.query import instant_text, optional_text
from central.api.schemas import Input, Output
from central.ccee.days import MeterDay, Span
from central.ccee.forwards import ForwardLine, LastSuccess
from central.ccee.models import CceeMeter
from central.ccee.overview import BoardLine, MeterWeek, Week
from central.ccee.service import Comparison, ConnectionDetail, ConnectionView
from central.ccee.verdicts import Verdict
from shared.intervals import Range
from shared.wire import ForwardExchange, ForwardState


def millis_text(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z".rjust(24, "0")


class VerdictOut(Output):
    """A verdict in words; ``severity`` of the alarm it raises, null: none; ``outcome``: ok, failed, unclear."""

    code: str
    title: str
    sentence: str
    advice: str
    severity: str | None
    outcome: str

    @classmethod
    def of(cls, one: Verdict) -> "VerdictOut":
        severity = one.severity.word if one.severity is not None else None
        return cls(one.code, one.title, one.sentence, one.advice, severity, str(one.outcome))


class ConnectionOut(Output):
    """A connection through a forwarded port. ``range_*``: of the load profile that was asked for."""

    id: int
    meter: str
    meter_name: str
    gateway: str
    forward: str
    mode: str
    source: str
    listen: str
    started_at: str
    ended_at: str
    sent: int
    received: int
    first_byte_ms: int | None
    longest_silence_ms: int
    close_reason: str
    protocol: str
    verdict: str
    title: str
    outcome: str
    reason: str
    serial: str
    clock_offset_ms: int | None
    range_start: str | None
    range_end: str | None
    delivered_end: str | None

    @classmethod
    def of(cls, view: ConnectionView) -> "ConnectionOut":
        row = view.row
        return cls(
            id=row.id, meter=view.meter, meter_name=view.meter_name, gateway=view.gateway, forward=row.forward,
            mode=row.mode, source=row.source, listen=row.listen, started_at=millis_text(row.started_ms),
            ended_at=millis_text(row.ended_ms), sent=row.sent, received=row.received,
            first_byte_ms=row.first_byte_ms, longest_silence_ms=row.longest_silence_ms,
            close_reason=row.close_reason, protocol=row.protocol, verdict=row.verdict, title=view.verdict.title,
            outcome=row.outcome, reason=row.reason, serial=row.serial, clock_offset_ms=row.clock_offset_ms,
            range_start=optional_text(row.range_start), range_end=optional_text(row.range_end),
            delivered_end=optional_text(row.delivered_end),
        )  # fmt: skip


class ExchangeOut(Output):
    """One question and its answer; ``at_ms`` since the connection's start, ``asked`` and ``answered`` in octets."""

    at_ms: int
    command: str
    result: str
    asked: int
    answered: int
    took_ms: int
    detail: dict[str, Any]

    @classmethod
    def of(cls, one: ForwardExchange) -> "ExchangeOut":
        return cls(one.at_ms, one.command, one.result, one.asked, one.answered, one.took_ms, one.detail)


class ConnectionDetailOut(Output):
    """A connection with its exchanges; ``more`` were not kept. ``capture``: its octets are still here.

    ``facts``: what the verdict rests on, and in ``also`` further verdicts that hold.
    """

    connection: ConnectionOut
    exchanges: list[ExchangeOut]
    more: int
    constants: dict[str, Any]
    facts: dict[str, Any]
    capture: bool

    @classmethod
    def of(cls, one: ConnectionDetail) -> "ConnectionDetailOut":
        return cls(
            ConnectionOut.of(one.view), [ExchangeOut.of(each) for each in one.exchanges], one.view.row.more,
            one.constants, one.facts, one.parts > 0,
        )  # fmt: skip


class RangeOut(Output):
    """[from, to)."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")

    @classmethod
    def of(cls, part: Range) -> "RangeOut":
        return cls(instant_text(part.start), instant_text(part.end))


class ComparisonOut(Output):
    """What a connection read beside what is held here, in seconds of the range asked; null when it told no range.

    ``missing``: what is not held here; ``only_ccee``: of it, what the CCEE got.
    """

    channel: str
    range: RangeOut
    asked: int
    delivered: int
    held: int
    missing: list[RangeOut]
    only_ccee: list[RangeOut]

    @classmethod
    def of(cls, one: Comparison) -> "ComparisonOut":
        return cls(
            str(one.channel), RangeOut.of(Range(one.start, one.end)), one.end - one.start, one.delivered, one.held,
            [RangeOut.of(each) for each in one.missing], [RangeOut.of(each) for each in one.theirs],
        )  # fmt: skip


class SpanOut(Output):
    """A session on the time axis of a day."""

    id: int
    started_at: str
    ended_at: str
    mode: str
    verdict: str
    outcome: str

    @classmethod
    def of(cls, one: Span) -> "SpanOut":
        times = millis_text(one.started_ms), millis_text(one.ended_ms)
        return cls(one.id, *times, one.mode, one.verdict, one.outcome)


class DayOut(Output):
    """A local day of a meter: its collection window, what was expected and seen, its sessions.

    ``status``: complete, partial, failed, unclear, none (nobody came: I01), unheard (the gateway has not told
    everything), pending, not_expected. ``share`` of the day before that was delivered, 0..1.
    """

    day: str
    window: RangeOut
    expected: bool
    status: str
    verdict: str
    share: float | None
    sessions: list[SpanOut]

    @classmethod
    def of(cls, one: MeterDay) -> "DayOut":
        return cls(
            one.day.isoformat(), RangeOut.of(Range(one.start, one.end)), one.expected, str(one.status), one.verdict,
            one.share, [SpanOut.of(each) for each in one.spans],
        )  # fmt: skip


class BoardOut(Output):
    """A meter on the board of a day."""

    meter: str
    meter_name: str
    point: str
    gateway: str
    zone: str
    day: DayOut

    @classmethod
    def of(cls, line: BoardLine) -> "BoardOut":
        return cls(line.meter, line.meter_name, line.point, line.gateway, line.zone, DayOut.of(line.day))


class MeterDaysOut(Output):
    """Days of one meter, oldest first."""

    meter: str
    zone: str
    items: list[DayOut]


class WeekOut(Output):
    """Sessions of a week (from its Monday): ``rate`` is good ones over those that could be judged, null without any."""

    week: str
    ok: int
    failed: int
    unclear: int
    rate: float | None
    verdicts: dict[str, int]

    @classmethod
    def of(cls, one: Week) -> "WeekOut":
        return cls(one.first.isoformat(), one.ok, one.failed, one.unclear, one.rate, dict(sorted(one.verdicts.items())))


class MeterWeekOut(Output):
    """A week of one meter."""

    meter: str
    meter_name: str
    sessions: WeekOut

    @classmethod
    def of(cls, one: MeterWeek) -> "MeterWeekOut":
        return cls(one.meter, one.meter_name, WeekOut.of(one.week))


class ForwardOut(Output):
    """A forwarded port as its gateway last told it; ``live`` of the connection on it."""

    gateway: str
    online: bool
    meter: str
    meter_name: str
    listen: str
    mode: str
    state: str
    source: str
    since: str | None
    last_ccee_ok: str | None
    last_own_ok: str | None
    failures: int
    refused: int
    error: str
    live: dict[str, Any]

    @classmethod
    def of(cls, line: ForwardLine) -> "ForwardOut":
        state: ForwardState = line.state
        return cls(
            gateway=line.gateway, online=line.online, meter=line.meter, meter_name=line.meter_name,
            listen=state.listen, mode=state.mode, state=state.state, source=state.source,
            since=millis_text(state.since_ms) if state.since_ms else None,
            last_ccee_ok=optional_text(line.last_ccee_ok), last_own_ok=optional_text(line.last_own_ok),
            failures=state.failures, refused=state.refused, error=state.error, live=state.live,
        )  # fmt: skip


class ExpectedIn(Input):
    """Whether the CCEE reads this meter every night; null: where its gateway tells of a forward."""

    expected: bool | None


class CceeMeterOut(Output):
    """What is expected of the CCEE at a meter, and when it was last read well by whom."""

    meter: str
    expected: bool | None
    said_by: str
    said_at: str | None
    forward_since: str | None
    last_ccee_ok: str | None
    last_self_test_ok: str | None
    last_own_ok: str | None

    @classmethod
    def of(cls, meter: str, known: CceeMeter | None, last: LastSuccess) -> "CceeMeterOut":
        return cls(
            meter=meter, expected=known.expected if known else None, said_by=known.said_by if known else "",
            said_at=optional_text(known.said_at) if known else None,
            forward_since=optional_text(known.forward_since) if known else None,
            last_ccee_ok=optional_text(last.ccee), last_self_test_ok=optional_text(last.self_test),
            last_own_ok=optional_text(last.own),
        )  # fmt: skip
