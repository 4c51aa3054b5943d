"""Views of a report that somebody saved: columns with their widths and places, sort, filters, rows of a page."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.errors import Conflict, NotFound, Refused
from central.reports.catalogue import report_of
from central.reports.models import SavedView
from central.reports.parameters import NAMES

#: Views of one person and report.
MOST: Final = 50


class ViewColumn(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A column that is shown; ``pin``: left, right, or not."""

    key: Annotated[str, Meta(min_length=1, max_length=64)]
    width: Annotated[int, Meta(ge=20, le=2000)] | None = None
    pin: Annotated[str, Meta(pattern="^(left|right)?$")] = ""


class View(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A view's arrangement; ``query`` are filters as name and value. The ``default`` one is shown without being asked
    for."""

    columns: Annotated[list[ViewColumn], Meta(max_length=200)] = []
    sort: Annotated[str, Meta(max_length=64)] = ""
    query: Annotated[list[tuple[str, str]], Meta(max_length=1000)] = []
    size: Annotated[int, Meta(ge=1, le=1000)] | None = None
    default: bool = False


class Saved(msgspec.Struct):
    """A saved view with its number and name."""

    id: int
    report: str
    name: str
    view: View


async def find(session: AsyncSession, principal: Principal, report: str | None = None) -> Sequence[Saved]:
    """A person's views, of one report or of all, by name."""
    query = select(SavedView).where(SavedView.user_id == principal.user_id).order_by(SavedView.report, SavedView.name)
    if report is not None:
        query = query.where(SavedView.report == report)
    return [_saved(row) for row in (await session.scalars(query)).all()]


async def save(session: AsyncSession, principal: Principal, report: str, name: str, view: View) -> Saved:
    """Save a view under a name; one of the same name is replaced. Raises :class:`Refused`, :class:`NotFound`."""
    report_of(report)
    name = " ".join(name.split())
    if not name or len(name) > 200:
        raise Refused("name", "a view needs a name of 1 to 200 characters")
    for key, _ in view.query:
        if key not in NAMES:
            raise Refused("query", f"{key[:64]!r} is no parameter of reports")
    mine = select(SavedView).where(SavedView.user_id == principal.user_id, SavedView.report == report)
    row = await session.scalar(mine.where(SavedView.name == name))
    if row is None:
        if (await session.scalar(select(func.count()).select_from(mine.subquery())) or 0) >= MOST:
            raise Conflict(f"There are {MOST} views of this report already; remove some.")
        row = SavedView(user_id=principal.user_id, report=report, name=name, data="{}")
        session.add(row)
    row.data = msgspec.json.encode(view).decode()
    await session.flush()
    if view.default:
        for other in (await session.scalars(mine.where(SavedView.id != row.id))).all():
            kept = msgspec.json.decode(other.data, type=View)
            if kept.default:
                kept.default = False
                other.data = msgspec.json.encode(kept).decode()
        await session.flush()
    return _saved(row)


async def remove(session: AsyncSession, principal: Principal, view_id: int) -> None:
    """Remove one of a person's views; raises :class:`NotFound`."""
    row = await session.get(SavedView, view_id)
    if row is None or row.user_id != principal.user_id:
        raise NotFound("view", view_id)
    await session.delete(row)
    await session.flush()


def _saved(row: SavedView) -> Saved:
    return Saved(row.id, row.report, row.name, msgspec.json.decode(row.data, type=View))
