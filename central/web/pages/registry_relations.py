"""Exchanging a meter, changing a customer, moving a meter, and correcting what was entered wrongly."""

import time
from collections.abc import Mapping
from typing import Any

from litestar import post
from litestar.params import FromPath
from litestar.response import Redirect, Response

from central.accounts.permissions import Permission, may
from central.errors import CentralError
from central.registry import entry, records, relations
from central.registry.kinds import METER, POINT, Kind
from central.registry.models import CommunicationModule, Customer, Installation, Meter, MeteringPoint, Supply
from central.web.forms import Db, Key, Web, Who, field, fields
from central.web.pages.registry import address, everything, kind_of, require
from central.web.render import page
from central.web.views.registry_relations import typed_instant
from shared.intervals import zone as zone_of

NEEDS = may(Permission.REGISTRY)


@post("/registry/{kind:str}/{key:str}/meter", opt=NEEDS, status_code=200)
async def exchange_meter(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[Any]:
    """Put another meter into a point."""
    require(kind, POINT)
    form = await fields(request)

    async def change() -> None:
        point = await entry.get(db, principal.tenant_id, MeteringPoint, key)
        meter = await entry.refer(db, principal.tenant_id, Meter, chosen(form, "meter"), "meter")
        module = await _module(db, principal, form)
        await relations.exchange_meter(
            db, principal, point.id, meter, instant(form, "at", principal), module_id=module, reason=reason(form)
        )

    return await _done(request, db, principal, POINT, key, change)


@post("/registry/{kind:str}/{key:str}/customer", opt=NEEDS, status_code=200)
async def change_customer(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[Any]:
    """Supply another customer at a point, or nobody."""
    require(kind, POINT)
    form = await fields(request)

    async def change() -> None:
        point = await entry.get(db, principal.tenant_id, MeteringPoint, key)
        wanted = chosen(form, "customer") or None
        customer = await entry.refer(db, principal.tenant_id, Customer, wanted, "customer")
        await relations.supply(db, principal, point.id, customer, instant(form, "at", principal), reason(form))

    return await _done(request, db, principal, POINT, key, change)


@post("/registry/{kind:str}/{key:str}/place", opt=NEEDS, status_code=200)
async def place_meter(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[Any]:
    """Install a meter in a point, reach it through a module, or take it out."""
    require(kind, METER)
    form = await fields(request)

    async def change() -> None:
        meter = await entry.get(db, principal.tenant_id, Meter, key)
        at = instant(form, "at", principal)
        point = await entry.refer(db, principal.tenant_id, MeteringPoint, chosen(form, "point") or None, "point")
        module = await _module(db, principal, form)
        if point is None and module is None:
            await relations.take_out(db, principal, meter.id, at, reason(form))
        elif point is None:
            await relations.change_module(db, principal, meter.id, module, at, reason(form))
        else:
            await relations.install(
                db, principal, meter.id, point_id=point, module_id=module, starts_at=at, reason=reason(form)
            )

    return await _done(request, db, principal, METER, key, change)


@post("/registry/{kind:str}/{key:str}/relations/{table:str}/{number:int}", opt=NEEDS, status_code=200)
async def correct_relation(
    request: Web, db: Db, principal: Who, kind: Key, key: Key, table: Key, number: FromPath[int]
) -> Response[Any]:
    """Correct from when until when, or take back what never was."""
    form = await fields(request)

    async def change() -> None:
        model: Any = Supply if table == "supply" else Installation
        row = await relations.one(db, principal.tenant_id, model, records.number(number))
        if form.get("withdraw"):
            await relations.remove(db, principal, row)
            return
        ends_at = instant(form, "ends_at", principal) if field(form, "ends_at") else None
        await relations.correct(db, principal, row, instant(form, "starts_at", principal), ends_at, reason(form))

    return await _done(request, db, principal, kind_of(kind), key, change)


def chosen(form: Mapping[str, Any], name: str) -> str:
    """What a pick list has chosen, else what was typed into it."""
    return field(form, name, 64) or field(form, f"{name}-typed", 64)


def instant(form: Mapping[str, Any], name: str, principal: Who) -> int:
    """The instant that a form says, now when it says none."""
    text = field(form, name, 40)
    return typed_instant(text, zone_of(principal.zone), name) if text else int(time.time())


def reason(form: Mapping[str, Any]) -> str:
    return field(form, "reason", 300)


async def _module(db: Db, principal: Who, form: Mapping[str, Any]) -> int | None:
    return await entry.refer(db, principal.tenant_id, CommunicationModule, chosen(form, "module") or None, "module")


async def _done(request: Web, db: Db, principal: Who, kind: Kind, key: str, change: Any) -> Response[Any]:
    """Change it and go back to the page, or show it with what is wrong."""
    try:
        async with db.begin_nested():
            await change()
    except CentralError as error:
        record = await records.get(db, principal.tenant_id, kind, key)
        return page(
            request, "registry/one.html", 422,
            **await everything(db, principal, kind, record, problem=str(error), tab="relations"),
        )  # fmt: skip
    return Redirect(f"{address(kind, key)}?tab=relations", status_code=303)
