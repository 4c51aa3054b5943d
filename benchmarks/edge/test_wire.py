"""Bytes on the wire per interval, and the processor that packing and encoding take: real load in batches as sent.

All headers of MQTT are included in the bytes; broker, TLS and the spool's disk are not in the time.
"""

from array import array
from typing import Any

import pytest

from benchmarks.conftest import Figure
from edge.simulators.load import LoadReplay
from ext.profile import pack, unpack
from shared.ids import Topic
from shared.wire import Batch, Item, ProfileBlock, decode, encode

METERS = 32
CHANNELS = ("1.29.0", "5.29.0", "8.29.0")
START = 1_790_000_100 // 900 * 900
#: Fixed header with a three-octet length, length of the topic, packet identifier.
MQTT_HEADER = 4 + 2 + 2
BATCH_ROWS = 512


SHAPES = {"live": 1, "hourly": 4, "daily": 96, "35 days": 35 * 96}

Series = tuple[str, str, "array[int]", "array[int]", tuple[int, int]]


def series(intervals: int) -> list[Series]:
    """Return (serial, channel, values, flags, constant) of every meter and channel."""
    found = []
    for number in range(METERS):
        serial = str(10_000_001 + number)
        replay = LoadReplay(serial)
        for column, channel in enumerate(CHANNELS):
            values = array("q", (replay.value(column, START + i * 900) for i in range(intervals)))
            found.append((serial, channel, values, array("H", bytes(2 * intervals)), replay.constant))
    return found


def batches(all_series: list[Series]) -> tuple[list[bytes], int]:
    """Pack and encode as the gateway does; return payloads and the octets of the packed blocks in them."""
    rows: list[Item] = []
    packed = 0
    for serial, channel, values, flags, constant in all_series:
        data = pack(values, flags, 900)
        packed += len(data)
        rows.append(ProfileBlock(serial, channel, START, 900, len(values), data, *constant))
    firsts = range(0, len(rows), BATCH_ROWS)
    return [encode(Batch(bytes(16), first + 1, rows[first : first + BATCH_ROWS])) for first in firsts], packed


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_per_interval(shape: str, figure: Figure) -> None:
    total = METERS * len(CHANNELS) * SHAPES[shape]
    payloads, packed = batches(series(SHAPES[shape]))
    topic = len(str(Topic("acme", "gw-0001", "up")))
    sent = sum(len(payload) + topic + MQTT_HEADER for payload in payloads)
    figure("wire, bytes per interval", shape, sent / total, "octets")
    figure("wire, of these the packed block", shape, packed / total, "octets")
    assert sent / total < {"live": 80, "hourly": 25, "daily": 3, "35 days": 2}[shape]


@pytest.mark.benchmark(group="gateway, pack and encode", max_time=0.3)
@pytest.mark.parametrize("shape", SHAPES)
def test_processor(benchmark: Any, shape: str, figure: Figure) -> None:
    """One call packs and encodes an interval, hour, day or 35 days of all meters."""
    all_series = series(SHAPES[shape])
    total = METERS * len(CHANNELS) * SHAPES[shape]
    items = [item for payload in batches(all_series)[0] for item in decode(payload, Batch).items]
    for (_, _, values, flags, _), item in zip(all_series, items, strict=True):
        assert isinstance(item, ProfileBlock)
        assert unpack(item.data) == (values, flags, 900)
    benchmark(batches, all_series)
    benchmark.extra_info |= {"items": total, "unit": "readings"}
    if benchmark.stats:
        figure("gateway, processor per million readings", shape, benchmark.stats.stats.median / total * 1e6, "s")
