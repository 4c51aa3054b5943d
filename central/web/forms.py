"""What browsers send: form fields as bounded text, the address behind a request."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.store.engine import Database

#: A request of a page; ``user`` is None before the login.
Web: TypeAlias = Request[Principal | None, Any, Any]
Key = FromPath[str]
Search = FromQuery[str]
Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]


async def fields(request: Web) -> Mapping[str, Any]:
    """Fields of a submitted form."""
    return await request.form()


def field(form: Mapping[str, Any], name: str, longest: int = 200, *, strip: bool = True) -> str:
    """One text field, cut at ``longest``; ``""`` when it is not there or is a file."""
    value = form.get(name)
    text = value if isinstance(value, str) else ""
    return (text.strip() if strip else text)[:longest]


def address(request: Web) -> str:
    """Network address of the peer, as the server sees it."""
    return request.client.host if request.client else ""


def database(request: Web) -> Database:
    """The application's database, for services that hold their transactions themselves."""
    found: Database = request.app.state.database
    return found
