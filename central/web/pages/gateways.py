"""Gateways: the list, and one of them with its lines, meters, spool, configuration and commands."""

import time
from typing import Any

from litestar import get
from litestar.response import Response

from central.accounts.permissions import Permission
from central.accounts.reach import is_part
from central.enrolment import service as enrolment
from central.fleet import service as fleet
from central.registry import service as registry
from central.registry.service import GatewayView
from central.web.forms import Db, Key, Web, Who
from central.web.pages.config import editable
from central.web.pages.meters import meter_lines
from central.web.progress import board, command_progress
from central.web.render import page
from central.web.views import banners
from central.web.views.commands import listing
from shared.intervals import zone as zone_of


@get("/gateways")
async def gateways(request: Web, db: Db, principal: Who) -> Response[str]:
    """All gateways as cards."""
    waiting = await enrolment.waiting(db, principal) if principal.everywhere(Permission.ENROLMENT) else 0
    return page(request, "gateways.html", waiting=waiting, **await _list(db, principal))


@get("/gateways/list")
async def gateways_list(request: Web, db: Db, principal: Who) -> Response[str]:
    """The cards, for refreshing."""
    return page(request, "parts/gateways.html", **await _list(db, principal))


@get("/gateways/{key:str}")
async def gateway(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """The whole page."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    return page(
        request, "gateway.html",
        editable=editable(view) and principal.may("control"),
        config=view.live.config if view.live else "", config_hash=view.live.config_hash if view.live else "",
        **await _live(request, db, principal, view), **await _commands(request, db, principal, view),
    )  # fmt: skip


@get("/gateways/{key:str}/live")
async def gateway_live(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """State, lines and meters, for refreshing."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    return page(request, "parts/gateway_live.html", **await _live(request, db, principal, view))


@get("/gateways/{key:str}/progress")
async def gateway_progress(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """What is being read now, for refreshing."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    return page(request, "parts/progress.html", **await _progress(request, db, principal, view))


@get("/gateways/{key:str}/commands")
async def gateway_commands(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Recent commands, for refreshing."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    return page(request, "parts/commands.html", **await _commands(request, db, principal, view))


async def _list(db: Db, principal: Who) -> dict[str, Any]:
    views = (await registry.find_gateways(db, principal.tenant_id, limit=1000)).items
    zone = zone_of(principal.zone)
    return {"views": [(view, gateway_state(view), len(banners.of_gateway(view, zone))) for view in views]}


def gateway_state(view: GatewayView) -> str:
    """State code of a gateway for people."""
    if view.live is None:
        return "never"
    return "online" if view.online else "offline"


async def _live(request: Web, db: Db, principal: Who, view: GatewayView) -> dict[str, Any]:
    zone = zone_of(principal.zone)
    meters = await registry.gateway_meters(db, principal.tenant_id, view.gateway.id)
    return {
        "view": view,
        "state": gateway_state(view),
        "banners": banners.of_gateway(view, zone),
        "telemetry": await fleet.last_health(db, principal.tenant_id, view.gateway.id),
        "modules": await registry.gateway_modules(db, principal.tenant_id, view.gateway.id),
        "meters": await meter_lines(db, principal, meters),
        "lines": view.state.lines if view.state else [],
        **await _progress(request, db, principal, view),
    }


async def _progress(request: Web, db: Db, principal: Who, view: GatewayView) -> dict[str, Any]:
    found = board(request)
    running = found.of_gateway(principal.tenant_key, view.gateway.key) if found else []
    if running and is_part(db, view.gateway.id):
        seen = await registry.seen_meters(db, view.gateway.id)
        running = [each for each in running if each.meter in seen]
    return {"view": view, "followed": found is not None, "running": running}


async def _commands(request: Web, db: Db, principal: Who, view: GatewayView) -> dict[str, Any]:
    rows = (await fleet.commands(db, principal.tenant_id, gateway_id=view.gateway.id, limit=15)).items
    url = f"/gateways/{view.gateway.key}/commands"
    return listing(rows, url, command_progress(request, principal), int(time.time())) | {"show_meter": True}
