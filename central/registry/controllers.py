"""The registry in the API: for each declared kind list, get, put, patch, delete, history and bulk, made here once.

Meters have a list and an answer of their own: what hangs on them and how they are.
"""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, Router, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import may
from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode, decode_number, own_path
from central.api.problems import ApiError
from central.api.problems import Fault as ApiFault
from central.api.schemas import Input, Page
from central.registry import changes, dependents, entry, history, records
from central.registry.fields import Reference
from central.registry.file_controllers import import_route
from central.registry.kinds import BY_NAME, GATEWAY, GROUP, KINDS, METER, Kind
from central.registry.models import Customer, Gateway, Lot
from central.registry.plans import Entry, Plan, plan
from central.registry.schemas import ChangeOut, MeterOut
from central.registry.service import MeterFilter, find_meters, get_meter
from central.registry.shapes import BulkOut, RowFault, RowResult, answer_of, entry_of, given, input_of, output_of
from central.store.pages import MAX_LIMIT

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
Search = Annotated[
    str, QueryParameter(name="q", max_length=200, description="Words that must all occur, by their beginnings")
]
Handler = Callable[..., Any]

_Id = Annotated[int | None, QueryParameter(ge=1, le=(1 << 53) - 1)]
_Key = Annotated[str | None, QueryParameter(max_length=64)]


class MeterController(Controller):
    """Meters with what hangs on them and how they are."""

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
        rows = await find_meters(db, tenant, wanted, after=decode(cursor), limit=limit)
        known = await records.by_keys(db, tenant, METER, (view.meter.key for view in rows.items))
        return answer(request, rows, lambda view: MeterOut.of(view, known[view.meter.key]))

    @get("/{key:str}")
    async def get_meter(self, db: Db, principal: Who, key: FromPath[str]) -> MeterOut:
        """Return one meter."""
        view = await get_meter(db, principal.tenant_id, key)
        return MeterOut.of(view, await records.get(db, principal.tenant_id, METER, key))


class GroupCreation(Controller):
    """Entering a group; a name is unique under its parent, so entering one twice changes nothing."""

    path = "/groups"
    tags = ("registry",)

    @post(opt=may(GROUP.permission))
    async def create_group(
        self,
        db: Db,
        principal: Who,
        data: JSONBody[input_of(GROUP)],  # type: ignore[valid-type]
    ) -> Response[output_of(GROUP)]:  # type: ignore[valid-type]
        """Enter a group (201), or return the one with this name under this parent (200)."""
        return await _create(GROUP, db, principal, data)


def routers() -> list[Router]:
    """One router for each kind."""
    return [_router(kind) for kind in KINDS]


def _router(kind: Kind) -> Router:
    tag = {"meter": "meters", "gateway": "gateways"}.get(kind.name, "registry")
    made = [_delete(kind), _history(kind), _bulk(kind), import_route(kind)]
    if kind is not GATEWAY:  # how it is belongs to the answer: central.fleet.controllers
        made += [_put(kind), _patch(kind)]
    if kind not in (METER, GATEWAY):
        made += [_list(kind), _get(kind)]
    if kind.numbered and kind is not GROUP:
        made.append(_post(kind))
    return Router(f"/{kind.path}", route_handlers=made, tags=[tag])


def _plural(kind: Kind) -> str:
    return kind.path.replace("-", "_")


def _named(handler: Handler, name: str, words: str) -> Handler:
    handler.__name__ = handler.__qualname__ = name
    handler.__doc__ = words
    return handler


def _one(kind: Kind) -> str:
    return "/{number:int}" if kind.numbered else "/{key:str}"


def _by_one(kind: Kind, handler: Handler) -> Handler:
    """A handler that takes ``key``, of numbered kinds ``number``: its signature says which."""
    name, of = ("number", FromPath[int]) if kind.numbered else ("key", FromPath[str])

    async def called(**given_: Any) -> Any:
        given_["key"] = given_.pop(name)
        return await handler(**given_)

    return _signed(called, handler, {"key": Parameter(name, Parameter.KEYWORD_ONLY, annotation=of)})


