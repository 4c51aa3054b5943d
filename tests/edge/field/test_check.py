"""What is expected against what a meter says; expectations from files, from the aggregator, from the meter itself."""

import json
import threading
from collections.abc import Iterator
from datetime import date, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from edge.drivers.contract import ClockReading, Identity
from edge.errors import ConfigError, LinkError
from edge.field import expected
from edge.field.check import compare
from edge.field.checking import check
from edge.field.expected import Expectation
from edge.field.folder import Folder
from edge.field.place import Options, parse
from shared.calendar_builders import brazil_calendar
from tests.edge.field.conftest import SERIAL, address, meter_port

IDENTITY = Identity(
    "00012345", "ABNT 0001", "abnt",
    {
        "firmware": "0100", "battery": "good", "quantities": [1, 10, 11], "constants": [[9, 50]] * 3,
        "demand_minutes": 15, "profile_step": 900, "ratios": [[1, 1], [300, 1]],
        "posts": {"peak": ["18:00", "18:00", "18:00", "18:00"], "off_peak": ["21:00", "06:00", "21:00", "21:00"]},
    },
)  # fmt: skip


def wrong(wanted: Expectation, drift: int = 0, **detail: Any) -> list[str]:
    changed = Identity(IDENTITY.serial, IDENTITY.model, IDENTITY.protocol, IDENTITY.detail | detail)
    points = list(compare(changed, ClockReading(1000 + drift, 1000.0), wanted))
    assert all(point.advice for point in points if point.ok is False)
    assert not [point for point in points if point.ok is not False and point.advice]
    return [point.what for point in points if point.ok is False]


def test_each_difference_is_found_and_nothing_else() -> None:
    assert wrong(Expectation()) == []
    same = expected.as_found(IDENTITY, "m")
    assert wrong(same) == []
    for name, value, what in (
        ("serial", "12346", "serial"),
        ("model", "ABNT 0002", "model"),
        ("firmware", "0101", "firmware"),
        ("constants", [[9, 50], [9, 50], [9, 51]], "constants"),
        ("ratios", [[1, 1], [301, 1]], "ratios"),
        ("quantities", [1, 10, 12], "quantities"),
        ("profile_step", 300, "profile interval"),
        ("demand_minutes", 5, "demand interval"),
        ("posts", {"peak": ["17:30"], "off_peak": ["06:00", "21:00"]}, "post peak"),
    ):
        assert wrong(msgspec.structs.replace(same, **{name: value})) == [what]
    assert wrong(same, 31) == ["clock"]
    assert wrong(same, -31) == ["clock"]
    assert wrong(same, 30) == []
    assert wrong(same, battery="bad") == ["battery"]


def test_equal_ratios_written_otherwise_are_equal() -> None:
    same = expected.as_found(IDENTITY, "m")
    assert wrong(msgspec.structs.replace(same, constants=[[18, 100]], serial="12345")) == []


def test_a_file_says_the_same_again(tmp_path: Path) -> None:
    found = expected.as_found(IDENTITY, "MG-1")
    (tmp_path / "e.toml").write_text(expected.to_toml(found))
    assert expected.from_file(tmp_path / "e.toml") == found
    for text, words in (
        ("serail = 'x'", "serail"),
        ("serial = ", "TOML|Invalid|value"),
        ("[posts]\npeak=['9h']", "posts"),
    ):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            expected.from_file(tmp_path / "bad.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        expected.from_file(tmp_path / "none.toml")


async def test_a_meter_on_a_line(folder: Folder) -> None:
    async with meter_port(offset=90.0) as port:
        points, found = await check(parse(address(port)), folder, Options(), Expectation(serial="87654321"))
        assert [point.what for point in points if point.ok is False] == ["serial", "clock"]
        points, _ = await check(
            parse(address(port)), folder, Options(), msgspec.structs.replace(found, clock_tolerance=120)
        )
        assert [point.what for point in points if point.ok is False] == []
        assert found.serial == SERIAL


class _Api(BaseHTTPRequestHandler):
    """The aggregator's two addresses as docs/api.md has them."""

    calendar: ClassVar[str] = ""

    def do_GET(self) -> None:
        gateway = 'gateway = "gw1"\n[schedule]\nclock_tolerance = 12\n[[meters]]\nid = "MG-1"\n[meters.settings]\n'
        answers = {
            "/api/v1/meters/MG-1": {"serial": SERIAL, "gateway": {"key": "gw1"}, "calendar": self.calendar},
            "/api/v1/gateways/gw1/configuration": {"toml": gateway + "expected_constants = [[9, 50]]\n"},
        }
        code = 200 if self.path in answers else 404
        if self.headers["Authorization"] != "Bearer mg_key":
            code = 401
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(answers.get(self.path, {})).encode())

    def log_message(self, *_: object) -> None:
        """Not here."""


@pytest.fixture
def api() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_aggregator_is_asked(api: str, monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    monkeypatch.setattr(_Api, "calendar", msgspec.json.encode(brazil_calendar(peak_start=time(17, 30))).decode())
    found = expected.from_central(api, "mg_key", "MG-1")
    assert (found.serial, found.constants, found.clock_tolerance) == (SERIAL, [[9, 50]], 12)
    assert found.posts == {"off_peak": ["00:00", "20:30"], "peak": ["17:30"]}
    with pytest.raises(ConfigError, match="not known there"):
        expected.from_central(api, "mg_key", "MG-2")
    with pytest.raises(ConfigError, match="key is not accepted"):
        expected.from_central(api, "mg_other", "MG-1")
    with pytest.raises(ConfigError, match="no address"):
        expected.from_central("central", "mg_key", "MG-1")
    with pytest.raises(LinkError, match="out of reach"):
        expected.from_central(f"http://127.0.0.1:{unused_port}", "mg_key", "MG-1")


def test_a_calendar_that_is_none() -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        expected.posts_of("{}")
    old = msgspec.json.encode(brazil_calendar()).decode()
    with pytest.raises(ConfigError, match="no version"):
        expected.posts_of(old, date(1800, 1, 1))
