"""Sheets into the registry: what a file would do, row by row, and carrying it out. Also the way back: lists as sheets.

A file is checked the same way when it is shown and when it is applied. Columns are known by their field's name or by
its label in any language; empty cells empty a field, or leave it where it cannot be empty.
"""

import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.audit.service import record
from central.registry import changes, faults, records
from central.registry.faults import Fault, Wrong
from central.registry.fields import Members, Reference
from central.registry.kinds import BY_NAME, Kind
from central.registry.plans import Entry, Status, plan
from central.registry.records import Record
from central.registry.words import plain

_PAGE: Final = 1000
#: The column that files of refused rows have besides; it may stay when they are brought again.
REASON: Final = "reason"
#: Normal form of a heading -> column.
Headings = Mapping[str, str]
Apply = Callable[[AsyncSession, Principal], Awaitable[None]]


@dataclass(slots=True)
class SheetRow:
    """One row of the file (the header is row 1) and what would become of it."""

    number: int
    cells: Sequence[str]
    status: Status
    key: str = ""
    faults: Sequence[Fault] = ()


@dataclass(slots=True)
class Checked:
    """A file that was understood, or not: with ``faults`` about its columns nothing of it is taken."""

    header: Sequence[str]
    columns: Sequence[str]  # of each cell of the header; "" where it is not known
    rows: list[SheetRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    apply: Apply | None = None

    @property
    def counts(self) -> dict[str, int]:
        found = dict.fromkeys(("new", "changed", "same", "refused"), 0)
        for row in self.rows:
            found[row.status] += 1
        return found

    @property
    def refused(self) -> list[SheetRow]:
        return [row for row in self.rows if row.status == "refused"]


def columns_of(kind: Kind) -> list[str]:
    """Columns of a kind's sheets, in order."""
    return [*([] if kind.numbered else ["key"]), *(each.name for each in kind.fields)]


async def check(
    db: AsyncSession, tenant_id: int, kind: Kind, table: Sequence[Sequence[str]], headings: Headings
) -> Checked:
    """Work out what a sheet of one kind would do; nothing is written."""
    checked = understand(table, headings, needed=["name"] if kind.numbered else ["key"])
    if checked.faults:
        return checked
    entries = []
    for number, cells in data_rows(table):
        values, wrong = parse_row(kind, dict(zip(checked.columns, cells, strict=False)))
        key = None if kind.numbered else values.pop("key", "")
        entries.append(Entry(key, values, number, [*wrong, *overlong(cells, checked)]))
    made = await plan(db, tenant_id, kind, entries)
    cells_of = dict(data_rows(table))
    checked.rows = [
        SheetRow(row.number, cells_of[row.number], row.status, str(row.label if kind.numbered else row.key), row.faults)
        for row in made.rows
    ]

    async def apply(session: AsyncSession, who: Principal) -> None:
        await changes.apply(session, who, made)

    checked.apply = apply
    return checked


async def carry_out(
    db: AsyncSession, who: Principal, name: str, checked: Checked, *, all_or_nothing: bool
) -> dict[str, int]:
    """Take a checked file; with ``all_or_nothing`` nothing is taken while a row is refused. Returns the counts."""
    if checked.apply is not None and not checked.faults and not (all_or_nothing and checked.refused):
        await checked.apply(db, who)
        record(db, who, "imported", name, "", after=checked.counts)
    return checked.counts


def understand(table: Sequence[Sequence[str]], headings: Headings, needed: Sequence[str]) -> Checked:
    """Find the columns of a table by its header."""
    header = list(table[0]) if table else []
    while header and not header[-1]:
        header.pop()
    checked = Checked(header, [])
    seen: set[str] = set()
    columns = []
    for heading in header:
        column = headings.get(normal(heading), "")
        if not column:
            near = difflib.get_close_matches(normal(heading), list(headings), 1, 0.5)
            words = faults.UNKNOWN_NEAR if near else faults.UNKNOWN_COLUMN
            checked.faults.append(Fault(heading, words, {"near": headings[near[0]]} if near else {}, heading))
        elif column in seen:
            checked.faults.append(Fault(heading, faults.COLUMN_TWICE, {}, heading))
        seen.add(column)
        columns.append(column)
    checked.columns = columns
    checked.faults += [Fault(column, faults.NO_COLUMN) for column in needed if column not in seen]
    return checked


def normal(heading: str) -> str:
    """A heading without case, accents and signs."""
    return " ".join("".join(c if c.isalnum() else " " for c in plain(heading)).split())


def data_rows(table: Sequence[Sequence[str]]) -> list[tuple[int, Sequence[str]]]:
    """Rows below the header that have anything in them, with their numbers in the file."""
    return [(number, cells) for number, cells in enumerate(table[1:], 2) if any(cells)]


def overlong(cells: Sequence[str], checked: Checked) -> list[Fault]:
    """What stands to the right of the last column."""
    beyond = [cell for cell in cells[len(checked.header) :] if cell]
    return [Fault("", faults.UNKNOWN_COLUMN, {}, beyond[0])] if beyond else []


def parse_row(kind: Kind, cells: Mapping[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    """Values of a row's cells by column, and what cannot be read of them."""
    values: dict[str, Any] = {}
    wrong: list[Fault] = []
    for name, cell in cells.items():
        if name == REASON:
            continue
        if name == "key":
            values[name] = cell
            continue
        each = kind.field(name)
        if cell == "":
            if each.type.nullable or (each.type.empty is not None and not each.required):
                values[name] = each.type.empty
            continue
        try:
            values[name] = each.type.parse(cell)
        except Wrong as problem:
            wrong.append(problem.at(name, cell))
    return values, wrong


async def exported(
    db: AsyncSession, tenant_id: int, kind: Kind, *, search: str = "", filters: Mapping[str, Any] | None = None
) -> AsyncIterator[list[str]]:
    """Rows of a list as sheets have them, in order of :func:`columns_of`."""
    names = {
        target.name: await records.labels(db, tenant_id, target)
        for target in {BY_NAME[each.type.kind] for each in kind.fields if isinstance(each.type, Reference | Members)}
        if target.numbered
    }
    after: str | None = None
    while True:
        page = await records.page(db, tenant_id, kind, search=search, filters=filters, after=after, limit=_PAGE)
        for one in page.items:
            yield cells_of(kind, one, names)
        after = page.next
        if after is None:
            return


def cells_of(kind: Kind, one: Record, names: Mapping[str, Mapping[int, str]]) -> list[str]:
    """Cells of one record; ``names``: what kinds without keys are called."""
    cells = [] if kind.numbered else [one.key]
    for each in kind.fields:
        value = one.values[each.name]
        if isinstance(each.type, Reference | Members) and each.type.kind in names:
            known = names[each.type.kind]
            value = [known.get(part, part) for part in value] if isinstance(value, list) else known.get(value)
        cells.append(each.type.write(value))
    return cells
