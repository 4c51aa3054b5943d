"""Profiles as tables and public files: both ways, exact, and refused in words."""

import io
import json
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.abnt import public_file
from edge.errors import ConfigError
from edge.field import files, profile_csv
from edge.field.files import Wish
from edge.field.folder import Folder
from edge.field.place import Options, parse
from edge.field.reading import Stamp, read
from ext import profile as codec
from shared.quality import ALL_FLAGS, Quality
from shared.wire import ProfileBlock
from tests.edge.field.conftest import SERIAL, address, meter_port

START = 1_780_000_200


def block(channel: str, counts: list[int], flags: list[int] | None = None, **more: Any) -> ProfileBlock:
    marks = array("H", flags or [0] * len(counts))
    data = codec.pack(array("q", counts), marks, 900)
    return ProfileBlock(SERIAL, channel, more.pop("start", START), 900, len(counts), data, **more)


intervals = st.lists(
    st.tuples(st.integers(-(1 << 40), 1 << 40), st.integers(0, ALL_FLAGS)), min_size=1, max_size=60
).map(lambda pairs: ([0 if flag & 1 else count for count, flag in pairs], [flag for _, flag in pairs]))


@given(st.lists(intervals, min_size=1, max_size=3), st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_table_is_read_back_whole(columns: list[tuple[list[int], list[int]]], num: int, den: int) -> None:
    made = [block(f"{c}.29.0", *column, num=num, den=den) for c, column in enumerate(columns, 1)]
    text = io.StringIO()
    assert profile_csv.write(made, text) == sum(each.count for each in made)
    text.seek(0)
    assert profile_csv.read(text) == made


def test_a_table_says_exact_values() -> None:
    text = io.StringIO()
    profile_csv.write([block("1.29.0", [551, 0], [0, Quality.MISSING], num=9, den=50)], text)
    _, first, second = text.getvalue().splitlines()
    assert first == "12345678,1.29.0,2026-05-28T20:30:00Z,900,551,9,50,99.18,kWh,0"
    assert second == "12345678,1.29.0,2026-05-28T20:45:00Z,900,,9,50,,kWh,1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("m,1.29.0,2026-05-28T20:30:00,900,1,1,1,1,kWh,0", "no offset"),
        ("m,1.29.0,yesterday,900,1,1,1,1,kWh,0", "line 2"),
        ("m,1.29.0,2026-05-28T20:30:00Z,0,1,1,1,1,kWh,0", "0 is not 1 to 86400"),
        ("m,1.29.0,2026-05-28T20:30:00Z,900,,1,1,1,kWh,0", "empty count"),
        ("m,1.29.0,2026-05-28T20:30:00Z,900,1,1,1,1,kWh,9999", "quality"),
        ("m,1.29.0", "2 columns"),
    ],
)
def test_a_table_that_is_wrong_names_the_line(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        profile_csv.read(io.StringIO(",".join(profile_csv.COLUMNS) + "\n" + line + "\n"))
    with pytest.raises(ConfigError, match="first line"):
        profile_csv.read(io.StringIO(line))


def test_table_to_public_file_and_back(tmp_path: Path) -> None:
    made = [block("1.29.0", [5, 6, 7], num=9, den=50), block("5.29.0", [1, 2, 3], num=9, den=50)]
    table, public, again = tmp_path / "a.csv", tmp_path / "b.abnt", tmp_path / "c.csv"
    table.write_bytes(files._table(made))
    told = files.convert(table, public, Wish(nibble_order="low_first"))
    assert (told["serial"], told["intervals"], told["channels"]) == (SERIAL, 6, ["1.29.0", "5.29.0"])
    origin = json.loads((tmp_path / "b.abnt.origin.json").read_text())
    assert origin["nibble_order"] == "low_first"
    assert origin["made_by"].startswith("metergate ")
    told = files.convert(public, again, Wish(nibble_order="low_first"))
    assert "never to be billed" in told["notes"][0]
    lines = [line.rpartition(",") for line in again.read_text().splitlines()]
    assert [line[0] for line in lines] == [line.rpartition(",")[0] for line in table.read_text().splitlines()]
    assert {line[2] for line in lines[1:]} == {str(int(Quality.UNRECONCILED))}
    with pytest.raises(ConfigError, match="nibbles in profile words is not established"):
        files.convert(table, tmp_path / "d.abnt", Wish())
    assert not (tmp_path / "d.abnt").exists()


def test_names_are_a_persons_choice_or_a_labelled_rule(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes(files._table([block("1.29.0", [5])]))
    with pytest.raises(ConfigError, match="is not established"):
        files.convert(table, tmp_path, Wish(nibble_order="high_first"))
    told = files.convert(table, tmp_path, Wish(nibble_order="high_first", name_rule="base20"))
    # 17:45:00 on 28 May: 2700 + 61200 + 28 x 86400 + 5 x 31 x 86400 = 15875100 = 4 19 4 7 15 0 to base 20
    assert Path(told["file"]).name == "45678$TE.HPA"
    assert public_file.split(Path(told["file"]).read_bytes())


def test_one_of_several_meters_is_chosen(tmp_path: Path) -> None:
    other = block("1.29.0", [8])
    table = tmp_path / "a.csv"
    both = [block("1.29.0", [5]), ProfileBlock("M-2", *[getattr(other, f) for f in other.__struct_fields__[1:]])]
    table.write_bytes(files._table(both))
    with pytest.raises(ConfigError, match="12345678, M-2: choose one"):
        files.convert(table, tmp_path / "b.abnt", Wish(nibble_order="high_first"))
    wish = Wish(meter="M-2", serial="00000002", nibble_order="high_first")
    assert files.convert(table, tmp_path / "b.abnt", wish)["serial"] == "00000002"
    with pytest.raises(ConfigError, match=r"\.csv"):
        files.convert(table, tmp_path / "b.xml", wish)


async def test_a_reading_becomes_public_files_of_its_answers(folder: Folder, tmp_path: Path) -> None:
    """The same values from the driver and from the file it leaves behind."""
    async with meter_port(days=35) as port:
        brought = await read(parse(address(port)), folder, Options(), ("profile",), Stamp("ana", "why"))
    blocks = [item for item in brought.items if isinstance(item, ProfileBlock)]
    frames = [frame for proof in brought.evidence for frame in proof.frames]
    written = files.write_reading(tmp_path / "p.abnt", blocks, frames)
    held: dict[tuple[str, int], int] = {}
    for path in written:
        told = files.convert(path, tmp_path / "p.csv", Wish(nibble_order="high_first"))
        assert told["serial"] == SERIAL
        with (tmp_path / "p.csv").open(newline="") as file:
            for each in profile_csv.read(file):
                values = codec.unpack(each.data)[0]
                held |= {(each.channel, each.start + i * each.step): v for i, v in enumerate(values)}
    wanted = {
        (each.channel, each.start + i * each.step): v
        for each in blocks
        for i, v in enumerate(codec.unpack(each.data)[0])
    }
    assert wanted
    assert wanted.items() <= held.items()
    with pytest.raises(ConfigError, match="convert it"):
        files.write_reading(tmp_path / "q.abnt", blocks, [])
