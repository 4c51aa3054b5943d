"""Ratios as horizontal bars on a logarithmic scale, as SVG that reads on light and dark pages alike."""

from math import log10
from xml.sax.saxutils import escape

ROW = 15
HEAD = 22
LEFT = 250
WIDTH = 560
RIGHT = 60
TOP = 34
#: What lies beyond is drawn to the edge; its number stands beside it.
LEAST, MOST = 0.1, 1000.0

STYLE = """
text { font: 11px sans-serif; fill: #808890 }
.group { font-weight: bold }
.name, .group { text-anchor: end }
.tick { text-anchor: middle }
.grid { stroke: #808890; stroke-opacity: .35 }
.one { stroke: #808890; stroke-width: 1.5 }
.won { fill: #3d8bd9 }
.lost { fill: #d9822b }
"""


def bars(groups: list[tuple[str, list[tuple[str, float]]]]) -> str:
    """Return an SVG of (group, [(name, ratio)]): from 1 to the right in blue, from 1 to the left in orange."""
    parts: list[str] = []
    y = TOP
    for group, rows in groups:
        y += HEAD
        parts.append(f'<text class="group" x="{LEFT - 8}" y="{y - 5}">{escape(group)}</text>')
        for name, ratio in rows:
            parts += _bar(y, name, ratio)
            y += ROW
    height, width = y + 12, LEFT + WIDTH + RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>What a peer takes, divided by what ours takes</title><style>{STYLE}</style>\n'
        + "\n".join([*_axis(y), *parts])
        + "\n</svg>\n"
    )


def _x(ratio: float) -> float:
    share = (log10(min(max(ratio, LEAST), MOST)) - log10(LEAST)) / (log10(MOST) - log10(LEAST))
    return round(LEFT + WIDTH * share, 1)


def _axis(bottom: int) -> list[str]:
    parts = [f'<text x="{LEFT}" y="12">a peer takes so many times what ours takes: right of 1, ours is better</text>']
    tick = LEAST
    while tick <= MOST:
        kind = "one" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{_x(tick)}" x2="{_x(tick)}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{_x(tick)}" y="{TOP - 5}">{tick:g}</text>')
        tick = round(tick * 10, 6)
    return parts


def _bar(y: int, name: str, ratio: float) -> list[str]:
    left, right = sorted((_x(1), _x(ratio)))
    label = f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"
    kind, width = "won" if ratio >= 1 else "lost", max(1.0, right - left)
    return [
        f'<text class="name" x="{LEFT - 8}" y="{y + 10}">{escape(name)}</text>',
        f'<rect class="{kind}" x="{left}" y="{y + 2}" width="{width:.1f}" height="{ROW - 4}"/>',
        f'<text x="{right + 4}" y="{y + 11}">{label}</text>',
    ]
