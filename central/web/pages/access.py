"""Before the login and out again: login, first administrator, language, logout."""

import time
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect, Response

from central.accounts.cookies import clear_session, is_https, set_session
from central.accounts.errors import AccountError, CodeNeeded, LoginOver
from central.accounts.passwords import MIN_LENGTH
from central.accounts.permissions import OWN
from central.accounts.second_factor import enter_code
from central.accounts.service import TenantOf, log_out
from central.accounts.service import login as open_login
from central.settings import Settings
from central.web import i18n
from central.web.forms import Db, Web, Who, address, database, field, fields
from central.web.messages import account_problem
from central.web.render import page

_YEAR = 365 * 86400


def safe_path(target: str) -> str:
    """Return ``target`` when it is a path of ours, else the start: nobody is sent to another site."""
    parts = urlsplit(target)
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if ours and "\\" not in target and target.isprintable() else "/"


@get("/login", opt={"public": True})
async def login_page(request: Web) -> Response[Any]:
    """The login; while there is no user, the first administrator's page instead."""
    if await request.app.state.setup.look(database(request)):
        return Redirect("/setup", status_code=303)
    if request.scope.get("user") is not None:
        return Redirect("/", status_code=303)
    return login_form(request, target=safe_path(request.query_params.get("next", "/")))


@post("/login", opt={"public": True}, status_code=200)
async def login(request: Web) -> Response[Any]:
    """Open a session, then on to the page that was asked for."""
    form = await fields(request)
    target, name = safe_path(field(form, "next") or "/"), field(form, "login")
    try:
        new = await open_login(
            database(request), request.app.state.gate, name, field(form, "password", 1000, strip=False),
            address=address(request), agent=request.headers.get("user-agent", ""), now=int(time.time()),
        )  # fmt: skip
    except CodeNeeded as needed:
        return page(request, "account/code.html", next=target, ticket=needed.ticket, problem="")
    except AccountError as error:
        return login_form(request, 401, target=target, login=name, problem=account_problem(error))
    answer: Response[Any] = Redirect(target, status_code=303)
    set_session(answer, request, new.token)
    return answer


@post("/login/code", opt={"public": True}, status_code=200)
async def login_code(request: Web) -> Response[Any]:
    """The second step: a code of the app, or a recovery code."""
    form = await fields(request)
    target, ticket = safe_path(field(form, "next") or "/"), field(form, "ticket")
    try:
        new = await enter_code(
            database(request), request.app.state.gate, ticket, field(form, "code", 40), address=address(request),
            agent=request.headers.get("user-agent", ""), now=int(time.time()),
        )  # fmt: skip
    except LoginOver as error:
        return login_form(request, 401, target=target, problem=account_problem(error))
    except AccountError as error:
        return page(request, "account/code.html", 401, next=target, ticket=ticket, problem=account_problem(error))
    answer: Response[Any] = Redirect(target, status_code=303)
    set_session(answer, request, new.token)
    return answer


def login_form(request: Web, status: int = 200, *, target: str, login: str = "", problem: str = "") -> Response[Any]:
    """The page of the login, with the way through the identity provider where there is one."""
    oidc = request.app.state.settings.oidc
    return page(
        request, "account/login.html", status, next=target, login=login, problem=problem, provider=bool(oidc.issuer),
        provider_label=oidc.label,
    )  # fmt: skip


@get("/setup", opt={"public": True})
async def setup_page(request: Web) -> Response[Any]:
    """Where the first administrator is made; closed as soon as there is a user."""
    if not await request.app.state.setup.look(database(request)):
        return Redirect("/login", status_code=303)
    code = request.query_params.get("code", "")[:64]
    return page(request, "account/setup.html", code=code, name="", login="", problem="", low=MIN_LENGTH)


@post("/setup", opt={"public": True}, status_code=200)
async def setup(request: Web) -> Response[Any]:
    """Make the first administrator and log in."""
    form = await fields(request)
    settings: Settings = request.app.state.settings
    code, name, login_name = field(form, "code", 64), field(form, "name"), field(form, "login")
    password, now, gate = field(form, "password", 1000, strip=False), int(time.time()), request.app.state.gate
    try:
        await request.app.state.setup.create_first_admin(
            database(request), gate, TenantOf(settings.tenant, settings.tenant_name, settings.zone), code, login_name,
            name, password, address=address(request), now=now,
        )  # fmt: skip
        new = await open_login(
            database(request), gate, login_name, password,
            address=address(request), agent=request.headers.get("user-agent", ""), now=now,
        )  # fmt: skip
    except AccountError as error:
        return page(
            request,
            "account/setup.html",
            422,
            code=code,
            name=name,
            login=login_name,
            problem=account_problem(error),
            low=MIN_LENGTH,
        )
    answer: Response[Any] = Redirect("/", status_code=303)
    set_session(answer, request, new.token)
    return answer


@post("/logout", opt=OWN, status_code=303)
async def logout(request: Web, db: Db, principal: Who) -> Response[Any]:
    """End the session."""
    await log_out(db, principal)
    answer: Response[Any] = Redirect("/login", status_code=303)
    clear_session(answer, request)
    return answer


@post("/language", opt={"public": True}, status_code=303)
async def language(request: Web) -> Response[Any]:
    """Keep a language in a cookie, for those who are not logged in."""
    form = await fields(request)
    answer: Response[Any] = Redirect(safe_path(field(form, "back", 300) or "/login"), status_code=303)
    remember_language(answer, request, field(form, "language", 8))
    return answer


def remember_language(answer: Response[Any], request: Request[Any, Any, Any], code: str) -> None:
    """Set the language cookie, or clear it for ``""`` and for what is no language of ours."""
    known = code in i18n.LANGUAGES
    answer.set_cookie(
        Cookie(
            key=i18n.COOKIE,
            value=code if known else "",
            max_age=_YEAR if known else 0,
            path="/",
            httponly=True,
            samesite="lax",
            secure=is_https(request),
        )
    )
