"""Data of the overview's and the gateways' charts."""

import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from litestar import get
from litestar.params import FromQuery

from central.accounts.principal import Principal
from central.fleet import service as fleet
from central.metering.months import meters_of
from central.metering.overview import FleetDay, fleet_days
from central.registry import service as registry
from central.web.forms import Db, Key, Web, Who
from central.web.i18n import current, gettext
from central.web.pages.scope import scope_of
from shared.intervals import local_date, utc_offset
from shared.intervals import zone as zone_of

_MOST_DAYS: Final = 366
_HEALTH_DAYS: Final = 3
Days = FromQuery[int]
_MOST_POINTS: Final = 800


@get("/data/fleet/consumption")
async def fleet_consumption(request: Web, db: Db, principal: Who, days: Days = 30) -> dict[str, Any]:
    """Active energy of the meters of a dashboard's gateways per day, up to its date."""
    found = await _days(request, db, principal, days)
    if not any(day.energy for day in found):
        return {"empty": gettext("No consumption yet: it appears with the first load profile.")}
    values = [float(day.energy) for day in found]
    series = {"name": gettext("Active energy"), "colour": "post-0", "values": values}
    return {**_labels(found, _today(principal)), "unit": "kWh", "series": [series]}


@get("/data/fleet/availability")
async def fleet_availability(request: Web, db: Db, principal: Who, days: Days = 30) -> dict[str, Any]:
    """Share of intervals held per day, of the same meters."""
    found = await _days(request, db, principal, days)
    if not any(day.expected for day in found):
        return {"empty": gettext("No meters yet.")}
    values = [round(day.share * 100, 2) if day.share is not None else None for day in found]
    series = {"name": gettext("Availability"), "colour": "a4", "values": values}
    return {**_labels(found, _today(principal)), "unit": "%", "series": [series]}


@get("/data/gateways/{key:str}/health")
async def gateway_health(db: Db, principal: Who, key: Key) -> dict[str, Any]:
    """Spool depth of the last days."""
    rows = await _health(db, principal, key)
    if not rows:
        return {"empty": gettext("The gateway has told nothing in the last days.")}
    return {**_frame(rows, principal), "series": [_series(rows, gettext("Spool rows"), "line-1", "", "spool_rows")]}


@get("/data/gateways/{key:str}/clock")
async def gateway_clock(db: Db, principal: Who, key: Key) -> dict[str, Any]:
    """Memory and clock offset of the last days."""
    rows = await _health(db, principal, key)
    if not rows:
        return {"empty": gettext("The gateway has told nothing in the last days.")}
    memory = _series(rows, gettext("Memory"), "line-3", "MiB", "rss_bytes", 1 / 2**20)
    clock = _series(rows, gettext("Clock offset"), "line-2", "ms", "clock_offset_ms")
    known = any(value is not None for _, value in clock["points"])
    return {**_frame(rows, principal), "series": [memory, clock] if known else [memory]}


async def _health(db: Db, principal: Who, key: Key) -> Sequence[Any]:
    view = await registry.get_gateway(db, principal.tenant_id, key)
    now = int(time.time())
    rows = await fleet.health(db, principal.tenant_id, view.gateway.id, now - _HEALTH_DAYS * 86400, now + 1)
    return rows[:: max(1, len(rows) // _MOST_POINTS)]


def _frame(rows: Sequence[Any], principal: Principal) -> dict[str, Any]:
    return {"zero": True, "offset": utc_offset(rows[0].at, zone_of(principal.zone))}


def _series(rows: Sequence[Any], name: str, colour: str, unit: str, field: str, factor: float = 1) -> dict[str, Any]:
    points = [
        [row.at * 1000, None if (value := getattr(row, field)) is None else round(value * factor, 2)] for row in rows
    ]
    return {"name": name, "colour": colour, "unit": unit, "points": points}


async def _days(request: Web, db: Db, principal: Who, count: int) -> Sequence[FleetDay]:
    now, tenant = int(time.time()), principal.tenant_id
    scope, selection = await scope_of(request, db, principal)
    first = scope.day - timedelta(days=min(max(count, 1), _MOST_DAYS) - 1)
    only = meters_of(db, tenant, selection) if selection.gateways else ()
    return await fleet_days(db, tenant, principal.zone, first, scope.day, now, only)


def _labels(days: Sequence[FleetDay], today: date) -> dict[str, Any]:
    return {
        "labels": [current().short_day(day.day) for day in days],
        "tips": [current().day(day.day, "full") for day in days],
        "partial": [False] * (len(days) - 1) + [days[-1].day == today],
    }


def _today(principal: Principal) -> date:
    return local_date(int(time.time()), zone_of(principal.zone))
