"""Registers, maxima and profile memory of one meter, driven by its wall clock (dossier abnt-nbr-14522 §7.2, §8).

Instants are wall-clock seconds (UTC seconds + the meter's offset). Intervals lie on the clock's grid; one is open at a
time. Clock set forward: what is skipped is not measured, an interval cut so comes out smaller. Clock set back: the open
interval lasts until its end comes again. Without supply nothing is counted, intervals are recorded all the same (§8.1).
"""

import copy
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from math import isqrt
from typing import Final, NamedTuple

from edge.simulators.abnt.posts import DAY, PostTable
from edge.simulators.load import Channel, LoadReplay, pulses
from shared.quantities import Post

_POSTS: Final = max(Post) + 1
REFERENCE_POWER_FACTOR: Final = 92  # percent
#: Wall-clock hours in which capacitive instead of inductive energy is judged.
CAPACITIVE_HOURS: Final = (0, 6)


class Series(NamedTuple):
    """One counted quantity: pulses of one cycle, which repeats; ``replay`` knows the place of an instant in it."""

    cycle: "array[int]"
    replay: LoadReplay
    recorded: bool  # in the profile, or only in registers


@dataclass
class Totals:
    """Registers of one series, in pulses; lists go by :class:`Post`. ``maximum_at``: end of the interval, 0 = none."""

    total: int = 0
    by_post: list[int] = field(default_factory=lambda: [0] * _POSTS)
    maximum: list[int] = field(default_factory=lambda: [0] * _POSTS)
    maximum_at: list[int] = field(default_factory=lambda: [0] * _POSTS)
    accumulated: list[int] = field(default_factory=lambda: [0] * _POSTS)
    last: int = 0

    def add(self, post: Post, pulses: int) -> None:
        self.total += pulses
        self.by_post[post] += pulses

    def close(self, post: Post, demand: int, end: int) -> None:
        self.last = demand
        if demand > self.maximum[post]:
            self.maximum[post], self.maximum_at[post] = demand, end

    def reset_demand(self) -> None:
        for post in range(_POSTS):
            self.accumulated[post] += self.maximum[post]
            self.maximum[post] = self.maximum_at[post] = 0


class Close(NamedTuple):
    """A demand reset: its instant and the interval that was open then (the first of the new period)."""

    at: int
    open: int


class Outage(NamedTuple):
    """Without supply from ``start`` to ``end``."""

    start: int
    end: int


