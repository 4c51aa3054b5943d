"""Roles: what each permits, for everybody who has it. Needs ``accounts`` in the whole tenant."""

from collections.abc import Awaitable, Mapping
from typing import Any, Final

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response

from central.accounts import roles
from central.accounts.errors import AccountError
from central.accounts.permissions import Permission, may
from central.errors import CentralError, NotFound
from central.web.forms import Db, Web, Who, field, fields
from central.web.messages import rights_problem
from central.web.render import page

NEEDS: Final = may(Permission.ACCOUNTS)


@get("/roles", opt=NEEDS)
async def list_roles(request: Web, db: Db, principal: Who) -> Response[str]:
    """All of them, each to be edited in place."""
    return await _page(request, db, principal)


@post("/roles", opt=NEEDS, status_code=200)
async def create(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Enter one of one's own."""
    form = await fields(request)
    key, name = field(form, "key", 64), field(form, "name")
    change = roles.create_role(db, principal, key, name, _chosen(form))
    return await _done(request, db, principal, change, key=key, name=name)


@post("/roles/{role:str}", opt=NEEDS, status_code=200)
async def save(request: Web, db: Db, principal: Who, role: FromPath[str]) -> Response[Any]:
    """Save what one permits."""
    form = await fields(request)
    change = roles.edit_role(db, principal, role, name=field(form, "name"), permissions=_chosen(form))
    return await _done(request, db, principal, change)


@post("/roles/{role:str}/delete", opt=NEEDS, status_code=200)
async def remove(request: Web, db: Db, principal: Who, role: FromPath[str]) -> Response[Any]:
    """Remove one that nobody has."""
    return await _done(request, db, principal, roles.delete_role(db, principal, role))


def _chosen(form: Mapping[str, Any]) -> list[str]:
    return [each for each in Permission if field(form, f"may_{each}") == "1"]


async def _done(request: Web, db: Db, principal: Who, change: Awaitable[Any], **filled: str) -> Response[Any]:
    try:
        await change
    except NotFound:
        raise
    except (AccountError, CentralError) as error:
        await db.rollback()
        return await _page(request, db, principal, 422, rights_problem(error), **filled)
    return Redirect("/roles", status_code=303)


async def _page(
    request: Web, db: Db, principal: Who, status: int = 200, problem: str = "", key: str = "", name: str = ""
) -> Response[str]:
    rows = await roles.list_roles(db, principal.tenant_id)
    lines = [(row, row.permissions.split(), count) for row, count in rows]
    return page(
        request, "users/roles.html", status, lines=lines, problem=problem, permissions=list(Permission), key=key,
        name=name,
    )  # fmt: skip
