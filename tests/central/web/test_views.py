"""What templates draw: phasors, calendar, strips, banners."""

from datetime import date, timedelta

import pytest

from central.metering.availability import DayAvailability, day_availability
from central.web.i18n import activate
from central.web.views import availability
from central.web.views.phasors import phasors
from shared.intervals import day_start, zone

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


def _month(today: date, held: int) -> list[DayAvailability]:
    first = today.replace(day=1)
    now = day_start(today, TZ) + 6 * 3600
    return [
        day_availability(first + timedelta(days=n), TZ, [(900, held, 0)] if n < today.day else [], False, 900, now)
        for n in range(30)
    ]


def test_calendar_of_a_month() -> None:
    today = date(2026, 11, 10)
    drawn = availability.month(_month(today, 96), today, date(2026, 11, 3))
    assert drawn.days[:6] == [None] * 6  # the first is a Sunday, weeks begin on Monday
    days = [day for day in drawn.days if day is not None]
    assert len(days) == 30
    assert [day.css for day in days[:3]] == ["an", "an", "a4"]
    assert [day.number for day in days if day.today] == [10]
    assert days[10].css == "an"
    assert not days[10].known
    assert (drawn.before, drawn.after, drawn.share) == ("2026-10", "", 1.0)
    assert "96 of 96 intervals held" in days[4].title
    assert "24 of 24 intervals held" in days[9].title


def test_calendar_of_an_old_month_leads_on() -> None:
    drawn = availability.month(_month(date(2026, 11, 30), 48), date(2027, 1, 3), None)
    assert (drawn.before, drawn.after) == ("2026-10", "2026-12")
    assert drawn.share is not None
    assert 0.5 <= drawn.share < 0.52


def test_strip() -> None:
    today = date(2026, 11, 21)
    now = day_start(today, TZ) + 90 * 60
    held = {today: 3600, today - timedelta(days=1): 43200}
    cells = availability.strip(held, today, today - timedelta(days=2), TZ, now)
    assert [cell.css for cell in cells] == ["an"] * 11 + ["a0", "a2", "a4"]
