"""What templates draw: phasors, calendar, strips, banners."""

from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from central.ccee.days import judge_day, span
from central.ccee.overview import BoardLine
from central.ccee.service import Comparison, ConnectionDetail, ConnectionView
from central.metering.availability import DayAvailability, day_availability
from central.metering.calendar_month import CalendarMonth
from central.settings import CceeSettings
from central.web.i18n import activate
from central.web.views import availability, dialogue, forwards, meter_calendar, nights
from central.web.views.phasors import phasors
from shared.intervals import Range, day_start, zone
from shared.quantities import ACTIVE_PROFILE
from shared.wire import ForwardExchange

TZ = zone("America/Sao_Paulo")


@pytest.fixture(autouse=True)
def english() -> None:
    activate("en")


def test_phasors_of_a_balanced_load() -> None:
    values = {32: 127.0, 52: 127.0, 72: 127.0, 31: 5.0, 51: 5.0, 71: 2.5, 141: 0.0, 142: 240.0, 143: 120.0,
              151: 30.0, 152: 30.0, 153: 30.0}  # fmt: skip
    drawn = phasors(values.get)
    assert drawn is not None
    by_name = {arrow.name: arrow for arrow in drawn.arrows}
    assert set(by_name) == {"UA", "UB", "UC", "IA", "IB", "IC"}
    assert by_name["UA"].x > 100
    assert by_name["UA"].y == 0  # to the right
    assert by_name["UB"].x < 0 < by_name["UB"].y  # 240 degrees: left and, on the screen, below
    assert by_name["UC"].x < 0 > by_name["UC"].y
    assert by_name["IA"].y > 0  # lagging: clockwise of its voltage
    assert "∠ −30.0°" in by_name["IA"].title
    assert abs(by_name["IC"].x) + abs(by_name["IC"].y) < abs(by_name["IB"].x) + abs(by_name["IB"].y)
    assert len(drawn.legend) == 2


def test_phasors_say_when_angles_are_assumed() -> None:
    drawn = phasors({32: 127.0, 52: 126.0, 72: 128.0, 31: 4.0}.get)
    assert drawn is not None
    assert [arrow.name for arrow in drawn.arrows] == ["UA", "UB", "UC"]  # no shift, no current
    assert any("assumed" in words for words in drawn.legend)


def test_no_phasors_without_voltage() -> None:
    assert phasors({31: 4.0}.get) is None


@pytest.mark.parametrize(
    ("share", "name"), [(None, "an"), (0.0, "a0"), (0.01, "a1"), (0.5, "a2"), (0.95, "a3"), (0.9999, "a3"), (1.0, "a4")]
)
def test_colour_classes(share: float | None, name: str) -> None:
    assert availability.css(share) == name


def _month(today: date, held: int, read: tuple[int, ...] = ()) -> list[DayAvailability]:
    first = today.replace(day=1)
    now = day_start(today, TZ) + 6 * 3600
    return [
        day_availability(
            first + timedelta(days=n), TZ, [(900, held, 0)] if n < today.day else [], n + 1 in read, 900, now
        )
        for n in range(30)
    ]


def test_calendar_of_a_month() -> None:
    today = date(2026, 11, 10)
    month = CalendarMonth(
        _month(today, 96, (3, 4, 6, 10)), today, date(2026, 11, 3), frozenset({date(2026, 11, 28)}), profile=True
    )
    drawn = meter_calendar.grid(month)
    assert drawn.days[:6] == [None] * 6  # the first is a Sunday, weeks begin on Monday
    days = [day for day in drawn.days if day is not None]
    assert len(days) == 30
    assert [day.profile for day in days[:3]] == ["", "", "a4"]
    assert [day.state for day in days[:10]] == ["", "", "read", "read", "missed", "read", *["missed"] * 3, "read"]
    assert [day.number for day in days if day.today] == [10]
    assert [day.number for day in days if day.bill] == [28]
    assert not days[10].known
    assert (drawn.before, drawn.after, month.share) == ("2026-10", "", 1.0)
    assert (month.read, month.expected, month.availability) == (4, 8, 0.5)
    assert "96 of 96 intervals held" in days[4].title
    assert "registers not read" in days[4].title
    assert "24 of 24 intervals held" in days[9].title


def test_today_is_not_missed_before_it_is_over() -> None:
    today = date(2026, 11, 10)
    month = CalendarMonth(_month(today, 0), today, today, frozenset(), profile=False)
    day = [day for day in meter_calendar.grid(month).days if day is not None][9]
    assert (day.state, day.profile, day.today) == ("", "", True)
    assert (month.expected, month.availability, month.share) == (0, None, None)


def test_calendar_of_an_old_month_leads_on() -> None:
    month = CalendarMonth(_month(date(2026, 11, 30), 48), date(2027, 1, 3), date.min, frozenset(), profile=True)
    drawn = meter_calendar.grid(month)
    assert (drawn.before, drawn.after) == ("2026-10", "2026-12")
    assert month.share is not None
    assert 0.5 <= month.share < 0.52


