"""Flipped bits: in a row, in a page, in the header, in the stream's own row, and a file that is rubbish."""

import random
import sqlite3
from pathlib import Path

import pytest

from edge.spool import Spool, SpoolDamagedError, SpoolDiskError
from edge.spool.inspection import overview, stored_items
from shared.wire import Item, MeterEvent, decode_item
from tests.edge.spool.conftest import Flip
from tests.edge.spool.items import profile

#: Header bytes that say which program may read or write: changed, the file is refused, not replaced.
VERSIONS = (18, 19, *range(60, 64))


async def items_of(spool: Spool, first: int = 1) -> list[Item]:
    rows: list[bytes] = []
    while more := await spool.batch(first + len(rows), 1000, 1 << 20):
        rows += more
    return [decode_item(row) for row in rows]


async def make(path: Path, count: int = 200, *, acknowledged: int = 0) -> bytes:
    async with Spool(path, "gw1") as spool:
        await spool.add([profile(n) for n in range(count)])
        await spool.intervals.put("m1", "1.29.0", [(0, 900)])
        await spool.state.put("m1", {"order": 1})
        if acknowledged:
            spool.acknowledge(acknowledged)
        return spool.spool_id


def damaged(path: Path) -> list[str]:
    return [name.split(".damaged-")[0] for name in overview(path).damaged_files]


async def test_a_flipped_bit_in_a_row_is_told_and_the_stream_goes_on(path: Path, flip: Flip) -> None:
    name = await make(path)
    flip(path, bytes([77]) * 40, 20)  # within the packed values of row 78
    assert [row.item for row in stored_items(path)][77] is None
    async with Spool(path, "gw1") as spool:
        assert (spool.spool_id, spool.last_seq) == (name, 200)
        items = await items_of(spool)
        assert items[:77] + items[78:] == [profile(n) for n in range(200) if n != 77]
        told = items[77]
        assert isinstance(told, MeterEvent)
        assert (told.meter, told.kind, told.detail["first_seq"], told.detail["last_seq"]) == (
            "gw1",
            "spool_damaged",
            78,
            78,
        )
        assert await items_of(spool) == items, "the replacement stays"
        assert await spool.intervals.get("m1") == {}, "to be read again"
        assert spool.losses == 1
        assert await spool.state.get("m1") == {"order": 1}
    assert damaged(path) == []


async def test_missing_rows_are_filled(path: Path) -> None:
    await make(path)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM items WHERE number BETWEEN 50 AND 60 OR number > 190")
    connection.commit()
    connection.close()
    async with Spool(path, "gw1") as spool:
        items = await items_of(spool)
        assert len(items) == 200
        lost = [seq for seq, item in enumerate(items, 1) if isinstance(item, MeterEvent)]
        assert lost == [*range(50, 61), *range(191, 201)]
        assert len({repr(item) for item in items if isinstance(item, MeterEvent)}) == 2, "equal within a hole"


async def test_a_damaged_page_is_salvaged_under_the_old_name(path: Path) -> None:
    name = await make(path, 2000, acknowledged=100)
    data = bytearray(path.read_bytes())
    page = data.index(bytes([7]) * 40) // 4096 * 4096
    data[page : page + 4096] = random.Random(1).randbytes(4096)
    path.write_bytes(data)
    async with Spool(path, "gw1") as spool:
        assert spool.spool_id == name
        assert (spool.last_seq, spool.cursor) == (2000, 100)
        items = await items_of(spool, 101)
        good = [item for item in items if not isinstance(item, MeterEvent)]
        assert 1500 < len(good) < 2000
        assert all(item == profile(n) for n, item in enumerate(items, 100) if not isinstance(item, MeterEvent))
        await spool.add([profile(0)])  # the alarm rides on the next commit
        told = decode_item((await spool.batch(spool.last_seq, 1, 1000))[0])
        assert isinstance(told, MeterEvent)
        assert (told.kind, told.detail["stream_kept"]) == ("spool_damaged", True)
        assert await spool.state.get("m1") == {"order": 1}
        assert await spool.intervals.get("m1") == {}
    assert damaged(path) == ["spool.db"]


