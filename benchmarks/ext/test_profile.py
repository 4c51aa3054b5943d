"""Profile blocks of 96 quarter hours of a real load, beside zlib over raw integers and MessagePack."""

import zlib
from array import array
from collections.abc import Callable
from itertools import cycle
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]
import pytest

from benchmarks.ext.conftest import days
from tests.ext.builds import load_compiled, load_source

GOOD = array("H", bytes(2 * 96))


class Codec(NamedTuple):
    pack: Callable[["array[int]"], bytes]
    unpack: Callable[[bytes], Any]


def ours(profile: Any) -> Codec:
    return Codec(lambda values: profile.pack(values, GOOD, 900), profile.unpack)


CODECS: dict[str, Callable[[], Codec]] = {
    "ours, compiled": lambda: ours(load_compiled("profile")),
    "ours, source": lambda: ours(load_source("profile")),
    "peer: zlib": lambda: Codec(lambda values: zlib.compress(values), lambda data: array("q", zlib.decompress(data))),
    "peer: msgpack": lambda: Codec(lambda values: msgpack.packb(values.tolist()), msgpack.unpackb),
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
    blocks = cycle([codec.pack(day) for day in days(load_curves["active"])])
    benchmark(lambda: codec.unpack(next(blocks)))


def test_size(load_curves: dict[str, "array[int]"], sizes: list[str]) -> None:
    for channel, curve in load_curves.items():
        per_reading = {}
        for case, codec in CODECS.items():
            if case != "ours, source":
                blocks = [codec().pack(day) for day in days(curve)]
                per_reading[case] = sum(map(len, blocks)) / (96 * len(blocks))
        best = per_reading["ours, compiled"]
        figures = ", ".join(f"{case} {size:.2f} (x{size / best:.2f})" for case, size in per_reading.items())
        sizes.append(f"octets per reading, days of 96, {channel}: {figures}")
        assert best == min(per_reading.values())
