"""One local day of a meter as the CCEE saw it: its window, the sessions on it, and what is to be said of it (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from central.alarms.severity import Severity
from central.ccee.verdicts import NO_CONNECTION, SELF_TEST, Outcome, verdict
from central.settings import CceeSettings
from shared.intervals import IntervalSet, day_range


class DayStatus(StrEnum):
    """What is to be said of a meter's day, best first."""

    COMPLETE = "complete"  # one good session delivered the whole day before
    PARTIAL = "partial"  # read, but no single session covered the day before
    FAILED = "failed"  # sessions, none of them good
    UNCLEAR = "unclear"  # sessions of which nobody can tell
    NONE = "none"  # the window has passed without a session (I01)
    UNHEARD = "unheard"  # no session is known, but its gateway has not told everything yet
    PENDING = "pending"  # the window, or the time given after it, is not over
    NOT_EXPECTED = "not_expected"  # nobody expected the CCEE here, and it did not come


@dataclass(frozen=True, slots=True)
class Span:
    """A session on the time axis; ``_ms`` UTC milliseconds."""

    id: int
    started_ms: int
    ended_ms: int
    mode: str
    verdict: str
    outcome: str
    severity: Severity | None
    range_start: int | None
    range_end: int | None
    delivered_end: int | None


@dataclass(frozen=True, slots=True)
class MeterDay:
    """A meter's day: window [start, end) in UTC seconds, sessions begun on the day, share of the day before that came.

    ``verdict`` in one code: of the session that says most for the day, I01 where none came, "" where nothing is to say.
    """

    day: date
    start: int
    end: int
    expected: bool
    status: DayStatus
    verdict: str
    share: float | None
    spans: Sequence[Span]


def window(day: date, tz: ZoneInfo, settings: CceeSettings) -> tuple[int, int]:
    """The collection window of a local day in UTC seconds."""
    return (_at(day, settings.window_from, tz), _at(day, settings.window_to, tz))


def judge_day(
    day: date, tz: ZoneInfo, settings: CceeSettings, spans: Sequence[Span], *, expected: bool, heard: int, now: int
) -> MeterDay:
    """Judge a day by the sessions begun on it; ``heard``: up to when (UTC s) its gateway has told everything."""
    start, end = window(day, tz, settings)
    before = day_range(day - timedelta(days=1), tz)
    sessions = [each for each in spans if each.mode != SELF_TEST]
    good = [each for each in sessions if each.outcome == Outcome.OK]
    whole = [each for each in good if _covers(each, before.start, before.end)]
    code = ""
    if whole or good:
        status, code = (DayStatus.COMPLETE if whole else DayStatus.PARTIAL), (whole or good)[-1].verdict
    elif sessions:
        failed = [each for each in sessions if each.outcome == Outcome.FAILED]
        status, code = (DayStatus.FAILED if failed else DayStatus.UNCLEAR), (failed or sessions)[-1].verdict
    elif not expected:
        status = DayStatus.NOT_EXPECTED
    elif now < due(end, settings):
        status = DayStatus.PENDING
    elif heard < due(end, settings):
        status = DayStatus.UNHEARD
    else:
        status, code = DayStatus.NONE, NO_CONNECTION
    return MeterDay(day, start, end, expected, status, code, _share(sessions, before.start, before.end), spans)


def due(end: int, settings: CceeSettings) -> int:
    """From when on a window that ended at ``end`` is judged: a session may last beyond it and is told at its end."""
    return end + 60 * settings.grace_minutes


def span(
    row_id: int,
    started_ms: int,
    ended_ms: int,
    mode: str,
    code: str,
    outcome: str,
    range_start: int | None,
    range_end: int | None,
    delivered_end: int | None,
) -> Span:
    """A stored connection on the axis."""
    severity = verdict(code).severity
    return Span(row_id, started_ms, ended_ms, mode, code, outcome, severity, range_start, range_end, delivered_end)


def _covers(each: Span, start: int, end: int) -> bool:
    return (
        each.range_start is not None
        and each.delivered_end is not None
        and each.range_start <= start
        and each.delivered_end >= end
    )


def _share(sessions: Sequence[Span], start: int, end: int) -> float | None:
    """Share of [start, end) that all sessions together delivered; None where none said which range it read."""
    ranges = [
        (each.range_start, each.delivered_end)
        for each in sessions
        if each.range_start is not None and each.delivered_end is not None and each.delivered_end >= each.range_start
    ]
    if not ranges or start >= end:
        return None
    return sum(part.end - part.start for part in IntervalSet(ranges).within(start, end)) / (end - start)


def _at(day: date, hour: int, tz: ZoneInfo) -> int:
    """A local hour 0 to 24 of a day."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the zone follows
    return int((midnight + timedelta(hours=hour)).replace(tzinfo=tz).timestamp())