@pytest.mark.parametrize("size", [0, 1, 50, 4096, 6000])
async def test_a_file_that_is_rubbish_is_moved_aside(path: Path, size: int) -> None:
    name = await make(path)
    path.write_bytes(random.Random(size).randbytes(size) if size != 6000 else path.read_bytes()[:6000])
    async with Spool(path, "gw1") as spool:
        assert spool.spool_id != name
        await spool.add([profile(1)])
        items = await items_of(spool)
        if size > 1:
            assert [i.kind for i in items if isinstance(i, MeterEvent)] == ["spool_damaged"]
        assert profile(1) in items
    assert damaged(path) == (["spool.db"] if size > 1 else [])


async def test_without_its_stream_row_everything_readable_goes_out_anew(path: Path, flip: Flip) -> None:
    name = await make(path, 20, acknowledged=10)
    flip(path, name, 3)
    async with Spool(path, "gw1") as spool:
        assert spool.spool_id not in (name, b"")
        assert spool.cursor == 0
        items = await items_of(spool)
        assert items[:20] == [profile(n) for n in range(20)]
        (seq,) = await spool.add([profile(1)])
        assert seq > 20


async def test_damage_met_while_running(path: Path) -> None:
    async with Spool(path, "gw1") as spool:
        await spool.add([profile(n) for n in range(3000)])
        await spool.write(lambda tx: None)
    async with Spool(path, "gw1") as spool:
        page = path.read_bytes().index(bytes([200]) * 40) // 4096 * 4096
        with path.open("r+b") as file:
            file.seek(page)
            file.write(b"\xff" * 4096)
        with pytest.raises((SpoolDamagedError, SpoolDiskError)):
            await items_of(spool)
        assert await spool.add([profile(1)]) == [3001]
        items = await items_of(spool)
        assert len(items) == spool.last_seq
        assert sum(item == profile(n) for n, item in enumerate(items)) > 2500
    assert damaged(path) == ["spool.db"]


async def test_random_damage_never_ends_in_silence(path: Path, tmp_path: Path) -> None:
    """Whatever is flipped: it opens, goes on, and each seq up to the last is a row that was written or an event."""
    await make(path, 300)
    image = path.read_bytes()
    for seed in range(25):
        rng = random.Random(seed)
        data = bytearray(image)
        for _ in range(rng.choice((1, 3, 40))):
            place = rng.choice((rng.randrange(len(data)), rng.randrange(4096)))
            if place not in VERSIONS:
                data[place] = rng.randrange(256)
        copy = tmp_path / f"{seed}.db"
        copy.write_bytes(data)
        async with Spool(copy, "gw1") as spool:
            await spool.add([profile(1000)])
            try:
                items = await items_of(spool)
            except SpoolDamagedError:
                items = await items_of(spool)
            assert len(items) == spool.last_seq
            written = {repr(profile(n)) for n in range(300)} | {repr(profile(1000))}
            assert all(isinstance(item, MeterEvent) or repr(item) in written for item in items)
            assert profile(1000) in items


@pytest.mark.parametrize("moment", ["built", "log moved", "file moved"])
async def test_a_crash_in_the_middle_of_a_salvage(path: Path, moment: str, blank: bytes) -> None:
    """The replacement is complete and named before anything moves; the next start goes on."""
    await make(path, 20)
    replacement = path.with_name("spool.db.salvaged")
    replacement.write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")
    wal = path.with_name("spool.db-wal")
    if moment == "built":
        wal.write_bytes(b"old log")
    if moment == "file moved":
        path.unlink()
    async with Spool(path, "gw1") as spool:
        assert [item for item in await items_of(spool) if not isinstance(item, MeterEvent)] == [
            profile(n) for n in range(20)
        ]
    assert not replacement.exists()
