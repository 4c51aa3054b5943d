"""What a report's filters offer: lots, gateways, groups in their tree, and meters as somebody types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.errors import NotFound
from central.registry.models import CustomerGroup, Gateway, Lot
from central.registry.service import MeterFilter, MeterView, find_meters, get_meter
from central.reports.parameters import Filters

#: Entries of one list; more are found by their name in the address only.
_MOST: Final = 2000
_SUGGESTED: Final = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list; ``depth`` in a tree."""

    value: str
    words: str
    chosen: bool
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    lots: Sequence[Choice]
    gateways: Sequence[Choice]
    groups: Sequence[Choice]
    meter: MeterView | None


async def options(session: AsyncSession, principal: Principal, filters: Filters) -> Options:
    """The lists, with what is chosen; ``meter`` is the one that is named alone."""
    tenant = principal.tenant_id
    lots = (await session.scalars(select(Lot).where(Lot.tenant_id == tenant).order_by(Lot.key).limit(_MOST))).all()
    gateways = (
        await session.scalars(select(Gateway).where(Gateway.tenant_id == tenant).order_by(Gateway.name).limit(_MOST))
    ).all()
    named = select(CustomerGroup).where(CustomerGroup.tenant_id == tenant).order_by(CustomerGroup.name).limit(_MOST)
    groups = (await session.scalars(named)).all()
    return Options(
        [Choice(lot.key, lot.name or lot.key, lot.key in filters.lot) for lot in lots],
        [Choice(each.key, each.name or each.key, each.key in filters.gateway) for each in gateways],
        tree(groups, frozenset(filters.group)),
        await _meter(session, tenant, filters),
    )


def tree(groups: Sequence[CustomerGroup], chosen: frozenset[int]) -> list[Choice]:
    """Groups in the order of their tree; one whose parent is not there stands at the top (pure)."""
    known = {group.id for group in groups}
    below: dict[int | None, list[CustomerGroup]] = {}
    for group in groups:
        below.setdefault(group.parent_id if group.parent_id in known else None, []).append(group)
    found: list[Choice] = []
    waiting = [(group, 0) for group in reversed(below.get(None, []))]
    while waiting:
        group, depth = waiting.pop()
        found.append(Choice(str(group.id), group.name, group.id in chosen, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(group.id, []))]
    return found


async def meters(session: AsyncSession, principal: Principal, text: str) -> Sequence[MeterView]:
    """The first meters that a search finds."""
    return (await find_meters(session, principal.tenant_id, MeterFilter(search=text), limit=_SUGGESTED)).items


async def _meter(session: AsyncSession, tenant_id: int, filters: Filters) -> MeterView | None:
    if len(filters.meter) != 1:
        return None
    try:
        return await get_meter(session, tenant_id, filters.meter[0])
    except NotFound:
        return None
