"""sd_notify against a socket of our own, by path and in the abstract namespace."""

import os
import socket
import uuid
from pathlib import Path

import pytest

from edge.systemd import notify, watchdog_interval


@pytest.mark.parametrize("abstract", [False, True])
def test_lines_arrive_as_one_datagram(tmp_path: Path, abstract: bool) -> None:
    address = f"@metergate-{uuid.uuid4()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + address[1:] if abstract else address)
        assert notify("READY=1", "STATUS=6 meters", environment={"NOTIFY_SOCKET": address})
        assert sock.recv(100) == b"READY=1\nSTATUS=6 meters"


def test_nobody_listens(tmp_path: Path) -> None:
    assert not notify("READY=1", environment={})
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": str(tmp_path / "none")})


def test_watchdog() -> None:
    assert watchdog_interval({}) is None
    assert watchdog_interval({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}) == 15.0
    assert watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_interval({"WATCHDOG_USEC": "soon"}) is None
