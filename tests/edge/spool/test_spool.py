"""The stream: what add() promises, and what survives."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import edge.spool
from edge.drivers.contract import Evidence
from edge.errors import ConfigError, ReportError, RetryError
from edge.spool import (
    Kind,
    Level,
    Spool,
    SpoolFullError,
    SpoolItemError,
    SpoolLockedError,
    SpoolSettings,
    Visit,
    _spool,
)
from edge.spool.inspection import overview, stored_items
from shared.wire import MAX_BATCH_BYTES, MeterEvent, ProfileBlock, Result, decode_item
from tests.edge.spool.items import event, mixed, profile, registers

ROOT = Path(edge.spool.__file__).parents[2]


COUNT = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM items').fetchone())"


def run(*command: str | Path) -> tuple[int, bytes]:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, done.stdout


def start_writers(path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, cwd=ROOT)


async def all_rows(spool: Spool, first: int = 1) -> list[bytes]:
    rows: list[bytes] = []
    while more := await spool.batch(first + len(rows), 500, 1 << 20):
        rows += more
    return rows


async def test_seqs_grow_without_gap_over_writers_and_restarts(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        name = spool.spool_id
        parts = await asyncio.gather(*(spool.add([mixed(n), mixed(n + 1)]) for n in range(50)))
        assert sorted(seq for part in parts for seq in part) == list(range(1, 101))
        assert all(second == first + 1 for first, second in parts), "a caller's rows stay together"
    async with Spool(path, "gw1") as spool:
        assert (spool.spool_id, spool.last_seq, spool.cursor) == (name, 100, 0)
        assert await spool.add([event(7)]) == [101]
        assert [decode_item(row) for row in await spool.batch(101, 10, 1000)] == [event(7)]


async def test_added_means_committed_for_another_process(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        await spool.add([event(1), registers(2)])
        assert run(sys.executable, "-c", COUNT, path) == (0, b"2\n")


async def test_batches_are_bounded_but_never_empty(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        await spool.add([profile(n, size=1000) for n in range(10)])
        assert len(await spool.batch(1, 4, 1 << 20)) == 4
        assert len(await spool.batch(1, 10, 2500)) == 2
        assert len(await spool.batch(3, 10, 10)) == 1
        assert await spool.batch(11, 10, 1000) == []
        assert await spool.batch(0, 10, 1000) == []


async def test_a_visit_is_stored_whole_or_not_at_all(path: Path) -> None:
    bad = MeterEvent("m" * 65, 1, "outage")
    evidence = Evidence("m1", 5, "registers", (b"\x14\x00", b"\x22"))
    async with Spool(path, "gw1") as spool:
        visit = Visit([registers(1), bad], {"m1": {"order": 1}}, {("m1", "1.29.0"): [(0, 900)]}, [evidence])
        with pytest.raises(SpoolItemError, match=r"MeterEvent of mmm.* cannot be sent"):
            await spool.commit(visit)
        assert (spool.last_seq, await spool.state.get("m1"), await spool.intervals.get("m1")) == (0, None, {})
        assert await spool.evidence.find("m1", 0, 10) == []
        await spool.commit(Visit([registers(1)], visit.state, visit.intervals, visit.evidence))
    async with Spool(path, "gw1") as spool:
        assert await spool.state.get("m1") == {"order": 1}
        assert await spool.intervals.get("m1") == {"1.29.0": [(0, 900)]}
        assert await spool.evidence.find("m1", 0, 10) == [evidence]
        assert await spool.evidence.find("m1", 6, 10) == []


async def test_what_the_aggregator_would_refuse_is_refused_here(path: Path) -> None:
    huge = ProfileBlock("m1", "1.29.0", 0, 900, 10, bytes(MAX_BATCH_BYTES - 40))
    wrong = MeterEvent("m1", -1, "outage")
    async with Spool(path, "gw1") as spool:
        for item in (huge, wrong):
            with pytest.raises(ReportError):
                await spool.add([event(1), item])
        assert spool.last_seq == 0


@pytest.mark.parametrize("ranges", [[(5, 5)], [(10, 20), (15, 30)], [(20, 30), (1, 2)]])
async def test_ranges_must_be_in_order(path: Path, ranges: list[tuple[int, int]]) -> None:
    async with Spool(path, "gw1") as spool:
        with pytest.raises(ValueError, match="sorted"):
            await spool.intervals.put("m1", "1.29.0", ranges)


async def test_a_command_is_begun_once_and_its_result_closes_it(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        assert not await spool.commands.seen("c1")
        assert await spool.commands.begin("c1")
        assert not await spool.commands.begin("c1")
        assert await spool.commands.begin("c2")
    async with Spool(path, "gw1") as spool:
        assert await spool.commands.unfinished() == ["c1", "c2"]
        result = Result("c1", 5, ok=True, code="done")
        await spool.add([result])
        assert await spool.commands.unfinished() == ["c2"]
        assert await spool.commands.result("c1") == result
        assert await spool.commands.result("c2") is None
        assert not await spool.commands.begin("c1")


async def test_each_commit_is_on_the_disk(path: Path) -> None:
    """A row counts as taken after its commit: so each commit waits for the disk (2 is FULL)."""
    async with Spool(path, "gw1") as spool:
        modes = await spool.write(
            lambda tx: [
                tx.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")
            ]
        )
        assert modes == [2, "wal"]


async def test_the_cursor_moves_forward_and_is_stored(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        await spool.add([event(n) for n in range(10)])
        spool.acknowledge(7)
        spool.acknowledge(5)
        assert spool.cursor == 7
        with pytest.raises(ValueError, match="beyond the last row 10"):
            spool.acknowledge(11)
        assert spool.status.rows == 3
    async with Spool(path, "gw1") as spool:
        assert spool.cursor == 7
        await spool.rewind(2)
        assert spool.cursor == 2
    async with Spool(path, "gw1") as spool:
        assert spool.cursor == 2


async def test_a_rewind_to_what_was_deleted_long_ago_begins_a_new_stream(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still held is all there, behind one event that says what is not; nothing stands in for each lost row."""
    monkeypatch.setattr(_spool, "MEND_ROWS", 10)
    async with Spool(path, "gw1") as spool:
        items = [event(n) for n in range(100)]
        await spool.add(items)
        await spool.intervals.put("m1", "held", [(0, 900)])
        spool.acknowledge(90)
        await spool.write(lambda tx: tx.connection.execute("DELETE FROM items WHERE number <= 60"))
        assert await spool.batch(1, 10, 1 << 20) == [], "acknowledged: nobody misses it"
        assert await spool.first_held(1) == 61
        before = spool.spool_id
        await spool.rewind(55)
        assert (spool.spool_id, spool.cursor, spool.last_seq) == (before, 55, 100), "few are stood in for"
        await spool.rewind(10)
        assert spool.spool_id != before
        assert (spool.cursor, spool.last_seq) == (0, 41)
        rows = [decode_item(row) for row in await spool.batch(1, 1000, 1 << 20)]
        assert rows[:-1] == items[60:]
        assert isinstance(rows[-1], MeterEvent)
        assert (rows[-1].kind, rows[-1].detail["rows"]) == ("profile_lost", 50)
        assert await spool.intervals.get("m1") == {}
        assert spool.losses == 1
        assert await spool.first_held(42) is None


