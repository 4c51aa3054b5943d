"""The registry: overview, lists, and entering, changing and deleting what there is. All kinds have the same pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from litestar import get, post
from litestar.response import Redirect, Response
from sqlalchemy import func, select

from central.accounts.guards import narrow
from central.accounts.permissions import Permission, may
from central.errors import CentralError, Conflict, NotFound, Refused
from central.registry import changes, dependents, history, records
from central.registry.faults import Fault
from central.registry.fields import Reference
from central.registry.file_controllers import download
from central.registry.imports import exported
from central.registry.kinds import BY_NAME, CUSTOMER, GROUP, GROUPS, KINDS, METER, Field, Kind
from central.registry.plans import Entry, Plan, plan
from central.registry.records import Record
from central.registry.search import search as find
from central.web import registry_words as words
from central.web.forms import Db, Key, Search, Web, Who, fields
from central.web.i18n import current, gettext
from central.web.render import page
from central.web.views.registry_form import Form, draw, read
from central.web.views.registry_relations import relations_of
from shared.intervals import local_date
from shared.intervals import zone as zone_of

READS: Final = may(Permission.READ)
_ROWS: Final = 50
_PICKED: Final = 20
#: Columns of a list, and widgets whose fields are too long for one.
_COLUMNS: Final = 7
_LONG: Final = frozenset({"calendar", "hours", "periods", "dates", "area"})
_LAST_PAGE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a list: ``cells`` in the order of the columns."""

    key: str
    name: str
    cells: list[str]


def kind_of(name: str) -> Kind:
    """The kind in an address; raises :class:`NotFound`."""
    if name not in BY_NAME:
        raise NotFound("list", name)
    return BY_NAME[name]


def require(name: str, kind: Kind) -> None:
    """Refuse an address that only another kind has."""
    if name != kind.name:
        raise NotFound("page", name)


@get("/registry")
async def registry(request: Web, db: Db, principal: Who) -> Response[str]:
    """The three groups of lists, with counts."""
    counts = {}
    for kind in KINDS:
        query = select(func.count(kind.model.id)).where(kind.model.tenant_id == principal.tenant_id)
        counts[kind.name] = await db.scalar(query) or 0
    return page(request, "registry/overview.html", groups=GROUPS, counts=counts, words=words)


