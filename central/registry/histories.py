"""What was where and whose: dated installations of a meter and of its point, supplies of a point, meters of a customer.

Things out of the asking person's reach are None in a line that is within it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import NotFound
from central.registry.models import (
    CommunicationModule,
    Customer,
    Installation,
    Meter,
    MeteringPoint,
    Supply,
)


@dataclass(frozen=True, slots=True)
class InstallationLine:
    """A meter in a point through a module, for a time."""

    installation: Installation
    meter: Meter | None
    point: MeteringPoint | None
    module: CommunicationModule | None


@dataclass(frozen=True, slots=True)
class SupplyLine:
    """A customer at a point, for a time."""

    supply: Supply
    customer: Customer | None


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """A point of a customer and the meter in it now."""

    point: MeteringPoint
    meter: Meter | None


async def installations_of_meter(session: AsyncSession, tenant_id: int, meter_id: int) -> Sequence[InstallationLine]:
    """Where a meter sat, newest first."""
    return await _installations(session, tenant_id, Installation.meter_id == meter_id)


async def installations_of_point(session: AsyncSession, tenant_id: int, point_id: int) -> Sequence[InstallationLine]:
    """Which meters sat in a point, newest first."""
    return await _installations(session, tenant_id, Installation.point_id == point_id)


async def supplies_of_point(session: AsyncSession, tenant_id: int, point_id: int) -> Sequence[SupplyLine]:
    """Who was supplied at a point, newest first."""
    query = (
        select(Supply, Customer)
        .outerjoin(Customer, Customer.id == Supply.customer_id)
        .where(Supply.tenant_id == tenant_id, Supply.point_id == point_id)
        .order_by(Supply.starts_at.desc(), Supply.id.desc())
    )
    return [SupplyLine(*row) for row in (await session.execute(query)).all()]


async def get_customer(session: AsyncSession, tenant_id: int, key: str) -> Customer:
    """One customer by the external key; raises :class:`NotFound`."""
    query = select(Customer).where(Customer.tenant_id == tenant_id, Customer.external_key == key)
    found = await session.scalar(query)
    if found is None:
        raise NotFound("customer", key)
    return found


async def places_of_customer(
    session: AsyncSession, customer: Customer, *, skip: int = 0, limit: int = 50
) -> Sequence[PlaceLine]:
    """Points of a customer with the meters in them, in order of the points' keys.

    Not asked for the tenant, which is the customer's: SQLite would walk through all points of it in order of the key.
    """
    within = and_(Installation.point_id == MeteringPoint.id, Installation.ends_at.is_(None))
    query = (
        select(MeteringPoint, Meter)
        .outerjoin(Installation, within)
        .outerjoin(Meter, Meter.id == Installation.meter_id)
        .where(MeteringPoint.customer_id == customer.id)
        .order_by(MeteringPoint.key, Meter.key)
    )
    return [PlaceLine(*row) for row in (await session.execute(query.offset(skip).limit(limit))).all()]


async def count_points(session: AsyncSession, customer: Customer) -> int:
    """How many points a customer has."""
    query = select(func.count(MeteringPoint.id)).where(MeteringPoint.customer_id == customer.id)
    return await session.scalar(query) or 0


async def _installations(session: AsyncSession, tenant_id: int, where: Any) -> Sequence[InstallationLine]:
    query = (
        select(Installation, Meter, MeteringPoint, CommunicationModule)
        .outerjoin(Meter, Meter.id == Installation.meter_id)
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .outerjoin(CommunicationModule, CommunicationModule.id == Installation.module_id)
        .where(Installation.tenant_id == tenant_id, where)
        .order_by(Installation.starts_at.desc(), Installation.id.desc())
    )
    return [InstallationLine(*row) for row in (await session.execute(query)).all()]
