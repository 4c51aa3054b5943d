"""A public file made of readings that no ABNT meter gave as blocks: parameters 51 and profile 52 (dossier §9, §6).

What the format cannot hold is refused rather than rounded or filled: missing intervals, counts beyond 12 bits that have
no common divisor, quantities without a code. What it has no place for (quality flags) is returned to be told elsewhere.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.drivers.abnt import commands, quantities
from edge.drivers.abnt.clock import WallClock
from edge.drivers.abnt.layout import WORDS_PER_BLOCK, Constant, Parameters, ProfileWords, blocks_for
from edge.drivers.abnt.layout.profile import MAX_BLOCKS, OVERFLOW_WORD
from edge.drivers.abnt.public_file import FileError, join_frames
from edge.drivers.abnt.reconcile import CHANNELS
from edge.drivers.abnt.settings import AbntSettings
from ext import profile as codec
from ext.nibbles import Order, pack
from shared.intervals import iso
from shared.quality import Quality
from shared.wire import ProfileBlock

#: Largest count of an interval: FFF stands for overflow.
MOST: Final = OVERFLOW_WORD - 1
#: Largest numerator or denominator of a constant: six BCD digits.
MOST_TERM: Final = 999_999
ABSENT: Final = 99
#: 33 groups of three.
MAX_CHANNELS: Final = 99
#: Longest interval octets 204 and 205 can say: 99 minutes and 59 seconds.
MAX_STEP: Final = 99 * 60 + 59
#: Flags that words can carry: overflow is FFF.
_CARRIED: Final = Quality.OVERFLOW
#: Instants a two-digit year can say, UTC with a day to spare.
_FIRST, _LAST = 946_771_200, 4_102_358_400


@dataclass(frozen=True)
class Written:
    """A file, and what it does not say: channel to number of intervals whose flags were lost, scales that changed."""

    data: bytes
    flags_lost: dict[str, int]
    rescaled: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class _Column:
    code: int
    num: int
    den: int
    words: "array[int]"


def write(blocks: Sequence[ProfileBlock], serial: str, settings: AbntSettings, order: Order) -> Written:
    """Make the file of one meter's profile blocks: one span and step for all channels, no gap.

    ``order``: of the nibbles in the words, which is not established. Raises :class:`FileError`.
    """
    if len(serial) != 8 or not (serial.isascii() and serial.isdigit()):
        raise FileError(f"serial {serial!r}: a public file has place for 8 digits")
    series = _series(blocks)
    start, step, count = _span(series)
    columns, lost, rescaled = [], {}, {}
    for channel, (joined, values, flags) in series.items():
        column = _column(channel, joined, values, flags)
        columns.append(column)
        dropped = sum(1 for flag in flags if flag & ~_CARRIED)
        if dropped:
            lost[channel] = dropped
        if (column.num, column.den) != (joined.num, joined.den):
            rescaled[channel] = (column.num, column.den)
    frames: list[bytes] = []
    groups = [columns[i : i + CHANNELS] for i in range(0, len(columns), CHANNELS)]
    for group in groups:
        shown = _parameters(group, start + count * step, step, count, len(groups), settings)
        frames.append(shown.answer(commands.PARAMETERS_PARTIAL, serial).body)
        frames += _profile(group, count, serial, order)
    return Written(join_frames(frames), lost, rescaled)


_Series = dict[str, tuple[ProfileBlock, "array[int]", "array[int]"]]


def _series(blocks: Sequence[ProfileBlock]) -> _Series:
    """Join consecutive blocks of each channel: (first block, counts, flags)."""
    found: _Series = {}
    for block in sorted(blocks, key=lambda block: block.start):
        values, flags, step = codec.unpack(block.data)
        held = found.get(block.channel)
        if held is None:
            found[block.channel] = (block, array("q", values), array("H", flags))
            continue
        first, counts, marks = held
        if (step, block.num, block.den) != (first.step, first.num, first.den):
            raise FileError(f"channel {block.channel}: step or constant changes at {iso(block.start)}: write two files")
        if block.start != first.start + len(counts) * step:
            end = iso(first.start + len(counts) * step)
            raise FileError(
                f"channel {block.channel}: a gap or an overlap between {end} and {iso(block.start)}; the format has no "
                "stamps and no place for one: choose a span without"
            )
        counts.extend(values)
        marks.extend(flags)
    return found


def _span(series: _Series) -> tuple[int, int, int]:
    spans = {(first.start, first.step, len(counts)) for first, counts, _ in series.values()}
    if len(spans) != 1 or len(series) > MAX_CHANNELS:
        raise FileError(
            f"{len(series)} channels over {len(spans)} different spans: a public file holds 1 to {MAX_CHANNELS} "
            "channels over one span"
        )
    start, step, count = spans.pop()
    if blocks_for(CHANNELS * count) > MAX_BLOCKS:
        raise FileError(f"{count} intervals: a profile answer has {MAX_BLOCKS} blocks, for {_most()} intervals at most")
    if not _FIRST <= start <= start + count * step <= _LAST or step > MAX_STEP:
        raise FileError(f"{count} intervals of {step} s from {iso(start)} cannot be said: years 2000-2099, step 99 min")
    return start, step, count


def _most() -> int:
    return MAX_BLOCKS * WORDS_PER_BLOCK // CHANNELS


def _column(channel: str, first: ProfileBlock, values: Sequence[int], flags: Sequence[int]) -> _Column:
    code = quantities.code_of(channel)
    if code is None:
        raise FileError(f"channel {channel} has no quantity code in NBR 14522")
    missing = next((i for i, flag in enumerate(flags) if flag & Quality.MISSING), None)
    if missing is not None:
        at = iso(first.start + missing * first.step)
        raise FileError(
            f"channel {channel}: the interval of {at} is missing; the format cannot say so, and a zero would be a "
            "value: choose a span without"
        )
    good = [value for value, flag in zip(values, flags, strict=True) if not flag & Quality.OVERFLOW]
    divisor = math.gcd(*good) if max(good, default=0) > MOST else 1
    num, den = _reduced(first.num * divisor, first.den)
    if min(good, default=0) < 0 or max(good, default=0) // divisor > MOST or max(num, den) > MOST_TERM:
        raise FileError(
            f"channel {channel}: counts from {min(good)} to {max(good)} with constant {first.num}/{first.den} do not "
            f"fit words of 0 to {MOST} and constants of six digits without rounding"
        )
    words = array(
        "H", (OVERFLOW_WORD if f & Quality.OVERFLOW else v // divisor for v, f in zip(values, flags, strict=True))
    )
    return _Column(code, num, den, words)


def _reduced(num: int, den: int) -> tuple[int, int]:
    """The fraction as it is where it fits six digits, else in lowest terms."""
    if max(num, den) <= MOST_TERM:
        return num, den
    common = math.gcd(num, den)
    return num // common, den // common


def _parameters(
    group: Sequence[_Column], end: int, step: int, count: int, groups: int, settings: AbntSettings
) -> Parameters:
    """What is known, in its octets; everything else is 00 (§9)."""
    clock = WallClock(settings.zone_info(), summer=False)
    now = clock.show(end)
    absent = CHANNELS - len(group)
    return Parameters(
        now=now,
        weekday=now.isoweekday() % 7 + 1,
        last_interval=now,
        words_running=CHANNELS * count,
        demand_minutes=step // 60 if step % 60 == 0 else 0,
        constants=(
            *(Constant(numerator=column.num, denominator=column.den) for column in group),
            *(Constant(numerator=0, denominator=0),) * absent,
        ),
        interval_minutes=step // 60,
        interval_seconds=step % 60,
        interval_hundredths=0,
        quantities=(*(column.code for column in group), *(ABSENT,) * absent),
        groups=groups,
    )


def _profile(group: Sequence[_Column], count: int, serial: str, order: Order) -> list[bytes]:
    words = array("H", bytes(2 * CHANNELS * count))
    for place, column in enumerate(group):
        words[place::CHANNELS] = column.words
    total = blocks_for(len(words))
    frames = []
    for number in range(1, total + 1):
        part = words[(number - 1) * WORDS_PER_BLOCK : number * WORDS_PER_BLOCK]
        block = ProfileWords.make(number, number == total, pack(part, order))
        frames.append(block.answer(commands.PROFILE_PARTIAL, serial).body)
    return frames
