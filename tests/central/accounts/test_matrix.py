"""The permission matrix: every handler of API and pages, by every role, on objects within reach and out of it.

What is expected follows from what the handler declares. Whatever a handler writes is rolled back, so that each request
finds the same world. A new handler is in the matrix by itself; it may need a line in ``values`` (how its path is
filled), ``BODIES`` of test_access, or ``forms`` (what it is sent), and one in ``EXCEPTIONS`` where it is stricter.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from central.accounts.models import User
from central.accounts.permissions import BUILTIN, TENANT_WIDE, Permission
from central.accounts.roles import grant
from central.accounts.sessions import open_session
from central.accounts.tokens import digest
from central.fleet.service import enqueue
from central.registry.kinds import KINDS
from central.registry.models import Gateway
from central.settings import Settings
from central.store.engine import Database
from shared.wire import ApplyConfig
from tests.central.api.test_access import BODIES
from tests.central.application import application
from tests.central.handlers import Case, cases
from tests.central.world import FAR, Side, add_far, make_side, person, running

#: What needs no login. A handler is public only if it stands here too.
PUBLIC = {
    "GET /healthz", "GET /login", "POST /login", "POST /login/code", "GET /login/provider", "GET /login/provider/back",
    "GET /setup", "POST /setup", "POST /language",
    "POST /api/v1/enrolment/code", "POST /api/v1/enrolment", "GET /api/v1/enrolment/{enrolment_id}",
}  # fmt: skip
#: Persons: role in the whole tenant, or every permission in a part of it.
ROLES = (*BUILTIN, "in_group", "at_gateway", "foreign")
#: Objects that stand in no group and at no gateway: there is nothing out of reach among them.
WHOLE = {
    "lots.key", "models.key", "key_id", "subscription_id", "user_id", "grant_id", "role", "session_id", "webhook_id",
    "delivery_id", "delivery", "job_id", "schedule_id", "view_id", "import_id", "token",
    *(f"{kind.path}.key" for kind in KINDS if kind.group != "business"),
}  # fmt: skip
#: Parameters that choose what is asked, not which object.
CHOICES = {"kind", "report", "reports.key", "table"}
#: Paths whose ``number`` is of something that lies nowhere in particular.
UNLIMITED = ("/api/v1/holidays/", "/webhooks/", "/alarms/subscriptions/")
#: Handlers of every kind: they look at the kind before they ask for its permission.
BY_KIND = ("/registry/{kind}/new", "/registry/{kind}/{key}/form", "/registry/{kind}/{key}/delete")
#: What belongs to the person who ordered it.
ORDERED = {"job_id", "schedule_id", "view_id"}
#: What is not there for anybody: a report not made yet.
MISSING = {"GET /api/v1/reports/jobs/{job_id}/file", "GET /reports/jobs/{job_id}/file"}
#: Sheets on their way in: there is none here, and each says itself what it needs (tests of the registry's pages).
SHEETS = ("/api/v1/imports/", "/registry/import/")
#: What is stricter than its permission says: (who, handler) -> status.
EXCEPTIONS: dict[tuple[str, str], int] = {
    # what belongs to the tenant as a whole is not changed by who has rights in a part
    **{
        (who, f"{how} /api/v1/{kind.path}/{{key}}"): 422
        for who in ("in_group", "at_gateway")
        for how in ("PUT", "PATCH", "DELETE")
        for kind in KINDS
        if kind.group == "additional" and not kind.numbered
    },
    **{(who, "POST /api/v1/groups"): 422 for who in ("in_group", "at_gateway")},
    **{
        (who, f"POST /api/v1/{kind.path}/bulk"): 422
        for who in ("in_group", "at_gateway")
        for kind in KINDS
        if kind.group == "additional"
    },
    # a gateway is let in by who reaches it as a whole
    **{
        ("in_group", f"{each} /api/v1/enrolments/{{enrolment_id}}{rest}"): 404
        for each, rest in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/approval"),
            ("POST", "/refusal"),
            ("PUT", "/certificate"),
        )
    },
    **{
        ("in_group", f"{each} /enrolment/{{number}}{rest}"): 404
        for each, rest in (
            ("GET", ""),
            ("GET", "/state"),
            ("POST", "/approve"),
            ("POST", "/refuse"),
            ("POST", "/revoke"),
        )
    },
    ("in_group", "POST /api/v1/enrolments"): 403,
    ("foreign", "PUT /api/v1/enrolments/{enrolment_id}/certificate"): 404,
    **{("foreign", f"PUT /api/v1/{each}/{{number}}"): 404 for each in ("groups", "holidays")},
    ("foreign", "PUT /api/v1/reports/views"): 200,
    # a gateway shared with others, from within a group
    **{
        ("in_group", f"{how} /api/v1/{what}/{{key}}"): 403
        for how in ("PUT", "PATCH", "DELETE")
        for what in ("gateways", "modules")
    },
    ("in_group", "GET /gateways/{key}/config/{command_id}"): 404,
    ("in_group", "GET /gateways/{key}/config/{command_id}/state"): 404,
    # groups are not within the reach of a gateway
    **{("at_gateway", f"{how} /api/v1/groups/{{number}}"): 404 for how in ("GET", "PUT", "PATCH", "DELETE")},
    **{
        ("at_gateway", title): 404
        for title in (
            "GET /api/v1/groups/{number}/history",
            "GET /groups/{number}",
            "GET /groups/{number}/map",
            "GET /groups/{number}/largest",
            "GET /groups/{number}/candidates",
            "POST /groups/{number}/members",
            "POST /groups/{number}/members/remove",
            "POST /registry/{kind}/{key}/members",
        )
    },
}
#: What a request says beside its path, so that it finds something.
QUERIES = {
    "GET /data/meters/{key}/profile": "?channel=1.29.0&from=2026-03-10&to=2026-03-10",
    **dict.fromkeys(("GET /api/v1/ccee/days", "GET /api/v1/ccee/weeks/meters", "GET /api/v1/ccee/weeks", "GET /ccee",
                     "GET /ccee/night"), "?day=2026-03-10"),
}  # fmt: skip
#: Where a customer within reach is shown with the name of its group, which may lie out of reach.
NAMED = {"GET /registry/{kind}", "GET /registry/export/{kind}", "GET /api/v1/exports/{kind}"}
#: Marks of objects that somebody must never read of.
UNSEEN = {"in_group": (FAR,), "at_gateway": (f"{FAR}-gw", f"{FAR}-m-", f"{FAR}-mod", f"{FAR} group"),
          "foreign": (FAR, "12345678", "Industry", "Rua A", "São João", "Substation")}  # fmt: skip


#: What ``number`` is the number of, by the beginning of the path.
NUMBERS = {
    "/api/v1/groups/": "group_id", "/groups/": "group_id", "/api/v1/holidays/": "holiday",
    "/modules/": "module_id", "/webhooks/": "webhook_id", "/registry/": "supply_id",
    "/enrolment/": "enrolment_id",
}  # fmt: skip
#: Kinds of which something is done that is not done to a customer.
KEYED = {"meter": ("end", "place"), "point": ("meter", "customer"), "group": ("members",)}
#: Lists of which something is there under another key.
SPARED = ("lots", "models")


def values(side: Side, far: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How parameters are filled: with what is within reach, and with what is not."""
    ids = side.ids
    near = {
        "meters.key": "meter-1", "gateways.key": "gw-1", "modules.key": "mod-1", "customers.key": "c-1",
        "points.key": "p-1", "lots.key": "lot-1", "models.key": "m300", "forwards.key": "meter-1", "module": "mod-1",
        "group_id": ids["group"], "installation_id": ids["installation"], "command_id": ids["command"],
        "connection_id": ids["connection"], "alarm_id": ids["alarm"], "key_id": ids["key"],
        "subscription_id": ids["subscription"], "number": ids["subscription"], "user_id": side.viewer.id,
        "grant_id": ids["grant"], "role": "spare", "session_id": ids["session"], "supply_id": ids["supply"],
        "webhook_id": ids["webhook"], "delivery_id": ids["delivery"], "delivery": ids["delivery"], "job_id": ids["job"],
        "schedule_id": ids["schedule"], "view_id": ids["view"], "import_id": "0" * 32, "token": "0" * 32,
        "report": "availability", "reports.key": "availability", "kind": "customer", "registry.key": "c-1",
        "enrolment_id": ids["enrolment"],
        "table": "supply", "customer": ids["customer"], "module_id": ids["module"], "holiday": ids["holiday"],
        **{f"{kind.path}.key": "k-1" for kind in KINDS if kind.group != "business" and kind.path not in SPARED},
    }  # fmt: skip
    beyond = {
        "meters.key": f"{FAR}-m", "gateways.key": f"{FAR}-gw", "modules.key": f"{FAR}-mod",
        "customers.key": f"{FAR}-m-c",
        "points.key": f"{FAR}-m-p", "forwards.key": f"{FAR}-m", "module": f"{FAR}-mod", "registry.key": f"{FAR}-m-c",
        "supply_id": far["supply"], "customer": far["customer"], "module_id": far["module"],
        "enrolment_id": far["enrolment"],
        **{f"{kind}_id": far[kind] for kind in ("group", "installation", "command", "connection", "alarm")},
    }  # fmt: skip
    return near, near | beyond


