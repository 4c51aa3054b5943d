"""The tree of customer groups."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from central.registry.models import CustomerGroup


def subtree(groups: Collection[int]) -> Any:
    """Select the ids of groups and of all groups below them, whoever asks."""
    table = CustomerGroup.__table__
    tree = select(table.c.id).where(table.c.id.in_(sorted(groups))).cte(recursive=True)
    return select(tree.union(select(table.c.id).join(tree, table.c.parent_id == tree.c.id)).c.id)
