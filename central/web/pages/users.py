"""Users: the list, somebody's page, and everything that may be done to them. Needs ``accounts`` in the whole tenant."""

import secrets
import time
from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response
from sqlalchemy import select

from central.accounts import roles, sessions, users
from central.accounts.errors import AccountError
from central.accounts.models import User
from central.accounts.permissions import Permission, may
from central.accounts.users import Place
from central.errors import CentralError, NotFound
from central.registry.models import CustomerGroup, Gateway
from central.web.forms import Db, Search, Web, Who, field, fields
from central.web.messages import rights_problem
from central.web.render import page
from central.web.views.people import PlaceOption, group_paths, session_lines

NEEDS: Final = may(Permission.ACCOUNTS)
_ROWS: Final = 50
#: Groups and gateways offered as places; who has more gives rights by the API.
_PLACES: Final = 2000
After = Annotated[str, QueryParameter(max_length=200)]
Number = FromPath[int]


@get("/users", opt=NEEDS)
async def list_users(
    request: Web, db: Db, principal: Who, q: Search = "",
    wanted: Annotated[str, QueryParameter(name="state", max_length=16)] = "", after: After = "",
) -> Response[str]:  # fmt: skip
    """The list."""
    now = int(time.time())
    state = wanted if wanted in users.STATES else ""
    rows = await users.list_users(
        db, principal.tenant_id, q[:100], state=state, now=now, after=after or None, limit=_ROWS
    )
    lines = [(user, await users.grant_views(db, user)) for user in rows.items]
    counts = await users.count_by_state(db, principal.tenant_id, now)
    return page(
        request, "users/list.html", lines=lines, next=rows.next, q=q[:100], state=state, after=after, counts=counts
    )


@get("/users/new", opt=NEEDS)
async def new_user(request: Web, db: Db, principal: Who) -> Response[str]:
    """The form of somebody new."""
    return await _new(request, db, principal)


