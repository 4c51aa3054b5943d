"""The session cookie: HttpOnly, SameSite=Lax, over https Secure and named ``__Host-``, which no subdomain can set."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.response import Response

from central.accounts.sessions import LONGEST_S

Connection = ASGIConnection[Any, Any, Any, Any]


def cookie_name(connection: Connection) -> str:
    return "__Host-mg_session" if is_https(connection) else "mg_session"


def is_https(connection: Connection) -> bool:
    """Whether the browser speaks https: to us, to a trusted proxy in front, or because the settings say so."""
    web = connection.app.state.settings.web
    return connection.scope["scheme"] == "https" or web.secure_cookies or web.base_url.startswith("https://")


def set_session(response: Response[Any], connection: Connection, token: str) -> None:
    """Give the browser its token; when it ends is decided here, not by the browser."""
    response.set_cookie(
        Cookie(
            key=cookie_name(connection),
            value=token,
            max_age=LONGEST_S,
            path="/",
            httponly=True,
            samesite="lax",
            secure=is_https(connection),
        )
    )


def clear_session(response: Response[Any], connection: Connection) -> None:
    response.set_cookie(
        Cookie(
            key=cookie_name(connection),
            value="",
            max_age=0,
            path="/",
            httponly=True,
            samesite="lax",
            secure=is_https(connection),
        )
    )
