"""The table of registers: measured things as rows, posts as columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from central.metering.registers import Register, RegisterReadingView
from central.web import labels
from central.web.i18n import NOTHING, current, gettext
from shared.quantities import POSTS, Post, Process, Quantity

_PROCESSES: Final = (Process.CUMULATIVE, Process.MAXIMUM_DEMAND, Process.ACCUMULATED_MAXIMUM, Process.LAST_DEMAND)


@dataclass(frozen=True, slots=True)
class RegisterCell:
    text: str
    note: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class RegisterRow:
    words: str
    unit: str
    cells: Sequence[RegisterCell]


@dataclass(frozen=True, slots=True)
class RegisterGroup:
    words: str
    rows: Sequence[RegisterRow]


@dataclass(frozen=True, slots=True)
class RegisterTable:
    at: int
    resets: int | None
    reset_at: int | None
    posts: Sequence[int]
    groups: Sequence[RegisterGroup]


def table(reading: RegisterReadingView, tz: ZoneInfo) -> RegisterTable:
    """Arrange a reading; the posts shown are those that some register has."""
    by_quantity = {register.quantity: register for register in reading.registers}
    posts = [post for post in (*POSTS, Post.TOTAL) if any(quantity.e == post for quantity in by_quantity)]
    groups = []
    for c in sorted({quantity.c for quantity in by_quantity}):
        rows = []
        for process in _PROCESSES:
            found = [by_quantity.get(Quantity(c, process, post)) for post in posts]
            if any(found):
                unit = current().unit(Quantity(c, process).unit)
                words = gettext("Energy") if process == Process.CUMULATIVE else labels.process(process)
                rows.append(RegisterRow(words, unit, [_cell(register, tz) for register in found]))
        if rows:
            groups.append(RegisterGroup(labels.quantity(f"{c}.8.0"), rows))
    return RegisterTable(reading.at, reading.resets, reading.reset_at, posts, groups)


def _cell(register: Register | None, tz: ZoneInfo) -> RegisterCell:
    if register is None:
        return RegisterCell(NOTHING)
    note = current().instant(register.at, tz) if register.at else ""
    return RegisterCell(current().number(float(register.value), 3), note, str(register.quantity))