async def test_grown_wakes(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        waiting = asyncio.create_task(spool.grown(0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await spool.add([event(1)])
        async with asyncio.timeout(1):
            await waiting
            await spool.grown(0)


async def test_one_process_writes(path: Path) -> None:
    async with Spool(path, "gw1"):
        with pytest.raises(SpoolLockedError, match=rf"in use by process {os.getpid()}"):
            async with Spool(path, "gw1"):
                pass
    async with Spool(path, "gw1"):
        pass


async def test_a_closed_spool_says_so(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        pass
    with pytest.raises(RetryError, match="closed"):
        await spool.add([event(1)])


async def test_opening_and_closing_leaves_nothing(path: Path) -> None:
    async def once() -> int:
        async with Spool(path, "gw1") as spool:
            await spool.add([event(1)])
            await spool.batch(1, 10, 100)
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    first = await once()  # others' files of this process may be closed meanwhile, but none is added
    assert max([await once() for _ in range(20)]) <= first


async def test_an_error_of_one_caller_stays_his(path: Path) -> None:
    async with Spool(path, "gw1") as spool:

        def fails(_: object) -> None:
            raise LookupError("mine")

        good, bad, also = await asyncio.gather(
            spool.add([event(1)]), spool.write(fails), spool.add([event(2)]), return_exceptions=True
        )
        assert (good, also) == ([1], [2])
        assert isinstance(bad, LookupError)


# -- killed -----------------------------------------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from pathlib import Path
from edge.spool import Spool, Visit
from tests.edge.spool.items import event
async def writer(spool, name):
    n = 0
    while True:
        n += 1
        seqs = await spool.commit(Visit([event(n, name)], {name: {"n": n}}, {(name, "1.29.0"): [(0, n)]}))
        print(name, n, seqs[0], flush=True)
async def main():
    async with Spool(Path(sys.argv[1]), "gw1") as spool:
        await asyncio.gather(*(writer(spool, f"m{i}") for i in range(4)))
asyncio.run(main())
"""


async def test_killed_at_any_moment_keeps_what_it_said(path: Path) -> None:
    told: dict[tuple[str, int], int] = {}
    for delay in (0.05, 0.11, 0.02, 0.17):
        child = start_writers(path)
        assert child.stdout is not None
        first = await asyncio.to_thread(child.stdout.readline)
        await asyncio.sleep(delay)
        child.send_signal(signal.SIGKILL)
        rest = await asyncio.to_thread(child.stdout.read)
        child.wait()
        child.stdout.close()
        lines = (first + rest).decode().splitlines(keepends=True)
        for line in lines:
            if line.endswith("\n"):
                name, count, seq = line.split()
                assert int(seq) not in told.values(), "a number was given twice"
                told[name, int(count)] = int(seq)
        async with Spool(path, "gw1") as spool:
            items = [decode_item(row) for row in await all_rows(spool)]
            assert len(items) == spool.last_seq, "no gap"
            for (name, n), number in told.items():
                item = items[number - 1]
                assert isinstance(item, MeterEvent)
                if item.meter != name or item.detail["n"] != n:
                    raise AssertionError(f"row {number} is {item}, not {name} {n}")
            for meter in ("m0", "m1", "m2", "m3"):
                last = next(
                    (i.detail["n"] for i in reversed(items) if isinstance(i, MeterEvent) and i.meter == meter), None
                )
                assert await spool.state.get(meter) == ({"n": last} if last else None), "state and row are one"
                assert await spool.intervals.get(meter) == ({"1.29.0": [(0, last)]} if last else {})
        told = {}


# -- inspection -------------------------------------------------------------------------------------------------------


async def test_another_process_may_look(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        await spool.add([mixed(n) for n in range(20)])
        spool.acknowledge(8)
        await spool.add([event(1, "m2")])
        seen = overview(path)
        assert (seen.last_seq, seen.cursor, seen.pending, seen.spool_id) == (21, 8, 13, spool.spool_id)
        assert {kind: (c.rows, c.pending) for kind, c in seen.kinds.items()} == {
            "event": (6, 4), "profile": (5, 3), "registers": (5, 3), "instant": (5, 3),
        }  # fmt: skip
        assert [row.item for row in stored_items(path, meter="m2")] == [event(1, "m2")]
        assert [row.seq for row in stored_items(path, kinds=(Kind.PROFILE,))] == [2, 6, 10, 14, 18]
    assert overview(path).pending == 13
    assert [row.acknowledged for row in stored_items(path)] == [True] * 8 + [False] * 13
    with pytest.raises(ConfigError, match="there is no spool at"):
        overview(path.with_name("other.db"))


# -- full -------------------------------------------------------------------------------------------------------------


async def fill(spool: Spool, size: int = 20_000) -> int:
    """Add profile until it is refused; returns rows taken."""
    taken = 0
    try:
        while taken < 10_000:
            await spool.add([profile(taken, size=size)])
            taken += 1
    except SpoolFullError as error:
        assert re.search(r"is full: \d+ of \d+ bytes used.*raise spool.limit_bytes", str(error))  # noqa: PT017
    return taken


async def test_the_limit_refuses_keeps_and_recovers(path: Path) -> None:
    settings = SpoolSettings(limit_bytes=4 << 20, free_bytes=0)
    async with Spool(path, "gw1", settings) as spool:
        await spool.add([registers(n) for n in range(10)])
        taken = await fill(spool)
        assert taken > 100
        assert spool.level is Level.FULL
        last = spool.last_seq
        assert last >= 10 + taken, "the rows taken, and an alarm"
        with pytest.raises(SpoolFullError):
            await spool.commit(Visit([event(1)], {"m1": {"a": 1}}))
        assert await spool.state.get("m1") is None, "nothing half"
        items = [decode_item(row) for row in await all_rows(spool)]
        assert [i for i in items if isinstance(i, ProfileBlock)] == [profile(n, size=20_000) for n in range(taken)]
        alarms = [i for i in items if isinstance(i, MeterEvent)]
        assert [a.kind for a in alarms] == ["spool_pressure"]
        assert alarms[0].detail["level"] == "full"
        spool.acknowledge(spool.last_seq)
        for _ in range(50):
            try:
                await spool.add([event(2)])
                break
            except SpoolFullError:
                continue
        assert spool.level is not Level.FULL
        await spool.add([profile(n, size=20_000) for n in range(20)])
    kinds = overview(path).kinds
    assert kinds["registers"].rows == 10, "registers stay"
    assert path.stat().st_size <= 4 << 20


async def test_sqlites_own_limit_is_told_the_same_way(path: Path) -> None:
    """More in one piece than the reserve: SQLite itself refuses."""
    async with Spool(path, "gw1", SpoolSettings(limit_bytes=2 << 20, free_bytes=0)) as spool:
        with pytest.raises(SpoolFullError):
            await spool.add([profile(n, size=100_000) for n in range(40)])
        assert spool.last_seq == 0
        assert await spool.add([event(1)]) == [1]


def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["mountpoint", "-q", "/"], check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs root to mount a small tmpfs")
async def test_a_full_disk(tmp_path: Path, blank: bytes) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk)[0] != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        path, ballast = disk / "spool.db", disk / "ballast"
        path.write_bytes(blank)
        async with Spool(path, "gw1", SpoolSettings(free_bytes=512 << 10)) as spool:
            await spool.add([registers(1)])
            ballast.write_bytes(bytes(2 << 20))
            taken = await fill(spool)
            last = spool.last_seq
            ballast.write_bytes(bytes(2300 << 10))  # now beyond what the spool leaves free
            with pytest.raises(SpoolFullError):
                await spool.add([event(1)])
            ballast.unlink()
            seqs = await spool.add([event(2)])
            assert seqs[0] > last
            items = [decode_item(row) for row in await all_rows(spool)]
            assert len(items) == spool.last_seq
            assert len([i for i in items if isinstance(i, ProfileBlock)]) == taken
        # without the floor, the disk itself says no in the middle of a transaction
        async with Spool(path, "gw1", SpoolSettings(free_bytes=0)) as spool:
            await fill(spool, 30_000)
            last = spool.last_seq
        async with Spool(path, "gw1", SpoolSettings(free_bytes=0)) as spool:
            rows = await all_rows(spool)
            assert len(rows) == spool.last_seq >= last
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
    finally:
        assert run("umount", disk)[0] == 0


def test_a_new_file_is_its_owners_only(tmp_path: Path) -> None:
    """Whatever the umask: it holds customers' data, and its log what was written last."""
    code = (
        "import asyncio, os, sys; from pathlib import Path; from edge.spool import Spool\n"
        "async def main(path):\n"
        "    async with Spool(path, 'gw1'):\n"
        "        files = path.parent.glob('*.db*')\n"
        "        print(*sorted(f'{f.name} {f.stat().st_mode & 0o777:o}' for f in files), sep=', ')\n"
        "os.umask(0); asyncio.run(main(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "s.db"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "s.db 600, s.db-shm 600, s.db-wal 600, s.db.lock 644\n"