class Measurement:
    """Counts every series of ``replays`` (three per channel group, and the excess of the first) from ``installed`` on.

    ``capacity``: intervals the profile memory holds, the oldest are overwritten. ``outages``: known ahead, in order.
    ``automatic``: day of month and hour of the automatic demand reset.
    """

    def __init__(
        self,
        replays: Sequence[LoadReplay],
        posts: PostTable,
        installed: int,
        capacity: int,
        outages: Sequence[Outage] = (),
        automatic: tuple[int, int] | None = None,
    ) -> None:
        self.step = replays[0].step
        self._posts = posts
        self.series = [Series(r.cycle(c), r, recorded=True) for r in replays for c in Channel]
        self.channels = len(self.series)
        self.series.append(Series(_excess(self.step, replays[0].divisor), replays[0], recorded=False))
        self.totals = [Totals() for _ in self.series]
        self.closed_totals = [Totals() for _ in self.series]
        self.capacity = capacity
        self.memory = [array("H") for _ in range(self.channels)]
        self.position = self.open = installed - installed % self.step
        self.memory_start = self.open
        self._gained = [0] * len(self.series)
        self.closes = [Close(self.open, self.open)]
        self.resets = 0
        self.outages: list[Outage] = []
        self._ahead = list(outages)
        self._automatic = automatic
        self._next_automatic = self._after(self.open)

    # -- time passes -------------------------------------------------------------------------------------------------

    def advance(self, to: int) -> None:
        """Measure until ``to``; an instant already passed changes nothing."""
        while self._next_automatic is not None and self._next_automatic <= to:
            self._pass(self._next_automatic)
            self.reset()
            self._next_automatic = self._after(self.position)
        self._pass(to)
        surplus = (self.open - self.memory_start) // self.step - self.capacity
        if surplus > 0:
            for words in self.memory:
                del words[:surplus]
            self.memory_start += surplus * self.step

    def jump(self, to: int) -> None:
        """The clock is set to ``to``; the time between is not measured."""
        self._skip(to)
        self._next_automatic = self._after(to)

    def add_outage(self, start: int, end: int) -> None:
        """The supply was away from ``start``, which must not have been measured yet, to ``end``."""
        if start < self.position or end <= start:
            raise ValueError(f"outage {start}..{end} does not lie ahead of {self.position}")
        self._ahead.append(Outage(start, end))
        self._ahead.sort()

    def reset(self) -> None:
        """Close the period now: registers are frozen, maxima go to the accumulated demand and restart."""
        self.closed_totals = self.current()
        for totals in self.totals:
            totals.reset_demand()
        self.closes.append(Close(self.position, self.open))
        self.resets += 1

    def _after(self, local: int) -> int | None:
        """Next automatic reset behind ``local``."""
        if self._automatic is None:
            return None
        day, hour = self._automatic
        when = datetime.fromtimestamp(local, UTC)
        year, month = when.year, when.month
        while True:
            at = int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())
            if at > local:
                return at
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    def _pass(self, to: int) -> None:
        while self._ahead and self._ahead[0].start < to:
            outage = self._ahead.pop(0)
            self._measure(outage.start)
            self._skip(max(outage.end, self.position))
            self.outages.append(outage)
        self._measure(to)

    def _skip(self, to: int) -> None:
        """Move to ``to`` without counting; intervals that end on the way are recorded with what they had."""
        while self.open + self.step <= to:
            self._close()
        self.position = to

    def _measure(self, to: int) -> None:
        while self.position < to:
            end = self.open + self.step
            if self.position == self.open and end <= to:
                self._measure_whole(to - to % self.step)
            else:
                self._measure_part(min(end, to))
                if self.position == end:
                    self._close()

    def _measure_part(self, to: int) -> None:
        """Count within one interval of the grid at a time, into the open interval."""
        while self.position < to:
            start = self.position - self.position % self.step
            until = min(to, start + self.step)
            post = self._posts.run(self.open)[0]
            for i, series in enumerate(self.series):
                whole = series.cycle[series.replay.index(start)]
                part = whole * (until - start) // self.step - whole * (self.position - start) // self.step
                self._gained[i] += part
                self.totals[i].add(post, part)
            self.position = until

    def _close(self) -> None:
        """End the open interval with what it has gained."""
        post = self._posts.run(self.open)[0]
        end = self.open + self.step
        for i, (totals, gained) in enumerate(zip(self.totals, self._gained, strict=True)):
            totals.close(post, gained, end)
            if self.series[i].recorded:
                self.memory[i].append(min(gained, 0xFFF))
        self._gained = [0] * len(self.series)
        self.open = end

    def _measure_whole(self, until: int) -> None:
        """Count whole undisturbed intervals, a run of one post at a time."""
        while self.open < until:
            post, end = self._posts.run(self.open)
            end = min(end, until)
            count = (end - self.open) // self.step
            for i, (series, totals) in enumerate(zip(self.series, self.totals, strict=True)):
                first = series.replay.index(self.open)
                run = series.cycle[first : first + count]  # a cycle begins and ends at midnight: no run crosses its end
                totals.add(post, sum(run))
                highest = max(run)
                totals.close(post, highest, self.open + (run.index(highest) + 1) * self.step)
                totals.last = run[-1]
                if series.recorded:
                    self.memory[i].extend(run)
            self.open = self.position = end

    # -- what can be read --------------------------------------------------------------------------------------------

    def current(self) -> list[Totals]:
        """Registers of the running period, one per channel and the excess at the end."""
        return copy.deepcopy(self.totals)

    def running(self) -> tuple[int, int]:
        """[first, end) of the intervals of the running period that memory holds, as wall-clock starts."""
        return self._held(self.closes[-1].open, self.open)

    def closed(self) -> tuple[int, int]:
        """[first, end) of the intervals of the period closed last."""
        return self._held(self.closes[-2].open, self.closes[-1].open) if self.resets else (self.open, self.open)

    def held(self) -> tuple[int, int]:
        """[first, end) of all intervals in memory."""
        return self.memory_start, self.open

    def _held(self, first: int, end: int) -> tuple[int, int]:
        return max(first, self.memory_start), max(end, self.memory_start)

    def words(self, channels: range, span: tuple[int, int]) -> "array[int]":
        """Profile words of three channels, interleaved as they are sent (§8.1)."""
        first, last = ((instant - self.memory_start) // self.step for instant in span)
        out = array("H", bytes(2 * len(channels) * (last - first)))
        for lane, channel in enumerate(channels):
            out[lane :: len(channels)] = self.memory[channel][first:last]
        return out

    def word(self, channel: int, start: int) -> int | None:
        """What memory holds of one interval; None when it does not."""
        place = (start - self.memory_start) // self.step
        return self.memory[channel][place] if 0 <= place < len(self.memory[channel]) else None

    def power(self, channel: int) -> int:
        """Pulses per interval at the present load."""
        series = self.series[channel]
        return series.cycle[series.replay.index(self.position)]


@cache
def _excess(step: int, divisor: int) -> "array[int]":
    """Excess reactive energy in pulses of the active channel: energy at the reference power factor, less the energy.

    Judged per interval; the rules name the hour, which simulated registers need not.
    """
    out = array("H")
    first, end = (hour * 3600 for hour in CAPACITIVE_HOURS)
    active, inductive, capacitive = (pulses(channel, step, divisor) for channel in Channel)
    for i, real in enumerate(active):
        reactive = (capacitive if first <= i * step % DAY < end else inductive)[i]
        apparent = isqrt((real * real + reactive * reactive) * REFERENCE_POWER_FACTOR**2) // 100
        out.append(max(0, apparent - real))
    return out
