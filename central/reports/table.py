"""What every report is: a declaration, and a table made of it that can be counted, paged, walked and summed up.

A table of meters has a row per meter: its declaration says how the rows of some meters are made, and the table does
the rest. A table of readings has the rows of one time after the other.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.reports.columns import Column, Row
from central.reports.excess import Rules
from central.reports.parameters import Filters
from central.reports.periods import Form, Period, resolve
from central.reports.selection import Line, Order, Selection, registry_order, select_meters
from central.store.pages import Page
from shared.intervals import local_date
from shared.intervals import zone as zone_of

#: Sorting by what readings say makes the rows of all meters first: only for so many.
MOST_BY_VALUE: Final = 20_000
#: Rows of one piece of a walk through all.
CHUNK: Final = 1000


@dataclass(frozen=True, slots=True)
class Scope:
    """Who asks and when: tenant, its zone, UTC seconds, and the rules that the utility sets."""

    tenant_id: int
    zone: str
    now: int
    rules: Rules

    @property
    def today(self) -> date:
        return local_date(self.now, zone_of(self.zone))


@dataclass(frozen=True, slots=True)
class Asked:
    """A report with its filters resolved: ``period`` as asked, ``begun`` its part up to today."""

    scope: Scope
    filters: Filters
    period: Period

    @property
    def begun(self) -> Period:
        return self.period.until(self.scope.today)

    @property
    def at(self) -> int | None:
        """The instant whose registry counts: the last of the period; None when it has not passed."""
        end = self.period.span(self.scope.zone).end
        return end - 1 if end <= self.scope.now else None


@dataclass(frozen=True, slots=True)
class Total:
    """A figure over the whole selection; ``kind`` count, or share 0..1 (None: nothing to divide by)."""

    key: str
    value: Any
    share: bool = False


class Table(Protocol):
    """Rows of a report."""

    @property
    def columns(self) -> Sequence[Column]: ...

    async def count(self, session: AsyncSession) -> int: ...
    async def page(self, session: AsyncSession, sort: str, offset: int, limit: int) -> list[Row]: ...
    async def after(self, session: AsyncSession, after: str | None, limit: int) -> Page[Row]: ...
    def walk(self, session: AsyncSession, sort: str) -> AsyncIterator[list[Row]]: ...
    async def totals(self, session: AsyncSession) -> list[Total]: ...


Open = Callable[[AsyncSession, Asked], Awaitable[Table]]


@dataclass(frozen=True, slots=True)
class Report:
    """A report as data: what it takes, how its days are said, its longest period, the columns, how it is opened.

    ``one``: it is about a single meter, which must be named. ``counted`` says what its pages count.
    """

    key: str
    parameters: frozenset[str]
    form: Form
    longest: int  # days
    open: Open
    one: bool = False
    chart: str = ""
    counted: str = "meters"
    totals: bool = False

    def ask(self, scope: Scope, filters: Filters) -> Asked:
        """Resolve the period; raises :class:`Refused`."""
        return Asked(scope, filters, resolve(filters, self.form, scope.today, self.longest))


Rows = Callable[[AsyncSession, Asked, Sequence[Line]], Awaitable[list[Row]]]
Sums = Callable[[AsyncSession, Asked, Selection], Awaitable[list[Total]]]


@dataclass(frozen=True, slots=True)
class MeterTable:
    """One row per meter. ``orders``: SQL by which columns beyond the registry's are sorted."""

    asked: Asked
    columns: Sequence[Column]
    selection: Selection
    rows: Rows
    orders: Mapping[str, Any]
    sums: Sums | None = None

    async def count(self, session: AsyncSession) -> int:
        return await self.selection.count(session)

    async def page(self, session: AsyncSession, sort: str, offset: int, limit: int) -> list[Row]:
        column, descending = parse_sort(sort, self.columns, "serial")
        order = self._order(column.key, descending)
        if order is not None:
            return await self._rows(session, await self.selection.ids(session, order, offset=offset, limit=limit))
        ids = await self._by_value(session, column, descending)
        return await self._rows(session, ids[offset : offset + limit])

    async def after(self, session: AsyncSession, after: str | None, limit: int) -> Page[Row]:
        """In order of the meter's key, for cursors."""
        ids = await self.selection.ids(session, Order(), limit=limit + 1, after=after)
        lines = await self.selection.lines(session, ids[:limit])
        rows = await self.rows(session, self.asked, lines)
        return Page(rows, lines[-1].key if len(ids) > limit and lines else None)

    async def walk(self, session: AsyncSession, sort: str) -> AsyncIterator[list[Row]]:
        column, descending = parse_sort(sort, self.columns, "serial")
        order = self._order(column.key, descending)
        ids = (
            await self.selection.ids(session, order)
            if order is not None
            else await self._by_value(session, column, descending)
        )
        for at in range(0, len(ids), CHUNK):
            yield await self._rows(session, ids[at : at + CHUNK])

    async def totals(self, session: AsyncSession) -> list[Total]:
        return await self.sums(session, self.asked, self.selection) if self.sums else []

    def _order(self, key: str, descending: bool) -> Order | None:
        if key in self.orders:
            return Order(self.orders[key], (), descending)
        return registry_order(key, descending)

    async def _rows(self, session: AsyncSession, ids: Sequence[int]) -> list[Row]:
        return await self.rows(session, self.asked, await self.selection.lines(session, ids))

    async def _by_value(self, session: AsyncSession, column: Column, descending: bool) -> list[int]:
        """All ids by the values of a column, empty ones last."""
        count = await self.selection.count(session)
        if count > MOST_BY_VALUE:
            raise Refused(
                "sort",
                f"{count} meters are too many to sort by {column.key}: narrow the filters to {MOST_BY_VALUE} or less,"
                " or sort by a column of the registry",
            )
        valued: list[tuple[Any, int]] = []
        empty: list[int] = []
        ids = await self.selection.ids(session, Order())
        for at in range(0, len(ids), CHUNK):
            lines = await self.selection.lines(session, ids[at : at + CHUNK])
            for line, row in zip(lines, await self.rows(session, self.asked, lines), strict=True):
                value = row.get(column.key)
                if value is None:
                    empty.append(line.id)
                else:
                    valued.append((value, line.id))
        valued.sort(reverse=descending)
        return [id_ for _, id_ in valued] + empty


async def meter_table(
    session: AsyncSession,
    asked: Asked,
    columns: Sequence[Column],
    rows: Rows,
    *,
    orders: Mapping[str, Any] | None = None,
    sums: Sums | None = None,
) -> MeterTable:
    """The table of the meters that the filters leave."""
    scope = asked.scope
    selection = await select_meters(session, scope.tenant_id, scope.zone, asked.filters, asked.at)
    return MeterTable(asked, columns, selection, rows, orders or {}, sums)


def parse_sort(sort: str, columns: Sequence[Column], default: str) -> tuple[Column, bool]:
    """Column and whether descending of ``serial``, ``-serial``; raises :class:`Refused`."""
    known = {column.key: column for column in columns}
    key = sort.removeprefix("-") or default
    if key not in known or not known[key].sort:
        usable = ", ".join(column.key for column in columns if column.sort)
        raise Refused("sort", f"cannot sort by {key[:32]!r}; by {usable or 'nothing'}")
    return known[key], sort.startswith("-")
