"""Where the meters are: every point of few, the middle of many."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from central.registry.models import Customer, Installation, Meter, MeteringPoint

#: Points shown one by one; more are gathered on a grid of so many columns and rows.
MOST: Final = 2000
_GRID: Final = 24


@dataclass(frozen=True, slots=True)
class Spot:
    """A meter (``count`` 1), or several near each other and the middle of them."""

    latitude: float
    longitude: float
    count: int = 1
    meter_id: int = 0
    key: str = ""
    serial: str = ""
    customer: str = ""


async def spots(db: AsyncSession, *meters: ColumnElement[bool], most: int = MOST) -> list[Spot]:
    """Where the meters are for which the conditions on ``Meter`` hold; meters without a position are left out."""
    latitude, longitude = MeteringPoint.latitude, MeteringPoint.longitude
    bounds: Any = [func.min(latitude), func.max(latitude), func.min(longitude), func.max(longitude)]
    count, south, north, west, east = (await db.execute(_placed(meters, func.count(), *bounds))).one()
    if not count:
        return []
    if count <= most:
        columns = (latitude, longitude, Meter.id, Meter.key, Meter.serial, Customer.name)
        query = _placed(meters, *columns).outerjoin(Customer, Customer.id == MeteringPoint.customer_id)
        return [
            Spot(lat, lon, 1, meter_id, key, serial, name or "")
            for lat, lon, meter_id, key, serial, name in (await db.execute(query.order_by(Meter.key))).all()
        ]
    row, column = (
        cast((each - low) * (_GRID / max(high - low, 1e-6)), Integer)
        for each, low, high in ((latitude, south, north), (longitude, west, east))
    )
    query = _placed(meters, func.avg(latitude), func.avg(longitude), func.count()).group_by(row, column)
    return [Spot(lat, lon, number) for lat, lon, number in (await db.execute(query)).all()]


def _placed(meters: Any, *columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(Meter)
        .join(Installation, (Installation.meter_id == Meter.id) & Installation.ends_at.is_(None))
        .join(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .where(*meters, MeteringPoint.latitude.is_not(None), MeteringPoint.longitude.is_not(None))
    )
