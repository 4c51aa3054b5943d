"""Groups of customers: the tree's top, and one group with its month, its members and its reports."""

import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from sqlalchemy import func, select, tuple_
from sqlalchemy import literal as value
from sqlalchemy.orm import aliased

from central.accounts.permissions import Permission, may
from central.errors import NotFound, Refused
from central.metering import months
from central.metering.months import Selection
from central.registry import changes
from central.registry.groups import with_groups_below
from central.registry.kinds import CUSTOMER, GROUP
from central.registry.models import Customer, CustomerGroup, Meter, SearchWord
from central.registry.search import matching
from central.store.lists import is_one_of
from central.web.forms import Db, Search, Web, Who, field, fields
from central.web.pages.widgets import places
from central.web.render import page
from central.web.views import finding
from central.web.views.month_days import month_days, month_grid
from shared.intervals import local_date
from shared.intervals import zone as zone_of

_LARGEST: Final = 10
_MEMBERS: Final = 25
_CANDIDATES: Final = 8
_TABS: Final = ("summary", "registration", "reports")
#: No circle of groups is longer: the registry refuses them.
_DEEPEST: Final = 100
NEEDS: Final = may(Permission.REGISTRY)
Number = FromPath[int]


@get("/groups")
async def groups(request: Web, db: Db, principal: Who, q: Search = "") -> Response[str]:
    """Groups that lie in no other, or those of any depth that words find, each with how much is below it."""
    parent = CustomerGroup.parent_id
    wanted: Any = (
        parent.is_(None) if principal.everywhere("read") else parent.is_(None) | parent.not_in(select(CustomerGroup.id))
    )
    if q.strip():
        wanted = matching(principal.tenant_id, GROUP, q)
    rows = await _children(db, principal.tenant_id, wanted)
    loose = await db.scalar(
        select(func.count(Customer.id)).where(Customer.tenant_id == principal.tenant_id, Customer.group_id.is_(None))
    )
    below = await _below(db, principal.tenant_id)
    return page(request, "groups/list.html", rows=rows, below=below, loose=loose or 0, q=q.strip())


@get("/groups/{number:int}")
async def group(
    request: Web,
    db: Db,
    principal: Who,
    number: Number,
    tab: Search = "summary",
    month: Search = "",
    after: Search = "",
) -> Response[str]:
    """One group: its month, or its registration, or where its reports are."""
    found = await _group(db, principal.tenant_id, number)
    tab = tab if tab in _TABS else _TABS[0]
    context: dict[str, Any] = {}
    if tab == "summary":
        context = await _summary(db, principal, found, month)
    elif tab == "registration":
        context = await _members(db, found, after)
    return page(
        request, f"groups/{tab}.html", group=found, tab=tab, parents=await _parents(db, found), number=number,
        writes=principal.may("registry"), **context,
    )  # fmt: skip


@get("/groups/{number:int}/map")
async def group_map(request: Web, db: Db, principal: Who, number: Number) -> Response[str]:
    """Where the meters of a group are."""
    found = await _group(db, principal.tenant_id, number)
    placed = await places(db, principal, Selection(groups=await with_groups_below(db, (found.id,))))
    return page(request, "dashboard/map.html", places=placed)


@get("/groups/{number:int}/largest")
async def group_largest(request: Web, db: Db, principal: Who, number: Number, month: Search = "") -> Response[str]:
    """Who of a group used most in a month."""
    found = await _group(db, principal.tenant_id, number)
    first = _month(month, local_date(int(time.time()), zone_of(principal.zone)))
    tenant, selection = principal.tenant_id, Selection(groups=await with_groups_below(db, (found.id,)))
    consumers, whole = await months.largest(db, tenant, first, selection, _LARGEST)
    return page(request, "parts/consumers.html", consumers=consumers, whole=whole)


@get("/groups/{number:int}/candidates", opt=NEEDS)
async def candidates(request: Web, db: Db, principal: Who, number: Number, q: Search = "") -> Response[str]:
    """Customers that could be added: those the words find, with the group each is in now."""
    found = await _group(db, principal.tenant_id, number)
    hits = await finding.search(db, principal.tenant_id, q[:100], _CANDIDATES, (SearchWord.CUSTOMER,))
    rows: Sequence[Any] = ()
    if ids := hits.get(SearchWord.CUSTOMER):
        query = (
            select(
                Customer.id, Customer.name, Customer.external_key, Customer.group_id, CustomerGroup.name.label("now")
            )
            .outerjoin(CustomerGroup, CustomerGroup.id == Customer.group_id)
            .where(Customer.id.in_(ids))
            .order_by(Customer.name, Customer.id)
        )
        rows = (await db.execute(query)).all()
    return page(request, "groups/candidates.html", group=found, rows=rows, q=q.strip())


@post("/groups/{number:int}/members", opt=NEEDS, status_code=303)
async def add_member(request: Web, db: Db, principal: Who, number: Number) -> Redirect:
    """Put a customer into a group; it leaves the one it was in."""
    found = await _group(db, principal.tenant_id, number)
    await _move(db, principal, await _customer(request, db, principal), found.id)
    return Redirect(f"/groups/{number}?tab=registration", status_code=303)


@post("/groups/{number:int}/members/remove", opt=NEEDS, status_code=303)
async def remove_member(request: Web, db: Db, principal: Who, number: Number) -> Redirect:
    """Take a customer out of a group; it stays in the registry without one."""
    found = await _group(db, principal.tenant_id, number)
    customer = await _customer(request, db, principal)
    if customer.group_id != found.id:
        raise Refused("customer", f"{customer.external_key!r} is not in this group")
    await _move(db, principal, customer, None)
    return Redirect(f"/groups/{number}?tab=registration", status_code=303)


