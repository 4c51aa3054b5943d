"""Faults on demand: by chance (seed and probability) or by script, switched while the simulator runs.

A plan is asked at three points of a conversation: when a command has come (``command``), before a block goes out
(``block``), when an ACK has come (``ack``). At most one fault answers each time; armed ones go before chance.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Point = Literal["command", "block", "ack"]


class FaultKind(Enum):
    """What can go wrong, where, and the argument with its default."""

    NAK = ("nak", "command", 0, "the command is taken as damaged: NAK")
    WAIT = ("wait", "command", 3, "ARG times WAIT before the command may be repeated")
    SILENCE = ("silence", "command", 3, "no answer and no ENQ for ARG seconds")
    BATTERY = ("battery", "command", 0, "occurrence 30: ARG commands are answered 40 (0: until command 37)")
    NOISE = ("noise", "block", 3, "ARG bits of the block are flipped")
    HALF = ("half", "block", 0, "the block ends after ARG octets (0: half of it)")
    GAP = ("gap", "block", 2, "a pause of ARG seconds inside the block")
    WRONG_SERIAL = ("wrong-serial", "block", 0, "another meter's serial in a well-formed block")
    DROP = ("drop", "block", 0, "the connection is closed after ARG octets of the block (0: half of it)")
    DROP_ACK = ("drop-ack", "ack", 0, "the ACK is not heard: ENQ until it is repeated")
    REPEAT = ("repeat", "ack", 0, "the block already acknowledged is sent again")

    def __init__(self, label: str, point: Point, default: float, help_text: str) -> None:
        self.label, self.point, self.default, self.help = label, point, default, help_text

    @classmethod
    def parse(cls, label: str) -> "FaultKind":
        for kind in cls:
            if kind.label == label:
                return kind
        raise ValueError(f"no fault is called {label!r}: {', '.join(k.label for k in cls)}")


@dataclass(frozen=True)
class Fault:
    """One fault to happen with ``probability`` (0..1) at its point; ``argument`` as its kind says."""

    kind: FaultKind
    probability: float = 1.0
    argument: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability {self.probability} of {self.kind.label} is not 0 to 1")
        if self.argument is not None and not 0 <= self.argument <= 3600:
            raise ValueError(f"argument {self.argument} of {self.kind.label} is not 0 to 3600")

    @property
    def value(self) -> float:
        return self.kind.default if self.argument is None else self.argument

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read ``kind[:probability[:argument]]``, as in ``noise:0.05:2``."""
        label, *numbers = text.split(":")
        kind = FaultKind.parse(label)
        try:
            values = [float(number) for number in numbers]
        except ValueError:
            values = [1.0] * 3
        if len(values) > 2:
            raise ValueError(f"{text!r} is not kind[:probability[:argument]], as in noise:0.05:2")
        return cls(kind, *values)


class FaultPlan:
    """The faults of one port. ``fired`` counts what happened, by kind."""

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.fired: Counter[FaultKind] = Counter()
        self._chance = {fault.kind: fault for fault in faults}
        self._armed: deque[Fault] = deque()

    def set(self, fault: Fault) -> None:
        """Switch a fault by chance on, or change it; probability 0 switches it off."""
        if fault.probability:
            self._chance[fault.kind] = fault
        else:
            self._chance.pop(fault.kind, None)

    def arm(self, kind: FaultKind, argument: float | None = None, times: int = 1) -> None:
        """Let ``kind`` happen at its next ``times`` opportunities; what is armed happens in the order of arming."""
        self._armed.extend([Fault(kind, 1.0, argument)] * times)

    def clear(self) -> None:
        """No more faults."""
        self._chance.clear()
        self._armed.clear()

    def draw(self, point: Point) -> Fault | None:
        """Say what goes wrong at ``point`` this time."""
        fault = self._draw_armed(point) or self._draw_chance(point)
        if fault is not None:
            self.fired[fault.kind] += 1
        return fault

    def _draw_armed(self, point: Point) -> Fault | None:
        for fault in self._armed:
            if fault.kind.point == point:
                self._armed.remove(fault)
                return fault
        return None

    def _draw_chance(self, point: Point) -> Fault | None:
        for fault in self._chance.values():
            if fault.kind.point == point and self.random.random() < fault.probability:
                return fault
        return None

    def flip(self, octets: bytes, bits: int) -> bytes:
        """Return ``octets`` with ``bits`` different bits flipped."""
        damaged = bytearray(octets)
        for bit in self.random.sample(range(8 * len(octets)), min(bits, 8 * len(octets))):
            damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)
