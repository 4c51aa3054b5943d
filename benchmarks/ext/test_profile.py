"""Profile blocks beside what else would carry a day of counts: sizes, then speeds of one call and of many blocks.

Sizes are of self-contained days: 96 quarter hours of a real load, and 288 five-minute counts of a made-up household.
Parquet is the exception: one file with all days, which is what it is for.
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

from benchmarks.ext.conftest import days
from tests.ext.builds import load_compiled, load_source

GOOD = array("H", bytes(2 * 96))
#: Days per batch: about 2 MB of counts.
BATCH = 2600


def differences(values: Sequence[int]) -> list[int]:
    return [values[0], *(after - value for value, after in pairwise(values))]


def protobuf(values: Sequence[int]) -> bytes:
    """Pack as a protobuf field of ``repeated sint64`` differences: varints of zigzag, without tag and length."""
    out = bytearray()
    for difference in differences(values):
        zigzag = difference << 1 ^ difference >> 63
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
    "peer: protobuf": lambda: Codec(protobuf, from_protobuf),
    "peer: protobuf in zlib": lambda: Codec(
        lambda values: zlib.compress(protobuf(values), 9), lambda data: from_protobuf(zlib.decompress(data))
    ),
}


@pytest.mark.benchmark(group="pack 96 intervals", max_time=0.3)
@pytest.mark.parametrize("case", CODECS)
def test_pack(benchmark: Any, case: str, load_curves: dict[str, "array[int]"]) -> None:
    codec = CODECS[case]()
    inputs = cycle(days(load_curves["active"]))
    benchmark(lambda: codec.pack(next(inputs)))


@pytest.mark.benchmark(group="unpack 96 intervals", max_time=0.3)
@pytest.mark.parametrize("case", CODECS)
def test_unpack(benchmark: Any, case: str, load_curves: dict[str, "array[int]"]) -> None:
    codec = CODECS[case]()
    curve = load_curves["active"]
    packed = [codec.pack(day) for day in days(curve)]
    for block, day in zip(packed, days(curve), strict=True):
        assert list(codec.unpack(block)) == list(day)
    blocks = cycle(packed)
    benchmark(lambda: codec.unpack(next(blocks)))


def batch(curve: "array[int]") -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.resize(np.array(curve), 96 * BATCH)


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


@pytest.mark.benchmark(group="pack 250 k intervals", max_time=0.5)
@pytest.mark.parametrize("case", ["ours, days", "peer: NumPy differences in zlib", "peer: Parquet delta zstd"])
def test_pack_many(benchmark: Any, case: str, load_curves: dict[str, "array[int]"]) -> None:
    values = batch(load_curves["active"])
    flags = np.zeros(len(values), np.uint16)
    profile = load_compiled("profile")
    work: dict[str, Callable[[], Any]] = {
        "ours, days": lambda: profile.pack_each(values, flags, 900, 96),
        "peer: NumPy differences in zlib": lambda: zlib.compress(
            np.diff(values, prepend=0).astype(np.int32).tobytes(), 1
        ),
        "peer: Parquet delta zstd": lambda: parquet(values),
    }
    benchmark(work[case])
    benchmark.extra_info["M readings/s"] = len(values) / benchmark.stats.stats.min / 1e6


@pytest.mark.benchmark(group="unpack 250 k intervals", max_time=0.5)
@pytest.mark.parametrize("case", ["ours, days", "peer: NumPy differences in zlib", "peer: Parquet delta zstd"])
def test_unpack_many(benchmark: Any, case: str, load_curves: dict[str, "array[int]"], sizes: list[str]) -> None:
    values = batch(load_curves["active"])
    profile = load_compiled("profile")
    blocks = profile.pack_each(values, np.zeros(len(values), np.uint16), 900, 96)
    found, flags = np.empty_like(values), np.empty(len(values), np.uint16)
    squeezed, file = zlib.compress(np.diff(values, prepend=0).astype(np.int32).tobytes(), 1), parquet(values)

    def by_blocks() -> Any:
        profile.unpack_into(blocks, found, flags, 900)
        return found

    work: dict[str, Callable[[], Any]] = {
        "ours, days": by_blocks,
        "peer: NumPy differences in zlib": lambda: np.cumsum(np.frombuffer(zlib.decompress(squeezed), np.int32)),
        "peer: Parquet delta zstd": lambda: pq.read_table(pa.BufferReader(file), use_threads=False)["value"].to_numpy(),
    }
    assert (work[case]() == values).all()
    benchmark(work[case])
    rate = len(values) / benchmark.stats.stats.min / 1e6
    sizes.append(f"unpack 250 k intervals, {case}: {rate:.0f} M readings/s")


def household() -> "array[int]":
    """Return 60 days of Wh in five minutes: base load, refrigerator, appliances now and then."""
    rng = np.random.default_rng(7)
    count = 60 * 288
    fridge = np.where(np.sin(np.arange(count) / 9 + rng.normal(0, 0.05, count).cumsum()) > 0, 8, 0)
    appliances = np.zeros(count)
    for start in rng.integers(0, count, 60 * 12):
        appliances[start : start + rng.integers(1, 12)] += rng.choice([30, 80, 160, 180])
    counts = 12 + rng.poisson(6, count) + fridge + appliances * rng.uniform(0.95, 1.05, count)
    return array("q", counts.astype(np.int64).tolist())


def test_size(load_curves: dict[str, "array[int]"], sizes: list[str]) -> None:
    """Days of both loads; in brackets how many times ours."""
    curves = {**{name: (curve, 96) for name, curve in load_curves.items()}, "household": (household(), 288)}
    total: dict[str, list[float]] = {}
    for name, (curve, length) in curves.items():
        cut = [curve[first : first + length] for first in range(0, len(curve) - length + 1, length)]
        per_reading = {
            case: sum(len(codec().pack(day)) for day in cut) / (length * len(cut))
            for case, codec in CODECS.items()
            if case != "ours, source"
        }
        per_reading["peer: Parquet zstd, whole file"] = len(parquet(np.array(curve))) / len(curve)
        best = per_reading["ours, compiled"]
        figures = ", ".join(f"{case} {size:.2f} (x{size / best:.2f})" for case, size in per_reading.items())
        sizes.append(f"octets per reading, days of {length}, {name}: {figures}")
        for case, size in per_reading.items():
            if name != "household":
                total.setdefault(case, []).append(size)
        peers = [size for case, size in per_reading.items() if case.startswith("peer")]
        assert best <= 0.9 * min(peers)
    means = {case: sum(figures) / len(figures) for case, figures in total.items()}
    sizes.append("octets per reading, mean of the three channels: " + str({k: round(v, 3) for k, v in means.items()}))
    assert means["ours, compiled"] <= 1.1
