"""Dated relations in the API, and the search over everything that is registered."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode_number
from central.api.problems import invalid
from central.api.query import parse_choice
from central.api.schemas import Page, seconds
from central.registry import entry, records, relations
from central.registry.models import CommunicationModule, Customer, Installation, Meter, MeteringPoint, Supply
from central.registry.schemas import HitOut, InstallationIn, InstallationOut, SpanIn, SupplyIn, SupplyOut
from central.registry.search import BY_WORD, search

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]

_MOST_HITS = 100


@get("/search", tags=["registry"])
async def search_registry(
    db: Db,
    principal: Who,
    text: Annotated[
        str, QueryParameter(name="q", max_length=200, description="Beginnings of words that all occur")
    ] = "",
    kind: Annotated[
        str | None, QueryParameter(description="Only this kind: customer, meter, module, group, gateway, point")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=_MOST_HITS)] = 20,
) -> Page[HitOut]:
    """Find customers, meters, points, modules, groups and gateways; exact words come first."""
    if kind is not None:
        parse_choice(kind, "kind", sorted(one.name for one in BY_WORD.values()))
    found = await search(db, principal.tenant_id, text, limit, [kind] if kind else None)
    return Page([HitOut(hit.kind, hit.key, hit.name, hit.note, hit.exact) for hit in found])


class InstallationController(Controller):
    """Which meter sat where, and when. The same installation entered twice is one."""

    path = "/installations"
    tags = ("registry",)

    @get()
    async def list_installations(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        meter: Annotated[str | None, QueryParameter(description="Key of a meter")] = None,
        point: Annotated[str | None, QueryParameter(description="Key of a metering point")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[InstallationOut]]:
        """List installations in the order they were entered."""
        tenant = principal.tenant_id
        rows = await entry.relations(
            db, tenant, Installation, after=decode_number(cursor), limit=limit,
            meter_id=await entry.refer(db, tenant, Meter, meter, "meter"),
            point_id=await entry.refer(db, tenant, MeteringPoint, point, "point"),
        )  # fmt: skip
        shape = await entry.installation_keys(db, tenant, rows.items)
        return answer(request, rows, lambda row: InstallationOut.of(row, *shape(row)))

    @get("/{installation_id:int}")
    async def get_installation(self, db: Db, principal: Who, installation_id: FromPath[int]) -> InstallationOut:
        """Return one installation."""
        return await _installation(db, principal, await _one(db, principal, Installation, installation_id))

    @post(opt=may(Permission.REGISTRY))
    async def create_installation(
        self, db: Db, principal: Who, data: JSONBody[InstallationIn]
    ) -> Response[InstallationOut]:
        """Install a meter (201); what stood open at meter or point ends then. Entered already: 200."""
        tenant = principal.tenant_id
        wanted = {
            "meter_id": await entry.refer(db, tenant, Meter, data.meter, "meter"),
            "point_id": await entry.refer(db, tenant, MeteringPoint, data.point, "point"),
            "module_id": await entry.refer(db, tenant, CommunicationModule, data.module, "module"),
            "starts_at": seconds(data.starts_at),
        }
        if wanted["point_id"] is None and wanted["module_id"] is None:
            raise invalid("point", "an installation needs a point, a module, or both")
        found = await db.scalar(select(Installation).filter_by(tenant_id=tenant, **wanted).limit(1))
        if found is not None:
            return Response(await _installation(db, principal, found), status_code=200)
        row = await relations.install(db, principal, reason=data.reason, **wanted)  # type: ignore[arg-type]
        return Response(
            await _installation(db, principal, row), status_code=201,
            headers={"Location": f"/api/v1/installations/{row.id}"},
        )  # fmt: skip

    @patch("/{installation_id:int}", opt=may(Permission.REGISTRY))
    async def patch_installation(
        self, db: Db, principal: Who, installation_id: FromPath[int], data: JSONBody[SpanIn]
    ) -> InstallationOut:
        """Correct from when until when a meter sat there, or end it."""
        row = await _one(db, principal, Installation, installation_id)
        await _correct(db, principal, row, data)
        return await _installation(db, principal, row)

    @delete("/{installation_id:int}", opt=may(Permission.REGISTRY))
    async def delete_installation(self, db: Db, principal: Who, installation_id: FromPath[int]) -> None:
        """Take back an installation that never was."""
        await relations.remove(db, principal, await _one(db, principal, Installation, installation_id))


class SupplyController(Controller):
    """Which customer was supplied at which point, and when. The same supply entered twice is one."""

    path = "/supplies"
    tags = ("registry",)

    @get()
    async def list_supplies(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        point: Annotated[str | None, QueryParameter(description="Key of a metering point")] = None,
        customer: Annotated[str | None, QueryParameter(description="Key of a customer")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[SupplyOut]]:
        """List supplies in the order they were entered."""
        tenant = principal.tenant_id
        rows = await entry.relations(
            db, tenant, Supply, after=decode_number(cursor), limit=limit,
            point_id=await entry.refer(db, tenant, MeteringPoint, point, "point"),
            customer_id=await entry.refer(db, tenant, Customer, customer, "customer"),
        )  # fmt: skip
        shape = await entry.supply_keys(db, tenant, rows.items)
        return answer(request, rows, lambda row: SupplyOut.of(row, *shape(row)))

    @get("/{supply_id:int}")
    async def get_supply(self, db: Db, principal: Who, supply_id: FromPath[int]) -> SupplyOut:
        """Return one supply."""
        return await _supply(db, principal, await _one(db, principal, Supply, supply_id))

    @post(opt=may(Permission.REGISTRY))
    async def create_supply(self, db: Db, principal: Who, data: JSONBody[SupplyIn]) -> Response[SupplyOut | None]:
        """Supply a customer at a point (201); who was supplied there was so until then. Entered already: 200.

        ``customer`` null ends the supply that is there (200, null).
        """
        tenant = principal.tenant_id
        point_id = await entry.refer(db, tenant, MeteringPoint, data.point, "point")
        customer_id = await entry.refer(db, tenant, Customer, data.customer, "customer")
        at = seconds(data.starts_at)
        same = {"tenant_id": tenant, "point_id": point_id, "customer_id": customer_id, "starts_at": at}
        found = await db.scalar(select(Supply).filter_by(**same).limit(1)) if customer_id is not None else None
        if found is not None:
            return Response(await _supply(db, principal, found), status_code=200)
        row = await relations.supply(db, principal, point_id, customer_id, at, data.reason)
        if row is None:
            return Response(None, status_code=200)
        return Response(
            await _supply(db, principal, row), status_code=201, headers={"Location": f"/api/v1/supplies/{row.id}"}
        )

    @patch("/{supply_id:int}", opt=may(Permission.REGISTRY))
    async def patch_supply(self, db: Db, principal: Who, supply_id: FromPath[int], data: JSONBody[SpanIn]) -> SupplyOut:
        """Correct from when until when a customer was supplied there, or end it."""
        row = await _one(db, principal, Supply, supply_id)
        await _correct(db, principal, row, data)
        return await _supply(db, principal, row)

    @delete("/{supply_id:int}", opt=may(Permission.REGISTRY))
    async def delete_supply(self, db: Db, principal: Who, supply_id: FromPath[int]) -> None:
        """Take back a supply that never was."""
        await relations.remove(db, principal, await _one(db, principal, Supply, supply_id))


async def _one(db: AsyncSession, principal: Principal, model: Any, number: int) -> Any:
    return await relations.one(db, principal.tenant_id, model, records.number(number))


async def _correct(db: AsyncSession, principal: Principal, row: Any, data: SpanIn) -> None:
    ends_at = None if data.ends_at is None else seconds(data.ends_at)
    await relations.correct(db, principal, row, seconds(data.starts_at), ends_at, data.reason)


async def _installation(db: AsyncSession, principal: Principal, row: Installation) -> InstallationOut:
    shape = await entry.installation_keys(db, principal.tenant_id, [row])
    return InstallationOut.of(row, *shape(row))


async def _supply(db: AsyncSession, principal: Principal, row: Supply) -> SupplyOut:
    shape = await entry.supply_keys(db, principal.tenant_id, [row])
    return SupplyOut.of(row, *shape(row))
