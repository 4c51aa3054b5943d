from datetime import date, timedelta

import msgspec
import pytest
from dateutil.easter import easter as dateutil_easter  # type: ignore[import-untyped]

from shared.holidays import Annual, HolidayError, HolidayGroup, Movable, Single, brazil, easter, in_year


@pytest.mark.parametrize(
    "sunday",
    # first and last possible dates and the two exceptions of the older formulas among them
    ["1818-03-22", "1943-04-25", "1954-04-18", "1981-04-19", "2000-04-23", "2008-03-23", "2019-04-21", "2024-03-31",
     "2025-04-20", "2026-04-05", "2027-03-28", "2038-04-25", "2049-04-18", "2076-04-19"],
)  # fmt: skip
def test_known_easters(sunday: str) -> None:
    expected = date.fromisoformat(sunday)
    assert easter(expected.year) == expected


def test_every_easter_of_another_implementation() -> None:
    for year in range(1583, 4100):
        assert easter(year) == dateutil_easter(year)
    assert all(easter(year).weekday() == 6 for year in range(1583, 10_000, 7))


@pytest.mark.parametrize("year", [1582, 0, -1, 10_000])
def test_years_without_easter(year: int) -> None:
    with pytest.raises(HolidayError, match=str(year)):
        easter(year)


def test_brazil_2026() -> None:
    # dossier brazil-billing §2; the date list of the national calendar
    assert [f"{day:%m-%d}" for day, _ in in_year(brazil(), 2026)] == [
        "01-01", "02-17", "04-03", "04-21", "05-01", "06-04", "09-07", "10-12", "11-02", "11-15", "11-20", "12-25",
    ]  # fmt: skip
    named = {holiday.label: day for day, holiday in in_year(brazil(), 2026)}
    assert named["Carnival Tuesday"] == date(2026, 2, 17)
    assert named["Good Friday"] == date(2026, 4, 3)
    assert named["Corpus Christi"] == date(2026, 6, 4)


def test_a_holiday_with_a_first_and_a_last_year() -> None:
    day = date(2023, 11, 20)
    assert brazil().on(day) is None
    assert brazil().on(day.replace(year=2024)) is not None
    assert brazil(None).on(day.replace(year=2024)) is None
    group = HolidayGroup([Annual("x", 3, 3, since=2020, until=2021), Movable("y", 1, until=2020)])
    assert [year for year in range(2018, 2024) if group.on(date(year, 3, 3))] == [2020, 2021]
    assert [year for year in range(2018, 2024) if group.on(easter(year) + timedelta(days=1))] == [2018, 2019, 2020]


def test_leap_day_and_single_date() -> None:
    group = HolidayGroup([Annual("leap", 2, 29), Single("inauguration", date(2027, 1, 2))])
    assert group.on(date(2024, 2, 29)) is not None
    assert not list(in_year(group, 2026))
    assert [day for day, _ in in_year(group, 2027)] == [date(2027, 1, 2)]


def test_first_of_two_on_the_same_day_gives_the_name() -> None:
    group = HolidayGroup([Single("first", date(2026, 1, 1)), Annual("second", 1, 1)])
    holiday = group.on(date(2026, 1, 1))
    assert holiday is not None
    assert holiday.label == "first"


@pytest.mark.parametrize(("month", "day"), [(2, 30), (4, 31), (13, 1), (1, 0)])
def test_days_that_never_come(month: int, day: int) -> None:
    with pytest.raises(HolidayError, match=f"month {month} has no day {day}"):
        Annual("x", month, day)
    raw = msgspec.json.encode({"holidays": [{"type": "annual", "label": "x", "month": month, "day": day}]})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=HolidayGroup)
