"""The registry in the API: meters and everything they hang on. Handlers parse, call a service, return a shape."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode, decode_number, own_path
from central.api.problems import invalid
from central.api.schemas import Page, seconds
from central.registry import changes, entry
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
)
from central.registry.schemas import (
    CustomerIn,
    CustomerOut,
    GroupIn,
    GroupOut,
    InstallationIn,
    InstallationOut,
    LotIn,
    LotOut,
    MeterIn,
    MeterOut,
    ModelIn,
    ModelOut,
    ModuleIn,
    ModuleOut,
    PointIn,
    PointOut,
)
from central.registry.service import MeterFilter, find_meters, get_meter
from central.store.pages import Page as Rows
from central.store.pages import bounded

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
Search = Annotated[
    str, QueryParameter(name="q", max_length=200, description="Words that must all occur, in any case of letters")
]


class MeterController(Controller):
    """Meters by their key."""

    path = "/meters"
    tags = ("meters",)

    @get()
    async def list_meters(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        search: Search = "",
        gateway: Annotated[str | None, QueryParameter(description="Key of a gateway")] = None,
        customer: Annotated[str | None, QueryParameter(description="Key of a customer")] = None,
        group: Annotated[
            int | None, QueryParameter(description="Id of a customer group", ge=1, le=(1 << 53) - 1)
        ] = None,
        lot: Annotated[str | None, QueryParameter(description="Key of a lot")] = None,
        registered: Annotated[bool | None, QueryParameter(description="Entered by someone, or only seen")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[MeterOut]]:
        """List meters in order of their key, with place, customer and last state; ``q`` searches them."""
        tenant = principal.tenant_id
        wanted = MeterFilter(
            search=search,
            gateway_id=await entry.refer(db, tenant, Gateway, gateway, "gateway"),
            customer_id=await entry.refer(db, tenant, Customer, customer, "customer"),
            group_id=group,
            lot_id=await entry.refer(db, tenant, Lot, lot, "lot"),
            registered=registered,
        )
        return answer(request, await find_meters(db, tenant, wanted, after=decode(cursor), limit=limit), MeterOut.of)

    @get("/{key:str}")
    async def get_meter(self, db: Db, principal: Who, key: FromPath[str]) -> MeterOut:
        """Return one meter."""
        return MeterOut.of(await get_meter(db, principal.tenant_id, key))

    @put("/{key:str}", opt=may(Permission.REGISTRY))
    async def put_meter(
        self, request: Asked, db: Db, principal: Who, key: FromPath[str], data: JSONBody[MeterIn]
    ) -> Response[MeterOut]:
        """Enter a meter (201) or replace what is entered of it (200)."""
        _, new = await entry.put(db, principal.tenant_id, Meter, key, data)
        return _put(request, MeterOut.of(await get_meter(db, principal.tenant_id, key)), new)

    @patch("/{key:str}", opt=may(Permission.REGISTRY))
    async def patch_meter(self, db: Db, principal: Who, key: FromPath[str], data: JSONBody[MeterIn]) -> MeterOut:
        """Change the given fields of a meter."""
        await entry.patch(db, principal.tenant_id, Meter, key, data)
        return MeterOut.of(await get_meter(db, principal.tenant_id, key))


class ModelController(Controller):
    """Meter models by their key."""

    path = "/models"
    tags = ("registry",)

    @get()
    async def list_models(
        self, request: Asked, db: Db, principal: Who, search: Search = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[ModelOut]]:  # fmt: skip
        """List meter models in order of their key."""
        rows = await entry.page(db, principal.tenant_id, MeterModel, search=search, after=decode(cursor), limit=limit)
        return answer(request, rows, ModelOut.of)

    @get("/{key:str}")
    async def get_model(self, db: Db, principal: Who, key: FromPath[str]) -> ModelOut:
        """Return one meter model."""
        return ModelOut.of(await entry.get(db, principal.tenant_id, MeterModel, key))

    @put("/{key:str}", opt=may(Permission.REGISTRY))
    async def put_model(
        self, request: Asked, db: Db, principal: Who, key: FromPath[str], data: JSONBody[ModelIn]
    ) -> Response[ModelOut]:
        """Enter a meter model (201) or replace it (200)."""
        row, new = await entry.put(db, principal.tenant_id, MeterModel, key, data)
        return _put(request, ModelOut.of(row), new)


class LotController(Controller):
    """Lots by their key."""

    path = "/lots"
    tags = ("registry",)

    @get()
    async def list_lots(
        self, request: Asked, db: Db, principal: Who, search: Search = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[LotOut]]:  # fmt: skip
        """List lots in order of their key."""
        rows = await entry.page(db, principal.tenant_id, Lot, search=search, after=decode(cursor), limit=limit)
        return answer(request, rows, LotOut.of)

    @get("/{key:str}")
    async def get_lot(self, db: Db, principal: Who, key: FromPath[str]) -> LotOut:
        """Return one lot."""
        return LotOut.of(await entry.get(db, principal.tenant_id, Lot, key))

    @put("/{key:str}", opt=may(Permission.BILLING))
    async def put_lot(
        self, request: Asked, db: Db, principal: Who, key: FromPath[str], data: JSONBody[LotIn]
    ) -> Response[LotOut]:
        """Enter a lot (201) or replace it (200)."""
        row, new = await entry.put(db, principal.tenant_id, Lot, key, data)
        return _put(request, LotOut.of(row), new)


class CustomerController(Controller):
    """Customers by their key in the utility's own systems."""

    path = "/customers"
    tags = ("registry",)

    @get()
    async def list_customers(
        self, request: Asked, db: Db, principal: Who, search: Search = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[CustomerOut]]:  # fmt: skip
        """List customers in order of their key."""
        tenant = principal.tenant_id
        rows = await entry.page(db, tenant, Customer, search=search, after=decode(cursor), limit=limit)
        lots = await entry.keys(db, tenant, Lot, (row.lot_id for row in rows.items))
        return answer(request, rows, lambda row: CustomerOut.of(row, lots.get(row.lot_id)))

    @get("/{key:str}")
    async def get_customer(self, db: Db, principal: Who, key: FromPath[str]) -> CustomerOut:
        """Return one customer."""
        return await _customer(db, principal, await entry.get(db, principal.tenant_id, Customer, key))

    @put("/{key:str}", opt=may(Permission.REGISTRY))
    async def put_customer(
        self, request: Asked, db: Db, principal: Who, key: FromPath[str], data: JSONBody[CustomerIn]
    ) -> Response[CustomerOut]:
        """Enter a customer (201) or replace it (200)."""
        row, new = await entry.put(db, principal.tenant_id, Customer, key, data)
        return _put(request, await _customer(db, principal, row), new)


