"""Fixtures of the field tool: a folder with an empty spool, simulated meters, quick timers."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.drivers.abnt.timing import LINKS
from edge.field import identify
from edge.field.folder import Folder
from edge.simulators.abnt.clock import MeterClock
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.simulators.abnt.session import SessionSetup
from edge.simulators.abnt.setup import MeterSetup
from edge.simulators.faults import FaultPlan

SERIAL = "12345678"


@pytest.fixture
def folder(tmp_path: Path, _empty_spool: Path) -> Folder:
    """A laptop's folder whose spool is made already; making one takes a child process."""
    found = Folder(tmp_path / "field", "field-test")
    shutil.copyfile(_empty_spool, found.spool_path)
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is recognised within tenths of a second."""
    for name in ("tcp", "usb"):
        short = replace(LINKS[name], gap=0.1, block=0.5, answer=0.15, enq=0.3, quiet=0.05, again=0.1)
        monkeypatch.setitem(LINKS, name, short)
    monkeypatch.setattr(identify, "LISTEN", 0.3)
    monkeypatch.setattr(identify, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(identify, "OTHER_BAUDS", (19200,))


@asynccontextmanager
async def meter_port(
    serial: str = SERIAL, *, faults: FaultPlan | None = None, session: SessionSetup | None = None,
    pty: bool = False, offset: float = 0.0, occurrence: tuple[int, int] | None = None, **setup: Any,
) -> AsyncIterator[TcpPort | PtyPort]:  # fmt: skip
    """A simulated meter that one can reach."""
    setup.setdefault("days", 3)
    meter = Meter(MeterSetup(serial, **setup), MeterClock(offset=offset))
    meter.occurrence = occurrence
    kind = PtyPort if pty else TcpPort
    port: Any = kind([meter], setup=session, faults=faults)
    async with port:
        yield port


def address(port: TcpPort | PtyPort) -> str:
    """The place of a simulated meter as a person writes it."""
    return f"{port.host}:{port.port}" if isinstance(port, TcpPort) else port.path
