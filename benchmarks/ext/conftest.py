"""Data and comparisons for the kernels' benchmarks."""

import csv
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge.simulators

LOAD = Path(edge.simulators.__file__).parent / "data" / "steel_works_26_weeks.csv"

_sizes: list[str] = []


@pytest.fixture(scope="session")
def load_curves() -> dict[str, "array[int]"]:
    """Return the quarter-hour counts (0.01 kWh, 0.01 kvarh) of 26 weeks by channel."""
    with LOAD.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: array("q", [int(row[name]) for row in rows]) for name in ("active", "inductive", "capacitive")}


@pytest.fixture(scope="session")
def sizes() -> list[str]:
    """Return the list whose lines are printed at the end."""
    return _sizes


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _sizes:
        terminalreporter.section("sizes")
        for line in _sizes:
            terminalreporter.write_line(line)


def days(curve: "array[int]") -> Iterator["array[int]"]:
    """Yield the curve in pieces of 96."""
    for first in range(0, len(curve) - 95, 96):
        yield curve[first : first + 96]