@post("/users/new", opt=NEEDS, status_code=200)
async def add_user(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Enter somebody; a password made here is shown this once."""
    form = await fields(request)
    login, name, email = field(form, "login", 100), field(form, "name"), field(form, "email")
    password = _password(form)
    try:
        user = await users.add_user(db, principal, login, name, password, email=email, now=int(time.time()))
        if role := field(form, "role", 64):
            await users.add_grant(db, principal, user.id, role, Place())
    except (AccountError, CentralError) as error:
        await db.rollback()
        return await _new(request, db, principal, 422, rights_problem(error), login=login, name=name, email=email)
    if _made(form):
        return await _user(request, db, principal, user.id, secret=password)
    return Redirect(f"/users/{user.id}", status_code=303)


@get("/users/{user_id:int}", opt=NEEDS)
async def user(request: Web, db: Db, principal: Who, user_id: Number) -> Response[str]:
    """One user: who, what they may where, how they log in, where they are logged in."""
    return await _user(request, db, principal, user_id)


@post("/users/{user_id:int}", opt=NEEDS, status_code=200)
async def save_user(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Save name and e-mail."""
    form = await fields(request)
    change = users.edit_user(db, principal, user_id, name=field(form, "name"), email=field(form, "email"))
    return await _done(request, db, principal, user_id, change)


@post("/users/{user_id:int}/disable", opt=NEEDS, status_code=200)
async def disable(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Shut somebody out."""
    change = users.set_disabled(db, principal, user_id, True, int(time.time()))
    return await _done(request, db, principal, user_id, change)


@post("/users/{user_id:int}/enable", opt=NEEDS, status_code=200)
async def enable(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Let somebody in again."""
    change = users.set_disabled(db, principal, user_id, False, int(time.time()))
    return await _done(request, db, principal, user_id, change)


@post("/users/{user_id:int}/unlock", opt=NEEDS, status_code=200)
async def unlock(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Forget failed tries."""
    return await _done(request, db, principal, user_id, users.unlock(db, principal, user_id))


@post("/users/{user_id:int}/password", opt=NEEDS, status_code=200)
async def reset_password(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Set somebody's password; one made here is shown this once."""
    form = await fields(request)
    password = _password(form)
    change = users.reset_password(db, principal, user_id, password)
    return await _done(request, db, principal, user_id, change, secret=password if _made(form) else "")


@post("/users/{user_id:int}/second-factor", opt=NEEDS, status_code=200)
async def reset_second_factor(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Take somebody's second factor away."""
    return await _done(request, db, principal, user_id, users.reset_second_factor(db, principal, user_id))


@post("/users/{user_id:int}/sessions/end", opt=NEEDS, status_code=200)
async def end_sessions(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """End all sessions of somebody."""
    return await _done(request, db, principal, user_id, users.end_sessions(db, principal, user_id))


@post("/users/{user_id:int}/sessions/{session_id:str}/end", opt=NEEDS, status_code=200)
async def end_session(
    request: Web, db: Db, principal: Who, user_id: Number, session_id: FromPath[str]
) -> Response[Any]:
    """End one session of somebody."""
    found = await users.get_user(db, principal.tenant_id, user_id)
    change = sessions.close_one(db, principal, found.id, session_id, int(time.time()))
    return await _done(request, db, principal, user_id, change)


@post("/users/{user_id:int}/grants", opt=NEEDS, status_code=200)
async def give(request: Web, db: Db, principal: Who, user_id: Number) -> Response[Any]:
    """Give somebody a role somewhere."""
    form = await fields(request)
    kind, _, number = field(form, "place", 32).partition(":")
    place_id = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else None
    place = Place(place_id if kind == "group" else None, place_id if kind == "gateway" else None)
    change = users.add_grant(db, principal, user_id, field(form, "role", 64), place)
    return await _done(request, db, principal, user_id, change)


@post("/users/{user_id:int}/grants/{grant_id:int}/remove", opt=NEEDS, status_code=200)
async def take(request: Web, db: Db, principal: Who, user_id: Number, grant_id: Number) -> Response[Any]:
    """Take a role from somebody."""
    return await _done(request, db, principal, user_id, users.remove_grant(db, principal, user_id, grant_id))


async def _done(
    request: Web, db: Db, principal: Who, user_id: int, change: Awaitable[Any], secret: str = ""
) -> Response[Any]:
    """Carry a change out, then back to the page; a refusal is shown there and nothing stays of it."""
    try:
        await change
    except NotFound as error:
        if error.kind != "role":
            raise
        return await _user(request, db, principal, user_id, 422, rights_problem(error))
    except (AccountError, CentralError) as error:
        await db.rollback()
        return await _user(request, db, principal, user_id, 422, rights_problem(error))
    if secret:
        return await _user(request, db, principal, user_id, secret=secret)
    return Redirect(f"/users/{user_id}", status_code=303)


async def _user(
    request: Web, db: Db, principal: Who, user_id: int, status: int = 200, problem: str = "", secret: str = ""
) -> Response[str]:
    found = await users.get_user(db, principal.tenant_id, user_id)
    rows = await sessions.list_sessions(db, found.id, int(time.time()))
    groups, gateways = await _places(db, principal)
    paths = {option.value: option.words for option in groups}
    return page(
        request, "users/user.html", status, user=found, problem=problem, secret=secret,
        grants=[(each, _place_words(each, paths)) for each in await users.grant_views(db, found)],
        sessions=session_lines(rows, principal), roles=await roles.list_roles(db, principal.tenant_id),
        groups=groups, gateways=gateways, locked=_locked(found), provider=_has_provider(request),
        recovery=len(found.recovery.split()),
    )  # fmt: skip


async def _new(
    request: Web, db: Db, principal: Who, status: int = 200, problem: str = "", **filled: str
) -> Response[str]:
    values = {"login": "", "name": "", "email": ""} | filled
    return page(
        request, "users/new.html", status, problem=problem, provider=_has_provider(request),
        roles=await roles.list_roles(db, principal.tenant_id), **values,
    )  # fmt: skip


async def _places(db: Db, principal: Who) -> tuple[Sequence[PlaceOption], Sequence[PlaceOption]]:
    """Groups by their path and gateways, to choose from."""
    groups = select(CustomerGroup.id, CustomerGroup.name, CustomerGroup.parent_id)
    rows = await db.execute(groups.where(CustomerGroup.tenant_id == principal.tenant_id).limit(_PLACES))
    paths = group_paths({row[0]: (row[1], row[2]) for row in rows})
    named = select(Gateway.id, Gateway.key, Gateway.name).where(Gateway.tenant_id == principal.tenant_id)
    return (
        [PlaceOption(f"group:{number}", path) for number, path in sorted(paths.items(), key=lambda item: item[1])],
        [
            PlaceOption(f"gateway:{row[0]}", f"{row[2]} ({row[1]})" if row[2] and row[2] != row[1] else row[1])
            for row in await db.execute(named.order_by(Gateway.key).limit(_PLACES))
        ],
    )


def _place_words(view: users.GrantView, paths: dict[str, str]) -> str:
    return paths.get(f"group:{view.row.group_id}", view.group) if view.row.group_id else view.gateway


def _password(form: Any) -> str:
    """What was typed, or one made here; "" for somebody who comes through the identity provider only."""
    match _how(form):
        case "typed":
            return field(form, "password", 1000, strip=False) or " "  # nothing typed is no password, and refused
        case "none":
            return ""
        case _:
            return secrets.token_urlsafe(12)


def _made(form: Any) -> bool:
    return _how(form) == "made"


def _how(form: Any) -> str:
    """Which of the form's ways was chosen; what is typed is never put aside for one that is made."""
    how = field(form, "how", 16)
    if how in ("typed", "none"):
        return how
    return "typed" if field(form, "password", 1000, strip=False) else "made"


def _locked(found: User) -> int:
    """Until when failed tries are waited off, 0 when they are not."""
    return found.locked_until if found.locked_until and found.locked_until > time.time() else 0


def _has_provider(request: Web) -> bool:
    return request.app.state.get("provider") is not None
