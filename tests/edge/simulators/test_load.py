"""The shipped excerpt against its source, and the replay's promises."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.simulators import excerpt
from edge.simulators.excerpt import CurveError
from edge.simulators.load import ANCHOR, CURVE_FILE, MAX_PULSES, WEEK, Channel, LoadReplay, load_curve, shipped_curve

SOURCE_SHA256 = "d878899862a6c2f6e4ade0149ce8acabaf313c2242824a8bd5b4f89ab10e66f1"
STEPS = (300, 900, 1800, 3600)
REPLAY = LoadReplay("12345678")

HEADER = (
    "date,Usage_kWh,Lagging_Current_Reactive.Power_kVarh,Leading_Current_Reactive_Power_kVarh,CO2(tCO2),"
    "Lagging_Current_Power_Factor,Leading_Current_Power_Factor,NSM,WeekStatus,Day_of_week,Load_Type"
)


def original() -> Path | None:
    """The data set's original file, where the environment names it."""
    named = os.environ.get("METERGATE_STEEL_CSV")
    return Path(named) if named else None


def test_excerpt_sums_and_size() -> None:
    curve = shipped_curve()
    assert [len(column) for column in curve] == [26 * 672] * 3
    assert [sum(column) for column in curve] == [52148759, 22859837, 7430440]
    assert [max(column) for column in curve] == [15314, 9691, 2776]
    assert CURVE_FILE.stat().st_size < 600_000


def test_excerpt_begins_and_ends_as_the_source() -> None:
    active, inductive, capacitive = shipped_curve()
    # source rows 1/1/2018 0:15 (3.17 kWh) and, closing 1 July, 1/7/2018 0:00 (2.88 kWh)
    assert (active[0], inductive[0], capacitive[0]) == (317, 295, 0)
    assert (active[-1], inductive[-1], capacitive[-1]) == (288, 392, 0)
    # 1/1/2018 0:00 closes Monday: it is the 96th row, not the first
    assert (active[95], inductive[95]) == (342, 346)


def test_readme_names_the_file_as_it_is() -> None:
    readme = (CURVE_FILE.parent / "README.md").read_text()
    assert hashlib.sha256(CURVE_FILE.read_bytes()).hexdigest() in readme
    assert SOURCE_SHA256 in readme
    assert "Attribution 4.0" in readme


@pytest.mark.skipif(original() is None, reason="the original data set is not at hand (METERGATE_STEEL_CSV)")
def test_excerpt_equals_the_original(tmp_path: Path) -> None:
    source = original()
    assert source is not None
    assert hashlib.sha256(source.read_bytes()).hexdigest() == SOURCE_SHA256
    assert excerpt.cut(source, tmp_path / "again.csv") == 26 * 672
    assert (tmp_path / "again.csv").read_bytes() == CURVE_FILE.read_bytes()
    whole = list(excerpt.read_source(source))
    assert len(whole) == 35_040
    assert [q.start for q in whole] == [datetime(2018, 1, 1) + timedelta(minutes=15 * i) for i in range(35_040)]  # noqa: DTZ001
    assert sum(q.active for q in whole) == 95963671


def source_file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "source.csv"
    path.write_text(
        "\ufeff" + "\n".join([HEADER, *(f"{row},0,0,0,0,Weekday,Monday,Light_Load" for row in rows)]) + "\n"
    )
    return path


def test_source_traps(tmp_path: Path) -> None:
    rows = ("1/1/2018 23:45,3.67,3.96,0", "1/1/2018 0:00,3.42,3.46,0", "13/01/2018 00:00,4.64,3.96,1.5")
    starts = [
        (q.start.isoformat(), *q[1:]) for q in excerpt.read_source(source_file(tmp_path, *(r + ",0" for r in rows)))
    ]
    assert starts == [
        ("2018-01-01T23:30:00", 367, 396, 0),
        ("2018-01-01T23:45:00", 342, 346, 0),
        ("2018-01-13T23:45:00", 464, 396, 150),
    ]


@pytest.mark.parametrize(
    "row", ["1/1/2018 0:15,3.175,0,0,0", "1/1/2018 0:15,-1,0,0,0", "32/1/2018 0:15,1,0,0,0", "x,1,0,0,0"]
)
def test_source_refuses(tmp_path: Path, row: str) -> None:
    with pytest.raises(CurveError, match="line 2"):
        list(excerpt.read_source(source_file(tmp_path, row)))


