"""Conversations for the guardian: what passed, when and which way; played from simulators without waiting."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from edge.drivers.abnt.frames import Answer, Command, FrameError, Signal, Variant
from edge.guardian import CloseReason, Expected, Finding, Inspector, Side
from edge.simulators.abnt.session import Hangup, MeterSession, Pause, SessionSetup
from edge.simulators.faults import FaultPlan
from tests.edge.simulators.simmeter import OFFSET, SERIAL, Bench

Talk = list[tuple[float, Side, bytes]]

EXPECTED = Expected(serial=SERIAL, utc_offset=OFFSET)


def judge(
    talk: Iterable[tuple[float, Side, bytes]],
    reason: CloseReason = CloseReason.CLIENT,
    expected: Expected = EXPECTED,
    after: float = 0.1,
    began: float | None = None,
) -> Finding:
    """Let an inspector listen; it ends ``after`` seconds behind the last octet."""
    talk = list(talk)
    began = began if began is not None else talk[0][0] if talk else 0.0
    inspector = Inspector(expected, began)
    for at, side, data in talk:
        assert len(inspector.heard(at, side, data)) == len(data)
    assert inspector.live()["protocol"]
    finding = inspector.finish((talk[-1][0] if talk else began) + after, reason)
    assert inspector.fault == ""
    return finding


def rechunk(talk: Talk, seed: int) -> Talk:
    """The same octets at the same times in other pieces."""
    source = random.Random(seed)
    pieces: Talk = []
    for at, side, data in talk:
        while data:
            size = source.choice((1, 2, 3, 7, 64, 65, 129, 400))
            pieces.append((at, side, data[:size]))
            data = data[size:]
    return pieces


def drift(bench: Bench, seconds: float) -> Bench:
    """Put the meter's clock out by ``seconds``."""
    bench.meter.clock.set(bench.hand.now + seconds)
    bench.meter.measurement.jump(int(bench.meter.clock.now()) + OFFSET)
    return bench


class AbntTalk:
    """A reader and a simulated meter in one process; time is a number that both move.

    The reader is as plain as the standard allows: it waits for ENQ, sends, acknowledges, NAKs what fails its check, and
    repeats the command after silence.
    """

    def __init__(
        self,
        bench: Bench | None = None,
        faults: FaultPlan | None = None,
        variant: Variant = Variant.PLAIN,
        **setup: Any,
    ) -> None:
        self.bench = bench or Bench()
        setup["variant"] = setup.pop("understands", variant)
        setup["bus"] = variant is Variant.ADDRESSED
        self.variant = variant
        self.began = self.bench.hand.now
        self.session = MeterSession([self.bench.meter], SessionSetup(**setup), faults or FaultPlan(), self.now)
        self.talk: Talk = []
        self.heard = bytearray()
        self.gone = False
        if variant is Variant.DIRECTIONAL:
            self.say(Signal.ALO.wire())

    @property
    def now(self) -> float:
        return self.bench.hand.now

    def wait(self, seconds: float) -> None:
        """Let time pass in small steps."""
        end = self.now + seconds
        while self.now < end and not self.gone:
            self.bench.hand.now = min(end, self.now + 0.05)
            self._do(self.session.tick(self.now))

    def say(self, octets: bytes) -> None:
        """The reader sends, unless the meter has hung up."""
        if self.gone:
            return
        self.talk.append((self.now, Side.CLIENT, octets))
        self._do(self.session.feed(octets, self.now))

    def _do(self, actions: Sequence[Any]) -> None:
        for action in actions:
            if isinstance(action, Hangup):
                self.gone = True
            elif isinstance(action, Pause):
                self.bench.hand.now += action.seconds
            else:
                self.talk.append((self.now, Side.METER, action))
                self.heard += action

    def ask(self, code: int, parameters: str = "", tries: int = 3, blocks: int = 999) -> list[bytes]:
        """Ask until answered, ``tries`` times at most; returns the good blocks, at most ``blocks`` of them."""
        address = SERIAL if self.variant is Variant.ADDRESSED else None
        octets = Command(code, "123456", bytes.fromhex(parameters), address).to_bytes(self.variant)
        size = self.variant.answer_size
        got: list[bytes] = []
        self.wait(0.3)
        for _ in range(tries):
            self.heard.clear()
            self.say(octets)
            while self._block(size, got):
                last = got[-1]
                body = bytes(255 - o for o in last) if self.variant is Variant.DIRECTIONAL else last
                body = body[2:] if self.variant is Variant.HEADED else body
                if len(got) >= blocks:
                    return got
                self.heard.clear()
                self.say(Signal.ACK.wire())
                if body[0] not in (0x26, 0x27, 0x52) or body[5] & 0x10:
                    self.heard.clear()
                    return got
            if got or self.gone:
                break
        return got

    def _block(self, size: int, got: list[bytes]) -> bool:
        """Wait for one block; NAK what is none."""
        for _ in range(7):
            self.wait(0.1)
            octets = bytes(self.heard).lstrip(b"\x05")
            if octets[:1] in (b"\x15", b"\x10"):
                self.wait(1.0)
                return False
            if not octets:
                self.wait(1.5)
                return False
            try:
                Answer.from_bytes(octets[:size], self.variant)
            except FrameError:
                self.wait(1.0)
                self.heard.clear()
                self.say(Signal.NAK.wire())
                continue
            got.append(octets[:size])
            return True
        return False

    def read(self, codes: str = "51 80 23 52") -> None:
        """A reading set, as hex codes."""
        for code in codes.split():
            self.ask(int(code, 16))

    def finding(
        self, reason: CloseReason = CloseReason.CLIENT, expected: Expected = EXPECTED, after: float = 0.1
    ) -> Finding:
        return judge(self.talk, reason, expected, after, self.began)
