"""Profile blocks beside what else would carry a day of counts: sizes, then speeds of one call and of many blocks.

Sizes are of self-contained days of real and of made-up loads (``loads.py``). The protobuf peers are the wire format of
``repeated sint64`` written in Python: their sizes are protobuf's, their times those of this loop.
"""

import io
import zlib
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, cycle, pairwise
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from benchmarks.conftest import Figure
from benchmarks.ext.conftest import days
from benchmarks.ext.loads import LOADS
from tests.ext.builds import load_compiled, load_source

#: Days per batch: about 2 MB of counts.
BATCH = 2600
CHANNELS = ("active", "inductive", "capacitive")


def differences(values: Sequence[int]) -> list[int]:
    return [values[0], *(after - value for value, after in pairwise(values))]


def protobuf(numbers: Sequence[int]) -> bytes:
    """Pack as a protobuf field of ``repeated sint64``: varints of zigzag, without tag and length."""
    out = bytearray()
    for number in numbers:
        zigzag = number << 1 ^ number >> 63
        while zigzag > 0x7F:
            out.append(zigzag & 0x7F | 0x80)
            zigzag >>= 7
        out.append(zigzag)
    return bytes(out)


def from_protobuf(data: bytes) -> "array[int]":
    values = array("q")
    last = number = shift = 0
    for octet in data:
        number |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            last += number >> 1 ^ -(number & 1)
            values.append(last)
            number = shift = 0
    return values


class Codec(NamedTuple):
    pack: Callable[["array[int]"], bytes]
    unpack: Callable[[bytes], Any]


