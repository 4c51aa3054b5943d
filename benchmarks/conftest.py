"""What every suite reports besides times: figures such as octets per reading, and how busy the machine was."""

import os
from typing import Any, Protocol

import pytest

_figures: list[dict[str, Any]] = []


class Figure(Protocol):
    def __call__(self, group: str, case: str, value: float, unit: str) -> None: ...


@pytest.fixture(scope="session")
def figure() -> Figure:
    """Return a function that notes a figure of ours or of a peer; smaller is better, as with times."""

    def note(group: str, case: str, value: float, unit: str) -> None:
        _figures.append({"group": group, "case": case, "value": value, "unit": unit})

    return note


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures")
        for item in _figures:
            terminalreporter.write_line(f"{item['group']}: {item['case']} {item['value']:.3f} {item['unit']}")


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Add to the run's JSON what ``benchmarks.report`` reads beside the times."""
    output_json["figures"] = _figures
    output_json["load_average"] = os.getloadavg()[0]
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)