class PointController(Controller):
    """Metering points by their key."""

    path = "/points"
    tags = ("registry",)

    @get()
    async def list_points(
        self, request: Asked, db: Db, principal: Who, search: Search = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[PointOut]]:  # fmt: skip
        """List metering points in order of their key."""
        tenant = principal.tenant_id
        rows = await entry.page(db, tenant, MeteringPoint, search=search, after=decode(cursor), limit=limit)
        customers = await entry.keys(db, tenant, Customer, (row.customer_id for row in rows.items))
        return answer(request, rows, lambda row: PointOut.of(row, customers.get(row.customer_id)))

    @get("/{key:str}")
    async def get_point(self, db: Db, principal: Who, key: FromPath[str]) -> PointOut:
        """Return one metering point."""
        return await _point(db, principal, await entry.get(db, principal.tenant_id, MeteringPoint, key))

    @put("/{key:str}", opt=may(Permission.REGISTRY))
    async def put_point(
        self, request: Asked, db: Db, principal: Who, key: FromPath[str], data: JSONBody[PointIn]
    ) -> Response[PointOut]:
        """Enter a metering point (201) or replace it (200)."""
        row, new = await entry.put(db, principal.tenant_id, MeteringPoint, key, data)
        return _put(request, await _point(db, principal, row), new)


class ModuleController(Controller):
    """Communication modules by their key."""

    path = "/modules"
    tags = ("registry",)

    @get()
    async def list_modules(
        self, request: Asked, db: Db, principal: Who, search: Search = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[ModuleOut]]:  # fmt: skip
        """List communication modules in order of their key."""
        tenant = principal.tenant_id
        rows = await entry.page(db, tenant, CommunicationModule, search=search, after=decode(cursor), limit=limit)
        gateways = await entry.keys(db, tenant, Gateway, (row.gateway_id for row in rows.items))
        return answer(request, rows, lambda row: ModuleOut.of(row, gateways.get(row.gateway_id)))

    @get("/{key:str}")
    async def get_module(self, db: Db, principal: Who, key: FromPath[str]) -> ModuleOut:
        """Return one communication module."""
        return await _module(db, principal, await entry.get(db, principal.tenant_id, CommunicationModule, key))

    @put("/{key:str}", opt=may(Permission.REGISTRY))
    async def put_module(
        self, request: Asked, db: Db, principal: Who, key: FromPath[str], data: JSONBody[ModuleIn]
    ) -> Response[ModuleOut]:
        """Enter a communication module (201) or replace it (200)."""
        row, new = await entry.put(db, principal.tenant_id, CommunicationModule, key, data)
        return _put(request, await _module(db, principal, row), new)


