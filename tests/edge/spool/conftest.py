"""Spools for tests: made from one migrated file, since each migration costs a child process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.spool import Clock, _schema


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated file without a stream."""
    path = tmp_path_factory.mktemp("blank") / "spool.db"
    _schema.migrate(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, blank: bytes) -> Path:
    """Where a test's spool lies; migrated, empty."""
    it = tmp_path / "spool.db"
    it.write_bytes(blank)
    return it


@pytest.fixture(autouse=True)
def _migrate_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """New files get their schema in this process; test_schema.py runs a gateway that leaves it to a child."""

    def ensure(path: Path) -> None:
        if _schema.version_of(path) != _schema.VERSION:
            _schema.migrate(path)

    monkeypatch.setattr(_schema, "ensure", ensure)


class FakeClock:
    """A clock to be set. ``pass_time`` is true time; ``wall_now += x`` is somebody turning the clock."""

    def __init__(self) -> None:
        self.wall_now = 1_700_000_000.0
        self.steady_now = 5000.0
        self.clock = Clock(lambda: self.wall_now, lambda: self.steady_now)

    def pass_time(self, seconds: float) -> None:
        self.wall_now += seconds
        self.steady_now += seconds


@pytest.fixture
def fake() -> FakeClock:
    return FakeClock()


Flip = Callable[[Path, bytes, int], None]


@pytest.fixture
def flip() -> Flip:
    """Change one bit of the byte ``offset`` behind the first place where ``needle`` is found in a closed file."""

    def it(file: Path, needle: bytes, offset: int) -> None:
        data = bytearray(file.read_bytes())
        place = data.index(needle) + offset
        data[place] ^= 0x10
        file.write_bytes(data)

    return it
