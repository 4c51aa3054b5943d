"""``metergate demo`` as a person would use it: start, log in, see real curves, Ctrl-C, start again."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.simulators.load import LoadReplay
from metergate.processes import free_port

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

METER = "12345601"
ARRIVAL_SECONDS = 150.0


class Demo:
    """A running demonstration and a logged-in client."""

    def __init__(self, data: Path, *options: str) -> None:
        self.log = data.parent / "demo.out"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "metergate", "demo", "--data", str(data), "--port", str(free_port()), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "COLUMNS": "100"},
            )
        try:
            text = self._wait_for(r"Ctrl-C ends everything")
        except AssertionError:
            self.kill()
            raise
        self.password = self._find(r"Password\s+(\S+)", text)
        self.client = httpx.Client(base_url=self._find(r"Open\s+(\S+?)/?\s", text), timeout=30)
        answer = self.client.post(
            "/login", data={"login": self._find(r"User\s+(\S+)", text), "password": self.password}
        )
        assert answer.status_code == 303, answer.text

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(f"/api/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stop(self) -> int:
        """Press Ctrl-C; returns the exit code."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def _wait_for(self, pattern: str, seconds: float = 120.0) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = self.log.read_text(errors="replace")
            assert self.process.poll() is None, text
            if re.search(pattern, text):
                return text
            time.sleep(0.1)
        raise AssertionError(f"no {pattern!r} within {seconds} s: {text}")

    @staticmethod
    def _find(pattern: str, text: str) -> str:
        found = re.search(pattern, text)
        assert found, text
        return found[1]


def month_of_active_energy(demo: Demo) -> list[int | None]:
    """Raw counts of 28 whole days that end this morning."""
    end = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0) - timedelta(days=1)
    start = end - timedelta(days=28)
    answer = demo.get(
        f"/meters/MG-{METER}/profile", channel="1.29.0", **{"from": start.isoformat(), "to": end.isoformat()}
    )
    replay = LoadReplay(METER)
    begin = int(start.timestamp())
    wanted = [replay.value(0, begin + i * replay.step) for i in range(28 * 96)]
    raw: list[int | None] = answer["raw"]
    assert len(raw) == len(wanted)
    # an interval with an outage inside counts less than the source has
    return [None if value is None else value - source for value, source in zip(raw, wanted, strict=True)]


def whole(demo: Demo) -> bool:
    meters = [demo.get("/meters", limit=50, gateway=gateway)["items"] for gateway in ("gw-norte", "gw-sul")]
    return [len(some) for some in meters] == [6, 6] and all(
        difference is not None for difference in month_of_active_energy(demo)
    )


def test_start_look_stop_and_start_again(tmp_path: Path) -> None:
    data = tmp_path / "demo data"  # a folder with a space, as people have them
    demo = Demo(data)
    try:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not whole(demo):
            assert time.monotonic() < deadline, "the month did not arrive"
            time.sleep(1.0)
        differences = month_of_active_energy(demo)
        assert sum(difference == 0 for difference in differences) > 0.98 * len(differences)
        page = demo.client.get(f"/meters/MG-{METER}", headers={"Accept-Language": "pt-BR", "Accept": "text/html"})
        assert page.status_code == 200
        assert "Metalúrgica Aurora" in page.text
        assert demo.stop() == 0
        assert "Stopped." in demo.log.read_text()
        first = demo.password
        demo = Demo(data)
        assert demo.password == first
        assert whole(demo), "what had arrived is still there"
        assert demo.stop() == 0
    finally:
        demo.kill()


def test_the_embedded_broker_carries_readings_as_well(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo", "--embedded-broker")
    try:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not whole(demo):
            assert time.monotonic() < deadline, "the month did not arrive"
            time.sleep(1.0)
        assert demo.stop() == 0
    finally:
        demo.kill()
