"""The meter's side of a conversation, without I/O (dossier abnt-nbr-14522 §5.3).

::

    QUIET ──(ALO)──► IDLE ◄────────────────────────── last ACK, limits reached
                      │ ENQ every period                    ▲
                      ▼ first octet of a command            │
                  COLLECTING ──gap──► IDLE                  │
                      │ whole, CRC good: answer             │
                      │ CRC bad: NAK ──► REPEAT ──► IDLE    │
                      ▼                                     │
                  ACKNOWLEDGE ──ACK──► next block, or ──────┘
                      ▲  │ NAK: same block, 7 times
                      └──┘ silence: ENQ, for 15 s

DEAF throws away what comes until the line has been still: a late command in strict mode, or junk. QUIET is the rest of
ports that never send ENQ by themselves (directional before ALO, addressed, 01 99).

``feed`` and ``tick`` return what to do, in order: octets to send, a :class:`Pause`, or :class:`Hangup`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import (
    ADDRESS_MARK,
    HEADER,
    Answer,
    Command,
    FrameError,
    Signal,
    Variant,
)
from edge.simulators.abnt.answers import Answerer
from edge.simulators.abnt.meter import BATTERY, Meter
from edge.simulators.faults import Fault, FaultKind, FaultPlan

# Times of the standard (§5.1), seconds.
ENQ_SHORTEST: Final = 0.022
ENQ_LONGEST: Final = 0.502
ENQ_PERIOD: Final = 0.250
SYNC_LIMIT: Final = 0.012  # Tmaxsinc: from ENQ to the first octet of the command
ANSWER_LIMIT: Final = 0.502  # Tmaxrsp
CHARACTER_LIMIT: Final = 0.006  # Tmaxcar, which only a real UART can keep
#: What this side allows between octets of one command: networks and operating systems pause longer than Tmaxcar.
RELAXED_CHARACTER_LIMIT: Final = 0.250
DIRECTIONAL_LIMIT: Final = 15.0  # without input a directional meter hangs up
WAIT_SPACING: Final = 0.2
LIMIT: Final = 7  # NAKs of one block, either way
ACK_PATIENCE: Final = 15.0  # an answer not acknowledged is given up (no limit is known; own choice)

#: A conversation holds at most the longest command and the signals around it; more is thrown away unread.
MAX_BUFFER: Final = 1024

_SIGNALS: Final = frozenset(Signal)
#: Octets that begin no command: blank, and the codes that only answers carry.
_NO_START: Final = frozenset({0x00}) | commands.REFUSALS


@dataclass(frozen=True)
class Pause:
    """Do nothing for ``seconds``; what comes meanwhile is read afterwards."""

    seconds: float


class Hangup:
    """Close the connection."""


Action = bytes | Pause | Hangup


class State(Enum):
    QUIET = auto()
    IDLE = auto()
    COLLECTING = auto()
    REPEAT = auto()
    ACKNOWLEDGE = auto()
    DEAF = auto()


@dataclass(frozen=True)
class SessionSetup:
    """How a port behaves. ``variant`` None: plain ENQ, and every variant is understood.

    ``strict``: a command must begin within ``sync_limit`` s of an ENQ, as the standard has it; tolerant meters take it
    any time. ``bus``: several meters share the line, so only addressed commands are answered and nobody sends ENQ.
    """

    variant: Variant | None = None
    strict: bool = False
    enq_period: float = ENQ_PERIOD
    sync_limit: float = SYNC_LIMIT
    character_limit: float = RELAXED_CHARACTER_LIMIT
    answer_limit: float = ANSWER_LIMIT
    bus: bool = False

    def __post_init__(self) -> None:
        if not ENQ_SHORTEST <= self.enq_period <= ENQ_LONGEST:
            raise ValueError(f"ENQ every {self.enq_period} s: the standard allows {ENQ_SHORTEST} to {ENQ_LONGEST} s")
        if self.bus and self.variant not in (None, Variant.ADDRESSED):
            raise ValueError(f"several meters on one line need the addressed variant, not {self.variant}")

    @property
    def sends_enq(self) -> bool:
        return not self.bus and self.variant in (None, Variant.PLAIN)


class MeterSession:
    """One connection to one or (``bus``) several meters.

    Times are monotonic seconds. ``deadline``: when :meth:`tick` is due; None while nothing is.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        setup: SessionSetup | None = None,
        faults: FaultPlan | None = None,
        now: float = 0.0,
    ) -> None:
        self.setup = setup or SessionSetup()
        self.faults = faults or FaultPlan()
        self._answerers = {meter.serial: Answerer(meter) for meter in meters}
        if len(self._answerers) != len(meters) or not meters or (len(meters) > 1 and not self.setup.bus):
            raise ValueError("a session needs one meter, or several of different serials on a bus")
        self._buffer = bytearray()
        self._heard = now  # last input
        self._enq = float("-inf")  # last ENQ
        self._directional = False
        self._reply: Sequence[Answer] = ()
        self._replied: Command | None = None
        self._block = 0
        self._variant = Variant.PLAIN
        self._tries = 0  # NAKs heard for the block being sent
        self._give_up = now  # waiting for its ACK ends
        self._naks = 0  # for the command being received
        self._battery_left = 0
        self.state = State.QUIET
        self.deadline: float | None = None
        self._rest(now)

    @property
    def mute(self) -> bool:
        """No meter on this line has supply."""
        return not any(a.meter.powered for a in self._answerers.values())

    # -- input -------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[Action]:
        """Take octets from the reader."""
        actions: list[Action] = []
        if self.mute:
            return actions
        if self._buffer and now - self._heard > self.setup.character_limit:
            self._buffer.clear()  # a command with a gap inside is no command
            if self.state is State.COLLECTING:
                self._rest(now)
        self._heard = now
        if self.state is State.DEAF:
            self.deadline = now + self.setup.character_limit
            return actions
        self._buffer += data[: MAX_BUFFER - len(self._buffer)]
        while self._buffer and self._step(actions, now):
            pass
        return actions

    def delay(self, seconds: float) -> None:
        """Sending what was asked for took this long: waiting begins at its end."""
        self._give_up += seconds
        if self.deadline is not None:
            self.deadline += seconds

    def tick(self, now: float) -> list[Action]:
        """Do what is due at ``now``."""
        if self.deadline is None or now < self.deadline:
            return []
        if self.mute:
            self.deadline = now + self.setup.enq_period
            return []
        if self.state is State.IDLE:
            return self._tick_idle(now)
        if self.state is State.ACKNOWLEDGE and self.setup.sends_enq and now < self._give_up:
            return self._send_enq(now)
        self._buffer.clear()
        self._rest(now)
        return []

    def _tick_idle(self, now: float) -> list[Action]:
        if self._directional and now - self._heard > DIRECTIONAL_LIMIT:
            self._directional = False
            self._rest(now)
            return [Hangup()]
        return self._send_enq(now)

    def _send_enq(self, now: float) -> list[Action]:
        self._enq = now
        self.deadline = now + self.setup.enq_period
        return [bytes((Signal.ENQ,))]

    def _rest(self, now: float) -> None:
        """Back to the state between commands."""
        self._reply, self._replied, self._naks = (), None, 0
        if self.setup.sends_enq or self._directional:
            self.state, self.deadline = State.IDLE, max(now, self._enq + self.setup.enq_period)
        else:
            self.state, self.deadline = State.QUIET, None

    def _step(self, actions: list[Action], now: float) -> bool:
        """Use up one signal or command from the buffer; False when more octets are needed."""
        first = self._buffer[0]
        if self.state is not State.COLLECTING:
            signal = self._signal(first)
            if signal is not None:
                del self._buffer[0]
                self._hear(signal, actions, now)
                return True
            if first in _NO_START or self._is_late(now):
                self._turn_deaf(now)
                return False
            self.state, self.deadline = State.COLLECTING, None
        self.deadline = now + self.setup.character_limit
        return self._take_command(actions, now)

    def _signal(self, octet: int) -> Signal | None:
        """The signal an octet between frames is; directional lines may complement it."""
        if octet in _SIGNALS:
            return Signal(octet)
        if self._directional and 255 - octet in _SIGNALS:
            return Signal(255 - octet)
        return None

    def _is_late(self, now: float) -> bool:
        return self.setup.strict and self.state is State.IDLE and now - self._enq > self.setup.sync_limit

    def _turn_deaf(self, now: float) -> None:
        """Throw away what came and whatever follows without a pause."""
        self._buffer.clear()
        self.state, self.deadline = State.DEAF, now + self.setup.character_limit

    # -- signals -----------------------------------------------------------------------------------------------------

    def _hear(self, signal: Signal, actions: list[Action], now: float) -> None:
        if signal is Signal.ALO and self.setup.variant in (None, Variant.DIRECTIONAL):
            self._directional = True
            self._rest(now)
            self.deadline = now
            return
        if self.state is not State.ACKNOWLEDGE:
            return
        if signal is Signal.NAK:
            self._tries += 1
            if self._tries <= LIMIT:
                self._send_block(actions, now)
            else:
                self._rest(now)
        elif signal is Signal.ACK:
            fault = self.faults.draw("ack")
            if fault is not None and fault.kind is FaultKind.DROP_ACK:
                return
            self._tries = 0
            if fault is None:
                self._block += 1
            if self._block < len(self._reply):
                self._send_block(actions, now)
            else:
                self._rest(now)
                if self.deadline is not None:
                    self.deadline = now + ENQ_SHORTEST  # ready for the next command

    # -- commands ----------------------------------------------------------------------------------------------------

    def _variants(self) -> tuple[Variant, ...]:
        """Which dress the command in the buffer may wear, likeliest first."""
        if self.setup.bus:
            return (Variant.ADDRESSED,)
        if self.setup.variant is not None:
            return (self.setup.variant,)
        if self._buffer[0] == ADDRESS_MARK:
            return Variant.PLAIN, Variant.DIRECTIONAL, Variant.ADDRESSED
        if self._buffer[0] == HEADER[0] and self._buffer[1:2] in (b"", HEADER[1:]):
            return Variant.PLAIN, Variant.DIRECTIONAL, Variant.HEADED
        return Variant.PLAIN, Variant.DIRECTIONAL

    def _take_command(self, actions: list[Action], now: float) -> bool:
        variants = self._variants()
        for variant in variants:
            size = variant.command_size
            if len(self._buffer) < size:
                continue
            try:
                command = Command.from_bytes(bytes(self._buffer[:size]), variant)
            except FrameError:
                continue
            if command.code in _NO_START:  # 64 octets of 00 have the CRC 0000
                continue
            del self._buffer[:size]
            self._obey(command, variant, actions, now)
            return True
        size = max(variant.command_size for variant in variants)
        if len(self._buffer) < size:
            return False
        del self._buffer[:size]
        self._say_nak(actions, now)
        return True

    def _say_nak(self, actions: list[Action], now: float) -> None:
        if self.setup.bus:  # nobody knows whom it was for
            self._rest(now)
            return
        self._naks += 1
        if self._naks > LIMIT:
            self._rest(now)
            return
        actions.append(bytes((Signal.NAK,)))
        self.state, self.deadline = State.REPEAT, now + self.setup.answer_limit

    def _obey(self, command: Command, variant: Variant, actions: list[Action], now: float) -> None:
        if variant is not Variant.DIRECTIONAL:
            self._directional = False  # the FF before was noise
        address = command.address if variant is Variant.ADDRESSED else next(iter(self._answerers))
        answerer = self._answerers.get(address or "")
        if answerer is None or not answerer.meter.powered:  # for another meter
            self._rest(now)
            return
        if command == self._replied and commands.is_write(command.code):
            self._send_block(actions, now)  # the answer was lost; a change is not made twice
            return
        fault = self.faults.draw("command")
        if fault is not None and fault.kind is not FaultKind.BATTERY:
            self._fail_command(fault, actions, now)
            return
        if fault is not None:
            answerer.meter.occurrence = (BATTERY, 0)
            self._battery_left = int(fault.value)
        self._reply, self._block, self._tries = answerer.answer(command), 0, 0
        self._replied, self._variant, self._naks = command, variant, 0
        if self._battery_left and self._reply[0].code == commands.OCCURRENCE:
            self._battery_left -= 1
            if not self._battery_left:
                answerer.meter.occurrence = None
        self._send_block(actions, now)

    def _fail_command(self, fault: Fault, actions: list[Action], now: float) -> None:
        if fault.kind is FaultKind.NAK:
            self._say_nak(actions, now)
        elif fault.kind is FaultKind.WAIT:
            for _ in range(int(fault.value)):
                actions += (bytes((Signal.WAIT,)), Pause(WAIT_SPACING))
            actions.append(bytes((Signal.ENQ,)))
            self.state, self.deadline = State.REPEAT, now + self.setup.answer_limit
        else:
            actions.append(Pause(fault.value))
            self._rest(now)

    def _send_block(self, actions: list[Action], now: float) -> None:
        answer = self._reply[self._block]
        fault = self.faults.draw("block")
        self.state, self.deadline = State.ACKNOWLEDGE, now + self.setup.answer_limit
        self._give_up = now + ACK_PATIENCE
        if fault is None:
            actions.append(answer.to_bytes(self._variant))
        else:
            self._spoil(fault, answer, actions)

    def _spoil(self, fault: Fault, answer: Answer, actions: list[Action]) -> None:
        octets = answer.to_bytes(self._variant)
        part = min(int(fault.value) or len(octets) // 2, len(octets) - 1)
        if fault.kind is FaultKind.NOISE:
            actions.append(self.faults.flip(octets, int(fault.value)))
        elif fault.kind is FaultKind.WRONG_SERIAL:
            actions.append(replace(answer, meter=_other(answer.meter)).to_bytes(self._variant))
        elif fault.kind is FaultKind.GAP:
            half = len(octets) // 2
            actions += (octets[:half], Pause(fault.value), octets[half:])
        else:
            actions.append(octets[:part])
            if fault.kind is FaultKind.DROP:
                actions.append(Hangup())


def _other(serial: str) -> str:
    """A serial that is not this meter's."""
    return f"{(int(serial) + 1) % 10**8:08d}"
