"""The reader of one meter on one claimed line: exchanges, timers, repeats, checks (dossier abnt-nbr-14522 §5)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from edge.drivers.abnt import commands, timing
from edge.drivers.abnt.frames import Answer, Command, Damaged, Heard, Junk, Signal, Variant, next_from_meter
from edge.drivers.abnt.layout import ProfileWords, Refusal
from edge.drivers.abnt.states import LISTENING, RECEIVING, TABLE, Action, Event, State, step
from edge.drivers.abnt.trace import Statistics, Trace
from edge.errors import (
    BusyError,
    NoiseError,
    PreemptedError,
    ProtocolError,
    RefusedError,
    SilenceError,
    WrongMeterError,
)
from edge.lines.contract import Claim, OnProgress

_READ_LIMIT: Final = 4096
_LONGEST_FRAME: Final = 260 * timing.CHARACTER
_EVENTS: Final = {Signal.ENQ: Event.ENQ, Signal.NAK: Event.NAK, Signal.WAIT: Event.WAIT}


@dataclass
class Refused(RefusedError):
    """A refusal that knows whether it came as answer 39 (not implemented) or 40 (occurrence)."""

    answer: int = commands.OCCURRENCE


@dataclass
class Link:
    """How to speak on this line; ``blind`` and ``complemented`` are learnt while speaking and worth keeping."""

    variant: Variant = Variant.PLAIN
    reader: str = "000000"
    serial: str | None = None  # None: whoever answers first is the meter
    link_timing: timing.LinkTiming = timing.LINKS["tcp"]
    allow_blind: bool = True  # send without ENQ when none comes
    blind: bool = False  # no ENQ is known to come: do not wait for it
    complemented: bool = False  # directional: signals come, and go, complemented


@dataclass
class _Exchange:
    """One command under way. Counters are per block."""

    command: Command
    composite: bool
    write: bool
    transmissions: int
    progress: OnProgress | None
    total: int
    state: State = State.UNSYNC
    sent: int = 0  # transmissions of the command since something was answered
    naks_in: int = 0
    naks_out: int = 0
    acks: int = 0  # repeats of one ACK or NAK
    waits: int = 0
    restarts: int = 0
    junk: int = 0
    burst: int = 0  # junk without a pause
    burst_at: float = float("-inf")  # its last octet
    alos: int = 0
    answers: list[Answer] = field(default_factory=list)
    arrived: Answer | None = None  # good block on its way through the table

    def new_block(self) -> None:
        self.naks_in = self.naks_out = self.acks = self.waits = 0


class Session:
    """Exchanges on one claim. Errors are those of ``edge.errors``; after one the meter returns to its ENQ by itself."""

    def __init__(
        self,
        claim: Claim,
        link: Link,
        name: str,
        trace: Trace | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.link = link
        self.trace = trace or Trace()
        self.statistics = Statistics()
        self.answered_at = 0.0  # wall clock at the first octet of the last answer
        self._claim = claim
        self._name = name
        self._now = now
        self._buffer = bytearray()
        self._deadline = 0.0
        self._last_signal = float("-inf")

    async def ask(self, code: int, parameters: bytes = b"", *, transmissions: int = timing.MAX_TRANSMISSIONS) -> Answer:
        """Send a command and return its one answer.

        Raises :class:`RefusedError` on answers 39 and 40. A command that may change the meter is sent again only when
        the meter itself asks (NAK, WAIT): after silence the outcome is unknown and :class:`SilenceError` says so.
        """
        return (await self._run(code, parameters, transmissions, None, 0))[0]

    async def ask_blocks(
        self, code: int, parameters: bytes = b"", *, progress: OnProgress | None = None, total: int = 0
    ) -> list[Answer]:
        """Send a composite command and return its blocks 1..n, each once; ``total`` is told to ``progress``."""
        return await self._run(code, parameters, timing.MAX_TRANSMISSIONS, progress, total)

    # -- one exchange ------------------------------------------------------------------------------------------------

    async def _run(
        self, code: int, parameters: bytes, transmissions: int, progress: OnProgress | None, total: int
    ) -> list[Answer]:
        address = self.link.serial if self.link.variant is Variant.ADDRESSED else None
        run = _Exchange(
            Command(code, self.link.reader, parameters, address),
            code in commands.PROFILE_CODES,
            commands.is_write(code),
            transmissions,
            progress,
            total,
        )
        self._buffer.clear()
        self._claim.transport.purge()
        self._arm(run)
        while run.state is not State.IDLE:
            event = await self._event(run)
            self._count(run, event)
            following = step(run.state, event)
            changed = following.state is not run.state
            run.state = following.state
            await self._act(run, event, following.action)
            if changed or following.action is not Action.NOTHING or event is Event.WAIT:
                self._arm(run)
        self.statistics.exchanges += 1
        if run.answers[-1].code in commands.REFUSALS:
            refusal = Refusal.decode(run.answers[-1].body)
            reason = commands.refusal_reason(run.answers[-1].code, refusal.code, refusal.sub_code)
            raise Refused(code, refusal.code, refusal.sub_code, reason, run.answers[-1].code)
        return run.answers

    def _arm(self, run: _Exchange) -> None:
        limits, blind = self.link.link_timing, self.link.blind
        patience = limits.block if run.state in RECEIVING else limits.answer
        if run.state is State.UNSYNC:
            patience = 0.0 if blind else limits.enq
        elif run.state in (State.HOLD, State.NEXT_HOLD) and not blind:
            patience = limits.hold
        if run.state is State.UNSYNC and self.link.variant is Variant.DIRECTIONAL:
            patience = max(patience / timing.MAX_ALOS, timing.T_ENQ_MAX)
        self._deadline = time.monotonic() + patience

    # -- from octets to events -----------------------------------------------------------------------------------------

    async def _event(self, run: _Exchange) -> Event:
        while True:
            event = self._parse(run)
            if event is not None:
                return event
            if run.state in RECEIVING:
                left = self._deadline - time.monotonic()
                if left <= 0 or not await self._fill(min(left, self.link.link_timing.gap)):
                    return Event.GAP
                continue
            self._may_leave(run)
            left = self._deadline - time.monotonic()
            if left <= 0:
                return self._overdue(run)
            await self._fill(min(left, timing.SLICE))

    def _parse(self, run: _Exchange) -> Event | None:
        awaited = (run.command.code,) if run.state in LISTENING else ()
        if not self._buffer:
            return None
        used, message = next_from_meter(self._buffer, self.link.variant, awaited)
        block = message is None or isinstance(message, Answer | Damaged)
        if block and run.state not in RECEIVING:
            self.answered_at = self._now()
            return Event.START
        if message is None:
            return None
        self.trace.heard(bytes(self._buffer[:used]))
        del self._buffer[:used]
        if isinstance(message, Answer):
            return self._judge(run, message)
        if isinstance(message, Damaged) or run.state in RECEIVING:
            return Event.DAMAGED  # a block that turns out not to be one is damaged too
        if run.state in LISTENING and self._in_burst(run, message):
            # signals come alone: these octets are the rest of a block whose first one was damaged. An ACK for the ENQ
            # after it would be taken for the ACK of that very block
            return Event.DAMAGED if run.burst == timing.MIN_BURST else Event.JUNK
        if isinstance(message, Heard):
            if message.signal is Signal.ENQ and self.link.variant is Variant.DIRECTIONAL:
                self.link.complemented = message.complemented
            if message.signal is Signal.ENQ and run.state is State.SENT:
                self.link.blind = False  # there is ENQ on this link after all
            return self._meant(run, message.signal)
        return Event.JUNK

    def _in_burst(self, run: _Exchange, message: Heard | Junk) -> bool:
        """Say whether an octet belongs to a run of octets that mean nothing, and count it there."""
        now = time.monotonic()
        if now - run.burst_at > self.link.link_timing.quiet:
            run.burst = 0
        if isinstance(message, Heard) and not run.burst:
            return False
        run.burst += 1
        run.burst_at = now
        return True

    def _meant(self, run: _Exchange, signal: Signal) -> Event:
        fallen = (
            signal is Signal.ENQ
            and Event.FALLEN in TABLE[run.state]
            and run.acks >= timing.MAX_ENQS
            and run.restarts < timing.MAX_RESTARTS
            and not run.write  # what it has done is unknown: never a second time
        )
        return Event.FALLEN if fallen else _EVENTS[signal]

    async def _fill(self, timeout: float) -> bool:
        octets = await self._claim.transport.read(_READ_LIMIT, timeout)
        self._buffer += octets
        return bool(octets)

    def _overdue(self, run: _Exchange) -> Event:
        if run.state is State.UNSYNC:
            if self.link.variant is Variant.DIRECTIONAL:  # such a meter speaks only after it was called
                return Event.UNHEARD if run.alos < timing.MAX_ALOS else Event.SILENCE
            if self.link.allow_blind:
                return Event.BLIND
        elif run.state in (State.HOLD, State.NEXT_HOLD) and self.link.blind:
            return Event.BLIND
        return Event.SILENCE

    def _judge(self, run: _Exchange, answer: Answer) -> Event:
        """Check serial and block number of a block with a good CRC."""
        expected = self.link.serial
        if answer.code not in commands.UNCHECKED_SERIAL:
            if expected is None:
                self.link.serial = expected = answer.meter
            if answer.meter != expected:
                if run.composite:  # not acknowledged: no further block is wanted
                    raise WrongMeterError(expected, answer.meter)
                run.arrived = answer
                return Event.LAST  # acknowledged so that the meter is free, then reported by _check_meter
        run.arrived = answer
        if not run.composite or answer.code in commands.REFUSALS:
            return Event.LAST
        block = ProfileWords.decode(answer.body)
        if block.number == len(run.answers) and run.state is State.NEXT_RECEIVING:
            run.arrived = None
            return Event.REPEATED
        if block.number != len(run.answers) + 1:
            raise ProtocolError(
                f"meter {self._name}: block {block.number} of answer {answer.code:02X} arrived "
                f"where block {len(run.answers) + 1} was due; the reading is dropped whole"
            )
        return Event.LAST if block.last else Event.MORE

    # -- limits ------------------------------------------------------------------------------------------------------

    def _count(self, run: _Exchange, event: Event) -> None:
        counted = self.statistics
        what = f"meter {self._name}: command {run.command.code:02X}"
        if event is Event.NAK:
            run.naks_in += 1
            counted.naks += 1
            if run.naks_in >= timing.MAX_NAKS:
                raise NoiseError(f"{what} reached the meter damaged {run.naks_in} times; check line, probe and variant")
        elif event in (Event.DAMAGED, Event.GAP):
            run.naks_out += 1
            run.acks = run.burst = 0  # the meter is with us
            counted.naks += 1
            if run.naks_out >= timing.MAX_NAKS:
                raise NoiseError(f"{what} was answered damaged {run.naks_out} times; check line, probe and variant")
        elif event is Event.WAIT:
            run.waits += 1
            counted.waits += 1
            if run.waits > timing.MAX_WAITS:
                raise BusyError(f"{what}: the meter asked to wait {run.waits} times")
        elif event is Event.JUNK:
            run.junk += 1
            counted.junk += 1
            if run.junk > timing.MAX_JUNK:
                raise NoiseError(f"{what}: more than {timing.MAX_JUNK} octets on the line are no NBR 14522")
        elif event is Event.SILENCE:
            counted.timeouts += 1
            self._count_silence(run, what)

    def _count_silence(self, run: _Exchange, what: str) -> None:
        if run.state is State.UNSYNC:
            raise SilenceError(f"{what} was not sent: no ENQ from the meter in {self.link.link_timing.enq:.1f} s")
        if run.state in (State.HOLD, State.NEXT_HOLD):
            raise BusyError(f"{what}: the meter asked to wait and was silent for {self.link.link_timing.hold:.0f} s")
        if run.write:
            raise SilenceError(f"{what} was sent and not answered: whether it took effect is unknown, read back first")
        if run.state is State.SENT and run.sent >= run.transmissions:
            raise SilenceError(f"{what} was sent {run.sent} times without an answer")

    # -- sending -----------------------------------------------------------------------------------------------------

    async def _act(self, run: _Exchange, event: Event, action: Action) -> None:
        if event is Event.FALLEN:
            run.restarts += 1
            run.answers.clear()
            run.new_block()
        if action is Action.COMMAND:
            self.link.blind = event is Event.BLIND or (self.link.blind and event is Event.NAK)
            await self._send_command(run)
        elif action is Action.ALO:
            run.alos += 1
            await self._write(Signal.ALO.wire())
        elif action is Action.ACK:
            await self._acknowledge(run, event)
        elif action is Action.NAK:
            if event in (Event.DAMAGED, Event.GAP):
                await self._drain()
            elif not self._worth_repeating(run, event):
                return
            await self._signal(Signal.NAK)

    async def _send_command(self, run: _Exchange) -> None:
        self._may_leave(run)
        run.sent += 1
        await self._write(run.command.to_bytes(self.link.variant))

    async def _acknowledge(self, run: _Exchange, event: Event) -> None:
        if event in (Event.LAST, Event.MORE):
            self._accept(run)
            if run.state is State.NEXT and self._claim.must_yield:
                # the block is not acknowledged: the meter falls back to ENQ by itself and nothing more comes from it
                raise PreemptedError(f"meter {self._name}: reading stopped after block {len(run.answers)}")
        elif not self._worth_repeating(run, event):
            return
        await self._signal(Signal.ACK)
        if run.state is State.IDLE:
            self._check_meter(run.answers[-1])

    def _accept(self, run: _Exchange) -> None:
        answer, run.arrived = run.arrived, None
        if answer is None:
            raise RuntimeError("a block was accepted that never arrived")
        run.answers.append(answer)
        run.new_block()
        run.sent = 0
        if run.progress is not None and run.composite:
            run.progress(len(run.answers), max(run.total, len(run.answers)))

    def _check_meter(self, answer: Answer) -> None:
        if answer.code not in commands.UNCHECKED_SERIAL and answer.meter != self.link.serial:
            raise WrongMeterError(str(self.link.serial), answer.meter)

    def _worth_repeating(self, run: _Exchange, event: Event) -> bool:
        """Say whether a signal should go out again; one that may still be on its way is not doubled."""
        if (
            event not in (Event.SILENCE, Event.REPEATED)
            and time.monotonic() - self._last_signal < self.link.link_timing.again
        ):
            return False
        run.acks += 1
        if run.acks >= timing.MAX_TRANSMISSIONS:
            outcome = ": whether it took effect is unknown, read back first" if run.write else ""
            raise SilenceError(
                f"meter {self._name}: block {len(run.answers) + 1} of answer {run.command.code:02X} did not come, "
                f"though it was asked for {run.acks} times{outcome}"
            )
        return True

    async def _signal(self, signal: Signal) -> None:
        if self.link.link_timing.turn:
            await asyncio.sleep(self.link.link_timing.turn)
        await self._write(signal.wire(self.link.complemented))
        self._last_signal = time.monotonic()

    async def _write(self, octets: bytes) -> None:
        self.trace.sent(octets)
        await self._claim.transport.write(octets)

    async def _drain(self) -> None:
        """Let a damaged burst end before asking for it again, so that its rest is not taken for the repeat."""
        if self._buffer:
            self.trace.heard(bytes(self._buffer))
        self._buffer.clear()
        quiet = self.link.link_timing.quiet
        end = time.monotonic() + quiet + _LONGEST_FRAME  # a meter that waits for its ACK goes on with ENQ for ever
        while time.monotonic() < end and await self._claim.transport.read(_READ_LIMIT, quiet):
            pass

    def _may_leave(self, run: _Exchange) -> None:
        """Leave for a higher class where nothing is half done: before sending, while holding, while nobody answers."""
        if self._claim.must_yield and run.state in (State.UNSYNC, State.HOLD, State.NEXT_HOLD):
            raise PreemptedError(f"meter {self._name}: command {run.command.code:02X} gave way to a higher class")