def _signed(called: Handler, like: Handler, others: dict[str, Parameter]) -> Handler:
    """Give ``called`` the signature of ``like`` with some of its parameters replaced."""
    own = Signature.from_callable(like)
    parameters = []
    for each in own.parameters.values():
        if each.kind is Parameter.VAR_KEYWORD:
            continue
        parameters.append(others.get(each.name, each.replace(kind=Parameter.KEYWORD_ONLY)))
    parameters += [each for name, each in others.items() if name not in own.parameters]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": own.return_annotation}
    return called


async def _shape(kind: Kind, db: AsyncSession, tenant_id: int, key: Any) -> Any:
    found = await records.get(db, tenant_id, kind, key)
    if kind is METER:
        return MeterOut.of(await get_meter(db, tenant_id, key), found)
    return answer_of(kind, found)


def _output(kind: Kind) -> Any:
    return MeterOut if kind is METER else output_of(kind)


def _list(kind: Kind) -> Any:
    shape = output_of(kind)

    async def handler(
        request: Asked, db: Db, principal: Who, search: Search = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT, **filters: Any,
    ) -> Response[Page[shape]]:  # type: ignore[valid-type]  # fmt: skip
        wanted = {}
        for name, value in filters.items():
            target = kind.field(name).type
            assert isinstance(target, Reference)  # noqa: S101 - filters are made of references below
            wanted[name] = (
                value if target.by_number
                else await entry.refer(db, principal.tenant_id, BY_NAME[target.kind].model, value, name)
            )  # fmt: skip
        after = decode(cursor)
        if after is not None and kind.numbered:
            decode_number(cursor)
        rows = await records.page(
            db, principal.tenant_id, kind, search=search, filters=wanted, after=after, limit=limit
        )
        return answer(request, rows, lambda row: answer_of(kind, row))

    async def called(**given_: Any) -> Any:
        return await handler(**given_)

    filters = {
        each.name: Parameter(
            each.name, Parameter.KEYWORD_ONLY, default=None,
            annotation=_Id if isinstance(each.type, Reference) and each.type.by_number else _Key,
        )
        for each in records.filtered(kind)
    }  # fmt: skip
    order = "id" if kind.numbered else "key"
    words = f"List {kind.label} entries in order of their {order}; ``q`` searches them."
    return get("/")(_named(_signed(called, handler, filters), f"list_{_plural(kind)}", words))


def _get(kind: Kind) -> Any:
    async def handler(db: Db, principal: Who, key: Any) -> _output(kind):  # type: ignore[valid-type]
        return await _shape(kind, db, principal.tenant_id, key)

    return get(_one(kind))(_named(_by_one(kind, handler), f"get_{kind.name}", f"Return one {kind.label}."))


def _put(kind: Kind) -> Any:
    shape = input_of(kind)

    async def handler(
        request: Asked,
        db: Db,
        principal: Who,
        key: Any,
        data: JSONBody[shape],  # type: ignore[valid-type]
    ) -> Response[_output(kind)]:  # type: ignore[valid-type]
        if kind.numbered:
            await records.get(db, principal.tenant_id, kind, key)
        row = await changes.put(db, principal, kind, key, given(data), replace=True)
        body = await _shape(kind, db, principal.tenant_id, key)
        if row.status == "new":
            return Response(body, status_code=201, headers={"Location": own_path(request)})
        return Response(body)

    words = f"Replace a {kind.label}." if kind.numbered else f"Enter a {kind.label} (201) or replace it (200)."
    made = _named(_by_one(kind, handler), f"put_{kind.name}", words)
    return put(_one(kind), opt=may(kind.permission))(made)


def _patch(kind: Kind) -> Any:
    shape = input_of(kind)

    async def handler(
        db: Db,
        principal: Who,
        key: Any,
        data: JSONBody[shape],  # type: ignore[valid-type]
    ) -> _output(kind):  # type: ignore[valid-type]
        await changes.patch(db, principal, kind, key, given(data))
        return await _shape(kind, db, principal.tenant_id, key)

    made = _named(_by_one(kind, handler), f"patch_{kind.name}", f"Change the given fields of a {kind.label}.")
    return patch(_one(kind), opt=may(kind.permission))(made)


