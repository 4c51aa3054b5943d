"""What stands in each widget of the dashboard: the figures of one date and the gateways chosen."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select

from central.accounts.principal import Principal
from central.alarms import service as alarm_service
from central.ccee import overview as ccee_figures
from central.errors import NotFound
from central.fleet.models import GatewayLive
from central.fleet.states import decode_summary
from central.metering import months
from central.metering.months import Selection, meters_of
from central.metering.service import EventView
from central.metering.service import events as find_events
from central.registry import service as registry
from central.registry.models import Gateway, Meter
from central.registry.places import spots
from central.registry.service import GatewayView, MeterView
from central.web import labels
from central.web.forms import Db, Web, Who
from central.web.i18n import current, gettext, ngettext
from central.web.pages.ccee import board_lines, ccee_settings
from central.web.pages.meters import event_groups, event_lines, meter_lines
from central.web.views import nights, trees
from central.web.views.alarms import line as alarm_line
from central.web.views.dashboard import Scope
from central.web.views.month_days import month_days
from shared.intervals import day_range
from shared.intervals import zone as zone_of
from shared.wire import MeterState

_MOST: Final = 1000  # gateways and alarms looked at
_EVENTS: Final = 80  # events looked at, of each gateway
_EVENT_GATEWAYS: Final = 20
#: A meter that is late becomes trouble when a whole interval has passed without a reading.
_LATE: Final = 900  # s
#: States of a meter that need somebody, the gravest first.
_GRAVE: Final = {"wrong_serial": 0, "unreachable": 1, "unreconciled": 2, "stale": 3}

#: Where a widget leads: the report, whether it is asked for a ``date`` or a ``month``, and what else.
_LEADS: Final[dict[str, tuple[str, str, Mapping[str, str]]]] = {
    "lots": ("billing", "month", {}),
    "totals": ("registers-last", "date", {}),
    "energy": ("consumption", "month", {}),
    "availability": ("availability", "month", {}),
    "silent": ("availability", "month", {"missing": "1"}),
    "attention": ("availability", "month", {"missing": "1"}),
    "largest": ("consumption", "month", {}),
    "map": ("registers-last", "date", {}),
    "energy-days": ("consumption", "month", {}),
    "profile-days": ("availability-days", "month", {}),
    "events": ("events", "month", {}),
}
_PAGES: Final = {"alarms": "/alarms", "gateways": "/gateways", "ccee": "/ccee"}

Build = Callable[[Web, Db, Who, Scope, Selection, Mapping[str, int]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class GatewayTrouble:
    key: str
    name: str
    state: str
    words: str


def report(kind: str, scope: Scope) -> str:
    """The page that tells more, with the same filters."""
    if kind in _PAGES:
        return _PAGES[kind]
    name, when, more = _LEADS[kind]
    day = scope.day.isoformat()
    return scope.link(f"/reports/{name}", **{when: day if when == "date" else day[:7]}, **more)


async def widget_context(
    kind: str, request: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Mapping[str, int]
) -> dict[str, Any]:
    """What the template of a widget is filled with."""
    return await _BUILD[kind](request, db, principal, scope, selection, options)


async def _lots(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, _o: Any) -> dict[str, Any]:
    found = await months.lot_availability(db, principal.tenant_id, scope.day, selection)
    drawn = []
    for lot in found:
        due = lot.pending_on.isoformat()
        bills = scope.link("/reports/billing", lot=lot.key, month=lot.due.isoformat()[:7])
        missing = scope.link("/reports/availability", **{"lot": lot.key, "from": due, "to": due, "missing": "1"})
        drawn.append((lot, bills, missing))
    return {"lots": drawn, "current": next((lot.id for lot in found if lot.due >= scope.day), None)}


async def _totals(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, _o: Any) -> dict[str, Any]:
    return {"totals": await months.totals(db, principal.tenant_id, selection)}


async def _energy(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, _o: Any) -> dict[str, Any]:
    before = scope.day.replace(day=1) - timedelta(days=1)
    return {
        "month": await months.energy_of_month(db, principal.tenant_id, scope.day, selection),
        "before": await months.energy_of_month(db, principal.tenant_id, before, selection),
        "before_day": before,
    }


async def _availability(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, _o: Any) -> dict[str, Any]:
    days = await months.availability_by_day(db, principal.tenant_id, scope.day.replace(day=1), scope.day, selection)
    return {"day": days[-1], "days": month_days(days, scope.today)}


async def _alarms(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Any) -> dict[str, Any]:
    tenant = principal.tenant_id
    found = (await alarm_service.alarms(db, tenant, state=alarm_service.ACTIVE, limit=_MOST)).items
    if selection.gateways:
        query = select(Meter.key).where(
            *meters_of(db, tenant, selection), Meter.key.in_({each.meter for each in found})
        )
        ours = set(await db.scalars(query))
        found = [each for each in found if each.meter in ours]
    found = sorted(found, key=lambda each: (each.state != "open", -each.severity, -each.opened_at))
    return {"alarms": [alarm_line(each) for each in found[: options["rows"]]], "count": len(found)}


async def _gateways(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Any) -> dict[str, Any]:
    views = (await registry.find_gateways(db, principal.tenant_id, limit=_MOST)).items
    views = [view for view in views if not selection.gateways or view.gateway.id in selection.gateways]
    found = [entry for view in views if (entry := _gateway_trouble(view, principal))]
    found.sort(key=lambda entry: entry.state != "offline")
    return {
        "gateways": found[: options["rows"]], "more": max(0, len(found) - options["rows"]), "all": len(views),
        "online": sum(1 for view in views if view.online),
    }  # fmt: skip


async def _silent(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Any) -> dict[str, Any]:
    before = min(int(time.time()), day_range(scope.day, zone_of(principal.zone)).end) - 86400
    found = await months.longest_silent(db, principal.tenant_id, before, scope.day, selection, options["rows"])
    return {"meters": found}


async def _attention(
    _: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Any
) -> dict[str, Any]:
    query = (
        select(GatewayLive)
        .join(Gateway, Gateway.id == GatewayLive.gateway_id)
        .where(Gateway.tenant_id == principal.tenant_id, GatewayLive.online.is_(True))
    )
    if selection.gateways:
        query = query.where(Gateway.id.in_(selection.gateways))
    told = [decode_summary(live) for live in await db.scalars(query)]
    views: list[MeterView] = []
    for key in worst((meter for each in told if each for meter in each.troubled), int(time.time())):
        if len(views) == options["rows"]:
            break
        try:
            view = await registry.get_meter(db, principal.tenant_id, key)
        except NotFound:  # out of reach
            continue
        if view.meter.monitored:
            views.append(view)
    return {"worst": await meter_lines(db, principal, views)}


def worst(told: Iterable[MeterState], now: int) -> list[str]:
    """Keys of meters in real trouble, the gravest first, the longest silent of them before the others."""
    needy = [
        meter for meter in told
        if meter.state in _GRAVE and not (meter.state == "stale" and meter.last_ok and now - meter.last_ok < _LATE)
    ]  # fmt: skip
    return [
        meter.meter for meter in sorted(needy, key=lambda each: (_GRAVE[each.state], each.last_ok or 0, each.meter))
    ]


async def _largest(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Any) -> dict[str, Any]:
    found, whole = await months.largest(db, principal.tenant_id, scope.day, selection, options["rows"])
    return {"consumers": found, "whole": whole}


async def _map(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, _o: Any) -> dict[str, Any]:
    return {"places": await places(db, principal, selection)}


async def places(db: Db, principal: Principal, selection: Selection) -> list[dict[str, Any]]:
    """The places of a map: where the meters are, each in the colour of its state as long as they are few."""
    found = await spots(db, *meters_of(db, principal.tenant_id, selection))
    told = await trees.states(db, principal.tenant_id, (), [spot.meter_id for spot in found if spot.meter_id])
    placed = []
    for spot in found:
        place: dict[str, Any] = {"lat": round(spot.latitude, 6), "lon": round(spot.longitude, 6)}
        if spot.count > 1 or not spot.meter_id:
            title = ngettext("%(num)d meter", "%(num)d meters", spot.count) % {"num": spot.count}
            placed.append(place | {"count": spot.count, "title": title})
            continue
        words, colour = told[f"m{spot.meter_id}"]
        title = " · ".join(filter(None, (spot.serial, spot.customer)))
        placed.append(place | {"title": title, "href": f"/meters/{spot.key}", "colour": colour, "note": words})
    return placed


async def _ccee(request: Web, db: Db, principal: Who, scope: Scope, selection: Selection, _o: Any) -> dict[str, Any]:
    now, tenant, settings = int(time.time()), principal.tenant_id, ccee_settings(request)
    lines = await board_lines(db, tenant, scope.day, settings, now)
    if scope.gateways:
        lines = [line for line in lines if line.gateway in scope.gateways]
    (week,) = await ccee_figures.weeks(db, tenant, principal.zone, scope.day, 1)
    return {"totals": nights.totals(lines), "week": week}


async def _chart(_: Web, _db: Db, _p: Who, scope: Scope, _s: Selection, options: Any) -> dict[str, Any]:
    return {"query": scope.query(**options)}


async def _events(_: Web, db: Db, principal: Who, scope: Scope, selection: Selection, options: Any) -> dict[str, Any]:
    tz = zone_of(principal.zone)
    end = None if scope.day == scope.today else day_range(scope.day, tz).end
    found: list[EventView] = []
    for gateway in selection.gateways[:_EVENT_GATEWAYS] or (None,):
        step = await find_events(db, principal.tenant_id, gateway_id=gateway, end=end, limit=_EVENTS)
        found += step.items
    found = sorted(found, key=lambda event: -event.at)[:_EVENTS]
    query = select(Meter.key, Meter.serial).where(
        Meter.tenant_id == principal.tenant_id, Meter.key.in_({event.meter for event in found if event.meter})
    )
    serials = {row.key: row.serial for row in (await db.execute(query)).all()}
    return {"events": event_groups(event_lines(found, tz, serials))[: options["rows"]]}


def _gateway_trouble(view: GatewayView, principal: Principal) -> GatewayTrouble | None:
    told = view.summary
    alarms = told.alarms if told else []
    broken = [line for line in told.lines if line.state == "backing_off"] if told else []
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


_BUILD: Final[dict[str, Build]] = {
    "lots": _lots, "totals": _totals, "energy": _energy, "availability": _availability, "alarms": _alarms,
    "gateways": _gateways, "silent": _silent, "attention": _attention, "largest": _largest, "map": _map,
    "ccee": _ccee, "energy-days": _chart, "profile-days": _chart, "events": _events,
}  # fmt: skip
