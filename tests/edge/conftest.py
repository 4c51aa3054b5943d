"""Fixtures of the gateway's tests."""

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from edge.spool import Spool


@pytest.fixture
def unused_port() -> int:
    """A TCP port of the loopback on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def _empty_spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool's file as a first start leaves it; making one takes a child process."""
    path = tmp_path_factory.mktemp("spool") / "spool.db"

    async def make() -> None:
        async with Spool(path, "gw1"):
            pass

    asyncio.run(make())
    return path


@pytest.fixture
def spool_path(tmp_path: Path, _empty_spool: Path) -> Path:
    """An empty spool of gateway gw1, not open."""
    path = tmp_path / "spool.db"
    shutil.copyfile(_empty_spool, path)
    return path
