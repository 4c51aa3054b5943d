"""The way in: who is asking (middleware), and what they may do (guards). Closed unless a handler says ``public``.

``opt``: ``public`` needs no login, ``assets`` is not even asked who comes, ``admin`` needs an administrator, ``person``
a browser session (keys must not make keys).
"""

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType, ScopeType
from litestar.exceptions import NotAuthorizedException, NotFoundException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from central.accounts.cookies import cookie_name
from central.accounts.keys import find_key
from central.accounts.principal import Principal
from central.accounts.sessions import find_session
from central.store.engine import Database

Connection = ASGIConnection[Any, Any, Any, Any]
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "_csrf"
_FORMS: Final = (RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART)


class Identify(ASGIMiddleware):
    """Put the :class:`Principal` into ``scope["user"]`` (None: nobody); ``scope["auth"]`` says why it failed."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "assets"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look at the Authorization header first, then at the cookie."""
        connection: Connection = ASGIConnection(scope)
        scope["user"], scope["auth"] = await self._find(connection)
        await next_app(scope, receive, send)

    async def _find(self, connection: Connection) -> tuple[Principal | None, str]:
        now = int(time.time())
        header = connection.headers.get("authorization")
        if header is not None:
            scheme, _, text = header.partition(" ")
            if scheme.lower() != "bearer":
                return None, f"The Authorization scheme {scheme[:32]!r} is not known here: use 'Bearer mg_...'."
            found = await find_key(self._database, text.strip(), now)
            return found, "" if found else "This API key is unknown, expired or revoked."
        token = connection.cookies.get(cookie_name(connection))
        if not token:
            return None, "Log in, or send an API key as 'Authorization: Bearer mg_...'."
        found = await find_session(self._database, token, now)
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
    if handler.opt.get("admin") and not principal.is_admin:
        raise PermissionDeniedException("Only an administrator may do this.")
    if connection.scope["method"] not in SAFE and not principal.can_write:  # type: ignore[typeddict-item]
        raise PermissionDeniedException("This API key may only read.")


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


async def provide_principal(request: Request[Principal | None, Any, Any]) -> Principal:
    """Dependency ``principal``: who is asking; only behind :func:`require_login`."""
    if request.user is None:
        raise NotAuthorizedException("Log in first.")
    return request.user


Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None] | None]
GUARDS: Final[tuple[Guard, ...]] = (refuse_nul, require_login, refuse_forgery)