def lines() -> list[str]:
    return CURVE_FILE.read_text().splitlines()[: 672 + 1]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "when,active,inductive,capacitive", "line 1: header"),
        (1, "2018-01-02 00:00,1,1,1", "line 2: starts 2018-01-02 00:00, expected a Monday"),
        (100, "2018-01-02 01:00,1,1,1", "line 101: 2018-01-02 01:00, expected 2018-01-02 00:45 .a gap"),
        (100, "2018-01-02 00:30,1,1,1", "line 101: 2018-01-02 00:30, expected 2018-01-02 00:45 .a doubled"),
        (100, "2018-01-02 00:45,1,1", "line 101: '2018-01-02 00:45,1,1': 2 values"),
        (100, "2018-01-02 00:45,1,-1,1", "line 101"),
        (100, "2018-01-02 00:45,1,1.5,1", "line 101: .*1.5"),
        (100, "2018-01-02 00:45,1,70000,1", "line 101: .*70000"),
        (100, "", "line 101"),
        (672, None, "671 rows"),
    ],
)
def test_loader_is_strict(tmp_path: Path, line: int, text: str | None, message: str) -> None:
    changed = lines()
    changed[line : line + 1] = [] if text is None else [text]
    path = tmp_path / "curve.csv"
    path.write_text("\n".join(changed) + "\n")
    with pytest.raises(CurveError, match=message):
        load_curve(path)


def test_loader_reads_a_good_week(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("\n".join(lines()) + "\n")
    assert len(load_curve(path)[0]) == 672


@pytest.mark.parametrize("step", STEPS)
def test_values_fit_12_bits_and_lose_no_energy(step: int) -> None:
    replay = LoadReplay("00012345", step)
    for channel, column in zip(Channel, shipped_curve(), strict=True):
        cycle = replay.cycle(channel)
        assert len(cycle) == 26 * WEEK // step
        assert max(cycle) <= MAX_PULSES
        assert sum(cycle) == sum(column) // replay.divisor  # every whole pulse of the cycle is counted once


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99_999_999), st.integers(0, 26 * 672 - 1), st.sampled_from(list(Channel)))
def test_value_follows_from_the_source(serial: int, place: int, channel: Channel) -> None:
    """The pulse count recomputed from the curve alone: shift by weeks, divide, carry the rest."""
    replay = LoadReplay(f"{serial:08d}", utc_offset=0)
    column = shipped_curve()[channel]
    at = (place + replay.shift * 672) % len(column)
    before = sum(column[:at])
    expected = (before + column[at]) // replay.divisor - before // replay.divisor
    assert replay.value(channel, ANCHOR + place * 900) == expected


@given(st.integers(0, 2**31), st.integers(-20, 20))
def test_value_repeats_in_whole_cycles_and_keeps_weekdays(instant: int, cycles: int) -> None:
    start = instant - instant % 900
    again = start + cycles * 26 * WEEK
    assert REPLAY.value(Channel.ACTIVE, start) == REPLAY.value(Channel.ACTIVE, again)
    assert (again - start) % WEEK == 0


def test_same_serial_same_load_other_serial_other_load() -> None:
    starts = [ANCHOR + 10800 + 900 * i for i in range(500)]
    curves = {
        serial: tuple(LoadReplay(serial).value(Channel.ACTIVE, start) for start in starts)
        for serial in ("10000001", "10000002", "10000003", "10000004")
    }
    assert len(set(curves.values())) == 4
    assert curves["10000001"] == tuple(LoadReplay("10000001").value(Channel.ACTIVE, start) for start in starts)


def test_sunday_night_is_quiet_whatever_the_shift() -> None:
    """Weekdays stay aligned: the plant rests on Sundays, so mean Sunday load is far below the mean of Tuesdays."""
    for serial in ("10000001", "10000002", "10000007"):
        replay = LoadReplay(serial, 3600, utc_offset=0)
        cycle = replay.cycle(Channel.ACTIVE)
        tuesday = sum(sum(cycle[w * 168 + 24 : w * 168 + 48]) for w in range(26))
        sunday = sum(sum(cycle[w * 168 + 144 : w * 168 + 168]) for w in range(26))
        assert sunday * 3 < tuesday


def test_value_refuses_what_is_off_the_grid() -> None:
    with pytest.raises(ValueError, match="2026-01-01 00:00:01 UTC is no interval start of 0:15:00"):
        LoadReplay("12345678").value(0, int(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC).timestamp()))
    for step in (0, 7, 700, 86400 * 2):
        with pytest.raises(ValueError, match="interval of"):
            LoadReplay("12345678", step)