@get("/registry/{kind:str}")
async def registry_list(request: Web, db: Db, principal: Who, kind: Key, q: Search = "") -> Response[str]:
    """A list; what is typed into its search replaces the table alone."""
    wanted, query = kind_of(kind), request.query_params
    chosen, ids = await _filters(db, principal.tenant_id, wanted, query)
    number = max(1, min(_LAST_PAGE, records.number(query.get("page", "1")) or 1))
    order, down = query.get("order", ""), query.get("down") == "1"
    found, total = await records.sheet(
        db, principal.tenant_id, wanted, search=q[:100], filters=ids, order=order, down=down,
        offset=(number - 1) * _ROWS, limit=_ROWS,
    )  # fmt: skip
    shown = [each for each in wanted.fields if each.type.widget not in _LONG][:_COLUMNS]
    names = {
        each.name: await records.labels(db, principal.tenant_id, BY_NAME[each.type.kind])
        for each in shown
        if isinstance(each.type, Reference) and each.type.by_number
    }
    lines = [Line(row.key, str(row.values.get("name") or row.key), _cells(row, shown, names)) for row in found]
    told = [(name, value) for name, value in query.items() if name not in ("page", "order", "down") and value]
    return page(
        request, "registry/list.html", kind=wanted, words=words, lines=lines, columns=shown, total=total, q=q[:100],
        number=number, pages=max(1, -(-total // _ROWS)), order=order, down=down, chosen=chosen, base=urlencode(told),
        changes=principal.may(wanted.permission),
        sortable={each.name for each in shown if _sortable(wanted, each.name)},
    )  # fmt: skip


@get("/registry/pick/{kind:str}")
async def registry_pick(request: Web, db: Db, principal: Who, kind: Key, q: Search = "") -> Response[str]:
    """What a pick list offers for what was typed."""
    wanted = kind_of(kind)
    if wanted.word_kind and q.strip():
        hits = await find(db, principal.tenant_id, q[:100], _PICKED, [wanted.name])
        keys = [hit.key for hit in hits]
    else:
        rows = await records.page(db, principal.tenant_id, wanted, search=q[:100], limit=_PICKED)
        keys = [row.key for row in rows.items]
    titles = await records.titles(db, principal.tenant_id, wanted, keys)
    options = [(key, titles.get(key, "")) for key in keys]
    return page(request, "registry/pick.html", options=options, numbered=wanted.numbered)


@get("/registry/export/{kind:str}")
async def registry_export(request: Web, db: Db, principal: Who, kind: Key, q: Search = "") -> Response[Any]:
    """The list as a sheet that can be imported again, headings in the reader's language."""
    wanted = kind_of(kind)
    _, ids = await _filters(db, principal.tenant_id, wanted, request.query_params)
    rows = [words.header(wanted.name)]
    rows += [row async for row in exported(db, principal.tenant_id, wanted, search=q[:100], filters=ids)]
    form = "xlsx" if request.query_params.get("format") == "xlsx" else "csv"
    return download(rows, wanted.path, form, words.here())


@get("/registry/{kind:str}/new")
async def registry_new(request: Web, db: Db, principal: Who, kind: Key) -> Response[str]:
    """An empty form; the address may fill in references (``?group=12``)."""
    wanted = kind_of(kind)
    narrow(db, principal, wanted.permission)
    given = {
        each.name: int(value) if each.type.by_number and value.isdigit() else value
        for each in wanted.fields
        if isinstance(each.type, Reference) and (value := request.query_params.get(each.name, ""))
    }
    form = await draw(db, principal.tenant_id, principal.zone, wanted, None, given)
    return page(request, "registry/new.html", form=form, kind=wanted, words=words, problem="")


@post("/registry/{kind:str}/new", opt=READS, status_code=200)
async def registry_create(request: Web, db: Db, principal: Who, kind: Key) -> Response[Any]:
    """Enter it, and show it."""
    wanted = kind_of(kind)
    narrow(db, principal, wanted.permission)
    sent = await fields(request)
    values, wrong = read(wanted, sent, None, principal.zone)
    key = None if wanted.numbered else str(sent.get("key", "")).strip()
    made = await plan(db, principal.tenant_id, wanted, [Entry(key, values, 1, wrong)])
    row, problem = made.rows[0], ""
    if row.before is not None:
        row.refuse(Fault("name" if wanted.numbered else "key", words.taken(), {"kind": wanted.label, "key": row.key}))
    elif not row.faults:
        problem = await _apply(db, principal, made)
        if not problem:
            return Redirect(address(wanted, row.id if wanted.numbered else row.key), status_code=303)
    form = await draw(
        db, principal.tenant_id, principal.zone, wanted, None, values | ({"key": key} if key else {}), row.faults
    )
    return page(request, "registry/new.html", 422, form=form, kind=wanted, words=words, problem=problem)


@get("/registry/{kind:str}/{key:str}")
async def registry_one(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[str]:
    """One thing: its form, dated relations, what hangs on it, and its history."""
    wanted = kind_of(kind)
    record = await records.get(db, principal.tenant_id, wanted, key)
    tab = request.query_params.get("tab", "form")
    return page(request, "registry/one.html", **await everything(db, principal, wanted, record, tab=tab))


@get("/registry/{kind:str}/{key:str}/form")
async def registry_form(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[str]:
    """The form alone, to be embedded."""
    wanted = kind_of(kind)
    record = await records.get(db, principal.tenant_id, wanted, key)
    return await _form(request, db, principal, wanted, record)


@post("/registry/{kind:str}/{key:str}/form", opt=READS, status_code=200)
async def registry_save(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[str]:
    """Save it; answers the form again, with a word that it is saved or with what is wrong."""
    wanted = kind_of(kind)
    narrow(db, principal, wanted.permission)
    record = await records.get(db, principal.tenant_id, wanted, key)
    sent = await fields(request)
    values, wrong = read(wanted, sent, record, principal.zone)
    made = await plan(db, principal.tenant_id, wanted, [Entry(record.id if wanted.numbered else key, values, 1, wrong)])
    if made.rows[0].faults:
        form = await draw(db, principal.tenant_id, principal.zone, wanted, record, values, made.rows[0].faults)
        return _fragment(request, principal, form, 422)
    if problem := await _apply(db, principal, made):
        form = await draw(db, principal.tenant_id, principal.zone, wanted, record, values)
        return _fragment(request, principal, form, 422, problem=problem)
    record = await records.get(db, principal.tenant_id, wanted, key)
    saved = gettext("Saved.") if made.rows[0].status == "changed" else gettext("Nothing was changed.")
    form = await draw(db, principal.tenant_id, principal.zone, wanted, record)
    return _fragment(request, principal, form, 200, saved=saved)


@post("/registry/{kind:str}/{key:str}/delete", opt=READS, status_code=200)
async def registry_delete(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[Any]:
    """Delete it, or say what hangs on it."""
    wanted = kind_of(kind)
    narrow(db, principal, wanted.permission)
    try:
        await dependents.remove(db, principal, wanted, key)
    except (Conflict, Refused) as error:
        record = await records.get(db, principal.tenant_id, wanted, key)
        problem = (
            gettext("It cannot be deleted: look below what hangs on it.")
            if isinstance(error, dependents.Occupied) else str(error)
        )  # fmt: skip
        whole = await everything(db, principal, wanted, record, problem=problem)
        return page(request, "registry/one.html", 409, **whole)
    return Redirect(f"/registry/{wanted.name}", status_code=303)


@post("/registry/{kind:str}/{key:str}/end", opt=may(Permission.REGISTRY), status_code=200)
async def registry_end_meter(db: Db, principal: Who, kind: Key, key: Key) -> Response[Any]:
    """End a meter that cannot be deleted: today is its last day, and nobody watches it from now on."""
    require(kind, METER)
    today = local_date(int(datetime.now(UTC).timestamp()), zone_of(principal.zone))
    await changes.patch(db, principal, METER, key, {"ends_on": today.isoformat(), "monitored": False})
    return Redirect(address(METER, key), status_code=303)


@post("/registry/{kind:str}/{key:str}/members", opt=may(Permission.REGISTRY), status_code=200)
async def registry_members(request: Web, db: Db, principal: Who, kind: Key, key: Key) -> Response[Any]:
    """Put a customer into a group, or take one out."""
    require(kind, GROUP)
    group = await records.get(db, principal.tenant_id, GROUP, key)
    sent = await fields(request)
    customer = str(sent.get("customer", "") or sent.get("customer-typed", "")).strip()
    out = bool(sent.get("out"))
    problem = ""
    try:
        await changes.patch(db, principal, CUSTOMER, customer, {"group": None if out else group.id})
    except CentralError as error:
        problem = gettext("There is no such customer.") if isinstance(error, NotFound) else str(error)
    whole = await everything(db, principal, GROUP, group, problem=problem, tab="members")
    return page(request, "registry/one.html", 422 if problem else 200, **whole)


def address(kind: Kind, key: Any) -> str:
    """Where a thing's page is."""
    return f"/registry/{kind.name}/{quote(str(key), safe='')}"


async def everything(
    db: Db, principal: Who, kind: Kind, record: Record, problem: str = "", tab: str = "form"
) -> dict[str, Any]:
    tenant = principal.tenant_id
    changed = await history.changes_of(db, tenant, kind, record.id, limit=100)
    related = await relations_of(db, tenant, kind, record)
    members: list[Record] = []
    subgroups: list[Record] = []
    if kind is GROUP:
        members = list((await records.page(db, tenant, CUSTOMER, filters={"group": record.id}, limit=200)).items)
        subgroups = list((await records.page(db, tenant, GROUP, filters={"parent": record.id}, limit=200)).items)
    return {
        "kind": kind, "record": record, "words": words, "problem": problem, "history": changed.items,
        "form": await draw(db, tenant, principal.zone, kind, record), "editable": principal.may(kind.permission),
        "hanging": [
            (words.table(one.table), one.rows, _leads(one, kind, record))
            for one in await dependents.hanging(db, tenant, kind, record.id)
        ],
        "most": dependents.MOST, "related": related, "members": members, "subgroups": subgroups, "saved": "",
        "tab": tab, "local": local_text, "may_tie": principal.may(Permission.REGISTRY),
        "title": str(record.values.get("name") or record.key), "address": address(kind, record.key),
    }  # fmt: skip


def local_text(at: int, zone: ZoneInfo) -> str:
    """An instant as the browser's field for date and time has it."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%dT%H:%M")


def _leads(hanging: dependents.Hanging, kind: Kind, record: Record) -> str:
    """Where what hangs on a thing can be seen; ``""``: nowhere by itself."""
    for other in KINDS:
        if other.table == hanging.table:
            for each in other.fields:
                if isinstance(each.type, Reference) and each.columns and each.columns[0] == hanging.column:
                    return f"/registry/{other.name}?{urlencode({each.name: record.key})}"
    own = {"installation": "#relations", "supply": "#relations", "role_grant": "/users"}
    if hanging.table in own:
        return own[hanging.table]
    if kind is METER:
        return f"/meters/{quote(record.key, safe='')}"
    return f"/gateways/{quote(record.key, safe='')}" if kind.name == "gateway" else ""


async def _form(request: Web, db: Db, principal: Who, kind: Kind, record: Record) -> Response[str]:
    return _fragment(request, principal, await draw(db, principal.tenant_id, principal.zone, kind, record), 200)


def _fragment(
    request: Web, principal: Who, form: Form, status: int, *, saved: str = "", problem: str = ""
) -> Response[str]:
    return page(
        request, "registry/form.html", status, form=form, kind=form.kind, words=words, saved=saved, problem=problem,
        editable=principal.may(form.kind.permission), address=address(form.kind, form.key),
    )  # fmt: skip


async def _apply(db: Db, principal: Who, made: Plan) -> str:
    """Carry a plan of one row out; returns what is wrong."""
    try:
        async with db.begin_nested():
            await changes.apply(db, principal, made)
    except CentralError as error:
        return str(error)
    return ""


async def _filters(db: Db, tenant_id: int, kind: Kind, query: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Filters of a list: what each shows, and the ids they stand for."""
    shown: list[dict[str, Any]] = []
    ids: dict[str, Any] = {}
    for each in records.filtered(kind):
        assert isinstance(each.type, Reference)  # noqa: S101 - filters are references
        target = BY_NAME[each.type.kind]
        value = str(query.get(each.name, "")).strip()[:64]
        title = ""
        if value:
            known = await records.by_keys(db, tenant_id, target, [value])
            ids[each.name] = known[value].id if value in known else 0
            title = (await records.titles(db, tenant_id, target, [value])).get(value, value)
        shown.append({
            "name": each.name, "label": words.label(kind.name, each.name), "value": value, "title": title,
            "target": target.name,
        })  # fmt: skip
    return shown, ids


def _cells(row: Record, shown: Sequence[Field], names: Mapping[str, Mapping[int, str]]) -> list[str]:
    cells = []
    for each in shown:
        value = row.values[each.name]
        if each.name in names:
            value = names[each.name].get(value)
        elif each.type.widget == "day" and value:
            value = current().day(datetime.fromisoformat(value).date())
        elif each.type.widget == "members":
            value = len(value)
        elif each.type.widget == "choice":
            value = words.choice(value)
        cells.append(words.says(value))
    return cells


def _sortable(kind: Kind, name: str) -> bool:
    return name == "name" or records.order_column(kind, name) is not records.order_column(kind, "")
