"""Reading a profile: which answers hold the range, their words, the proof against the registers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.events import clock_set_stamps, reset_key
from edge.drivers.abnt.frames import COMMAND_BODY
from edge.drivers.abnt.layout import Outage, Parameters, blocks_for
from edge.drivers.abnt.layout.requests import Group
from edge.drivers.abnt.memory import Anchor
from edge.drivers.abnt.profile import Marks, blocks, join
from edge.drivers.abnt.reconcile import CHANNELS, Outcome, Pair, Stream, Verdict, reconcile
from edge.drivers.abnt.settings import PartialRequest
from edge.drivers.abnt.visit import GroupView, Visit, not_implemented
from edge.errors import BusyError, ProtocolError, RefusedError
from edge.lines.contract import OnProgress
from ext import bcd
from ext.nibbles import ORDERS, Order
from shared.wire import MeterEvent, ProfileBlock

#: A profile that moves on while it is read is read again this often before the line is given back.
ATTEMPTS: Final = 3

DAY: Final = 86_400


class Source(Enum):
    """Which answer to take intervals from."""

    RUNNING = auto()  # 26
    CLOSED = auto()  # 27
    ALL = auto()  # 51, 52
    PARTIAL = auto()  # 51 with an amount of days, 52


@dataclass(frozen=True)
class Held:
    """What parameters say the meter holds, UTC. A period that is empty or unknown has no length."""

    running_start: int
    end: int  # of the last interval
    closed_start: int
    closed_end: int


def held(view: GroupView) -> Held:
    """Work out the spans of both periods; raises :class:`ProtocolError` for words without interval or clock."""
    parameters, step = view.parameters, view.parameters.profile_step
    if parameters.last_interval is None or not step:
        if parameters.words_running:
            raise ProtocolError(
                "profile words, but no end of the last interval or no interval length in the parameters"
            )
        return Held(0, 0, 0, 0)
    end = view.clock.present(parameters.last_interval)
    closed_end = 0 if parameters.last_reset is None else view.clock.past(_floor(parameters.last_reset, step))
    closed_start = closed_end - parameters.words_closed // CHANNELS * step
    return Held(end - parameters.words_running // CHANNELS * step, end, closed_start, closed_end)


def choose(span: Held, start: int, end: int, *, whole: bool, partial: bool) -> tuple[Source, ...]:
    """Choose the answers that hold [start, end) with the fewest blocks.

    ``whole``: the meter knows 51 and 52. ``partial``: it is known how to ask it for few days.
    """
    if start >= span.running_start:
        if end <= start or start >= span.end:
            return ()
        few = span.end - start + DAY < (span.end - span.running_start) // 2
        return (Source.PARTIAL,) if partial and few else (Source.RUNNING,)
    if whole and start < span.closed_start:
        return (Source.ALL,)
    sources = [Source.CLOSED] if start < span.closed_end and span.closed_start < span.closed_end else []
    return (*sources, Source.RUNNING) if end > span.running_start and span.running_start < span.end else tuple(sources)


class ProfileReading:
    """One reading of all channel groups for a window [start, end) UTC; ``blocks`` and ``events`` are its result."""

    def __init__(self, visit: Visit, first: GroupView, window: tuple[int, int], progress: OnProgress | None) -> None:
        self.blocks: list[ProfileBlock] = []
        self.events: list[MeterEvent] = []
        self._visit = visit
        self._first = first
        self._window = window
        self._progress = progress
        self._now = view_instant(first)

    async def run(self) -> None:
        """Read, reconcile, convert. Nothing is kept of a reading that fails half way."""
        visit = self._visit
        gathered: list[tuple[GroupView, list[Stream], list[Pair]]] = []
        async for view in visit.groups(commands.PARAMETERS, self._first):
            streams, pairs = await self._group(view)
            gathered.append((view, streams, pairs))
        if not any(streams for _, streams, _ in gathered):
            return
        outages = await visit.outages()
        stamps = clock_set_stamps((await visit.change_log()).found)
        order, sound = self._judge([(streams, pairs) for _, streams, pairs in gathered])
        taken: set[str] = set()
        for view, streams, _ in gathered:
            for stream in streams:
                marks = marks_of(view, stream, outages, stamps)
                made = blocks(stream, order, view.channels, self._window, marks, visit.meter, sound)
                # a quantity that two groups record comes from the first
                self.blocks += [block for block in made if block.channel not in taken]
            taken = {block.channel for block in self.blocks}

    # -- one group ---------------------------------------------------------------------------------------------------

    async def _group(self, view: GroupView) -> tuple[list[Stream], list[Pair]]:
        visit, memory = self._visit, self._visit.memory
        span = held(view)
        partial = visit.settings.partial if not memory.partial_refused else None
        sources = choose(
            span, *self._window, whole=not memory.lacks(commands.PARAMETERS_PARTIAL), partial=partial is not None
        )
        if not sources:
            return [], []
        now = Anchor(view_instant(view), await self._totals(commands.REGISTERS))
        streams = []
        for source in sources:
            streams += await self._stream(source, view, partial)
        pairs = await self._pairs(view, now)
        latest = memory.latest.get(str(view.number))
        if latest is None or now.at - latest.at >= DAY or now.at < latest.at:
            memory.latest[str(view.number)] = now  # often read meters would else never have a pair wide enough
        return streams, pairs

    async def _stream(self, source: Source, view: GroupView, partial: PartialRequest | None) -> list[Stream]:
        """Read one answer; one that moved on while it was read is read again."""
        for _ in range(ATTEMPTS):
            before = await self._announce(source, view, partial)
            if before is None:  # the meter refuses 51: what the two periods hold is all there is
                closed = await self._stream(Source.CLOSED, view, None)
                return closed + await self._stream(Source.RUNNING, view, None)
            code = {Source.RUNNING: commands.PROFILE, Source.CLOSED: commands.PROFILE_CLOSED}.get(
                source, commands.PROFILE_PARTIAL
            )
            parameters = before.parameters
            words = parameters.words_closed if source is Source.CLOSED else parameters.words_running
            if not words:
                return []
            bodies = await self._visit.ask_blocks(code, self._progress, blocks_for(words))
            after = (await self._visit.parameters(commands.PARAMETERS, view.number)).parameters
            if _still(source, parameters, after):
                span = held(before)
                end = held(view).closed_end if source is Source.CLOSED else span.end
                return [join(bodies, words, end, parameters.profile_step)]
        raise BusyError(f"meter {self._visit.meter}: the profile moved on {ATTEMPTS} times while it was read")

    async def _announce(self, source: Source, view: GroupView, partial: PartialRequest | None) -> GroupView | None:
        """Read the parameters that must go before the profile answer; None when the meter has no 51."""
        visit, group = self._visit, view.number
        if source is Source.RUNNING:
            return await visit.parameters(commands.PARAMETERS, group)
        if source is Source.CLOSED:
            return await visit.parameters(commands.PARAMETERS_CLOSED, group)
        request = Group(group=group).parameters
        if source is Source.PARTIAL and partial is not None:
            days = min(99, -(-(self._now - self._window[0]) // DAY) + 1)
            request = partial_request(group, days, partial)
        try:
            answer = await visit.view(commands.PARAMETERS_PARTIAL, group, request)
        except RefusedError as error:
            if error.code in commands.NEVER_REPEAT:
                raise
            if source is Source.PARTIAL:
                visit.memory.partial_refused = True
            if not_implemented(error):
                visit.memory.note_missing(commands.PARAMETERS_PARTIAL)
            return None
        if source is Source.PARTIAL and answer.parameters.words_running > view.parameters.words_running:
            visit.memory.partial_refused = True  # it answered with everything: the request was not understood
        return answer

    async def _totals(self, code: int) -> list[int]:
        return [channel.total for channel in (await self._visit.registers(code)).channels]

    async def _closed_totals(self, group: int) -> list[int] | None:
        """Totals at the last reset; None where the meter knows no 22 or 24."""
        if self._visit.memory.lacks(commands.REGISTERS_CLOSED):
            return None
        try:
            await self._visit.parameters(commands.PARAMETERS_CLOSED, group)
            return await self._totals(commands.REGISTERS_CLOSED)
        except RefusedError as error:
            if not not_implemented(error):
                raise
            self._visit.memory.note_missing(commands.REGISTERS_CLOSED)
            return None

    async def _pairs(self, view: GroupView, now: Anchor) -> list[Pair]:
        """Register readings to hold the streams against: since the last reset, the last visit, closed period."""
        memory, settings, group = self._visit.memory, self._visit.settings, str(view.number)
        energy = [channel.energy for channel in view.channels]
        pairs: list[tuple[Anchor, Anchor]] = []
        parameters, key = view.parameters, reset_key(view.parameters)
        closed = memory.closed_totals.get(group)
        if parameters.last_reset is not None and (closed is None or closed.reset != key):
            totals = await self._closed_totals(view.number)
            if reset_key((await self._visit.parameters(commands.PARAMETERS, view.number)).parameters) != key:
                raise BusyError(
                    f"meter {self._visit.meter}: a demand reset happened during the reading, which is dropped"
                )
            if totals is not None:
                if closed is not None:
                    memory.closed_before[group] = closed
                closed = memory.closed_totals[group] = Anchor(view.clock.past(parameters.last_reset), totals, key)
        if closed is not None and closed.reset == key:
            zero = [0] * CHANNELS
            begin = Anchor(closed.at, zero) if settings.totals_restart else closed
            pairs.append((begin, now))
            if settings.totals_restart and parameters.reset_before is not None:
                pairs.append((Anchor(view.clock.past(parameters.reset_before), zero), closed))
            elif not settings.totals_restart and group in memory.closed_before:
                pairs.append((memory.closed_before[group], closed))
        latest = memory.latest.get(group)
        if (
            latest is not None
            and latest.at < now.at
            and not (settings.totals_restart and closed is not None and latest.at < closed.at)
        ):
            pairs.append((latest, now))
        return [Pair(a.at, a.totals, b.at, b.totals, energy) for a, b in pairs]

    # -- judgement ---------------------------------------------------------------------------------------------------

    def _judge(self, gathered: Sequence[tuple[list[Stream], list[Pair]]]) -> tuple[Order, bool]:
        """Return the nibble order and whether the profile may be billed; note both and report a change."""
        memory, settings = self._visit.memory, self._visit.settings
        orders: tuple[Order, ...] = ORDERS if settings.nibble_order == "auto" else (settings.nibble_order,)
        verdicts = [reconcile(stream, pairs, orders) for streams, pairs in gathered for stream in streams]
        chosen = {verdict.order for verdict in verdicts if verdict.order is not None}
        failed = [v for v in verdicts if v.outcome is Outcome.MISMATCH]
        if len(chosen) > 1:
            failed.append(Verdict(Outcome.MISMATCH, None, {"reason": "channel groups differ in nibble order"}))
        known = chosen.pop() if len(chosen) == 1 else memory.order
        matched = any(v.outcome is Outcome.MATCH for v in verdicts)
        order = orders[0] if len(orders) == 1 else known or "high_first"
        if failed:
            self._note(False, failed[0].detail)
            return order, False
        if matched and known is not None:
            memory.order = known
            self._note(True, {"order": known})
        elif memory.reconciled is None and not matched:
            self._note(False, verdicts[0].detail)
        # words that are the same in either order need no known order; undecided ones need a meter proven before
        same = all(v.outcome is Outcome.MATCH for v in verdicts)
        return order, same or memory.reconciled is True

    def _note(self, reconciled: bool, detail: dict[str, object]) -> None:
        memory = self._visit.memory
        if memory.reconciled is not reconciled:
            memory.reconciled = reconciled
            kind = "reconciled" if reconciled else "unreconciled"
            self.events.append(MeterEvent(self._visit.meter, self._now, kind, None, dict(detail)))


def partial_request(group: int, days: int, layout: PartialRequest) -> bytes:
    """Parameters of a 51 that asks for ``days``, in the layout of the settings."""
    octets = bytearray(4) + Group(group=group).parameters
    octets[layout.amount_octet - 1 : layout.amount_octet] = bcd.encode(days, 1)
    octets[layout.unit_octet - 1] = layout.days
    return bytes(octets[4:COMMAND_BODY])


def view_instant(view: GroupView) -> int:
    """The meter's now, UTC; raises :class:`ProtocolError` for a blank clock."""
    if view.parameters.now is None:
        raise ProtocolError("the meter's clock is blank: it must be set by hand before its profile means anything")
    return view.clock.present(view.parameters.now)


