"""A load profile as a table: one line for each interval, exact counts with their scale; read back without loss."""

import csv
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Final

from edge.errors import ConfigError
from edge.export import scaled, unit_of
from ext import profile as codec
from shared.intervals import iso
from shared.quality import ALL_FLAGS, Quality
from shared.wire import ProfileBlock

COLUMNS: Final = ("meter", "channel", "start", "step", "count", "num", "den", "value", "unit", "quality")
#: Lines one file may have: three channels of five minutes over ten years.
MAX_LINES: Final = 4_000_000
_LONGEST: Final = 100_000


def write(blocks: Iterable[ProfileBlock], output: IO[str]) -> int:
    """Write ``blocks``; returns the number of intervals. ``start`` UTC, ``step`` s; a missing count is empty."""
    table = csv.writer(output, lineterminator="\n")
    table.writerow(COLUMNS)
    lines = 0
    for block in sorted(blocks, key=lambda block: (block.meter, block.channel, block.start)):
        values, flags, step = codec.unpack(block.data)
        unit = unit_of(block.channel)
        for index, (count, flag) in enumerate(zip(values, flags, strict=True)):
            missing = bool(flag & Quality.MISSING)
            shown = ("", block.num, block.den, "") if missing else (
                count, block.num, block.den, scaled(count, block.num, block.den)
            )  # fmt: skip
            start = iso(block.start + index * step)
            table.writerow((block.meter, block.channel, start, step, *shown, unit, int(flag)))
            lines += 1
    return lines


def read(source: IO[str]) -> list[ProfileBlock]:
    """Read what :func:`write` wrote; ``value`` and ``unit`` are not looked at. :class:`ConfigError` names the line."""
    table = csv.reader(source)
    head = next(table, [])
    if tuple(head) != COLUMNS:
        raise ConfigError(f"the first line is not {','.join(COLUMNS)}: this is another kind of table")
    runs: list[_Run] = []
    for number, row in enumerate(table, 2):
        if number > MAX_LINES:
            raise ConfigError(f"more than {MAX_LINES} lines: cut the file")
        try:
            key, start, count, flag = _parsed(row)
        except (ValueError, IndexError) as error:
            raise ConfigError(f"line {number}: {error}") from error
        if not runs or not runs[-1].goes_on(key, start):
            runs.append(_Run(key, start))
        runs[-1].add(count, flag)
    return [run.block() for run in runs]


_Key = tuple[str, str, int, int, int]


class _Run:
    """Consecutive intervals of one channel with one scale."""

    def __init__(self, key: _Key, start: int) -> None:
        self.key, self.start = key, start
        self.counts, self.flags = array("q"), array("H")

    def goes_on(self, key: _Key, start: int) -> bool:
        follows = start == self.start + len(self.counts) * self.key[2]
        return key == self.key and follows and len(self.counts) < _LONGEST

    def add(self, count: int, flag: int) -> None:
        self.counts.append(count)
        self.flags.append(flag)

    def block(self) -> ProfileBlock:
        meter, channel, step, num, den = self.key
        data = codec.pack(self.counts, self.flags, step)
        return ProfileBlock(meter, channel, self.start, step, len(self.counts), data, num, den)


def _parsed(row: Sequence[str]) -> tuple[_Key, int, int, int]:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} columns instead of {len(COLUMNS)}")
    meter, channel, start, step, count, num, den, _, _, quality = row
    at = datetime.fromisoformat(start)
    if at.tzinfo is None:
        raise ValueError(f"start {start!r} has no offset: write it as 2026-03-02T03:00:00Z")
    flag = int(quality)
    if not 0 <= flag <= ALL_FLAGS or not meter or not channel:
        raise ValueError(f"quality {quality!r}, meter {meter!r}, channel {channel!r}: one of these cannot be")
    key = (meter, channel, _within(step, 1, 86400), _within(num, 1, 1 << 62), _within(den, 1, 1 << 62))
    if not count and not flag & Quality.MISSING:
        raise ValueError("an empty count without the quality flag for missing (1)")
    return key, int(at.timestamp()), _within(count or "0", -(1 << 62), 1 << 62), flag


def _within(text: str, low: int, high: int) -> int:
    value = int(text)
    if not low <= value <= high:
        raise ValueError(f"{value} is not {low} to {high}")
    return value
