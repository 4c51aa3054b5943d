"""What every page navigates by: the two trees, one level at a time, the search box, and where a hit leads."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response
from sqlalchemy import and_, select

from central.errors import NotFound
from central.registry.models import (
    CommunicationModule,
    Gateway,
    Installation,
    Meter,
    MeteringPoint,
    SearchWord,
)
from central.web.forms import Db, Search, Web, Who
from central.web.i18n import N_
from central.web.render import page
from central.web.views import finding, trees

#: Nodes on screen whose state is asked for at a time.
_MOST_STATES: Final = 400
#: Name of each kind of ``SearchWord`` over its hits.
KINDS: Final = {
    SearchWord.CUSTOMER: (N_("Customers"), "user"),
    SearchWord.METER: (N_("Meters"), "gauge"),
    SearchWord.MODULE: (N_("Modules"), "antenna"),
    SearchWord.GATEWAY: (N_("Gateways"), "router"),
    SearchWord.GROUP: (N_("Groups"), "folder"),
}
Node = Annotated[str, QueryParameter(max_length=200)]


@get("/tree/communication")
async def communication_tree(request: Web, db: Db, principal: Who, node: Node = "", after: Node = "") -> Response[str]:
    """One page of a level of the communication view."""
    level = await trees.communication(db, principal.tenant_id, node, after)
    return page(request, "parts/tree.html", level=level, node=node, view="communication", first=not after)


@get("/tree/business")
async def business_tree(request: Web, db: Db, principal: Who, node: Node = "", after: Node = "") -> Response[str]:
    """One page of a level of the business view."""
    everywhere = principal.everywhere("read")
    level = await trees.business(db, principal.tenant_id, node, after, everywhere=everywhere)
    return page(request, "parts/tree.html", level=level, node=node, view="business", first=not after)


@get("/tree/states")
async def tree_states(db: Db, principal: Who, nodes: Annotated[str, QueryParameter(max_length=8000)] = "") -> Any:
    """Words and colours of the gateways and meters on screen, by node."""
    asked: dict[str, list[int]] = {"g": [], "m": []}
    for each in nodes.split(",")[:_MOST_STATES]:
        if each[:1] in asked and each[1:].isascii() and each[1:].isdigit() and len(each) < 20:
            asked[each[0]].append(int(each[1:]))
    return await trees.states(db, principal.tenant_id, asked["g"], asked["m"])


@get("/find")
async def find(request: Web, db: Db, principal: Who, q: Search = "") -> Response[str]:
    """Hits of the search box by kind."""
    found = await finding.find(db, principal.tenant_id, q[:100])
    return page(request, "parts/found.html", found=found, q=q[:100].strip(), kinds=KINDS)


@get("/modules/{number:int}")
async def module(request: Web, db: Db, principal: Who, number: FromPath[int]) -> Response[Any]:
    """The meters reached through a module; the meter itself where there is but one."""
    row = (await db.execute(
        select(CommunicationModule, Gateway)
        .outerjoin(Gateway, Gateway.id == CommunicationModule.gateway_id)
        .where(CommunicationModule.id == number, CommunicationModule.tenant_id == principal.tenant_id)
    )).one_or_none()  # fmt: skip
    if row is None:
        raise NotFound("module", number)
    found, gateway = row
    meters = await _meters(db, Installation.module_id == number)
    return _place(
        request, meters, title=found.name or found.key, edit=f"/registry/module/{quote(found.key, safe='')}",
        gateway=gateway, key=found.key,
    )  # fmt: skip


def _place(request: Web, meters: Sequence[Any], **known: Any) -> Response[Any]:
    if len(meters) == 1:
        return Redirect(f"/meters/{meters[0].key}", status_code=303)
    return page(request, "place.html", meters=meters, **known)


async def _meters(db: Db, where: Any) -> Sequence[Any]:
    query = (
        select(Meter.key, Meter.serial, Meter.name, MeteringPoint.name.label("point"), MeteringPoint.address)
        .join(Installation, and_(Installation.meter_id == Meter.id, Installation.ends_at.is_(None)))
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .where(where)
        .order_by(Meter.key)
        .limit(500)
    )
    return (await db.execute(query)).all()
