"""Search the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.audit.models import AuditEntry
from central.store.pages import Page, bounded, place


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What entries are wanted. ``who`` and ``text`` are looked for within; the rest has to be equal.

    ``text``: every word of it in the key or in what was before or after. ``start`` and ``end`` bound the instant (s).
    """

    who: str = ""
    kind: str = ""
    key: str = ""
    object_id: int | None = None
    action: str = ""
    start: int | None = None
    end: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of an entry; None: there was no such value."""

    field: str
    old: str | None
    new: str | None


async def search(
    db: AsyncSession, tenant_id: int, wanted: AuditFilter, *, after: str | None = None, limit: int = 50
) -> Page[AuditEntry]:
    """Entries, newest first; ``after`` is the ``next`` of the page before."""
    limit, each = bounded(limit), AuditEntry
    query = select(each).where(each.tenant_id == tenant_id)
    for column, value in (
        (each.kind, wanted.kind or None), (each.key, wanted.key or None), (each.action, wanted.action or None),
        (each.object_id, wanted.object_id),
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if wanted.who:
        query = query.where(each.author.icontains(wanted.who, autoescape=True))
    for word in wanted.text.split():
        places = (each.key, each.before, each.after)
        query = query.where(or_(*(column.icontains(word, autoescape=True) for column in places)))
    if wanted.start is not None:
        query = query.where(each.at >= wanted.start)
    if wanted.end is not None:
        query = query.where(each.at < wanted.end)
    if after is not None:
        at, row_id = place(after)
        query = query.where((each.at < at) | ((each.at == at) & (each.id < row_id)))
    rows = (await db.scalars(query.order_by(each.at.desc(), each.id.desc()).limit(limit + 1))).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(rows[:limit], f"{last.at}-{last.id}" if last else None)


def changes(row: AuditEntry) -> list[Change]:
    """Field by field what was before and after, in order of the name."""
    old, new = fields(row.before), fields(row.after)
    return [Change(name, _text(old, name), _text(new, name)) for name in sorted(old.keys() | new.keys())]


def fields(stored: str) -> dict[str, Any]:
    """The fields of ``before`` or ``after``."""
    found = msgspec.json.decode(stored)
    return found if isinstance(found, dict) else {}


def _text(values: Mapping[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