class GroupController(Controller):
    """Customer groups, a tree; a name is unique under its parent, so entering one twice changes nothing."""

    path = "/groups"
    tags = ("registry",)

    @get()
    async def list_groups(
        self, request: Asked, db: Db, principal: Who, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
    ) -> Response[Page[GroupOut]]:
        """List groups in order of their id."""
        limit = bounded(limit)
        query = select(CustomerGroup).where(
            CustomerGroup.tenant_id == principal.tenant_id, CustomerGroup.id > (decode_number(cursor) or 0)
        )
        rows = (await db.scalars(query.order_by(CustomerGroup.id).limit(limit + 1))).all()
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return answer(request, Rows(rows[:limit], more), GroupOut.of)

    @get("/{group_id:int}")
    async def get_group(self, db: Db, principal: Who, group_id: FromPath[int]) -> GroupOut:
        """Return one group."""
        return GroupOut.of(await changes.get(db, principal.tenant_id, CustomerGroup, _row_id(group_id)))

    @post(opt=may(Permission.REGISTRY))
    async def create_group(self, db: Db, principal: Who, data: JSONBody[GroupIn]) -> Response[GroupOut]:
        """Enter a group (201), or return the one with this name under this parent (200)."""
        values = entry.group_values(data)
        query = select(CustomerGroup).where(
            CustomerGroup.tenant_id == principal.tenant_id,
            CustomerGroup.name == values.get("name", ""),
            CustomerGroup.parent_id.is_not_distinct_from(values.get("parent_id")),
        )
        if (found := await db.scalar(query.limit(1))) is not None:
            return Response(GroupOut.of(found), status_code=200)
        row = await changes.create(db, principal.tenant_id, CustomerGroup, **values)
        return Response(GroupOut.of(row), status_code=201, headers={"Location": f"/api/v1/groups/{row.id}"})

    @patch("/{group_id:int}", opt=may(Permission.REGISTRY))
    async def patch_group(self, db: Db, principal: Who, group_id: FromPath[int], data: JSONBody[GroupIn]) -> GroupOut:
        """Rename or move a group."""
        values = entry.group_values(data)
        return GroupOut.of(await changes.update(db, principal.tenant_id, CustomerGroup, _row_id(group_id), **values))


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
        rows = await entry.installations(
            db, tenant, meter_id=await entry.refer(db, tenant, Meter, meter, "meter"),
            point_id=await entry.refer(db, tenant, MeteringPoint, point, "point"), after=decode_number(cursor),
            limit=limit,
        )  # fmt: skip
        shape = await entry.installation_keys(db, tenant, rows.items)
        return answer(request, rows, lambda row: InstallationOut.of(row, *shape(row)))

    @get("/{installation_id:int}")
    async def get_installation(self, db: Db, principal: Who, installation_id: FromPath[int]) -> InstallationOut:
        """Return one installation."""
        row = await entry.installation(db, principal.tenant_id, _row_id(installation_id))
        return await _installation(db, principal, row)

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
        row = await changes.install(db, tenant, reason=data.reason, **wanted)  # type: ignore[arg-type]
        return Response(
            await _installation(db, principal, row), status_code=201,
            headers={"Location": f"/api/v1/installations/{row.id}"},
        )  # fmt: skip


def _put(request: Asked, body: Any, new: bool) -> Response[Any]:
    return Response(body, status_code=201, headers={"Location": own_path(request)}) if new else Response(body)


def _row_id(number: int) -> int:
    """Row ids end at 63 bits; beyond there is nothing, not an error of the database."""
    return number if 0 < number < 1 << 63 else 0


async def _customer(db: AsyncSession, principal: Principal, row: Customer) -> CustomerOut:
    lots = await entry.keys(db, principal.tenant_id, Lot, [row.lot_id])
    return CustomerOut.of(row, lots.get(row.lot_id))


async def _point(db: AsyncSession, principal: Principal, row: MeteringPoint) -> PointOut:
    customers = await entry.keys(db, principal.tenant_id, Customer, [row.customer_id])
    return PointOut.of(row, customers.get(row.customer_id))


async def _module(db: AsyncSession, principal: Principal, row: CommunicationModule) -> ModuleOut:
    gateways = await entry.keys(db, principal.tenant_id, Gateway, [row.gateway_id])
    return ModuleOut.of(row, gateways.get(row.gateway_id))


async def _installation(db: AsyncSession, principal: Principal, row: Installation) -> InstallationOut:
    shape = await entry.installation_keys(db, principal.tenant_id, [row])
    return InstallationOut.of(row, *shape(row))
