"""What is to be said of a day, from its sessions alone."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.ccee.days import DayStatus, MeterDay, Span, due, judge_day, span, window
from central.ccee.verdicts import VERDICTS, Outcome, verdict
from central.settings import CceeSettings
from shared.intervals import day_range, zone

TZ = zone("America/Sao_Paulo")
DAY = date(2026, 3, 2)
SETTINGS = CceeSettings()
START = day_range(DAY, TZ).start
BEFORE = day_range(DAY - timedelta(days=1), TZ)
LONG_AFTER = START + 86400


def one(code: str = "I14", at: int = START + 3600, mode: str = "shared", start: int | None = BEFORE.start,
        end: int | None = BEFORE.end) -> Span:  # fmt: skip
    return span(at, at * 1000, at * 1000 + 60_000, mode, code, str(verdict(code).outcome), start, end, end)


def judged(*spans: Span, expected: bool = True, heard: int = LONG_AFTER, now: int = LONG_AFTER) -> MeterDay:
    return judge_day(DAY, TZ, SETTINGS, spans, expected=expected, heard=heard, now=now)


@pytest.mark.parametrize(
    ("spans", "status", "code", "share"),
    [
        ([one()], "complete", "I14", 1.0),
        ([one("I09")], "complete", "I09", 1.0),
        ([one("I03", end=None), one()], "complete", "I14", 1.0),
        ([one(end=BEFORE.end - 300)], "partial", "I14", 1 - 300 / 86400),
        ([one(end=BEFORE.start + 43200), one(start=BEFORE.start + 43200)], "partial", "I14", 1.0),
        ([one(start=None, end=None)], "partial", "I14", None),
        ([one("I03", end=None), one("I06", end=None)], "failed", "I06", None),
        ([one("I00", end=None)], "unclear", "I00", None),
        ([one(mode="self_test")], "none", "I01", None),
        ([], "none", "I01", None),
    ],
)  # fmt: skip
def test_status(spans: list[Span], status: str, code: str, share: float | None) -> None:
    day = judged(*spans)
    assert (str(day.status), day.verdict) == (status, code)
    assert day.share == (share if share is None else pytest.approx(share))


def test_nobody_is_accused_before_everything_is_known() -> None:
    end = window(DAY, TZ, SETTINGS)[1]
    assert end == START + 10 * 3600
    limit = due(end, SETTINGS)
    assert judged(now=limit - 1).status == DayStatus.PENDING
    assert judged(now=limit, heard=limit - 1).status == DayStatus.UNHEARD
    assert judged(now=limit, heard=limit).status == DayStatus.NONE
    assert judged(now=limit, heard=limit, expected=False).status == DayStatus.NOT_EXPECTED


SPANS = st.lists(
    st.builds(
        one,
        st.sampled_from([code for code in VERDICTS if code != "self_test"]),
        st.integers(START, START + 86399),
        st.sampled_from(["exclusive", "shared", "self_test"]),
        st.integers(BEFORE.start - 7200, BEFORE.end) | st.none(),
        st.integers(BEFORE.start - 7200, BEFORE.end + 7200) | st.none(),
    ),
    max_size=6,
)


@given(SPANS, st.booleans(), st.integers(START, LONG_AFTER), st.integers(START, LONG_AFTER))
def test_status_says_what_sessions_say(spans: list[Span], expected: bool, heard: int, now: int) -> None:
    day = judged(*spans, expected=expected, heard=heard, now=now)
    ccee = [each for each in spans if each.mode != "self_test"]
    assert (day.verdict == "I01") == (day.status == DayStatus.NONE) or any(each.verdict == "I01" for each in ccee)
    if not ccee:
        assert day.status in ("none", "unheard", "pending", "not_expected")
        assert day.share is None
    if any(each.outcome == Outcome.OK for each in ccee):
        assert day.status in ("complete", "partial")
    if day.status == DayStatus.COMPLETE:
        assert day.share == 1.0
    assert day.share is None or 0.0 <= day.share <= 1.0


@pytest.mark.parametrize("name", ["America/Sao_Paulo", "Europe/Berlin", "America/New_York", "Pacific/Apia"])
def test_windows_are_local(name: str) -> None:
    """Also on days on which clocks change."""
    tz = zone(name)
    for n in range(730):
        day = date(2010, 1, 1) + timedelta(days=n)
        start, end = window(day, tz, SETTINGS)
        assert start <= end
        assert end - start in (0, 9 * 3600, 10 * 3600, 11 * 3600)
