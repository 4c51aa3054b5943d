"""Simulated meters with a clock that tests move by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from edge.drivers.abnt.frames import Answer, Command
from edge.simulators.abnt.answers import Answerer
from edge.simulators.abnt.clock import MeterClock
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.setup import MeterSetup

SERIAL = "00012345"
OFFSET = -10800


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def local(text: str) -> int:
    """UTC seconds of a wall-clock time of the meter."""
    return utc(text) - OFFSET


class HandClock:
    """Seconds that pass when told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Bench:
    """One meter on the bench; ``at`` is wall-clock time."""

    def __init__(self, at: str = "2026-03-18 10:07:30", serial: str = SERIAL, **setup: Any) -> None:
        self.hand = HandClock(local(at))
        setup.setdefault("installed", local("2025-12-01 00:00"))
        self.meter = Meter(MeterSetup(serial, utc_offset=OFFSET, **setup), MeterClock(self.hand))
        self.answerer = Answerer(self.meter)

    def go(self, at: str) -> None:
        self.hand.now = local(at)

    def ask(self, code: int, parameters: str = "", reader: str = "123456") -> Sequence[Answer]:
        return self.answerer.answer(Command(code, reader, bytes.fromhex(parameters)))

    def one(self, code: int, parameters: str = "", reader: str = "123456") -> bytes:
        """The only block of an answer, 256 octets."""
        (answer,) = self.ask(code, parameters, reader)
        return answer.body
