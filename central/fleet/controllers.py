"""Gateways in the API: what they are, how they are, and commands to them."""

from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.guards import narrow
from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode, own_path
from central.api.problems import invalid
from central.api.query import instant_text, parse_choice, parse_span
from central.api.schemas import Page
from central.errors import NotFound
from central.fleet import service
from central.fleet.schemas import (
    CONTROLLING,
    CommandIn,
    CommandOut,
    ConfigurationOut,
    GatewayDetail,
    GatewayHealthOut,
    GatewayOut,
    HealthOut,
    ModuleHealthOut,
    ModuleSeriesOut,
)
from central.registry import changes, entry, records
from central.registry.kinds import GATEWAY, MODULE
from central.registry.models import CommunicationModule, Gateway, Meter
from central.registry.service import find_gateways, get_gateway
from central.registry.shapes import answer_of, given, input_of, output_of
from central.store.pages import MAX_LIMIT

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
From = Annotated[str | None, QueryParameter(name="from", description="First instant: RFC 3339 or seconds since 1970")]
To = Annotated[str | None, QueryParameter(name="to", description="Instant after the last one; now unless given")]

STATUSES: Final = ("queued", "sent", "done", "failed", "expired")
_DAY: Final = 86400


class GatewayController(Controller):
    """Gateways by their key."""

    path = "/gateways"
    tags = ("gateways",)

    @get()
    async def list_gateways(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        search: Annotated[str, QueryParameter(name="q", max_length=200)] = "",
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[GatewayOut]]:
        """List gateways in order of their key, with last contact and spool depth."""
        rows = await find_gateways(db, principal.tenant_id, search, after=decode(cursor), limit=limit)
        return answer(request, rows, GatewayOut.of)

    @get("/{key:str}")
    async def get_gateway(self, db: Db, principal: Who, key: FromPath[str]) -> GatewayDetail:
        """Return one gateway with its lines and meters as it last told."""
        return GatewayDetail.of(await get_gateway(db, principal.tenant_id, key))

    @get("/{key:str}/configuration")
    async def get_configuration(self, db: Db, principal: Who, key: FromPath[str]) -> ConfigurationOut:
        """Return the configuration in force, secrets masked: what ``apply_config`` starts from."""
        return ConfigurationOut.of(await get_gateway(db, principal.tenant_id, key))

    @put("/{key:str}", opt=may(Permission.REGISTRY))
    async def put_gateway(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        key: FromPath[str],
        data: JSONBody[input_of(GATEWAY)],  # type: ignore[valid-type]
    ) -> Response[GatewayOut]:
        """Enter a gateway (201) or replace what is entered of it (200)."""
        row = await changes.put(db, principal, GATEWAY, key, given(data), replace=True)
        new = row.status == "new"
        body = GatewayOut.of(await get_gateway(db, principal.tenant_id, key))
        return Response(body, status_code=201 if new else 200, headers={"Location": own_path(request)} if new else None)

    @patch("/{key:str}", opt=may(Permission.REGISTRY))
    async def patch_gateway(
        self,
        db: Db,
        principal: Who,
        key: FromPath[str],
        data: JSONBody[input_of(GATEWAY)],  # type: ignore[valid-type]
    ) -> GatewayOut:
        """Change the given fields of a gateway."""
        await changes.patch(db, principal, GATEWAY, key, given(data))
        return GatewayOut.of(await get_gateway(db, principal.tenant_id, key))

    @get("/{key:str}/modules")
    async def list_gateway_modules(self, db: Db, principal: Who, key: FromPath[str]) -> Page[output_of(MODULE)]:  # type: ignore[valid-type]
        """List the communication modules seen at a gateway."""
        gateway = await entry.get(db, principal.tenant_id, Gateway, key)
        rows = await records.page(db, principal.tenant_id, MODULE, filters={"gateway": gateway.id}, limit=MAX_LIMIT)
        return Page([answer_of(MODULE, row) for row in rows.items])

    @get("/{key:str}/health")
    async def get_health(
        self, db: Db, principal: Who, key: FromPath[str], start: From = None, end: To = None
    ) -> GatewayHealthOut:
        """Return a gateway's health series, the last day unless a range is given; at most 31 days, the newest 5000."""
        first, last = parse_span(start, end, longest=31 * _DAY, default=_DAY)
        gateway = await entry.get(db, principal.tenant_id, Gateway, key)
        rows = await service.health(db, principal.tenant_id, gateway.id, first, last)
        return GatewayHealthOut(
            start=instant_text(first), end=instant_text(last), items=[HealthOut.of(row) for row in rows]
        )

    @get("/{key:str}/modules/{module:str}/health")
    async def get_module_health(
        self,
        db: Db,
        principal: Who,
        key: FromPath[str],
        module: FromPath[str],
        start: From = None,
        end: To = None,
    ) -> ModuleSeriesOut:
        """Return temperature and signal of a communication module; limits as for the gateway's health."""
        first, last = parse_span(start, end, longest=31 * _DAY, default=_DAY)
        gateway = await entry.get(db, principal.tenant_id, Gateway, key)
        row = await entry.get(db, principal.tenant_id, CommunicationModule, module)
        if row.gateway_id != gateway.id:
            raise NotFound("module", module)
        rows = await service.module_health(db, principal.tenant_id, row.id, first, last)
        return ModuleSeriesOut(
            start=instant_text(first), end=instant_text(last), items=[ModuleHealthOut.of(one) for one in rows]
        )

    @post("/{key:str}/commands", opt=may(Permission.COMMAND))
    async def create_command(
        self,
        db: Db,
        principal: Who,
        key: FromPath[str],
        data: JSONBody[CommandIn],
    ) -> Response[CommandOut]:
        """Queue a command (201)."""
        if isinstance(data, CONTROLLING):
            narrow(db, principal, Permission.CONTROL)
        gateway = await entry.get(db, principal.tenant_id, Gateway, key)
        row = await service.order(db, principal, gateway, data.action(), lifetime=data.lifetime)
        view = await service.get_command(db, principal.tenant_id, row.id)
        return Response(CommandOut.of(view), status_code=201, headers={"Location": f"/api/v1/commands/{row.id}"})


