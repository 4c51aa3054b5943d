"""Which intervals of a profile are held here, which the meter has lost, which are worth asking for. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ext.profile import unpack
from ext.series import gaps
from shared.intervals import IntervalSet, Range, ceil, floor
from shared.quality import Quality
from shared.wire import ProfileBlock

DAY: Final = 86400
#: The newest intervals are read with the plan, older ones by back-fill in chunks of this length (s).
CHUNK: Final = DAY
#: An interval that the meter did not give may still be on its way for so long (slow clocks, slow meters).
PATIENCE: Final = DAY

#: Names under which the sets are stored.
MAPS: Final = ("held", "lost", "doubtful")


@dataclass
class ProfileMemory:
    """``held``: stored here in every channel. ``lost``: the meter, asked, no longer had them; not asked for again.

    ``doubtful``: held, but not reconciled with the registers when they were read. ``step`` is the interval's length
    in seconds, as the meter last gave it.
    """

    held: IntervalSet = field(default_factory=IntervalSet)
    lost: IntervalSet = field(default_factory=IntervalSet)
    doubtful: IntervalSet = field(default_factory=IntervalSet)
    step: int = 900

    @classmethod
    def load(cls, maps: Mapping[str, Iterable[tuple[int, int]]]) -> "ProfileMemory":
        """Take over what :meth:`maps` gave."""
        held, lost, doubtful = (IntervalSet(maps.get(name, ())) for name in MAPS)
        return cls(held, lost, doubtful)

    def maps(self) -> list[tuple[str, list[tuple[int, int]]]]:
        """The sets by name, for the spool."""
        return [(name, list(getattr(self, name))) for name in MAPS]

    def copy(self) -> "ProfileMemory":
        return replace(self.load(dict(self.maps())), step=self.step)

    def missing(self, now: float, days: int) -> list[Range]:
        """Whole intervals of the last ``days`` days that are neither held nor lost, oldest first."""
        end = floor(int(now), self.step)
        start = ceil(end - max(days, 1) * DAY, self.step)
        if self.lost.span and self.lost.span.end > end:  # asked for while the clock was ahead
            self.lost.remove(max(end, self.lost.span.start), self.lost.span.end)
        return [part for gap in self.held.missing(start, end) for part in self.lost.missing(*gap)]

    def live(self, now: float, days: int) -> Range | None:
        """From the oldest to the newest missing interval of the last day; None when all are held."""
        recent = self.missing(now, min(days, 1))
        return Range(recent[0].start, recent[-1].end) if recent else None

    def backfill(self, now: float, days: int, chunk: int = CHUNK) -> Range | None:
        """The next chunk of what is missing before the last day: oldest first, as the meter forgets it first.

        Beyond the newest interval ever held the meter may have none yet: it is silent, or our clock is ahead.
        """
        older = floor(int(now), self.step) - DAY
        if self.held.span:
            older = min(older, self.held.span.end)
        gaps = [gap for gap in self.missing(now, days) if gap.start < older]
        if not gaps:
            return None
        end = min(gaps[0].start + chunk, older)
        return Range(gaps[0].start, max(min(gap.end, end) for gap in gaps if gap.start < end))

    def count(self, now: float, days: int) -> int:
        """Number of intervals worth asking for."""
        return sum(gap.end - gap.start for gap in self.missing(now, days)) // self.step

    def absorb(self, asked: Range | None, blocks: Iterable[ProfileBlock], now: float) -> list[Range]:
        """Take in what a reading of ``asked`` brought; returns what is thereby known to be lost in the meter.

        Lost is what was asked for and not given although the meter gave something newer, now or, where it is older than
        ``PATIENCE``, ever. Before the first interval ever held nothing counts as lost to anybody: the memory begins
        there.
        """
        channels: dict[str, IntervalSet] = {}
        for block in blocks:
            present = channels.setdefault(block.channel, IntervalSet())
            there, unreconciled = values_of(block)
            for part in there:
                present.add(*part)
                self.doubtful.remove(*part)
            for part in unreconciled:
                self.doubtful.add(*part)
            self.step = block.step
        given: IntervalSet | None = None
        for present in channels.values():
            given = present if given is None else given & present
        first = self.held.span.start if self.held.span else None
        if given is not None:
            self.held = self.held | given
            self.lost = self.lost - given
        if asked is None:
            return []
        sure = int(now) - PATIENCE
        if self.held.span:
            sure = min(sure, self.held.span.end)
        if given is not None and given.span is not None:
            sure = max(sure, given.span.end)
        gone = self.held.missing(asked.start, max(asked.start, min(asked.end, floor(sure, self.step))))
        fresh = [part for gap in gone for part in self.lost.missing(*gap)]
        for part in fresh:
            self.lost.add(*part)
        return [part for part in fresh if first is not None and part.end > first]

    def prune(self, now: float, days: int) -> None:
        """Forget what lies beyond the horizon and yesterday."""
        before = floor(int(now) - (max(days, 1) + 2) * DAY, self.step)
        if before > 0:
            for ranges in (self.held, self.lost, self.doubtful):
                ranges.remove(0, before)

    def ask_doubtful_again(self) -> None:
        """Profile and registers agree from now on: what came before that proof is worth another reading."""
        self.held = self.held - self.doubtful
        self.doubtful = IntervalSet()

    def share(self, start: int, end: int) -> float:
        """Share of [start, end) that is held, 0..1."""
        return sum(part.end - part.start for part in self.held.within(start, end)) / (end - start)


def values_of(block: ProfileBlock) -> tuple[IntervalSet, IntervalSet]:
    """Return the ranges of a block that have values, and those of them not reconciled with the registers."""
    _, flags, _ = unpack(block.data)
    whole = IntervalSet([(block.start, block.start + len(flags) * block.step)])
    gone, unreconciled = (
        IntervalSet((block.start + first * block.step, block.start + end * block.step) for first, end in found)
        for found in (gaps(flags, Quality.MISSING), gaps(flags, Quality.UNRECONCILED))
    )
    return whole - gone, unreconciled - gone
