"""Columns of reports, as data; their words are the pages' (``central.web.report_words``)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Literal

from central.errors import Refused
from central.reports.parameters import Energy, Filters
from shared.quantities import POSTS, Post, Process, Quantity


class Kind(StrEnum):
    """What the cells of a column hold; None in any of them is an empty cell, never a zero."""

    TEXT = "text"
    INSTANT = "instant"  # UTC seconds
    DAY = "day"  # date
    NUMBER = "number"  # Fraction, int or float, ``digits`` decimals on screen
    SHARE = "share"  # Fraction 0..1, a percentage on screen
    DAYS = "days"  # for each of ``days`` True, False, or None: not begun yet
    SECONDS = "seconds"  # a length of time
    POST = "post"
    MEASURED = "measured"  # an OBIS code C.D.0
    EVENT = "event"  # a kind of event
    DETAIL = "detail"  # an event's details
    FLAGS = "flags"  # quality flags
    NOTES = "notes"  # codes of remarks
    BILLED = "billed"  # whether a reading was closed by a demand reset


@dataclass(frozen=True, slots=True)
class Column:
    """``sort``: by the database, by values (of at most ``table.MOST_BY_VALUE`` meters), or not at all.

    ``quantity`` is the register or channel whose value stands there, its label and unit make the heading.
    """

    key: str
    kind: Kind
    sort: Literal["sql", "value", ""] = ""
    unit: str = ""
    digits: int = 0
    quantity: Quantity | None = None
    hidden: bool = False  # until somebody wants to see it
    days: Sequence[date] = ()


Row = dict[str, Any]

METER_COLUMNS: Final = (
    Column("serial", Kind.TEXT, "sql"),
    Column("customer", Kind.TEXT, "sql"),
    Column("external_key", Kind.TEXT, "sql"),
    Column("lot", Kind.TEXT, "sql"),
    Column("model", Kind.TEXT, "sql", hidden=True),
    Column("gateway", Kind.TEXT, "sql", hidden=True),
)
#: The same where the external key stays out of the way.
BRIEF_COLUMNS: Final = tuple(
    replace(column, hidden=True) if column.key == "external_key" else column for column in METER_COLUMNS
)
NOTES: Final = Column("notes", Kind.NOTES)

#: Of each kind of energy the C of its delivered and its reverse direction.
DIRECTIONS: Final[dict[Energy, tuple[int, int]]] = {
    "active": (1, 2),
    "reactive": (3, 4),
    "inductive": (5, 7),
    "capacitive": (8, 6),
    "ufer": (130, 131),
}


def registers(filters: Filters) -> Iterator[Quantity]:
    """The cumulative registers asked for, in the order of the columns."""
    posts = {"post": POSTS, "total": (Post.TOTAL,), "both": (*POSTS, Post.TOTAL)}[filters.post]
    for energy in filters.energy:
        for c in DIRECTIONS[energy][: 1 + filters.reverse]:
            yield from (Quantity(c, Process.CUMULATIVE, post) for post in posts)


@lru_cache(256)
def codes_of(filters: Filters) -> frozenset[str]:
    """Codes of those registers: asked for once a row."""
    return frozenset(map(str, registers(filters)))


def register_columns(filters: Filters) -> Iterator[Column]:
    """A column for each register asked for; meters' counts have no unit and no decimals."""
    counts = filters.values == "counts"
    for quantity in registers(filters):
        unit, digits = ("", 0) if counts else (quantity.unit, 3)
        yield Column(str(quantity), Kind.NUMBER, "value", unit, digits, quantity)


def arranged(columns: Sequence[Column], wanted: Sequence[str]) -> list[Column]:
    """The columns in the order of ``wanted`` keys, without it those that are not hidden; raises :class:`Refused`."""
    if not wanted:
        return [column for column in columns if not column.hidden]
    known = {column.key: column for column in columns}
    for key in wanted:
        if key not in known:
            raise Refused("columns", f"there is no column {key[:32]!r}; there are {', '.join(known)}")
    return [known[key] for key in dict.fromkeys(wanted)]
