"""Forwarded ports of all gateways: the plan, opening, changing, closing, and trying one as the CCEE would."""

import time
from collections.abc import Mapping
from typing import Any, Final

from litestar import get, post
from litestar.response import Redirect, Response

from central.accounts.permissions import Permission, may
from central.ccee.forwards import forwards as told_forwards
from central.errors import CentralError
from central.fleet import service as fleet
from central.registry import service as registry
from central.registry.service import MeterFilter, MeterView
from central.web.forms import Db, Key, Search, Web, Who, field, fields
from central.web.i18n import gettext
from central.web.messages import service_problem
from central.web.pages.meter import order
from central.web.progress import command_progress
from central.web.render import page
from central.web.views import forwards as drawn
from central.web.views.commands import listing
from shared.wire import SetForward, TestForward

NEEDS: Final = may(Permission.CONTROL)
_MOST: Final = 1000
#: Commands looked at for those of forwards, and how many of these are shown.
_COMMANDS, _SHOWN = 200, 8
_KINDS: Final = ("set_forward", "test_forward")


@get("/ccee/forwards")
async def forwards(request: Web, db: Db, principal: Who) -> Response[str]:
    """The whole page."""
    return page(request, "ccee/forwards.html", **await _plan(db, principal), **await _commands(request, db, principal))


@get("/ccee/forwards/plan")
async def forwards_plan(request: Web, db: Db, principal: Who) -> Response[str]:
    """The tables, for refreshing."""
    return page(request, "ccee/plan.html", **await _plan(db, principal))


@get("/ccee/forwards/commands")
async def forwards_commands(request: Web, db: Db, principal: Who) -> Response[str]:
    """Commands of forwards, for refreshing."""
    return page(request, "parts/commands_answer.html", **await _commands(request, db, principal))


@get("/ccee/forwards/open", opt=NEEDS)
async def open_forward(request: Web, db: Db, principal: Who, meter: Search = "") -> Response[str]:
    """The form of a new one; ``meter`` is chosen beforehand."""
    return page(
        request, "ccee/forward.html", view=None, meters=await _without(db, principal), chosen=meter, base="",
        table=dict(drawn.DEFAULTS), problem="",
    )  # fmt: skip


@post("/ccee/forwards/open", opt=NEEDS, status_code=200)
async def save_new(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Send a new one."""
    form = await fields(request)
    key = field(form, "meter", 64)
    try:
        view = await registry.get_meter(db, principal.tenant_id, key)
        problem = await _save(db, principal, view, form, await _config(db, principal, view))
    except CentralError as error:
        problem = service_problem(error)
    if not problem:
        return Redirect("/ccee/forwards", status_code=303)
    return page(
        request, "ccee/forward.html", 422, view=None, meters=await _without(db, principal), chosen=key, base="",
        table=_typed(form), problem=problem,
    )  # fmt: skip


@get("/ccee/forwards/{key:str}/change", opt=NEEDS)
async def change(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """The form over what is in force."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    config, base = await _config(db, principal, view)
    return page(
        request, "ccee/forward.html", view=view, table=drawn.of_meter(view, config), base=base, problem="", chosen=key,
        meters=[],
    )  # fmt: skip


@post("/ccee/forwards/{key:str}/change", opt=NEEDS, status_code=200)
async def save(request: Web, db: Db, principal: Who, key: Key) -> Response[Any]:
    """Send the change."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    form = await fields(request)
    config, _ = await _config(db, principal, view)
    base = field(form, "base", 100)
    problem = await _save(db, principal, view, form, (config, base))
    if not problem:
        return Redirect("/ccee/forwards", status_code=303)
    return page(
        request, "ccee/forward.html", 422, view=view, table=_typed(form), base=base, problem=problem, chosen=key,
        meters=[],
    )  # fmt: skip


@post("/ccee/forwards/{key:str}/close", opt=NEEDS, status_code=303)
async def close(db: Db, principal: Who, key: Key) -> Redirect:
    """Send that it be closed."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    if view.gateway is not None:
        _, base = await _config(db, principal, view)
        await fleet.order(db, principal, view.gateway, SetForward(key, "", base))
    return Redirect("/ccee/forwards", status_code=303)


@post("/ccee/forwards/{key:str}/test", opt=may(Permission.COMMAND), status_code=200)
async def test_forward(request: Web, db: Db, principal: Who, key: Key) -> Response[Any]:
    """Try it now; pages that list the meter's commands get them, others go to the plan."""
    answer = await order(request, db, principal, key, TestForward(key))
    if request.headers.get("hx-request") or answer.status_code != 200:
        return answer
    return Redirect("/ccee/forwards", status_code=303)


async def _plan(db: Db, principal: Who) -> dict[str, Any]:
    told = await told_forwards(db, principal.tenant_id, int(time.time()))
    gateways = (await registry.find_gateways(db, principal.tenant_id, limit=_MOST)).items
    plans = [drawn.plan(view, told) for view in gateways]
    return {"plans": [each for each in plans if each.lines], "gateways": len(gateways)}


async def _commands(request: Web, db: Db, principal: Who) -> dict[str, Any]:
    rows = (await fleet.commands(db, principal.tenant_id, limit=_COMMANDS)).items
    mine = [view for view in rows if view.row.kind in _KINDS][:_SHOWN]
    found = listing(mine, "/ccee/forwards/commands", command_progress(request, principal), int(time.time()))
    return found | {"show_meter": True}


async def _without(db: Db, principal: Who) -> list[MeterView]:
    """Meters that could get a forward."""
    told = {line.meter for line in await told_forwards(db, principal.tenant_id, int(time.time()))}
    found = (await registry.find_meters(db, principal.tenant_id, MeterFilter(), limit=_MOST)).items
    return [view for view in found if view.gateway is not None and view.meter.key not in told]


async def _config(db: Db, principal: Who, view: MeterView) -> tuple[str, str]:
    """Text and hash of the configuration in force at a meter's gateway; both empty while it has told none."""
    if view.gateway is None:
        return "", ""
    live = (await registry.get_gateway(db, principal.tenant_id, view.gateway.key)).live
    return (live.config, live.config_hash) if live else ("", "")


async def _save(db: Db, principal: Who, view: MeterView, form: Mapping[str, Any], config: tuple[str, str]) -> str:
    """Queue what a form asks for; returns why not, or ""."""
    if view.gateway is None:
        return gettext("No gateway reads this meter")
    if not config[0]:  # what the form does not show would be lost
        return gettext("The gateway has not told its configuration; without it nothing can be changed here.")
    try:
        table = drawn.table_of(form, drawn.tables(config[0]).get(view.meter.key, {}))
        action = SetForward(view.meter.key, drawn.toml(table), config[1])
        await fleet.order(db, principal, view.gateway, action)
    except drawn.FormProblem as error:
        return str(error)
    except CentralError as error:
        return service_problem(error)
    return ""


def _typed(form: Mapping[str, Any]) -> dict[str, Any]:
    """What was filled in, to be shown again."""
    texts = {key: field(form, key, 10_000) for key in (*drawn.DEFAULTS, "port")}
    return {**texts, "allow": texts["allow"].replace(",", " ").split(), "capture": texts["capture"] == "1"}
