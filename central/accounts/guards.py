"""The way in: who is asking (middleware), and what they may do (guards). Closed unless a handler says ``public``.

``opt``: ``public`` needs no login, ``assets`` is not even asked who comes, ``person`` needs a browser session (keys
must not make keys), ``may`` names the permission it needs. Without it a safe request needs ``Permission.READ``; an
unsafe one is refused unless it is ``own``: about nothing but the person who asks, and then only from a browser. Objects
that the permission does not reach do not exist for the handler (``central.accounts.reach``).
"""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType, ScopeType
from litestar.exceptions import NotAuthorizedException, NotFoundException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.cookies import cookie_name
from central.accounts.keys import find_key
from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.accounts.reach import REACH, Reach
from central.accounts.sessions import find_session

Connection = ASGIConnection[Any, Any, Any, Any]
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "_csrf"
_FORMS: Final = (RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART)


class Identify(ASGIMiddleware):
    """Put the :class:`Principal` into ``scope["user"]`` (None: nobody); ``scope["auth"]`` says why it failed."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "assets"

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look at the Authorization header first, then at the cookie."""
        connection: Connection = ASGIConnection(scope)
        found, scope["auth"] = await self._find(connection)
        address = connection.client.host if connection.client else ""
        scope["user"] = replace(found, address=address) if found else None
        await next_app(scope, receive, send)

    async def _find(self, connection: Connection) -> tuple[Principal | None, str]:
        now, database = int(time.time()), connection.app.state.database
        header = connection.headers.get("authorization")
        if header is not None:
            scheme, _, text = header.partition(" ")
            if scheme.lower() != "bearer":
                return None, f"The Authorization scheme {scheme[:32]!r} is not known here: use 'Bearer mg_...'."
            found = await find_key(database, text.strip(), now)
            return found, "" if found else "This API key is unknown, expired or revoked."
        token = connection.cookies.get(cookie_name(connection))
        if not token:
            return None, "Log in, or send an API key as 'Authorization: Bearer mg_...'."
        found = await find_session(database, token, now)
        return found, "" if found else "This session is over. Log in again."


def refuse_nul(connection: Connection, _handler: BaseRouteHandler) -> None:
    """No name and no value of ours has a NUL in it; databases disagree about what to do with one."""
    if "\0" in connection.scope["path"] or b"%00" in connection.scope["query_string"]:
        raise NotFoundException("There is nothing whose name has a NUL in it.")


def require_login(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse strangers, except where the handler is public; ask for what its ``opt`` says."""
    if handler.opt.get("public") or handler.opt.get("assets"):
        return
    principal: Principal | None = connection.scope.get("user")
    if principal is None:
        raise NotAuthorizedException(
            connection.scope.get("auth") or "Log in first.", headers={"WWW-Authenticate": 'Bearer realm="metergate"'}
        )
    if handler.opt.get("person") and principal.kind != "session":
        raise PermissionDeniedException("Only a person logged in through the browser may do this, not an API key.")
    permission = needed(connection, handler)
    if permission is None and principal.kind != "session":
        raise PermissionDeniedException("Only a person logged in through the browser may do this, not an API key.")
    if permission is not None and not principal.may(permission):
        raise PermissionDeniedException(f"This needs the permission '{permission}'.")


def needed(connection: Connection, handler: BaseRouteHandler) -> Permission | None:
    """The permission a request needs; None: it is about the person who asks."""
    if (permission := handler.opt.get("may")) is not None:
        return Permission(permission)
    if handler.opt.get("own"):
        return None
    if connection.scope["method"] in SAFE:  # type: ignore[typeddict-item]
        return Permission.READ
    raise PermissionDeniedException("Nobody may do this: the handler does not say what it needs.")


def reach_of(connection: Connection, handler: BaseRouteHandler) -> Reach | None:
    """Where the request may act; None: it has no person, or is about nothing but them."""
    principal: Principal | None = connection.scope.get("user")
    if principal is None or handler.opt.get("public"):
        return None
    return principal.reach(needed(connection, handler) or Permission.READ)


async def refuse_forgery(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse unsafe requests that another site made a browser send (OWASP: synchronizer token, fetch metadata)."""
    if connection.scope["method"] in SAFE:  # type: ignore[typeddict-item]
        return
    principal: Principal | None = connection.scope.get("user")
    if principal is not None and principal.kind == "key":
        return
    if not _same_site(connection):
        raise PermissionDeniedException("This request came from another site.")
    if principal is None or handler.opt.get("public"):
        return
    sent = connection.headers.get(CSRF_HEADER) or await _form_token(connection)
    if not hmac.compare_digest(sent.encode(), principal.csrf.encode()):
        raise PermissionDeniedException("The page has become old. Load it again and repeat.")


def _same_site(connection: Connection) -> bool:
    if (site := connection.headers.get("sec-fetch-site")) is not None:
        return site in ("same-origin", "none")
    origin = connection.headers.get("origin")
    ours = {connection.headers.get("host", ""), urlsplit(connection.app.state.settings.web.base_url).netloc}
    return origin is None or urlsplit(origin).netloc.lower() in {name.lower() for name in ours if name}


async def _form_token(connection: Connection) -> str:
    if not isinstance(connection, Request) or connection.content_type[0] not in _FORMS:
        return ""
    value = (await connection.form()).get(CSRF_FIELD)
    return value if isinstance(value, str) else ""


def narrow(db: AsyncSession, principal: Principal, permission: Permission) -> None:
    """Keep the rest of this session to where ``permission`` holds; refuse who has it nowhere."""
    if not principal.may(permission):
        raise PermissionDeniedException(f"This needs the permission '{permission}'.")
    db.info[REACH] = principal.reach(permission)


async def provide_principal(request: Request[Principal | None, Any, Any]) -> Principal:
    """Dependency ``principal``: who is asking; only behind :func:`require_login`."""
    if request.user is None:
        raise NotAuthorizedException("Log in first.")
    return request.user


Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None] | None]
GUARDS: Final[tuple[Guard, ...]] = (refuse_nul, require_login, refuse_forgery)
