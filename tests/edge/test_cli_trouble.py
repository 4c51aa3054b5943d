"""The field tool in the hands of somebody in a hurry: what goes wrong ends in words and an exit code."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edge.spool import Spool
from shared.wire import MeterEvent
from tests.edge.gateways import EDGE, ROOT, edge

NOBODY = 65534


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with some rows in its spool, of a gateway that is not running."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'gateway = "gw1"\ntenant = "acme"\n[uplink]\nhost = "127.0.0.1"\nport = 1\ntls = false\n'
        f'[spool]\npath = "{tmp_path / "spool" / "spool.db"}"\n'
        f'[[lines]]\nname = "a"\nkind = "serial"\naddress = "{tmp_path / "ttyNone"}"\n'
        '[[meters]]\nid = "m1"\nserial = "12345678"\nline = "a"\n'
    )
    (tmp_path / "spool").mkdir()

    async def store() -> None:
        async with Spool(tmp_path / "spool" / "spool.db", "gw1") as spool:
            await spool.add([MeterEvent("m1", 1_700_000_000 + i, "battery") for i in range(2000)])

    asyncio.run(store())
    return path


def plain(done: "subprocess.CompletedProcess[str]") -> str:
    """Its standard error, which holds no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize("style", ["csv", "json", "msgpack"])
def test_output_that_is_closed_early(config: Path, style: str) -> None:
    """``export | head -1``"""
    command = [*EDGE, "export", str(config), "--format", style]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
        assert export.stdout is not None
        assert export.stderr is not None
        assert export.stdout.read(10)
        export.stdout.close()
        assert export.stderr.read() == b""
    assert export.returncode == 1


@pytest.mark.parametrize("command", [["export"], ["export", "-o", "/dev/full"], ["status"], ["status", "--json"]])
def test_output_that_does_not_fit(config: Path, command: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*EDGE, command[0], str(config), *command[1:]], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert "error: the output cannot be written: No space left on device" in plain(done)
    assert done.returncode == 1


def test_exports_stand_whole_or_not_at_all(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    done = edge("export", config, "-o", target)
    assert (done.returncode, plain(done)) == (0, "2000 items\n")
    before = target.read_bytes()
    assert len(before.splitlines()) == 2001
    done = edge("export", config, "--meter", "m9", "-o", target)
    assert done.returncode == 2
    assert plain(done) == "error: no meter 'm9' in the spool nor in this configuration; there are: m1\n"
    shutil.rmtree(tmp_path / "spool")
    done = edge("export", config, "-o", target)
    assert done.returncode == 2
    assert "there is no spool at" in plain(done)
    done = edge("export", config)
    assert (done.returncode, done.stdout) == (2, "")
    done = edge("export", config, "-o", tmp_path / "nowhere" / "rows.csv")
    assert done.returncode == 2
    assert "nowhere/rows.csv cannot be written: No such file or directory" in plain(done)
    assert target.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_places_that_are_not_there(config: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "spool")
    done = edge("run", config)
    assert done.returncode == 2
    assert f"the folder of the spool {tmp_path}/spool/spool.db does not exist: make it" in plain(done)
    done = edge("check", config, "--connect")
    assert done.returncode == 1
    assert f"wrong spool {tmp_path}/spool/spool.db: there is no folder {tmp_path}/spool" in done.stdout
    assert "wrong broker 127.0.0.1:1: connection refused, nothing listens there" in done.stdout
    assert f"wrong line a: {tmp_path}/ttyNone does not exist: is the adapter plugged in?" in done.stdout
    done = edge("read", config, "m1")
    assert done.returncode == 3
    assert plain(done) == f"error: {tmp_path}/ttyNone does not exist: is the adapter plugged in?\n"


@pytest.mark.parametrize("command", [["export"], ["status"], ["read", "m1"]])
def test_a_spool_of_somebody_else(config: Path, tmp_path: Path, command: list[str]) -> None:
    if os.geteuid():
        pytest.skip("acting as another user needs root")
    if any(not folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents, *Path(sys.prefix).resolve().parents)):
        pytest.skip("another user may not enter the folder of this checkout")
    for folder in (tmp_path, *tmp_path.parents):  # the test's own folders, however deep a worker puts them
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    (tmp_path / "spool").chmod(0o700)
    script = f"import os; os.setgid({NOBODY}); os.setuid({NOBODY}); from edge.cli import cli; cli()"
    done = subprocess.run(
        [EDGE[0], "-c", f"import edge.cli, edge.views, edge.export, edge.config, edge.spool.inspection; {script}",
         command[0], str(config), *command[1:]],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (2, 3)
    told = plain(done)
    assert told.startswith("error: ")
    assert str(tmp_path / "spool" / "spool.db") in told
    assert "sudo" in told


def test_ctrl_c_twice_ends_in_order(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with log.open("wb") as output:
        gateway = subprocess.Popen([*EDGE, "run", str(config)], cwd=ROOT, stdout=output, stderr=output)
    deadline = time.monotonic() + 20
    while "gateway runs" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    gateway.send_signal(signal.SIGINT)
    gateway.send_signal(signal.SIGINT)
    assert gateway.wait(20) == 0
    assert "gateway ends" in log.read_text()
    assert "Traceback" not in log.read_text()
