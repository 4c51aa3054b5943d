"""The search box: what begins with the words typed, by kind."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from central.registry import search as registry_search
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Meter,
    MeteringPoint,
    SearchWord,
)
from central.registry.search import BY_WORD
from central.store.lists import is_one_of

#: Kinds in the order in which they are shown.
KINDS: Final = (SearchWord.CUSTOMER, SearchWord.METER, SearchWord.MODULE, SearchWord.GATEWAY, SearchWord.GROUP)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found; ``note`` tells it from others of its name."""

    kind: int
    id: int
    label: str
    note: str
    href: str


async def search(
    db: AsyncSession, tenant_id: int, text: str, limit: int = 8, kinds: Collection[int] = KINDS
) -> dict[int, list[int]]:
    """Ids by kind, at most ``limit`` of each, of what has a word beginning with each word of ``text``."""
    return {
        kind: [hit.id for hit in await registry_search.search(db, tenant_id, text, limit, (BY_WORD[kind].name,))]
        for kind in kinds
    }


async def find(
    db: AsyncSession, tenant_id: int, text: str, limit: int = 8, kinds: Collection[int] = KINDS
) -> Sequence[tuple[int, Sequence[Hit]]]:
    """What the search box shows: kinds that were found, each with its hits."""
    found = await search(db, tenant_id, text, limit, kinds)
    groups = []
    for kind, ids in found.items():
        hits = {hit.id: hit for hit in await _SHOWN[kind](db, ids)} if ids else {}
        if hits:
            groups.append((kind, [hits[each] for each in ids if each in hits]))
    return groups


async def _customers(db: AsyncSession, ids: Sequence[int]) -> list[Hit]:
    rows = await db.execute(
        select(Customer.id, Customer.name, Customer.external_key).where(is_one_of(db, Customer.id, ids))
    )
    return [
        Hit(SearchWord.CUSTOMER, i, name or key, key if name else "", f"/customers/{quote(key, safe='')}")
        for i, name, key in rows
    ]


async def _meters(db: AsyncSession, ids: Sequence[int]) -> list[Hit]:
    query = (
        select(Meter.id, Meter.key, Meter.serial, Meter.name, Customer.name)
        .outerjoin(Installation, (Installation.meter_id == Meter.id) & Installation.ends_at.is_(None))
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .outerjoin(Customer, Customer.id == MeteringPoint.customer_id)
        .where(is_one_of(db, Meter.id, ids))
    )
    return [
        Hit(SearchWord.METER, i, serial, name or customer or (key if key != serial else ""), f"/meters/{key}")
        for i, key, serial, name, customer in await db.execute(query)
    ]


async def _modules(db: AsyncSession, ids: Sequence[int]) -> list[Hit]:
    query = (
        select(CommunicationModule.id, CommunicationModule.key, CommunicationModule.name, Gateway.name)
        .outerjoin(Gateway, Gateway.id == CommunicationModule.gateway_id)
        .where(is_one_of(db, CommunicationModule.id, ids))
    )
    return [
        Hit(SearchWord.MODULE, i, key, " · ".join(filter(None, (name, gateway))), f"/modules/{i}")
        for i, key, name, gateway in await db.execute(query)
    ]


async def _gateways(db: AsyncSession, ids: Sequence[int]) -> list[Hit]:
    rows = await db.execute(select(Gateway.id, Gateway.key, Gateway.name).where(is_one_of(db, Gateway.id, ids)))
    return [Hit(SearchWord.GATEWAY, i, name or key, key if name else "", f"/gateways/{key}") for i, key, name in rows]


async def _groups(db: AsyncSession, ids: Sequence[int]) -> list[Hit]:
    parent = aliased(CustomerGroup)
    query = (
        select(CustomerGroup.id, CustomerGroup.name, parent.name)
        .outerjoin(parent, parent.id == CustomerGroup.parent_id)
        .where(is_one_of(db, CustomerGroup.id, ids))
    )
    return [Hit(SearchWord.GROUP, i, name, above or "", f"/groups/{i}") for i, name, above in await db.execute(query)]


_SHOWN: Final[dict[int, Any]] = {
    SearchWord.CUSTOMER: _customers,
    SearchWord.METER: _meters,
    SearchWord.MODULE: _modules,
    SearchWord.GATEWAY: _gateways,
    SearchWord.GROUP: _groups,
}
