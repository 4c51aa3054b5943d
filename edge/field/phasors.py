"""The phasor picture in a terminal of 80 columns: voltages as lines, currents dashed, figures beside it."""

import math
from collections.abc import Sequence
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge.export import floats
from edge.field.canvas import Canvas
from shared.phasors import Diagram, Phasor, diagram, signed
from shared.quantities import Process, Quantity
from shared.wire import InstantSnapshot

COLUMNS: Final = 44
ROWS: Final = 22
#: Currents are drawn shorter, so that both stay readable.
CURRENT_SHARE: Final = 0.7
STYLES: Final = {"a": "bright_red", "b": "bright_green", "c": "bright_blue"}
_LETTERS: Final = {"volt": "U", "amp": "I"}


def of_snapshot(snapshot: InstantSnapshot) -> Diagram | None:
    """The arrows of a snapshot; None without any voltage."""
    values = dict(zip(snapshot.quantities, floats(snapshot.values), strict=False))

    def value(c: int) -> float | None:
        number = values.get(str(Quantity(c, Process.INSTANTANEOUS)), math.nan)
        return None if math.isnan(number) else number

    return diagram(value)


def picture(found: Diagram) -> Group | Table:
    """The drawing with its figures, 80 columns wide."""
    table = Table.grid(padding=(0, 1))
    table.add_row(Group(*drawing(found).lines()), Group(*_figures(found)))
    return table


def drawing(found: Diagram) -> Canvas:
    """Circle, axes, arrows and their names."""
    canvas = Canvas(COLUMNS, ROWS)
    x, y = COLUMNS - 1.0, ROWS * 2 - 0.5
    radius = min(x, y) - 6
    canvas.circle(x, y, radius, "bright_black", every=3)
    for angle in range(0, 360, 90):
        canvas.line(x, y, *_point(x, y, radius, angle), "bright_black", dash=2)
    for arrow in sorted(found.phasors, key=lambda arrow: arrow.kind):
        _arrow(canvas, x, y, radius, arrow)
    return canvas


def _arrow(canvas: Canvas, x: float, y: float, radius: float, arrow: Phasor) -> None:
    style = STYLES[arrow.phase]
    length = radius * arrow.share * (CURRENT_SHARE if arrow.kind == "amp" else 1.0)
    tip = _point(x, y, length, arrow.angle)
    canvas.line(x, y, *tip, style, dash=3 if arrow.kind == "amp" else 0)
    for side in (150, -150):
        canvas.line(*tip, *_point(*tip, 4, arrow.angle + side), style)
    canvas.text(*_point(x, y, length + 4.5, arrow.angle), _name(arrow), style)


def _point(x: float, y: float, length: float, angle: float) -> tuple[float, float]:
    radians = math.radians(angle)
    return x + length * math.cos(radians), y - length * math.sin(radians)


def _name(arrow: Phasor) -> str:
    return _LETTERS[arrow.kind] + arrow.phase.upper()


def _figures(found: Diagram) -> Sequence[Text]:
    lines = [Text("lines voltages, dashes currents", "bright_black"), Text()]
    for arrow in found.phasors:
        unit, digits = ("V", 1) if arrow.kind == "volt" else ("A", 3)
        figure = f"{_name(arrow)} {arrow.size:10.{digits}f} {unit} {signed(arrow.angle):+7.1f}°"
        lines.append(Text(figure, STYLES[arrow.phase]))
    if found.assumed:
        lines += [Text(), Text("angles of voltages assumed 120° apart", "yellow")]
    lines += [Text(), *(Text(words, "yellow") for words in oddities(found))]
    return lines


def oddities(found: Diagram) -> list[str]:
    """What the arrows say of the wiring, in words; empty when nothing is odd.

    Not the phase order: which way a meter counts its angles is not established.
    """
    volts = {each.phase: each for each in found.phasors if each.kind == "volt"}
    odd = [f"U{phase.upper()} low: fuse?" for phase, volt in volts.items() if volt.share < 0.8]
    amps = [each for each in found.phasors if each.kind == "amp" and each.phase in volts]
    back = [each.phase.upper() for each in amps if abs(signed(volts[each.phase].angle - each.angle)) > 90]
    return odd + [f"I{phase} flows back" for phase in back]