def ours(profile: Any) -> Codec:
    def pack(values: "array[int]") -> bytes:
        block: bytes = profile.pack(values, array("H", bytes(2 * len(values))), 86400 // len(values))
        return block

    return Codec(pack, lambda block: profile.unpack(block)[0])


CODECS: dict[str, Callable[[], Codec]] = {
    "ours, compiled": lambda: ours(load_compiled("profile")),
    "ours, source": lambda: ours(load_source("profile")),
    "peer: zlib": lambda: Codec(lambda values: zlib.compress(values), lambda data: array("q", zlib.decompress(data))),
    "peer: msgpack": lambda: Codec(lambda values: msgpack.packb(values.tolist()), msgpack.unpackb),
    "peer: msgpack of differences": lambda: Codec(
        lambda values: msgpack.packb(differences(values)), lambda data: list(accumulate(msgpack.unpackb(data)))
    ),
    "peer: protobuf of differences": lambda: Codec(lambda values: protobuf(differences(values)), from_protobuf),
    "peer: protobuf in zlib": lambda: Codec(
        lambda values: zlib.compress(protobuf(differences(values)), 9),
        lambda data: from_protobuf(zlib.decompress(data)),
    ),
}


def packed(codec: Codec, curve: "array[int]") -> list[bytes]:
    """Return the curve's days packed, after reading each again."""
    found = [codec.pack(day) for day in days(curve)]
    for block, day in zip(found, days(curve), strict=True):
        assert list(codec.unpack(block)) == list(day)
    return found


@pytest.mark.benchmark(group="pack 96 intervals", max_time=0.3)
@pytest.mark.parametrize("case", CODECS)
def test_pack(benchmark: Any, case: str, load_curves: dict[str, "array[int]"]) -> None:
    codec = CODECS[case]()
    packed(codec, load_curves["active"])
    inputs = cycle(days(load_curves["active"]))
    benchmark.extra_info |= {"items": 96, "unit": "readings"}
    benchmark(lambda: codec.pack(next(inputs)))


@pytest.mark.benchmark(group="unpack 96 intervals", max_time=0.3)
@pytest.mark.parametrize("case", CODECS)
def test_unpack(benchmark: Any, case: str, load_curves: dict[str, "array[int]"]) -> None:
    codec = CODECS[case]()
    blocks = cycle(packed(codec, load_curves["active"]))
    benchmark.extra_info |= {"items": 96, "unit": "readings"}
    benchmark(lambda: codec.unpack(next(blocks)))


def parquet(values: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(
        pa.table({"value": values}),
        out,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"value": "DELTA_BINARY_PACKED"},
    )
    return out.getvalue()


class Batch:
    """Many days of one channel at once, and how each side packs and reads them."""

    def __init__(self, curve: "array[int]") -> None:
        self.values = np.resize(np.array(curve), 96 * BATCH)
        self.flags = np.zeros(len(self.values), np.uint16)
        self.found, self.marks = np.empty_like(self.values), np.empty(len(self.values), np.uint16)
        self.profile = load_compiled("profile")

    def ours(self) -> Any:
        return self.profile.pack_each(self.values, self.flags, 900, 96)

    def from_ours(self, blocks: Any) -> Any:
        self.profile.unpack_into(blocks, self.found, self.marks, 900)
        return self.found

    def squeezed(self) -> bytes:
        return zlib.compress(np.diff(self.values, prepend=0).astype(np.int32).tobytes(), 1)

    def from_squeezed(self, data: bytes) -> Any:
        return np.cumsum(np.frombuffer(zlib.decompress(data), np.int32), dtype=np.int64)

    def file(self) -> bytes:
        return parquet(self.values)

    def from_file(self, data: bytes) -> Any:
        return pq.read_table(pa.BufferReader(data), use_threads=False)["value"].to_numpy()


MANY: dict[str, tuple[Callable[[Batch], Any], Callable[[Batch, Any], Any]]] = {
    "ours, days": (Batch.ours, Batch.from_ours),
    "peer: NumPy differences in zlib": (Batch.squeezed, Batch.from_squeezed),
    "peer: Parquet delta zstd": (Batch.file, Batch.from_file),
}


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("case", MANY)
@pytest.mark.parametrize("way", ["pack", "unpack"])
def test_many(benchmark: Any, way: str, case: str, channel: str, load_curves: dict[str, "array[int]"]) -> None:
    benchmark.group = f"{way} 250 k intervals, {channel}"
    batch = Batch(load_curves[channel])
    pack, unpack = MANY[case]
    data = pack(batch)
    assert np.array_equal(unpack(batch, data), batch.values)
    benchmark.extra_info |= {"items": len(batch.values), "unit": "readings"}
    work, arguments = (pack, (batch,)) if way == "pack" else (unpack, (batch, data))
    benchmark.pedantic(work, arguments, rounds=150 if case.startswith("ours") else 10, warmup_rounds=2)


def sizes_of(rows: Any) -> dict[str, float]:
    """Return octets per reading of days (NumPy int64, days x intervals); each day stands for itself but in the last."""
    profile = load_compiled("profile")
    step = 86400 // rows.shape[1]
    blocks = profile.pack_each(rows.ravel(), np.zeros(rows.size, np.uint16), step, rows.shape[1])
    numbers = [np.diff(row, prepend=np.int64(0)).tolist() for row in rows]
    octets: dict[str, list[bytes]] = {
        "ours, compiled": blocks,
        "peer: zlib": [zlib.compress(row.tobytes(), 9) for row in rows],
        "peer: msgpack": [msgpack.packb(row.tolist()) for row in rows],
        "peer: msgpack of differences": [msgpack.packb(each) for each in numbers],
        "peer: protobuf of differences": [protobuf(each) for each in numbers],
        "peer: protobuf in zlib": [zlib.compress(protobuf(each), 9) for each in numbers],
        "peer: Parquet zstd, a day": [parquet(rows[0])],
        "peer: Parquet zstd, all days": [parquet(rows.ravel())],
    }
    days_in = {"peer: Parquet zstd, a day": 1}
    return {case: sum(map(len, each)) / (rows.shape[1] * days_in.get(case, len(rows))) for case, each in octets.items()}


def test_sizes_of_the_real_load(load_curves: dict[str, "array[int]"], figure: Figure) -> None:
    found = {name: sizes_of(np.array(load_curves[name]).reshape(-1, 96)) for name in CHANNELS}
    for name, sizes in found.items():
        assert sizes["ours, compiled"] <= 0.9 * min(size for case, size in sizes.items() if case.startswith("peer"))
        for case, size in sizes.items():
            figure(f"size of a reading, {name}", case, size, "octets")
    mean = sum(sizes["ours, compiled"] for sizes in found.values()) / len(found)
    figure("size of a reading, mean of the three channels", "ours, compiled", mean, "octets")
    assert mean <= 1.1


@pytest.mark.parametrize("name", LOADS)
def test_sizes_of_made_up_loads(name: str, figure: Figure) -> None:
    """A household's must be a tenth smaller than any peer whose days stand for themselves too; the rest is told."""
    sizes = sizes_of(LOADS[name](np.random.default_rng(5)))
    ours = sizes.pop("ours, compiled")
    whole = sizes.pop("peer: Parquet zstd, all days")
    best = min(sizes, key=lambda case: sizes[case])
    if name.startswith("household"):
        assert ours <= 0.9 * sizes[best]
    figure(f"load: {name}", "ours, compiled", ours, "octets")
    figure(f"load: {name}", best, sizes[best], "octets")
    figure(f"load: {name}", "peer: Parquet zstd, all days", whole, "octets")
