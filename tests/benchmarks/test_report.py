"""What is made of a benchmark run: ratios, rates, tables between their marks, and the plot."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import instructions, report
from benchmarks.plot import bars
from tests.ext.builds import load_compiled


def timed(group: str | None, case: str, median: float, **extra: Any) -> dict[str, Any]:
    stats = {"median": median, "min": median / 2, "rounds": 9}
    return {
        "group": group,
        "name": f"test_it[{case}]",
        "param": case,
        "params": {"case": case},
        "extra_info": extra,
        "stats": stats,
    }


def run() -> dict[str, Any]:
    return {
        "datetime": "2026-11-25T10:00:00+00:00",
        "commit_info": {"id": "0123456789abcdef", "dirty": True},
        "load_average": 0.51,
        "benchmarks": [
            timed("pack", "ours, source", 4e-3),
            timed("pack", "peer: msgpack", 3e-6),
            timed("pack", "ours, compiled", 1e-6, items=96, unit="readings"),
            timed("pack", "scale: copy", 1e-7),
            timed(None, "sqlite", 2.0, **{"rows/s": 40_000}),
        ],
        "figures": [
            {"group": "load: household", "case": "ours, compiled", "value": 0.5, "unit": "octets"},
            {"group": "load: household", "case": "peer: zlib", "value": 1.0, "unit": "octets"},
        ],
    }


def test_a_summary_has_ratios_to_our_compiled_case_rates_and_versions_of_peers() -> None:
    kept = report.summary(run(), {})
    cases = {case["case"]: case for case in kept["cases"] if case["group"] == "pack"}
    assert cases["peer: msgpack"]["ratio"] == pytest.approx(3)
    assert cases["ours, source"]["ratio"] == pytest.approx(4000)
    assert cases["ours, compiled"]["rate"] == pytest.approx(96e6)
    assert set(kept["peers"]) == {"msgpack", "zlib"}
    assert kept["commit"] == "0123456789ab+"
    assert {"processor", "cores", "kernel", "python"} <= set(kept["machine"])


def test_tables_show_each_case_once_and_stand_between_the_marks() -> None:
    text = report.tables(
        report.summary(run(), {"per item": {"profile.pack": {"instructions": 61.5, "unit": "reading"}}})
    )
    row = next(line for line in text.splitlines() if line.startswith("| pack |"))
    assert "1.00 us" in row
    assert "96 M readings/s" in row
    assert "msgpack 3.00 us (x3.00)" in row
    assert "| household | 0.500 octets |" in text
    assert "| it: sqlite | 2.00 s | 40 k rows/s |" in text
    assert "| profile.pack | 61.5 per reading |" in text
    page = f"before\n{report.BEGIN}\nstale\n{report.END}\nafter\n"
    new = report.replaced(page, text)
    assert "stale" not in new
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert report.replaced(new, text) == new
    with pytest.raises(ValueError, match="has not both"):
        report.replaced("no marks", text)


def test_the_page_has_the_marks_and_the_kept_results_are_of_today_s_form() -> None:
    page = (report.FOLDER / "README.md").read_text(encoding="utf-8")
    kept = json.loads((report.RESULTS / "latest.json").read_text(encoding="utf-8"))
    assert report.replaced(page, report.tables(kept)) == page


def test_the_plot_has_a_bar_for_each_peer_and_none_for_ours_scales_and_loads() -> None:
    groups = report.plotted(report.summary(run(), {}))
    assert [(group, [name for name, _ in rows]) for group, rows in groups] == [("pack", ["msgpack"])]
    assert groups[0][1][0][1] == pytest.approx(3)
    picture = bars([("a < b", [("x & y", 0.5), ("slow", 1e6)])])
    root = ET.fromstring(picture)
    found = [element for element in root.iter() if element.tag.endswith("rect")]
    assert [element.get("class") for element in found] == ["lost", "won"]
    width = float(root.get("width", "0"))
    assert all(float(element.get("x", "0")) + float(element.get("width", "0")) <= width for element in found)
    assert len(picture) < 50_000


@pytest.mark.parametrize(("now", "grows"), [(100.0, False), (102.9, False), (103.1, True), (50.0, False)])
def test_more_instructions_than_before_are_named(now: float, grows: bool) -> None:
    before = {"a": {"instructions": 100.0, "unit": "reading"}}
    found = instructions.grown(before, {"a": {"instructions": now, "unit": "reading"}, "new": before["a"]})
    assert [line.split(":")[0] for line in found] == (["a"] if grows else [])


def test_every_counted_case_runs_without_valgrind() -> None:
    load_compiled("profile")
    for name in instructions.CASES:
        instructions.run(name, 1)


def test_kept_instructions_are_of_cases_that_exist() -> None:
    path = Path(instructions.RESULT)
    assert set(json.loads(path.read_text())["per item"]) == set(instructions.CASES)