def test_strip() -> None:
    today = date(2026, 11, 21)
    now = day_start(today, TZ) + 90 * 60
    held = {today: 3600, today - timedelta(days=1): 43200}
    cells = availability.strip(held, today, today - timedelta(days=2), TZ, now)
    assert [cell.css for cell in cells] == ["an"] * 11 + ["a0", "a2", "a4"]


DAY = date(2026, 11, 10)
MIDNIGHT = day_start(DAY, TZ)


def _night(*sessions: tuple[int, int, str, str], now: int, expected: bool = True) -> nights.Night:
    """A night with sessions (start, end in s after midnight, mode, verdict)."""
    spans = [
        span(n, (MIDNIGHT + start) * 1000, (MIDNIGHT + end) * 1000, mode, code, "ok" if code == "I14" else "failed",
             MIDNIGHT - 86400, MIDNIGHT, MIDNIGHT)
        for n, (start, end, mode, code) in enumerate(sessions)
    ]  # fmt: skip
    day = judge_day(DAY, TZ, CceeSettings(), spans, expected=expected, heard=now, now=now)
    return nights.night(BoardLine("m", "M", "P", "g", TZ.key, day), now)


def test_a_night_is_drawn_to_scale() -> None:
    drawn = _night((3600, 7200, "shared", "I14"), (35_999, 36_100, "shared", "I03"), now=MIDNIGHT + 18_000)
    whole, last = drawn.marks
    assert (whole.x, whole.width, whole.tone) == (100.0, 100.0, "good")
    assert last.x + last.width <= nights.WIDTH
    assert last.width >= 9  # wide enough to be hit
    assert last.tone == "bad"
    assert drawn.now == 500.0
    assert (drawn.later, drawn.note) == (0, "")


def test_what_comes_after_the_window_is_counted_and_self_tests_are_not() -> None:
    drawn = _night((40_000, 40_060, "shared", "I14"), (50_000, 50_010, "self_test", "I14"), now=MIDNIGHT + 86_000)
    assert drawn.marks == []
    assert drawn.later == 1
    assert drawn.now is None


def test_a_night_without_anybody() -> None:
    drawn = _night(now=MIDNIGHT + 86_000)
    assert (drawn.tone, drawn.note) == ("none", "No connection in the window")
    assert _night(now=MIDNIGHT + 3600).tone == "unclear"  # its window is running
    counted = nights.totals([drawn.line])
    assert (counted.expected, counted.seen, counted.shown("missing"), counted.shown("trouble")) == (1, 0, 1, 1)


def _dialogue(exchanges: list[ForwardExchange], length: int, more: int = 0) -> dialogue.Dialogue:
    row = SimpleNamespace(started_ms=0, ended_ms=length, more=more)
    view = ConnectionView(row, "m", "M", "g")  # type: ignore[arg-type]
    return dialogue.dialogue(ConnectionDetail(view, exchanges, {}, {}, 0))


def test_a_conversation_is_drawn_to_scale() -> None:
    asked = ForwardExchange(6_000, "14 read parameters", "ok", 66, 258, 3_000, {"kind": "parameters", "blocks": 2})
    lost = ForwardExchange(15_000, "13 security string", "silent", 66, 0, 9_000, {"kind": "access"})
    drawn = _dialogue([asked, lost], 30_000, more=3)
    assert drawn.ticks == ["0:00", "0:05", "0:10", "0:15", "0:20", "0:25", "0:30"]
    first, second = drawn.turns
    assert (first.x, first.width, first.kind, first.code, first.name) == (
        200.0, 100.0, "Parameters", "14", "read parameters",
    )  # fmt: skip
    assert first.details == [("Blocks", "2")]
    assert first.silence == second.silence == "6.00\u00a0s"
    assert (second.tone, second.answers) == ("bad", False)
    assert drawn.label.startswith("5 questions")


def test_an_empty_conversation_has_an_axis() -> None:
    drawn = _dialogue([], 0)
    assert drawn.turns == []
    assert drawn.ticks[0] == "0.0"


def test_what_was_read_beside_what_is_held() -> None:
    found = Comparison(ACTIVE_PROFILE, 0, 1000, 600, 800, [Range(200, 300), Range(900, 1000)], [Range(200, 300)])
    asked, theirs, ours = dialogue.comparison(found)
    assert list(asked.parts) == [(0, 1000)]
    assert (list(theirs.parts), theirs.tone) == ([(0.0, 600.0)], "warn")
    assert (list(ours.parts), ours.tone) == ([(0.0, 200.0), (300.0, 600.0)], "warn")


def test_tables_of_a_configuration_that_is_none() -> None:
    assert forwards.tables("[[broken") == {}
    assert forwards.tables("meters = 3") == {}
    assert forwards.tables('[[meters]]\nid = "a"\n[meters.forward]\nport = 1\n[[meters]]\nid = "b"') == {
        "a": {"port": 1}
    }


def test_a_table_is_written_as_toml() -> None:
    text = forwards.toml({"port": 1, "mode": "shared", "target": 'a"b\\c', "capture": False, "allow": ["::/0"]})
    assert text == 'port = 1\ntarget = "a\\"b\\\\c"\ncapture = false\nallow = ["::/0"]\n'
