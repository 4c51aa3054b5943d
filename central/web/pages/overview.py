"""The start page: how much, how complete, what needs attention."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from litestar import get
from litestar.response import Response

from central.accounts.principal import Principal
from central.metering import overview as fleet_figures
from central.metering.service import events as find_events
from central.registry import service as registry
from central.registry.service import GatewayView, MeterFilter
from central.web import labels
from central.web.forms import Db, Web, Who
from central.web.i18n import current, gettext, ngettext
from central.web.pages.meters import MeterLine, event_groups, event_lines, meter_lines
from central.web.render import page
from shared.intervals import local_date
from shared.intervals import zone as zone_of

_WORST: Final = 6
_MOST: Final = 1000  # meters and gateways looked at for the lists of trouble
#: A meter that is late becomes trouble when a whole interval has passed without a reading.
_LATE: Final = 900  # s
_EVENTS: Final = 60  # looked at
_EVENT_GROUPS: Final = 7  # shown


@dataclass(frozen=True, slots=True)
class Totals:
    meters: int
    unregistered: int
    gateways: int
    online: int
    yesterday: float | None
    today: float | None
    energy: float


@dataclass(frozen=True, slots=True)
class GatewayTrouble:
    key: str
    name: str
    state: str
    words: str


@get("/")
async def overview(request: Web, db: Db, principal: Who) -> Response[str]:
    """The whole page."""
    return page(
        request, "overview.html",
        today=local_date(int(time.time()), zone_of(principal.zone)),
        **await _totals(db, principal), **await _trouble(db, principal),
    )  # fmt: skip


@get("/overview/totals")
async def totals(request: Web, db: Db, principal: Who) -> Response[str]:
    """The row of figures, for refreshing."""
    today = local_date(int(time.time()), zone_of(principal.zone))
    return page(request, "parts/totals.html", today=today, **await _totals(db, principal))


@get("/overview/trouble")
async def trouble(request: Web, db: Db, principal: Who) -> Response[str]:
    """Lists of trouble and events, for refreshing."""
    return page(request, "parts/trouble.html", **await _totals(db, principal), **await _trouble(db, principal))


async def _totals(db: Db, principal: Who) -> dict[str, Any]:
    now, tenant = int(time.time()), principal.tenant_id
    today = local_date(now, zone_of(principal.zone))
    first = min(today.replace(day=1), today - timedelta(days=1))
    days = await fleet_figures.fleet_days(db, tenant, principal.zone, first, today, now)
    gateways = (await registry.find_gateways(db, tenant, limit=_MOST)).items
    return {
        "totals": Totals(
            meters=await registry.count_meters(db, tenant),
            unregistered=await registry.count_meters(db, tenant, MeterFilter(registered=False)),
            gateways=len(gateways),
            online=sum(1 for gateway in gateways if gateway.online),
            yesterday=days[-2].share,
            today=days[-1].share,
            energy=float(sum(day.energy for day in days if day.day >= today.replace(day=1))),
        )
    }


async def _trouble(db: Db, principal: Who) -> dict[str, Any]:
    tenant = principal.tenant_id
    gateways = (await registry.find_gateways(db, tenant, limit=_MOST)).items
    meters = (await registry.find_meters(db, tenant, MeterFilter(monitored=True), limit=_MOST)).items
    lines = await meter_lines(db, principal, meters)
    found = await find_events(db, tenant, limit=_EVENTS)
    serials = {view.meter.key: view.meter.serial for view in meters}
    groups = event_groups(event_lines(found.items, zone_of(principal.zone), serials))
    return {
        "gateways": [entry for gateway in gateways if (entry := _gateway_trouble(gateway, principal))],
        "worst": worst(lines, int(time.time())),
        "events": groups[:_EVENT_GROUPS],
    }


def worst(lines: Sequence[MeterLine], now: int) -> Sequence[MeterLine]:
    """Meters in real trouble, the gravest first; what a silent gateway hides is that gateway's trouble."""
    grave = {"wrong_serial": 0, "unreachable": 1, "unreconciled": 2, "stale": 3}
    needy = [line for line in lines if line.state in grave and not (line.state == "stale" and _fresh(line, now))]
    return sorted(needy, key=lambda line: (grave[line.state], line.share or 0, line.key))[:_WORST]


def _fresh(line: MeterLine, now: int) -> bool:
    live = line.view.live
    return live is not None and live.last_ok is not None and now - live.last_ok < _LATE


def _gateway_trouble(view: GatewayView, principal: Principal) -> GatewayTrouble | None:
    state = view.state
    alarms = state.alarms if state else []
    broken = [line for line in state.lines if line.state == "backing_off"] if state else []
    if view.online and not alarms and not broken:
        return None
    name = view.gateway.name or view.gateway.key
    if view.live is None:
        return GatewayTrouble(view.gateway.key, name, "never", gettext("Check its broker address and certificate."))
    if not view.online:
        at = view.live.changed_at or view.live.contact_at
        words = gettext("Offline since %(since)s") % {"since": current().instant(at, zone_of(principal.zone))}
        return GatewayTrouble(view.gateway.key, name, "offline", words)
    words = labels.alarm(alarms[0])[0] if alarms else ngettext(
        "%(num)d line does not work", "%(num)d lines do not work", len(broken)
    ) % {"num": len(broken)}  # fmt: skip
    return GatewayTrouble(view.gateway.key, name, "online", words)
