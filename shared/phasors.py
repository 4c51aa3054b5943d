"""Voltages and currents of three phases as arrows, out of instantaneous values: what every picture of them shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

#: Phase, C of voltage, current, angle of the voltage, shift of the current, and where the voltage stands as a rule.
PHASES: Final = (("a", 32, 31, 141, 151, 0.0), ("b", 52, 51, 142, 152, -120.0), ("c", 72, 71, 143, 153, 120.0))


@dataclass(frozen=True, slots=True)
class Phasor:
    """``size`` in V or A, ``share`` of the largest of its kind, ``angle`` in degrees from the right, rising."""

    phase: str
    kind: Literal["volt", "amp"]
    size: float
    share: float
    angle: float


@dataclass(frozen=True, slots=True)
class Diagram:
    """Voltages first. ``assumed``: some voltage has no angle and stands at its usual place."""

    phasors: Sequence[Phasor]
    top_volt: float
    top_amp: float
    assumed: bool


def diagram(value: Callable[[int], float | None]) -> Diagram | None:
    """Work out the arrows of what ``value(C)`` gives; None without any voltage.

    A voltage without an angle stands 120° from the others; a current stands its shift behind its voltage (positive:
    lagging) and is left out without one.
    """
    volts = [(phase, value(u), value(angle), usual) for phase, u, _, angle, _, usual in PHASES]
    amps = [(phase, value(i), value(shift)) for phase, _, i, _, shift, _ in PHASES]
    top_volt = max((u for _, u, _, _ in volts if u), default=0.0)
    top_amp = max((i for _, i, _ in amps if i), default=0.0)
    if top_volt <= 0:
        return None
    assumed = any(u and angle is None for _, u, angle, _ in volts)
    # some meters give angles between phases, not from phase A: then the usual places are right
    places = {phase: usual if angle is None else signed(angle) for phase, _, angle, usual in volts}
    phasors = [Phasor(phase, "volt", u, u / top_volt, places[phase]) for phase, u, _, _ in volts if u]
    phasors += [
        Phasor(phase, "amp", i, i / top_amp, places[phase] - shift)
        for phase, i, shift in amps
        if i and shift is not None
    ]
    return Diagram(phasors, top_volt, top_amp, assumed)


def signed(angle: float) -> float:
    """The same angle within -180 .. 180 degrees."""
    return (angle + 180.0) % 360.0 - 180.0
