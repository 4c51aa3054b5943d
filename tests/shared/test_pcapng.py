"""Captures, judged by Wireshark's own reader."""

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pcapng import SEGMENT, Chunk, capture, checksum

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is missing: apt-get install tshark")
CHECKS = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
V4 = ("192.0.2.10:51000", "198.51.100.7:4059")
V6 = ("[2001:db8::10]:51000", "[2001:db8::7]:4059")


def tshark(path: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["tshark", "-r", str(path), *CHECKS, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def fields(path: Path, *names: str, only: str = "") -> list[list[str]]:
    listed = [part for name in names for part in ("-e", name)]
    chosen = ("-Y", only) if only else ()
    return [line.split("\t") for line in tshark(path, *chosen, "-T", "fields", *listed).splitlines()]


def follow(path: Path) -> tuple[bytes, bytes]:
    """What each side sent, put together by Wireshark."""
    sides: tuple[list[str], list[str]] = ([], [])
    lines = tshark(path, "-q", "-z", "follow,tcp,raw,0").splitlines()
    for line in lines[6:-1]:
        sides[line.startswith("\t")].append(line.strip())
    return bytes.fromhex("".join(sides[0])), bytes.fromhex("".join(sides[1]))


def conversation(seed: int = 1) -> list[Chunk]:
    source = random.Random(seed)
    sizes = [66, 258, 1, SEGMENT, SEGMENT + 1, 20_000, 3]
    return [Chunk(1_790_000_000 + i * 0.123456, i % 2, source.randbytes(size)) for i, size in enumerate(sizes)]


@needs_tshark
@pytest.mark.parametrize("ends", [V4, V6, ("192.0.2.10:51000", "[2001:db8::7]:4059")])
def test_wireshark_finds_nothing_wrong_and_gives_the_octets_back(tmp_path: Path, ends: tuple[str, str]) -> None:
    path = tmp_path / "connection.pcapng"
    chunks = conversation()
    path.write_bytes(capture(chunks, *ends, comment="I14: all that was asked was delivered", ended=1_790_000_009))

    troubles = fields(
        path, "frame.number", "_ws.expert.message", only="_ws.malformed || _ws.expert.severity >= warning"
    )
    assert troubles == []
    assert not fields(path, "frame.number", only="tcp.checksum.status != 1 || tcp.analysis.flags")
    assert follow(path) == tuple(b"".join(c.data for c in chunks if c.side == side) for side in (0, 1))
    flags = [row[0] for row in fields(path, "tcp.flags.str")]
    assert "S" in flags[0]
    assert "F" in flags[-2]


@needs_tshark
def test_times_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    path = tmp_path / "times.pcapng"
    path.write_bytes(capture([Chunk(1_790_000_000.000001, 0, b"a"), Chunk(1_790_000_000.999999, 1, b"b")], *V4))
    rows = fields(path, "frame.time_epoch", only="tcp.len > 0")
    assert [row[0] for row in rows] == ["1790000000.000001000", "1790000000.999999000"]


@needs_tshark
def test_a_modbus_connection_is_dissected_as_modbus(tmp_path: Path) -> None:
    path = tmp_path / "modbus.pcapng"
    request = bytes.fromhex("000100000006 11 03 006B 0003")
    answer = bytes.fromhex("000100000009 11 03 06 AE41 5652 4340")
    path.write_bytes(capture([Chunk(1.0, 0, request), Chunk(1.01, 1, answer)], "192.0.2.1:40000", "192.0.2.2:502"))
    rows = fields(path, "modbus.func_code", "mbtcp.unit_id", "modbus.regval_uint16", only="modbus")
    assert rows[0][:2] == ["3", "17"]
    assert rows[1] == ["3", "17", "44609,22098,17216"]


@needs_tshark
def test_comments_and_what_a_ring_has_lost(tmp_path: Path) -> None:
    path = tmp_path / "ring.pcapng"
    verdict = "I04: zu viel Störung — 3 % ≥ 2 %"
    path.write_bytes(capture([Chunk(5.0, 1, b"late")], *V4, comment=verdict, missing=(66, 1000)))
    told = fields(path, "frame.comment", only="frame.comment")
    assert told == [["66 octets of the client and 1000 of the meter were not kept"]]
    sequences = [row[0] for row in fields(path, "tcp.seq_raw", only="tcp.len > 0")]
    assert sequences == [str(5000 + 1000 + 1)]
    assert verdict.encode() in path.read_bytes()
    assert not fields(path, "frame.number", only="_ws.expert.severity >= warning")


@needs_tshark
def test_a_connection_without_octets(tmp_path: Path) -> None:
    path = tmp_path / "silent.pcapng"
    path.write_bytes(capture([], *V4, ended=1_790_000_000))
    assert len(fields(path, "frame.number")) == 6


def test_addresses_that_are_none_are_refused() -> None:
    for text in ("meter:4059", "192.0.2.1", "192.0.2.1:70000", ""):
        with pytest.raises(ValueError, match="address and a port"):
            capture([], text, V4[1])


def test_checksum_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


@given(
    chunks=st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=4000))),
    missing=st.tuples(st.integers(0, 1 << 33), st.integers(0, 1 << 33)),
    comment=st.text(),
)
def test_blocks_are_whole(chunks: list[tuple[int, bytes]], missing: tuple[int, int], comment: str) -> None:
    octets = capture([Chunk(1.0, side, data) for side, data in chunks], *V4, comment=comment, missing=missing)
    at = blocks = 0
    while at < len(octets):
        size = struct.unpack_from("<I", octets, at + 4)[0]
        assert size % 4 == 0
        assert struct.unpack_from("<I", octets, at + size - 4)[0] == size
        at += size
        blocks += 1
    assert at == len(octets)
    assert blocks == 2 + 6 + sum(-(-len(data) // SEGMENT) for _, data in chunks)
