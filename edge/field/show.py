"""What the field tool shows to people: tables by rich, pictures, verdicts."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edge.export import named
from edge.field import phasors
from edge.field.audit import Step
from edge.field.check import Point
from edge.field.ports import Port
from edge.field.reading import Brought
from edge.views import show_items
from shared.intervals import iso
from shared.wire import InstantSnapshot, ProfileBlock

MARKS = {True: "[green]ok[/]", False: "[red]wrong[/]", None: "[bright_black]-[/]"}


def ports(found: Sequence[Port], console: Console) -> None:
    """A line for each port, and what hinders."""
    table = Table("port", "what", "")
    for port in found:
        table.add_row(port.device, port.what or "built-in port", port.words and f"[yellow]{port.words}[/]")
    console.print(table if found else "no serial port: plug the probe in, and look again")


def brought(what: Brought, console: Console) -> None:
    """Tables of the items, the phasor picture, where they are now."""
    for item in what.items:
        if isinstance(item, InstantSnapshot):
            found = phasors.of_snapshot(item)
            if found is not None:
                console.print(phasors.picture(found))
    show_items({"drift": what.drift, "items": [named(item) for item in what.items], "errors": what.errors})
    if what.through == "gateway":
        console.print("kept by the gateway, which delivers it; who and why travel from here")
    elif what.stored:
        console.print(f"{what.stored} items kept on this laptop, to be delivered by: metergate field sync")


def profile_summary(blocks: Iterable[ProfileBlock]) -> list[str]:
    """One line for each block."""
    return [f"{b.channel}: {b.count} intervals of {b.step} s from {iso(b.start)}" for b in blocks]


def points(found: Iterable[Point], console: Console) -> None:
    """A configuration check."""
    table = Table("what", "", "found", "expected", "what to do")
    for point in found:
        table.add_row(point.what, MARKS[point.ok], point.found, point.expected, point.advice)
    console.print(table)


def step(found: Step) -> str:
    """One step of an audit, with marks of rich."""
    pad = " " * (6 - len(Text.from_markup(MARKS[found.ok]).plain))
    return f"{MARKS[found.ok]}{pad}{found.name:<15} {escape(found.words)}"
