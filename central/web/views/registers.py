"""The table of registers: measured things as rows, posts as columns; what never counted stays out of the way."""

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
    zero: bool = False


@dataclass(frozen=True, slots=True)
class RegisterRow:
    words: str
    unit: str
    cells: Sequence[RegisterCell]


@dataclass(frozen=True, slots=True)
class RegisterGroup:
    """One quantity; ``zero``: none of its registers has ever counted."""

    words: str
    rows: Sequence[RegisterRow]
    zero: bool


@dataclass(frozen=True, slots=True)
class RegisterTable:
    """``posts``: (post, whether all its registers are zero); ``zeros``: registers in such rows and columns."""

    at: int
    resets: int | None
    reset_at: int | None
    posts: Sequence[tuple[int, bool]]
    groups: Sequence[RegisterGroup]
    zeros: int


def table(reading: RegisterReadingView, tz: ZoneInfo) -> RegisterTable:
    """Arrange a reading; the posts shown are those that some register has. A meter all at zero is shown whole."""
    by_quantity = {register.quantity: register for register in reading.registers}
    counted = [register for register in reading.registers if register.value]
    quantities, counting = {register.quantity.c for register in counted}, {r.quantity.e for r in counted}
    quiet = [r for r in reading.registers if r.quantity.c not in quantities or r.quantity.e not in counting]
    if not counted:
        quiet = []
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
            groups.append(RegisterGroup(labels.quantity(f"{c}.8.0"), rows, bool(counted) and c not in quantities))
    columns = [(int(post), bool(counted) and post not in counting) for post in posts]
    return RegisterTable(reading.at, reading.resets, reading.reset_at, columns, groups, len(quiet))


def _cell(register: Register | None, tz: ZoneInfo) -> RegisterCell:
    if register is None:
        return RegisterCell(NOTHING, zero=True)
    note = current().instant(register.at, tz) if register.at else ""
    text = current().number(float(register.value), 3)
    return RegisterCell(text, note, str(register.quantity), not register.value)
