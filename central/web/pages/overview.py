"""The start page: a dashboard that each person arranges, for one date and the gateways chosen."""

import time
from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response
from sqlalchemy import or_, select

from central.accounts.permissions import OWN
from central.ccee.models import CceeMeter
from central.errors import NotFound, Refused
from central.registry.models import Gateway
from central.web.forms import Db, Search, Web, Who, field
from central.web.pages.scope import load_board, save_board, scope_of
from central.web.pages.widgets import report, widget_context
from central.web.render import page
from central.web.views import dashboard
from central.web.views.dashboard import KINDS, Board, Scope, Widget
from central.web.views.nights import nearest
from shared.intervals import local_date
from shared.intervals import zone as zone_of

#: Gateways offered at a time.
_OFFERED: Final = 60
Number = Annotated[int, QueryParameter(ge=0, le=1000)]


@get("/")
async def overview(request: Web, db: Db, principal: Who) -> Response[str]:
    """The page; each widget asks for its content itself."""
    board = await load_board(db, principal)
    scope, selection = await scope_of(request, db, principal, board)
    present = await _has_ccee(db, principal.tenant_id)
    widgets = board.widgets if board.widgets is not None else dashboard.default(ccee=present)
    chosen = select(Gateway.key, Gateway.name).where(Gateway.id.in_(selection.gateways)).order_by(Gateway.name)
    return page(
        request, "dashboard/page.html", scope=scope, kinds=KINDS, frames=[_frame(each, scope) for each in widgets],
        offered=[name for name in KINDS if name != "ccee" or present], arranged=board.widgets is not None,
        chosen=[(key, name or key) for key, name in await db.execute(chosen)] if selection.gateways else [],
    )  # fmt: skip


@get("/dashboard/widgets/{kind:str}")
async def widget(request: Web, db: Db, principal: Who, kind: FromPath[str]) -> Response[str]:
    """What stands in a widget."""
    if kind not in KINDS:
        raise NotFound("widget", kind[:40])
    scope, selection = await scope_of(request, db, principal)
    options = {}
    for name, (_, choices) in KINDS[kind].options.items():
        text = request.query_params.get(name, "")
        options[name] = int(text) if text in map(str, choices) else choices[0]
    context = await widget_context(kind, request, db, principal, scope, selection, options)
    return page(request, f"dashboard/{kind}.html", scope=scope, options=options, **context)


@get("/dashboard/frame/{kind:str}")
async def frame(request: Web, db: Db, principal: Who, kind: FromPath[str], name: Search = "") -> Response[str]:
    """An empty widget to be placed on the dashboard."""
    if kind not in KINDS:
        raise NotFound("widget", kind[:40])
    scope, _ = await scope_of(request, db, principal)
    placed = Widget(name[:32] or kind, kind, 0, 0, KINDS[kind].w, KINDS[kind].h)
    return page(request, "dashboard/frame.html", scope=scope, frame=_frame(placed, scope))


@get("/dashboard/gateways")
async def offered_gateways(request: Web, db: Db, principal: Who, q: Search = "") -> Response[str]:
    """Gateways to choose from: those chosen, then those whose name or key has the words."""
    _, selection = await scope_of(request, db, principal)
    query = select(Gateway.id, Gateway.key, Gateway.name).where(Gateway.tenant_id == principal.tenant_id)
    found = query
    for word in q[:100].split():
        found = found.where(or_(*(each.icontains(word, autoescape=True) for each in (Gateway.key, Gateway.name))))
    rows = (await db.execute(found.order_by(Gateway.name, Gateway.key).limit(_OFFERED + 1))).all()
    kept = (await db.execute(query.where(Gateway.id.in_(selection.gateways)))).all() if selection.gateways else []
    chosen = {row.id for row in kept}
    return page(
        request, "dashboard/choice.html", kept=sorted(kept, key=lambda row: row.name), more=len(rows) > _OFFERED,
        rows=[row for row in rows[:_OFFERED] if row.id not in chosen], q=q,
    )  # fmt: skip


@post("/dashboard/filter", opt=OWN, status_code=303)
async def choose(request: Web, db: Db, principal: Who) -> Redirect:
    """Take another date or other gateways; the gateways are kept for the next visit, the date is not."""
    form = await request.form()
    keys = [key for key in form.getall("gateway", []) if isinstance(key, str) and key]
    today = local_date(int(time.time()), zone_of(principal.zone))
    scope = Scope(nearest(field(form, "date", 10), today), today, tuple(keys[: dashboard.MOST_GATEWAYS]))
    board = await load_board(db, principal)
    await save_board(db, principal, Board(board.widgets, list(scope.gateways)))
    return Redirect(f"/?{scope.query()}" if scope.query() else "/", status_code=303)


@post("/dashboard", opt=OWN, status_code=204)
async def arrange(request: Web, db: Db, principal: Who) -> None:
    """Keep another arrangement: JSON, a list of widgets."""
    try:
        widgets = msgspec.json.decode(await request.body(), type=list[Widget])
    except msgspec.DecodeError as error:
        raise Refused("widgets", str(error)) from error
    if len(widgets) > dashboard.MOST:
        raise Refused("widgets", f"{len(widgets)} are more than {dashboard.MOST}")
    board = await load_board(db, principal)
    await save_board(db, principal, Board(dashboard.settle(widgets), board.gateways))


@post("/dashboard/reset", opt=OWN, status_code=303)
async def reset(db: Db, principal: Who) -> Redirect:
    """Back to the dashboard everybody begins with."""
    board = await load_board(db, principal)
    await save_board(db, principal, Board(None, board.gateways))
    return Redirect("/", status_code=303)


def _frame(placed: Widget, scope: Scope) -> dict[str, Any]:
    """What the template of a widget's frame needs."""
    kind = KINDS[placed.kind]
    options = {name: placed.option(name) for name in kind.options}
    gateways = scope.query(**options) if scope.gateways else scope.query(gateway="", **options)
    return {
        "widget": placed, "kind": kind, "options": options, "source": f"/dashboard/widgets/{placed.kind}?{gateways}",
        "report": report(placed.kind, scope),
    }  # fmt: skip


async def _has_ccee(db: Db, tenant_id: int) -> bool:
    known = CceeMeter.expected.is_(True) | (CceeMeter.expected.is_(None) & CceeMeter.forward_since.is_not(None))
    return (
        await db.scalar(select(CceeMeter.meter_id).where(CceeMeter.tenant_id == tenant_id, known).limit(1)) is not None
    )
