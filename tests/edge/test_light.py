"""The lamp: how often it flashes, that it ends dark, and what becomes of one that is not there."""

import asyncio
import itertools
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.light import flash, flashes
from tests.ports import until


def test_one_to_four_flashes() -> None:
    said = [flashes(connected=connected, silent=silent) for connected in (True, False) for silent in (0, 1, 5)]
    assert said == [1, 3, 3, 2, 4, 4]


async def test_groups_of_flashes_and_darkness_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe in the place of the kernel's file takes every value that is written."""
    monkeypatch.setattr("edge.light.PAUSE", 0.05)
    led = tmp_path / "led"
    led.mkdir()
    (led / "max_brightness").write_text("255\n")
    (led / "trigger").write_text("none [timer]")
    os.mkfifo(led / "brightness")
    reader = os.open(led / "brightness", os.O_RDWR | os.O_NONBLOCK)
    groups = itertools.cycle([1, 4, 2])
    asked: list[int] = []

    def count() -> int:
        asked.append(next(groups))
        return asked[-1]

    task = asyncio.create_task(flash(led, count))
    await until(lambda: len(asked) == 4, 20, "three groups")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    written = os.read(reader, 4096).decode()
    os.close(reader)
    assert written.replace("255", "*") in ("*0" * 7 + "0", "*0" * 7 + "*0"), written
    assert (led / "trigger").read_text() == "none"


async def test_a_lamp_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "caps").mkdir()
    with capture_logs() as said:
        await flash(tmp_path / "led0", lambda: 1)
    assert [(line["event"], line["led"], line["known"]) for line in said] == [("no lamp", "led0", "caps")]
