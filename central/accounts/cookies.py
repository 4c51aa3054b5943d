"""The session cookie: HttpOnly, SameSite=Lax, over https Secure and named ``__Host-``, which no subdomain can set."""

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.response import Response

from central.accounts.sessions import LONGEST_S

Connection = ASGIConnection[Any, Any, Any, Any]


#: A login on its way to the identity provider and back.
LOGIN_S: Final = 600
_LOGIN: Final = "mg_login"


def cookie_name(connection: Connection, name: str = "mg_session") -> str:
    return f"__Host-{name}" if is_https(connection) else name


def is_https(connection: Connection) -> bool:
    """Whether the browser speaks https: to us, to a trusted proxy in front, or because the settings say so."""
    web = connection.app.state.settings.web
    return connection.scope["scheme"] == "https" or web.secure_cookies or web.base_url.startswith("https://")


def set_session(response: Response[Any], connection: Connection, token: str) -> None:
    """Give the browser its token; when it ends is decided here, not by the browser."""
    _set(response, connection, cookie_name(connection), token, LONGEST_S)


def clear_session(response: Response[Any], connection: Connection) -> None:
    _set(response, connection, cookie_name(connection), "", 0)


def keep_login(response: Response[Any], connection: Connection, held: str) -> None:
    """Have the browser keep what it must bring back from the identity provider; "" clears it."""
    _set(response, connection, cookie_name(connection, _LOGIN), held, LOGIN_S if held else 0)


def kept_login(connection: Connection) -> str:
    """What :func:`keep_login` gave, "" when the browser has nothing (any more)."""
    return connection.cookies.get(cookie_name(connection, _LOGIN), "")


def _set(response: Response[Any], connection: Connection, key: str, value: str, max_age: int) -> None:
    response.set_cookie(
        Cookie(
            key=key, value=value, max_age=max_age, path="/", httponly=True, samesite="lax",
            secure=is_https(connection),
        )
    )  # fmt: skip
