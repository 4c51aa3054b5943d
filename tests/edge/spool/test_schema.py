"""Numbered schemas: old files come forward, newer ones are refused, each step whole."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.spool import Spool, SpoolNewerError, _schema
from edge.spool.inspection import stored_items
from shared.wire import Result, decode_item
from tests.edge.spool.items import event, mixed

DATABASES = Path(__file__).parent / "databases"


def columns(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_%' ESCAPE '\\'"
        )
        return sorted(row[0] for row in rows)
    finally:
        connection.close()


async def test_every_old_file_opens(tmp_path: Path, blank: bytes) -> None:
    files = sorted(DATABASES.glob("v*.db"))
    assert [int(file.stem.removeprefix("v")) for file in files] == list(range(1, _schema.VERSION + 1))
    fresh = tmp_path / "fresh.db"
    fresh.write_bytes(blank)
    for file in files:
        path = tmp_path / file.name
        shutil.copy(file, path)
        async with Spool(path, "gw1") as spool:
            assert spool.spool_id.hex() == "000102030405060708090a0b0c0d0e0f"
            assert (spool.last_seq, spool.cursor) == (13, 5)
            items = [decode_item(row) for row in await spool.batch(1, 100, 1 << 20)]
            assert items == [*(mixed(n) for n in range(12)), Result("c1", 1_700_000_000, ok=True, code="done")]
            assert await spool.state.get("m1") == {"order": "high"}
            assert await spool.intervals.get("m1") == {"1.29.0": [(1_699_999_200, 1_700_010_000)]}
            assert await spool.commands.result("c1") is not None
            assert await spool.commands.unfinished() == ["c2"]
            assert [e.frames for e in await spool.evidence.find("m1", 0, 1 << 40)] == [(b"\x14\x01", b"\x14\x02")]
            assert await spool.add([event(99)]) == [14]
        assert columns(path) == columns(fresh)


async def test_a_new_file_is_made_in_a_child_process(tmp_path: Path) -> None:
    """sqlite-utils and what it pulls in stay out of the gateway."""
    code = (
        "import asyncio, sys; from pathlib import Path; from edge.spool import Spool\n"
        "async def main():\n"
        "    async with Spool(Path(sys.argv[1]), 'gw1') as spool: print(spool.last_seq, len(spool.spool_id))\n"
        "asyncio.run(main()); print('sqlite_utils' in sys.modules, 'numpy' in sys.modules)"
    )
    root = DATABASES.parents[3]
    done = run_python(code, tmp_path / "new.db", root)
    assert done == "0 16\nFalse False\n"


def run_python(code: str, path: Path, root: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, path], cwd=root, capture_output=True, text=True, check=True
    ).stdout


async def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {_schema.VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SpoolNewerError, match=f"has schema {_schema.VERSION + 1}.*newer version"):
        async with Spool(path, "gw1"):
            pass
    with pytest.raises(ConfigError):
        list(stored_items(path))
    assert path.read_bytes() == before


def test_a_failing_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spool.db"
    _schema.migrate(path)
    before = columns(path)
    number = _schema.VERSION + 1
    broken = (number, "broken", ("CREATE TABLE halfway (a)", "INSERT INTO nowhere VALUES (1)"))
    monkeypatch.setattr(_schema, "MIGRATIONS", (*_schema.MIGRATIONS, broken))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        _schema.migrate(path, target=number)
    assert columns(path) == before
    assert _schema.version_of(path) == _schema.VERSION


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"folder of the spool .*/nowhere/spool\.db does not exist: make it"):
        async with Spool(tmp_path / "nowhere" / "spool.db", "gw1"):
            pass
    with pytest.raises(ConfigError, match=r"is a folder: spool\.path names the file in it"):
        async with Spool(tmp_path, "gw1"):
            pass