class CommandController(Controller):
    """Commands of all gateways, newest first."""

    path = "/commands"
    tags = ("gateways",)

    @get()
    async def list_commands(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        gateway: Annotated[str | None, QueryParameter(description="Key of a gateway")] = None,
        meter: Annotated[str | None, QueryParameter(description="Key of a meter")] = None,
        status: Annotated[str | None, QueryParameter(description=", ".join(STATUSES))] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[CommandOut]]:
        """List commands, newest first."""
        tenant = principal.tenant_id
        if status is not None:
            parse_choice(status, "status", STATUSES)
        gateway_id = await entry.refer(db, tenant, Gateway, gateway, "gateway")
        meter_id = await entry.refer(db, tenant, Meter, meter, "meter")
        after = decode(cursor)
        try:
            rows = await service.commands(
                db, tenant, gateway_id=gateway_id, meter_id=meter_id, status=status, after=after, limit=limit
            )
        except NotFound as error:
            raise invalid("cursor", "it points to a command that is not here") from error
        return answer(request, rows, CommandOut.of)

    @get("/{command_id:str}")
    async def get_command(self, db: Db, principal: Who, command_id: FromPath[str]) -> CommandOut:
        """Return one command and its result."""
        return CommandOut.of(await service.get_command(db, principal.tenant_id, command_id))

    @delete("/{command_id:str}", opt=may(Permission.COMMAND), status_code=200)
    async def cancel_command(self, db: Db, principal: Who, command_id: FromPath[str]) -> CommandOut:
        """Take back a command that was not sent yet."""
        return CommandOut.of(await service.cancel(db, principal, command_id))