def body(who: str, case: Case, filled: dict[str, Any]) -> Any:
    """What an operation of the API is sent: what keeps the object where it is."""
    stays = {} if who == "foreign" else {
        "put_customer": {"name": "x", "group": filled["group_id"]}, "put_point": {"customer": filled["customers.key"]},
        "put_meter": {"serial": "87654321", "gateway": filled["gateways.key"]},
        "put_module": {"name": "x", "gateway": filled["gateways.key"]},
        "create_installation": {"meter": filled["meters.key"], "point": filled["points.key"],
                                "starts_at": "2026-09-01T00:00:00Z"},
        "create_command": {"kind": "read_now", "meter": filled["meters.key"], "kinds": ["registers"]},
    }  # fmt: skip
    return stays.get(case.name, BODIES.get(case.name))


def forms(case: Case, filled: dict[str, Any]) -> dict[str, str]:
    """What a page is sent."""
    return {
        "POST /meters/{key}/reread": {"first": "2026-03-10", "last": "2026-03-10"},
        "POST /meters/{key}/close-bill": {"serial": "12345678"},
        "POST /ccee/forwards/open": {"meter": filled["meters.key"]},
        "POST /roles/{role}": {"may_read": "1"},
        "POST /groups/{number}/members": {"customer": str(filled["customer"])},
        "POST /groups/{number}/members/remove": {"customer": str(filled["customer"])},
        "POST /reports/jobs": {"report": "availability", "format": "csv"},
        "POST /users/{user_id}/grants": {"role": "viewer"},
    }.get(case.title, {})