def _still(source: Source, before: Parameters, after: Parameters) -> bool:
    """Say whether the answer read between two parameter answers is the one that the first announced.

    New intervals at the end do no harm as long as the oldest kept their place: then the words grew by as many.
    """
    if reset_key(before) != reset_key(after) and source is not Source.CLOSED:
        return False
    if source is Source.CLOSED or before.last_interval == after.last_interval:
        return True
    if source is not Source.RUNNING or before.last_interval is None or after.last_interval is None:
        return False
    passed = int((after.last_interval - before.last_interval).total_seconds()) // before.profile_step
    return after.words_running == before.words_running + CHANNELS * passed


def _floor(stamp: datetime, step: int) -> datetime:
    """Begin of the interval that contains a wall-clock stamp."""
    return stamp - timedelta(seconds=(stamp.hour * 3600 + stamp.minute * 60 + stamp.second) % step)


def marks_of(view: GroupView, stream: Stream, outages: Sequence[Outage], sets: Sequence[datetime]) -> Marks:
    """Translate logs into marks; where the count does not fit the time, what is before a setting is doubtful."""
    spans = [
        (view.clock.past(outage.start), view.clock.past(outage.end) if outage.end else stream.end)
        for outage in outages
        if outage.start is not None
    ]
    instants = sorted(view.clock.past(stamp) for stamp in sets)
    span = held(view)
    inside = [at for at in instants if stream.start <= at < stream.end]
    fits = span.closed_end == 0 or span.running_start == span.closed_end
    return Marks(spans, instants, 0 if fits or not inside else inside[-1])
