"""Bytes on the wire per interval: real load in batches as a gateway sends them, all headers of MQTT included.

pytest benchmarks/edge/test_wire.py -s
"""

from array import array

import pytest

from edge.simulators.load import LoadReplay
from ext.profile import pack
from shared.ids import Topic
from shared.wire import Batch, Item, ProfileBlock, encode

METERS = 32
CHANNELS = ("1.29.0", "5.29.0", "8.29.0")
START = 1_790_000_100 // 900 * 900
#: Fixed header with a three-octet length, length of the topic, packet identifier.
MQTT_HEADER = 4 + 2 + 2
BATCH_ROWS = 512


@pytest.mark.parametrize(("shape", "intervals"), [("live", 1), ("hourly", 4), ("daily", 96), ("35 days", 35 * 96)])
def test_bytes_per_interval(shape: str, intervals: int) -> None:
    rows: list[Item] = []
    packed = 0
    for number in range(METERS):
        serial = str(10_000_001 + number)
        replay = LoadReplay(serial)
        for column, channel in enumerate(CHANNELS):
            values = array("q", (replay.value(column, START + i * 900) for i in range(intervals)))
            data = pack(values, array("H", bytes(2 * intervals)), 900)
            packed += len(data)
            rows.append(ProfileBlock(serial, channel, START, 900, intervals, data, *replay.constant))
    sent = 0
    for first in range(0, len(rows), BATCH_ROWS):
        payload = encode(Batch(bytes(16), first + 1, rows[first : first + BATCH_ROWS]))
        sent += len(payload) + len(str(Topic("acme", "gw-0001", "up"))) + MQTT_HEADER
    total = METERS * len(CHANNELS) * intervals
    print(f"\n{shape:8} {intervals:5} a block: {sent / total:6.2f} bytes an interval, {packed / total:5.2f} packed")
    assert sent / total < {"live": 80, "hourly": 25, "daily": 3, "35 days": 2}[shape]