def expected(who: str, case: Case, *, far: bool) -> set[int] | None:
    """Statuses that are right; None: anything but a refusal of rights, a 404 and a fault."""
    if (who, case.title) in EXCEPTIONS and (not far or who == "foreign"):
        return {EXCEPTIONS[who, case.title]}
    named = bool(set(case.parameters) - CHOICES)
    if case.path in BY_KIND and not (case.safe and case.path.endswith("/form")) and not _has(who, Permission.REGISTRY):
        return {403}
    if case.path.startswith(SHEETS):
        return {200, 303, 403, 404, 422}
    if case.title in MISSING:
        return {403, 404}
    if set(case.parameters) & ORDERED and who != "administrator":
        return {403, 404}
    if case.rule == "own":
        return {404} if named and who != "administrator" else None
    if case.rule == "nobody" or not _has(who, Permission(case.rule)):
        return {403}
    if case.method == "PUT" and who == "foreign":
        return {201}
    if case.method == "PUT" and far and who in UNSEEN:
        return {403, 404, 409, 422}
    if named and (who == "foreign" or (far and who in UNSEEN)):
        return {404}
    return None


def _has(who: str, permission: Permission) -> bool:
    if who in BUILTIN:
        return permission in BUILTIN[who]
    return who == "foreign" or permission not in TENANT_WIDE


