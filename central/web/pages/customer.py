"""A customer: straight to the meter of who has one, else the list of points with their meters."""

import time
from fractions import Fraction
from typing import Annotated, Any, Final

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Redirect, Response

from central.metering.month_energy import month_energy
from central.registry import histories
from central.registry import service as registry
from central.registry.models import CustomerGroup, Lot
from central.web.forms import Db, Key, Web, Who
from central.web.render import page
from central.web.views import banners
from shared.intervals import day_range, local_date
from shared.intervals import zone as zone_of

_ROWS: Final = 50


@get("/customers/{key:str}")
async def customer(
    request: Web, db: Db, principal: Who, key: Key,
    number: Annotated[int, QueryParameter(name="page", ge=1, le=10_000)] = 1,
) -> Response[str] | Redirect:  # fmt: skip
    """Points of a customer with the meters in them: state, and consumption of the month so far."""
    tenant, tz, now = principal.tenant_id, zone_of(principal.zone), int(time.time())
    found = await histories.get_customer(db, tenant, key)
    places = await histories.places_of_customer(db, found, skip=(number - 1) * _ROWS, limit=_ROWS)
    if number == 1 and len(places) == 1 and places[0].meter is not None:
        return Redirect(f"/meters/{places[0].meter.key}", status_code=303)
    first = local_date(now, tz).replace(day=1)
    meters = [place.meter for place in places if place.meter is not None]
    energy = await month_energy(db, tenant, meters, first, day_range(first, tz).start)
    views = {meter.id: await registry.get_meter(db, tenant, meter.key) for meter in meters}
    rows: list[dict[str, Any]] = [
        {
            "point": place.point,
            "meter": place.meter,
            "view": views[place.meter.id] if place.meter else None,
            "state": banners.meter_state(views[place.meter.id]) if place.meter else "",
            "energy": _number(energy.get(place.meter.id)) if place.meter else None,
        }
        for place in places
    ]
    count = await histories.count_points(db, found)
    return page(
        request, "customer.html",
        customer=found,
        group=await db.get(CustomerGroup, found.group_id) if found.group_id else None,
        lot=await db.get(Lot, found.lot_id) if found.lot_id else None,
        rows=rows,
        total=_number(sum(energy.values(), Fraction(0))) if energy else None,
        count=count,
        first=first,
        number=number,
        pages=max(1, -(-count // _ROWS)),
        map_places=[
            {"lat": p.point.latitude, "lon": p.point.longitude, "title": p.point.name or p.point.key,
             "href": f"/meters/{p.meter.key}" if p.meter else None}
            for p in places if p.point.latitude is not None and p.point.longitude is not None
        ],
        zone=tz,
    )  # fmt: skip


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
