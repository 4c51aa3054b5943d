"""``simulate`` as people and other programs run it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge.simulators.abnt.setup import INSTALLED
from edge.simulators.cli import random_outages, simulate
from edge.simulators.faults import FaultKind
from tests.edge.simulators.rawreader import PtyReader, RawReader, number

ROOT = Path(__file__).parents[3]
MAIN = "from edge.simulators.cli import simulate; simulate()"


@contextmanager
def running(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[dict[str, Any]]]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "--json", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    meters: list[dict[str, Any]] = []
    try:
        for line in process.stdout:
            said = json.loads(line)
            if said.get("ready"):
                assert said["meters"] == len(meters)
                break
            meters.append(said)
        yield process, meters
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_as_a_program(tmp_path: Path) -> None:
    link = tmp_path / "pty-meter"
    arguments = ("--count", "2", "--meter", f"12345678@pty:{link}", "--days", "3", "--enq", "30", "--outages", "10")
    with running(*arguments) as (process, meters):
        assert [m["serial"] for m in meters] == ["12345678", "10000001", "10000002"]
        assert [m["kind"] for m in meters] == ["pty", "tcp", "tcp"]
        async with PtyReader(link) as reader:
            answer = await reader.ask(0x21)
            assert answer[1:5].hex() == "12345678"
            assert (number(answer, 129, 131), number(answer, 132, 134)) == (meters[0]["num"], meters[0]["den"])
        for meter in meters[1:]:
            async with await RawReader.tcp(meter["port"]) as tcp:
                assert (await tcp.ask(0x23))[1:5].hex() == meter["serial"]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert not link.is_symlink()


async def test_interrupt_while_somebody_reads() -> None:
    with running("--count", "1") as (process, (meter,)):
        async with await RawReader.tcp(meter["port"]) as reader:
            await reader.enq()
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 10) == 0
            while await reader.octet():
                pass


def test_help_explains() -> None:
    text = CliRunner().invoke(simulate, ["--help"], prog_name="simulate").output
    for word in ("Examples:", "--speed", "--baud", "bus", "ready", *(kind.label for kind in FaultKind)):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no meter asked for"),
        (["--meter", "123@tcp:1"], "'123@tcp:1' is not SERIAL@tcp:[HOST:]PORT or SERIAL@pty:LINK"),
        (["--meter", "12345678@tcp:99999"], "'99999' is no TCP port"),
        (["--meter", "12345678@tcp:0", "--meter", "12345678@tcp:0"], "meter 12345678 is asked for twice"),
        (["--count", "1", "--fault", "rain"], "no fault is called 'rain'"),
        (["--count", "1", "--fault", "noise:7"], "probability 7.0 of noise is not 0 to 1"),
        (["--count", "10", "--base-port", "65530"], "10 ports from 65530 end above 65535"),
        (["--count", "1", "--interval", "5", "--days", "500"], "500 days of 300 s do not fit"),
        (["--count", "1", "--start", "yesterday"], "yesterday"),
        (
            ["--meter", "12345678@tcp:4001", "--meter", "12345679@tcp:4001", "--variant", "plain"],
            "several meters on one line need the addressed variant",
        ),
    ],
)
def test_refusals(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(simulate, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_taken_port_is_said(unused_port: int) -> None:
    import socket

    with socket.create_server(("127.0.0.1", unused_port)):
        result = CliRunner().invoke(simulate, ["--count", "1", "--base-port", str(unused_port)])
    assert result.exit_code == 1
    assert str(unused_port) in result.output


def test_outages_are_the_same_whenever_asked() -> None:
    month = 30 * 86400
    some = random_outages(4, "7/12345678", INSTALLED + month)
    more = random_outages(4, "7/12345678", INSTALLED + 3 * month)
    assert more[: len(some)] == some
    assert len(more) == 12
    assert list(more) == sorted(more)
    assert all(30 <= end - start <= 3 * 3600 for start, end in more)
    assert all(a[1] < b[0] for a, b in pairwise(more))
    assert random_outages(0, "7", INSTALLED + month) == ()
