"""The phasor diagram: voltages and currents of the phases as arrows of an SVG, scaled each to their largest."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from central.web.i18n import current, gettext

RADIUS: Final = 112.0
_CURRENT_SHARE: Final = 0.72  # currents are drawn shorter, so that both stay readable
_LABEL_GAP: Final = 12.0
_PHASES: Final = (("a", 32, 31, 141, 151, 0.0), ("b", 52, 51, 142, 152, -120.0), ("c", 72, 71, 143, 153, 120.0))


@dataclass(frozen=True, slots=True)
class Arrow:
    phase: str
    kind: str  # volt or amp
    name: str
    x: float
    y: float
    head: str
    tx: float
    ty: float
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    y: float
    tx: float
    ty: float
    words: str


@dataclass(frozen=True, slots=True)
class Phasors:
    words: str
    rings: Sequence[float]
    ticks: Sequence[Tick]
    arrows: Sequence[Arrow]
    legend: Sequence[str]


def phasors(value: Callable[[int], float | None]) -> Phasors | None:
    """Draw what ``value(C)`` gives of voltages, currents and angles; None without any voltage.

    Angles grow counter-clockwise from the right. A voltage without an angle stands 120° from the others; a current
    stands its shift behind its voltage (positive: lagging) and is not drawn without one.
    """
    volts = [(phase, value(u), value(angle), usual) for phase, u, _, angle, _, usual in _PHASES]
    top_volt = max((u for _, u, _, _ in volts if u), default=0.0)
    if top_volt <= 0:
        return None
    assumed = any(u and angle is None for _, u, angle, _ in volts)
    # some meters give angles between phases, not from phase A: then the usual places are right
    places = {phase: usual if angle is None else _signed(angle) for phase, _, angle, usual in volts}
    amps = [(phase, value(i), value(shift)) for phase, _, i, _, shift, _ in _PHASES]
    top_amp = max((i for _, i, _ in amps if i), default=0.0)
    language = current()
    arrows = [
        _arrow(phase, "volt", f"U{phase.upper()}", u / top_volt, places[phase], language.amount(u, "V", 1))
        for phase, u, _, _ in volts
        if u
    ]
    arrows += [
        _arrow(phase, "amp", f"I{phase.upper()}", i / top_amp * _CURRENT_SHARE, places[phase] - shift,
               language.amount(i, "A", 2))
        for phase, i, shift in amps
        if i and shift is not None
    ]  # fmt: skip
    legend = [
        gettext("Solid: voltages, full length %(value)s") % {"value": language.amount(top_volt, "V", 1)},
        gettext("Dashed: currents, largest %(value)s") % {"value": language.amount(top_amp, "A", 2)},
    ]
    if assumed:
        legend.append(gettext("Voltage angles assumed 120° apart"))
    words = gettext("Phasor diagram") + ": " + "; ".join(arrow.title for arrow in arrows)
    return Phasors(words, (RADIUS * 0.36, RADIUS * _CURRENT_SHARE, RADIUS), _ticks(), arrows, legend)


def _signed(angle: float) -> float:
    return (angle + 180.0) % 360.0 - 180.0


def _point(length: float, angle: float) -> tuple[float, float]:
    radians = math.radians(angle)
    return round(length * math.cos(radians), 1), round(-length * math.sin(radians), 1)


def _arrow(phase: str, kind: str, name: str, share: float, angle: float, size: str) -> Arrow:
    length = RADIUS * share
    x, y = _point(length, angle)
    sides = (_point(length - 8, angle), _point(length - 9, angle + 220 / max(length, 12)),
             _point(length - 9, angle - 220 / max(length, 12)))  # fmt: skip
    head = " ".join(f"{px},{py}" for px, py in ((x, y), sides[1], sides[2]))
    tx, ty = _point(length + _LABEL_GAP, angle)
    title = f"{name} {size} ∠ {current().number(_signed(angle), 1)}°"
    return Arrow(phase, kind, name, sides[0][0], sides[0][1], head, tx, ty, title)


def _ticks() -> list[Tick]:
    ticks = []
    for degrees in range(0, 360, 30):
        x, y = _point(RADIUS, degrees)
        tx, ty = _point(RADIUS + 27, degrees)
        ticks.append(Tick(x, y, tx, ty, f"{degrees}°" if degrees % 90 == 0 else ""))
    return ticks
