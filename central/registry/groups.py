"""The tree of customer groups."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.registry.models import CustomerGroup


def subtree(groups: Collection[int]) -> Any:
    """Select the ids of groups and of all groups below them, whoever asks."""
    table = CustomerGroup.__table__
    tree = select(table.c.id).where(table.c.id.in_(sorted(groups))).cte(recursive=True)
    return select(tree.union(select(table.c.id).join(tree, table.c.parent_id == tree.c.id)).c.id)


async def with_groups_below(session: AsyncSession, groups: Collection[int]) -> tuple[int, ...]:
    """Ids of groups and of all groups below them, for statements over many meters: a server that sees them in the
    statement knows how many meters they have."""
    return tuple((await session.scalars(subtree(groups))).all())