@asynccontextmanager
async def _rolled_back(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    @asynccontextmanager
    async def write(self: Database, **info: Any) -> AsyncIterator[Any]:
        async with self._write(info=info) as session:
            yield session
            await session.flush()
            session.expunge_all()  # what it gave out stays readable, as after a commit
            await session.rollback()

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", write)
        yield


async def _people(database: Database, ours: Side, theirs: Side) -> dict[str, dict[str, str]]:
    """Headers of everybody."""
    found = {"administrator": person(ours.session), "operator": person(ours.viewer_session),
             "foreign": person(theirs.session)}  # fmt: skip
    places = {"in_group": {"group_id": ours.ids["group"]}, "at_gateway": {"gateway_id": ours.ids["gateway"]}}
    async with database.write() as db:
        for who in ROLES:
            if who in found:
                continue
            user = User(tenant_id=ours.tenant.id, login=f"{who}@matrix", name=who, password_hash="", created_at=1)
            db.add(user)
            await db.flush()
            await grant(db, user, who if who in BUILTIN else "administrator", **places.get(who, {}))
            found[who] = person(await open_session(db, user, "127.0.0.1", "test", int(time.time())))
    return found


class World:
    """Both tenants, everybody's headers, and all handlers."""

    def __init__(self, client: AsyncTestClient[Any], people: dict[str, dict[str, str]], near: Any, far: Any) -> None:
        self.client, self.people, self.near, self.far = client, people, near, far
        self.cases = [case for case in cases(client.app) if case.rule != "public"]

    def filled(self, case: Case, *, far: bool) -> dict[str, Any]:
        filled = self.far if far else self.near
        if case.path.startswith("/gateways/{key}/config/"):
            filled = filled | {"command_id": filled["config_command"]}
        if case.path.startswith("/users/"):
            filled = filled | {"session_id": filled["their_session"]}
        for kind, actions in KEYED.items():
            if case.path.startswith(tuple(f"/registry/{{kind}}/{{key}}/{action}" for action in actions)):
                filled = filled | {
                    "kind": kind,
                    "registry.key": filled["group_id" if kind == "group" else f"{kind}s.key"],
                }
        if case.path == "/data/reports/{key}/chart":
            filled = filled | {"reports.key": "temperature"}
        if case.path.startswith("/dashboard/"):
            filled = filled | {"kind": "totals"}
        for start, name in NUMBERS.items():
            if case.path.startswith(start):
                filled = filled | {"number": filled[name]}
        return filled  # type: ignore[no-any-return]

    async def send(self, who: str, case: Case, *, far: bool) -> Any:
        filled = self.filled(case, far=far)
        url = case.url(filled) + QUERIES.get(case.title, "")
        if case.api:
            sent = body(who, case, filled)
            return await self.client.request(case.method, url, headers=self.people[who], json=sent)
        headers = self.people[who] | {"Accept": "text/html"}
        data = None if case.safe else forms(case, filled)
        return await self.client.request(case.method, url, headers=headers, data=data, follow_redirects=False)


@asynccontextmanager
async def _world(database: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    ours, theirs = await make_side(database, "ours"), await make_side(database, "theirs", filled=False)
    far = await add_far(database, ours)
    near, beyond = values(ours, far)
    async with database.write() as db:
        for filled, gateway_id in ((near, ours.ids["gateway"]), (beyond, far["gateway"])):
            gateway = await db.get_one(Gateway, gateway_id)
            row = await enqueue(db, ours.tenant.id, gateway, ApplyConfig("x = 1\n", "abc"), by="test")
            filled["config_command"] = row.id
            filled["their_session"] = digest(ours.viewer_session.token).hex()[:16]
    people = await _people(database, ours, theirs)
    async with running(url) as client, _rolled_back(monkeypatch):
        yield World(client, people, near, beyond)


def test_no_handler_is_forgotten(tmp_path: Path) -> None:
    """Each says what it needs, each path can be filled, and nothing is public by accident."""
    app = application(Settings(data_dir=str(tmp_path)))
    found = list(cases(app))
    assert {case.title for case in found if case.rule == "public"} == PUBLIC
    assert [case.title for case in found if case.rule == "nobody"] == []
    side = Side(None, User(id=1), User(id=2), ids=_Any())  # type: ignore[arg-type]
    near, _ = values(side, _Any())
    unknown = {name: case.title for case in found for name in case.parameters if name not in near}
    assert not unknown, f"say in values() how these are filled: {unknown}"
    stale = {title for _, title in EXCEPTIONS} - {case.title for case in found}
    assert not stale, f"handlers that are gone: {stale}"


class _Any(dict[str, Any]):
    def __missing__(self, key: str) -> int:
        return 1


@pytest.mark.timeout(400)  # some 800 requests
@pytest.mark.parametrize("who", ROLES)
async def test_matrix(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """Every handler by one person, on what is near and on what is far; nobody reads of what is not theirs."""
    if "postgresql" in database_url and who not in UNSEEN:
        return  # whom a permission lets in does not depend on the database
    wrong: list[tuple[Any, ...]] = []
    async with _world(database, database_url, monkeypatch) as world:
        for case in world.cases:
            limited = set() if case.path.startswith(UNLIMITED) else set(case.parameters) - WHOLE
            for far in (False, True) if limited and who in UNSEEN else (False,):
                answer = await world.send(who, case, far=far)
                right = expected(who, case, far=far)
                status = answer.status_code
                good = status in right if right is not None else status not in (401, 403, 404) and status < 500
                if not good:
                    wrong.append((case.title, "far" if far else "near", status, right, answer.text[:150]))
                seen = [mark for mark in UNSEEN.get(who, ()) if not far and mark in answer.text]
                if case.title in NAMED:
                    seen = [mark for mark in seen if mark != f"{FAR} group"]
                if case.safe and seen:
                    wrong.append((case.title, "tells of", seen))
    assert not wrong, "\n".join(map(str, wrong))


async def test_what_is_far_is_told_of_to_who_reaches_it(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks the matrix looks for do occur: an administrator reads of them in many places."""
    async with _world(database, database_url, monkeypatch) as world:
        lists = [case for case in world.cases if case.safe and not case.parameters]
        told = {case.title for case in lists if FAR in (await world.send("administrator", case, far=False)).text}
        near = {case for case in world.cases if case.safe and "gateways.key" in case.parameters}
        shared = {case.title for case in near if FAR in (await world.send("administrator", case, far=False)).text}
    assert {
        "GET /data/meters", "GET /meters.csv", "GET /alarms", "GET /ccee", "GET /ccee/connections",
        "GET /ccee/connections.csv", "GET /api/v1/meters", "GET /api/v1/gateways", "GET /api/v1/customers",
        "GET /api/v1/points", "GET /api/v1/groups", "GET /api/v1/modules", "GET /api/v1/installations",
        "GET /api/v1/commands", "GET /api/v1/alarms", "GET /api/v1/ccee/connections", "GET /api/v1/ccee/days",
        "GET /api/v1/ccee/weeks/meters",
    } <= told  # fmt: skip
    assert {"GET /gateways/{key}", "GET /gateways/{key}/live", "GET /gateways/{key}/commands",
            "GET /api/v1/gateways/{key}", "GET /api/v1/gateways/{key}/configuration"} <= shared  # fmt: skip


@pytest.mark.parametrize("who", [None, "junk"])
async def test_strangers(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, who: str | None
) -> None:
    """Nobody gets in anywhere without a session or a key."""
    headers = {} if who is None else {"Authorization": "Bearer mg_0123456789ab_" + "x" * 43}
    async with _world(database, database_url, monkeypatch) as world:
        world.people["stranger"] = headers
        for case in world.cases:
            answer = await world.send("stranger", case, far=False)
            to_login = not case.api and answer.status_code == 303
            assert answer.status_code in (401, 403) or (to_login and "/login" in answer.headers["location"]), case