def _post(kind: Kind) -> Any:
    shape = input_of(kind)

    async def handler(
        db: Db,
        principal: Who,
        data: JSONBody[shape],  # type: ignore[valid-type]
    ) -> Response[_output(kind)]:  # type: ignore[valid-type]
        return await _create(kind, db, principal, data)

    words = f"Enter a {kind.label} (201), or return the one that says the same (200)."
    return post("/", opt=may(kind.permission))(_named(handler, f"create_{kind.name}", words))


async def _create(kind: Kind, db: AsyncSession, principal: Principal, data: msgspec.Struct) -> Response[Any]:
    row = await changes.put(db, principal, kind, None, given(data))
    body = answer_of(kind, await records.get(db, principal.tenant_id, kind, row.id))
    if row.status != "new":
        return Response(body, status_code=200)
    return Response(body, status_code=201, headers={"Location": f"/api/v1/{kind.path}/{row.id}"})


def _delete(kind: Kind) -> Any:
    async def handler(db: Db, principal: Who, key: Any) -> None:
        await dependents.remove(db, principal, kind, key)

    words = f"Delete a {kind.label} that nothing hangs on; else 409 names what does, with counts."
    made = _named(_by_one(kind, handler), f"delete_{kind.name}", words)
    return delete(_one(kind), opt=may(kind.permission))(made)


def _history(kind: Kind) -> Any:
    async def handler(
        request: Asked, db: Db, principal: Who, key: Any, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
    ) -> Response[Page[ChangeOut]]:
        found = await records.get(db, principal.tenant_id, kind, key)
        rows = await history.changes_of(
            db, principal.tenant_id, kind, found.id, before=decode_number(cursor), limit=limit
        )
        return answer(request, rows, ChangeOut.of)

    words = f"List what was changed of a {kind.label}, by whom and when, newest first."
    made = _named(_by_one(kind, handler), f"list_{kind.name}_history", words)
    return get(f"{_one(kind)}/history")(made)


def _bulk(kind: Kind) -> Any:
    body: Any = msgspec.defstruct(
        f"{entry_of(kind).__name__.removesuffix('Entry')}Bulk",
        [
            ("items", Annotated[list[entry_of(kind)], Meta(max_length=MAX_LIMIT)]),  # type: ignore[misc]
            ("all_or_nothing", bool, True),
        ],
        bases=(Input,), module=__name__,
    )  # fmt: skip

    async def handler(db: Db, principal: Who, data: JSONBody[body]) -> BulkOut:
        entries = []
        for number, item in enumerate(data.items, 1):
            values = given(item)
            own = values.pop("id" if kind.numbered else "key", None)
            entries.append(Entry(own, values, number))
        made = await plan(db, principal.tenant_id, kind, entries)
        if data.all_or_nothing and made.of("refused"):
            raise refusal(made)
        await changes.apply(db, principal, made)
        return bulk_answer(made)

    words = (
        f"Enter or change up to {MAX_LIMIT} {kind.label} entries: fields left out stay as they are. With "
        "``all_or_nothing`` a wrong one refuses all (422 names each); without, the good ones are taken."
    )
    return post("/bulk", status_code=200, opt=may(kind.permission))(_named(handler, f"bulk_{_plural(kind)}", words))


def refusal(made: Plan) -> ApiError:
    """The answer when wrong entries refuse all."""
    wrong = made.of("refused")
    found = [ApiFault(f"items[{row.number - 1}].{fault.field}", fault.text) for row in wrong for fault in row.faults]
    return ApiError(422, f"Nothing was entered: {len(wrong)} of {len(made.rows)} entries are wrong.", found)


def bulk_answer(made: Plan) -> BulkOut:
    """What became of each entry."""
    results = [
        RowResult(
            row.number, str(row.id or "") if made.kind.numbered else str(row.key), row.status,
            [RowFault(fault.field, fault.text) for fault in row.faults],
        )
        for row in made.rows
    ]  # fmt: skip
    return BulkOut(**made.counts, results=results)
