"""What became of a thing: the entries of the audit log about it, newest first."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.audit.models import AuditEntry
from central.registry.kinds import Kind
from central.store.pages import Page, bounded


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` and ``after`` hold the fields that changed."""

    id: int
    at: int
    author: str
    action: str
    before: dict[str, Any]
    after: dict[str, Any]


async def changes_of(
    db: AsyncSession, tenant_id: int, kind: Kind, row_id: int, *, before: int | None = None, limit: int = 50
) -> Page[Change]:
    """Changes of one thing, newest first, from before the entry ``before`` on."""
    limit = bounded(limit)
    query = select(AuditEntry).where(
        AuditEntry.tenant_id == tenant_id, AuditEntry.kind == kind.table, AuditEntry.object_id == row_id
    )
    if before is not None:
        query = query.where(AuditEntry.id < before)
    rows = (await db.scalars(query.order_by(AuditEntry.id.desc()).limit(limit + 1))).all()
    found = [
        Change(row.id, row.at, row.author, row.action, json.loads(row.before), json.loads(row.after))
        for row in rows[:limit]
    ]
    return Page(found, str(found[-1].id) if len(rows) > limit else None)
