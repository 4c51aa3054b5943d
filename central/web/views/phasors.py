"""The phasor diagram: voltages and currents of the phases as arrows of an SVG, scaled each to their largest."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from central.web.i18n import current, gettext
from shared.phasors import diagram, signed

RADIUS: Final = 112.0
_CURRENT_SHARE: Final = 0.72  # currents are drawn shorter, so that both stay readable
_LABEL_GAP: Final = 12.0


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
    """Draw what ``value(C)`` gives of voltages, currents and angles; None without any voltage."""
    found = diagram(value)
    if found is None:
        return None
    language = current()
    units = {"volt": ("U", "V", 1, 1.0), "amp": ("I", "A", 2, _CURRENT_SHARE)}
    arrows = []
    for each in found.phasors:
        letter, unit, digits, share = units[each.kind]
        name, size = letter + each.phase.upper(), language.amount(each.size, unit, digits)
        arrows.append(_arrow(each.phase, each.kind, name, each.share * share, each.angle, size))
    legend = [
        gettext("Solid: voltages, full length %(value)s") % {"value": language.amount(found.top_volt, "V", 1)},
        gettext("Dashed: currents, largest %(value)s") % {"value": language.amount(found.top_amp, "A", 2)},
    ]
    if found.assumed:
        legend.append(gettext("Voltage angles assumed 120° apart"))
    words = gettext("Phasor diagram") + ": " + "; ".join(arrow.title for arrow in arrows)
    return Phasors(words, (RADIUS * 0.36, RADIUS * _CURRENT_SHARE, RADIUS), _ticks(), arrows, legend)


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
    title = f"{name} {size} ∠ {current().number(signed(angle), 1)}°"
    return Arrow(phase, kind, name, sides[0][0], sides[0][1], head, tx, ty, title)


def _ticks() -> list[Tick]:
    ticks = []
    for degrees in range(0, 360, 30):
        x, y = _point(RADIUS, degrees)
        tx, ty = _point(RADIUS + 27, degrees)
        ticks.append(Tick(x, y, tx, ty, f"{degrees}°" if degrees % 90 == 0 else ""))
    return ticks