async def _group(db: Db, tenant_id: int, number: int) -> CustomerGroup:
    found = await db.scalar(
        select(CustomerGroup).where(CustomerGroup.tenant_id == tenant_id, CustomerGroup.id == number)
    )
    if found is None:
        raise NotFound("customer group", number)
    return found


async def _customer(request: Web, db: Db, principal: Who) -> Customer:
    number = field(await fields(request), "customer", 20)
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise NotFound("customer", number)
    query = select(Customer).where(Customer.tenant_id == principal.tenant_id, Customer.id == int(number))
    if (found := await db.scalar(query)) is None:
        raise NotFound("customer", number)
    return found


async def _move(db: Db, principal: Who, customer: Customer, group_id: int | None) -> None:
    await changes.patch(db, principal, CUSTOMER, customer.external_key, {"group": group_id})


async def _summary(db: Db, principal: Who, found: CustomerGroup, chosen: str) -> dict[str, Any]:
    today = local_date(int(time.time()), zone_of(principal.zone))
    first = _month(chosen, today)
    following = months.first_of(months.month_of(first) + 1)
    tenant, groups = principal.tenant_id, await with_groups_below(db, (found.id,))
    members = select(Meter.id).where(*months.meters_of(db, tenant, Selection(groups=groups)))
    selection = Selection(meters=tuple(await db.scalars(members)))
    energy = await months.energy_of_month(db, tenant, first, selection)
    counted = await months.availability_by_day(db, tenant, first, min(following - timedelta(days=1), today), selection)
    days = month_days(counted, today)
    weekdays, grid = month_grid(days)
    read, expected = sum(day.read for day in counted), sum(day.expected for day in counted)
    below = select(func.count(Customer.id)).where(is_one_of(db, Customer.group_id, groups))
    return {
        "first": first, "today": today, "before": first - timedelta(days=1),
        "after": following if following <= today else None, "energy": energy,
        "weekdays": weekdays, "grid": grid, "share": read / expected if expected else None,
        "customers": await db.scalar(below) or 0, "groups": len(groups),
        "children": await _children(db, tenant, CustomerGroup.parent_id == found.id),
    }  # fmt: skip


def _month(text: str, today: date) -> date:
    """First day of the month asked for; anything else, and the future, is the running one."""
    try:
        return min(date.fromisoformat(f"{text[:7]}-01"), today.replace(day=1))
    except ValueError:
        return today.replace(day=1)


async def _children(db: Db, tenant_id: int, where: Any) -> Sequence[Any]:
    """Groups with how many groups and customers lie directly in each."""
    inner = aliased(CustomerGroup)
    groups_in = select(func.count(inner.id)).where(inner.parent_id == CustomerGroup.id).scalar_subquery()
    customers_in = select(func.count(Customer.id)).where(Customer.group_id == CustomerGroup.id).scalar_subquery()
    query = (
        select(CustomerGroup.id, CustomerGroup.name, groups_in.label("groups"), customers_in.label("customers"))
        .where(CustomerGroup.tenant_id == tenant_id, where)
        .order_by(CustomerGroup.name, CustomerGroup.id)
        .limit(500)
    )
    return (await db.execute(query)).all()


async def _below(db: Db, tenant_id: int) -> dict[int, tuple[int, int]]:
    """How many groups, and how many customers, lie in each group at any depth."""
    query = select(CustomerGroup.id, CustomerGroup.parent_id).where(CustomerGroup.tenant_id == tenant_id)
    parents = {row.id: row.parent_id for row in await db.execute(query)}
    own = (
        select(Customer.group_id, func.count())
        .where(Customer.tenant_id == tenant_id, Customer.group_id.is_not(None))
        .group_by(Customer.group_id)
    )
    customers = {row[0]: row[1] for row in await db.execute(own) if row[0] is not None}
    found = {each: (0, customers.get(each, 0)) for each in parents}
    for each in parents:
        at, depth = parents[each], 0
        while at in parents and depth < _DEEPEST:
            found[at] = (found[at][0] + 1, found[at][1] + customers.get(each, 0))
            at, depth = parents[at], depth + 1
    return found


async def _parents(db: Db, found: CustomerGroup) -> list[CustomerGroup]:
    """The groups above, from the top down to the one it lies in; those out of reach are left out."""
    chain: list[CustomerGroup] = []
    at = found.parent_id
    while at is not None and len(chain) < _DEEPEST:
        parent = await db.get(CustomerGroup, at)
        if parent is None:
            break
        chain.insert(0, parent)
        at = parent.parent_id
    return chain


async def _members(db: Db, found: CustomerGroup, after: str) -> dict[str, Any]:
    query = select(Customer.id, Customer.name, Customer.external_key).where(Customer.group_id == found.id)
    if after.isascii() and after.isdigit() and len(after) < 19 and (last := await db.get(Customer, int(after))):
        query = query.where(tuple_(Customer.name, Customer.id) > tuple_(value(last.name), value(last.id)))
    rows = (await db.execute(query.order_by(Customer.name, Customer.id).limit(_MEMBERS + 1))).all()
    count = await db.scalar(select(func.count(Customer.id)).where(Customer.group_id == found.id))
    return {
        "rows": rows[:_MEMBERS], "next": rows[_MEMBERS - 1].id if len(rows) > _MEMBERS else None, "count": count or 0,
        "first_page": not after,
    }  # fmt: skip
