"""How rows become text: what an export asks of a language (``central.web.report_words``), and the form for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Protocol

import msgspec

from central.api.exact import decimal_text
from central.api.query import instant_text
from central.metering.schemas import quality_names
from central.reports.columns import Column, Kind, Row
from central.reports.table import Asked, Total


class Wording(Protocol):
    """A language's way to write a report. ``separator`` stands between cells of its CSV."""

    separator: str
    tag: str

    def title(self, report: str) -> str: ...
    def heading(self, column: Column) -> str: ...
    def day(self, value: Any) -> str: ...
    def text(self, column: Column, value: Any, zone: str) -> str: ...
    def about(self, asked: Asked, totals: Sequence[Total]) -> list[tuple[str, str]]: ...
    def bound(self, rows: int) -> str: ...


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of a file: a report's column, or one day of a column of days."""

    column: Column
    place: int | None = None

    def of(self, row: Row) -> Any:
        value = row.get(self.column.key)
        return value if self.place is None or value is None else value[self.place]

    @property
    def is_text(self) -> bool:
        return self.place is None and self.column.kind in TEXTS


#: Kinds whose text may come from elsewhere, so that a spreadsheet must not take it for a formula.
TEXTS: Final = frozenset({
    Kind.TEXT, Kind.EVENT, Kind.DETAIL, Kind.FLAGS, Kind.NOTES, Kind.MEASURED, Kind.POST, Kind.BILLED,
})  # fmt: skip


def cells_of(columns: Sequence[Column]) -> Iterator[Cell]:
    """The columns of a file: one for each day of a column of days."""
    for column in columns:
        if column.kind == Kind.DAYS:
            yield from (Cell(column, place) for place in range(len(column.days)))
        else:
            yield Cell(column)


def head_of(cell: Cell, wording: Wording) -> str:
    """The heading of a file's column."""
    return wording.heading(cell.column) if cell.place is None else wording.day(cell.column.days[cell.place])


def text_of(cell: Cell, row: Row, wording: Wording, zone: str) -> str:
    """A cell as on screen; of a day 1 (read), 0 (not) or nothing (has not begun)."""
    value = cell.of(row)
    if value is None:
        return ""
    return str(int(value)) if cell.place is not None else wording.text(cell.column, value, zone)


def plain(column: Column, value: Any) -> Any:
    """A cell for programs (JSON): instants as RFC 3339, exact numbers as decimal text, shares 0..1."""
    if value is None:
        return None
    match column.kind:
        case Kind.INSTANT:
            return instant_text(value)
        case Kind.NUMBER if isinstance(value, Fraction):
            return decimal_text(value)
        case Kind.SHARE:
            return float(value)
        case Kind.FLAGS:
            return quality_names(value)
        case Kind.DETAIL:
            return value["values"]
        case _:
            return value


class Plain:
    """The form for programs: columns by their keys, one way of writing whatever the language."""

    separator = ","
    tag = "en"

    def title(self, report: str) -> str:
        return report

    def heading(self, column: Column) -> str:
        return column.key

    def day(self, value: Any) -> str:
        return str(value)

    def text(self, column: Column, value: Any, zone: str) -> str:
        found = plain(column, value)
        if isinstance(found, list):
            return "|".join(map(str, found))
        return msgspec.json.encode(found).decode() if isinstance(found, dict) else str(found)

    def about(self, asked: Asked, totals: Sequence[Total]) -> list[tuple[str, str]]:
        return []

    def bound(self, rows: int) -> str:
        return ""
