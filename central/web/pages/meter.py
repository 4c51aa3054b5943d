"""One meter: the pieces of its page that are refreshed, and the commands it offers."""

import re
import time
from datetime import date
from typing import Any, Final

from litestar import get, post
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.errors import CentralError
from central.fleet import service as fleet
from central.metering import service as metering
from central.registry import service as registry
from central.registry.service import MeterView
from central.web.forms import Db, Key, Web, Who, field, fields
from central.web.i18n import gettext
from central.web.messages import service_problem
from central.web.progress import command_progress
from central.web.render import page
from central.web.views import banners, instant, registers
from central.web.views.commands import listing
from shared.intervals import day_range
from shared.intervals import zone as zone_of
from shared.wire import Action, CloseBill, ReadNow, ReadRange, SetClock

#: The longest range a person may have read again at once: what meters commonly hold.
_LONGEST_REREAD: Final = 100
_PROFILE_DAYS: Final = 7
#: What a browser's regular expression takes for more than itself.
_SYNTAX: Final = re.compile(r"[\^$\\.*+?()\[\]{}|/]")


@get("/meters/{key:str}/status")
async def meter_status(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Banners and facts, for refreshing."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    return page(request, "parts/meter_status.html", zone=zone_of(view.zone), **status_of(view))


@get("/meters/{key:str}/now")
async def meter_now(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Instantaneous values, for refreshing."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    return page(request, "parts/meter_now.html", zone=zone_of(view.zone), **await now_of(db, view))


@get("/meters/{key:str}/registers")
async def meter_registers(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """The last registers, for refreshing."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    return page(request, "parts/registers.html", zone=zone_of(view.zone), **await registers_of(db, view))


@get("/meters/{key:str}/commands")
async def meter_commands(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Recent commands, for refreshing."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    return page(
        request,
        "parts/commands_answer.html",
        zone=zone_of(view.zone),
        **await commands_of(request, db, principal, view),
    )


@post("/meters/{key:str}/read", opt=may(Permission.COMMAND), status_code=200)
async def read_now(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Ask for everything the meter has now."""
    return await order(request, db, principal, key, ReadNow(key, list(fleet.READ_KINDS)))


@post("/meters/{key:str}/clock", opt=may(Permission.COMMAND), status_code=200)
async def set_clock(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Set the meter's clock, within the gateway's limit."""
    return await order(request, db, principal, key, SetClock(key))


@post("/meters/{key:str}/reread", opt=may(Permission.COMMAND), status_code=200)
async def reread(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Ask again for the profile of whole local days."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    form = await fields(request)
    try:
        first, last = date.fromisoformat(field(form, "first", 10)), date.fromisoformat(field(form, "last", 10))
    except ValueError:
        first, last = date.max, date.min
    if not 0 <= (last - first).days < _LONGEST_REREAD:
        problem = gettext("Choose a first and a last day, at most %(days)s days apart.") % {"days": _LONGEST_REREAD}
        context = await commands_of(request, db, principal, view)
        return page(
            request, "parts/commands_answer.html", 422, zone=zone_of(view.zone), **{**context, "problem": problem}
        )
    tz = zone_of(view.zone)
    action = ReadRange(key, day_range(first, tz).start, day_range(last, tz).end)
    return await order(request, db, principal, key, action)


@post("/meters/{key:str}/close-bill", opt=may(Permission.CONTROL), status_code=200)
async def close_bill(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """Order a demand reset; the serial has to be typed again."""
    serial = field(await fields(request), "serial", 64)
    if not serial:
        view = await registry.get_meter(db, principal.tenant_id, key)
        problem = gettext("What you typed is not the meter's serial. Nothing was sent.")
        context = {**await commands_of(request, db, principal, view), "problem": problem}
        return page(request, "parts/commands_answer.html", 422, zone=zone_of(view.zone), **context)
    return await order(request, db, principal, key, CloseBill(key, serial))


async def order(request: Web, db: Db, principal: Who, key: Key, action: Action) -> Response[str]:
    """Queue a command and show the list with it; a refusal is shown there too."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    problem = ""
    try:
        if view.gateway is None:
            problem = gettext("No gateway reads this meter")
        else:
            await fleet.order(db, principal, view.gateway, action)
    except CentralError as error:
        problem = service_problem(error)
    context = await commands_of(request, db, principal, view)
    return page(
        request, "parts/commands_answer.html", 422 if problem else 200,
        zone=zone_of(view.zone), **{**context, "problem": problem},
    )  # fmt: skip


def status_of(view: MeterView) -> dict[str, Any]:
    """What is said of the meter above all tabs."""
    return {
        "view": view,
        "state": banners.meter_state(view),
        "banners": banners.of_meter(view, zone_of(view.zone)),
    }


async def now_of(db: AsyncSession, view: MeterView) -> dict[str, Any]:
    """The last instantaneous values."""
    snapshot = await metering.last_snapshot(db, view)
    return {
        "snapshot": instant.table(snapshot) if snapshot else None,
        "phasors": instant.diagram(snapshot) if snapshot else None,
    }


async def registers_of(db: AsyncSession, view: MeterView) -> dict[str, Any]:
    """The last registers."""
    reading = await metering.last_registers(db, view)
    return {"registers": registers.table(reading, zone_of(view.zone)) if reading else None}


async def commands_of(request: Web, db: Db, principal: Who, view: MeterView) -> dict[str, Any]:
    """The meter's recent commands, as the templates of the list need them."""
    rows = (await fleet.commands(db, principal.tenant_id, meter_id=view.meter.id, limit=10)).items
    url = f"/meters/{view.meter.key}/commands"
    found = listing(rows, url, command_progress(request, principal), int(time.time()))
    return found | {"show_meter": False, "commands_card": f"/meters/{view.meter.key}/readings#commands-card"}
