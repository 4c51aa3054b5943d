"""What reports with a row per instant share: the one meter they are about, pages by place, cursors by instant."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.reports.columns import Column, Row
from central.reports.selection import Line, Order, select_meters
from central.reports.table import CHUNK, Asked, Total, parse_sort
from central.store.pages import Page, place

#: The column by which rows of instants are sorted; there is no other.
AT: Final = "at"


async def the_meter(session: AsyncSession, asked: Asked) -> Line:
    """The line of the one meter that is named; raises :class:`Refused` for none or several."""
    if len(asked.filters.meter) != 1:
        raise Refused("meter", "this report is about one meter: name one")
    scope = asked.scope
    selection = await select_meters(session, scope.tenant_id, scope.zone, asked.filters, asked.at)
    lines = await selection.lines(session, await selection.ids(session, Order()))
    if not lines:
        raise Refused("meter", f"{asked.filters.meter[0]!r} is not among what the other filters leave")
    return lines[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeTable:
    """Rows made of what a query finds, in order of an instant: its first column; the next is the row's id.

    ``query`` is without order; subclasses make rows of what it finds.
    """

    columns: Sequence[Column]
    query: Any
    at: Any
    id: Any
    newest_first: bool = True

    async def rows(self, session: AsyncSession, found: Sequence[Any]) -> list[Row]:
        raise NotImplementedError

    async def count(self, session: AsyncSession) -> int:
        counted = self.query.with_only_columns(func.count(), maintain_column_froms=True)
        return int(await session.scalar(counted) or 0)

    async def page(self, session: AsyncSession, sort: str, offset: int, limit: int) -> list[Row]:
        query = self._ordered(sort).offset(offset).limit(limit)
        return await self.rows(session, (await session.execute(query)).all())

    async def after(self, session: AsyncSession, after: str | None, limit: int) -> Page[Row]:
        query = self._ordered("")
        if after is not None:
            query = query.where(self._beyond(*place(after), descending=self.newest_first))
        found = (await session.execute(query.limit(limit + 1))).all()
        following = f"{found[limit - 1][0]}-{found[limit - 1][1]}" if len(found) > limit else None
        return Page(await self.rows(session, found[:limit]), following)

    async def walk(self, session: AsyncSession, sort: str) -> AsyncIterator[list[Row]]:
        descending = self._descending(sort)
        after: tuple[int, int] | None = None
        while True:
            query = self._ordered(sort).limit(CHUNK)
            if after is not None:
                query = query.where(self._beyond(*after, descending=descending))
            found = (await session.execute(query)).all()
            if found:
                yield await self.rows(session, found)
                after = found[-1][0], found[-1][1]
            if len(found) < CHUNK:
                return

    async def totals(self, session: AsyncSession) -> list[Total]:
        return []

    def _beyond(self, at: int, row_id: int, *, descending: bool) -> Any:
        if descending:
            return (self.at < at) | ((self.at == at) & (self.id < row_id))
        return (self.at > at) | ((self.at == at) & (self.id > row_id))

    def _descending(self, sort: str) -> bool:
        if not sort:
            return self.newest_first
        return parse_sort(sort, self.columns, AT)[1]

    def _ordered(self, sort: str) -> Any:
        order = (self.at, self.id)
        return self.query.order_by(*(each.desc() if self._descending(sort) else each.asc() for each in order))
