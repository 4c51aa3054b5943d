"""People and roles in the API. All of it needs the permission ``accounts``, which counts only in the whole tenant."""

import time
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import roles, sessions, users
from central.accounts.permissions import PERSON, Permission, may
from central.accounts.principal import Principal
from central.accounts.schemas import (
    GrantIn,
    GrantOut,
    RoleIn,
    RoleOut,
    RolePatch,
    SessionOut,
    UserIn,
    UserOut,
    UserPatch,
)
from central.accounts.users import Place
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode
from central.api.query import parse_choice
from central.api.schemas import Page
from central.registry import entry
from central.registry.models import Gateway

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]


class UserController(Controller):
    """Users of the tenant."""

    path = "/users"
    tags = ("account",)
    opt = may(Permission.ACCOUNTS)

    @get()
    async def list_users(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        search: Annotated[str, QueryParameter(name="q", max_length=200)] = "",
        wanted: Annotated[
            str | None, QueryParameter(name="state", description=", ".join(users.STATES), max_length=16)
        ] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[UserOut]]:
        """List users in order of their login name."""
        if wanted is not None:
            parse_choice(wanted, "state", users.STATES)
        rows = await users.list_users(
            db, principal.tenant_id, search, state=wanted or "", now=int(time.time()), after=decode(cursor), limit=limit
        )
        return answer(request, rows, UserOut.of)

    @post()
    async def create_user(self, db: Db, principal: Who, data: JSONBody[UserIn]) -> UserOut:
        """Enter somebody, without rights yet; 409 when the login name is taken."""
        row = await users.add_user(
            db, principal, data.login, data.name, data.password, email=data.email, now=int(time.time())
        )
        return UserOut.of(row)

    @get("/{user_id:int}")
    async def get_user(self, db: Db, principal: Who, user_id: FromPath[int]) -> UserOut:
        """Return one user."""
        return UserOut.of(await users.get_user(db, principal.tenant_id, user_id))

    @patch("/{user_id:int}")
    async def patch_user(self, db: Db, principal: Who, user_id: FromPath[int], data: JSONBody[UserPatch]) -> UserOut:
        """Change name and e-mail, disable or enable, unlock, set the password; sessions end with the last three.

        403 for users who may more than who asks; 409 when nobody could manage accounts any more.
        """
        row = await users.edit_user(db, principal, user_id, name=data.name, email=data.email)
        if data.unlock:
            await users.unlock(db, principal, user_id)
        if data.password is not None:
            await users.reset_password(db, principal, user_id, data.password)
        if data.disabled is not None:
            await users.set_disabled(db, principal, user_id, data.disabled, int(time.time()))
        return UserOut.of(row)

    @delete("/{user_id:int}/second-factor")
    async def reset_second_factor(self, db: Db, principal: Who, user_id: FromPath[int]) -> None:
        """Take somebody's second factor away."""
        await users.reset_second_factor(db, principal, user_id)

    @get("/{user_id:int}/grants")
    async def list_grants(self, db: Db, principal: Who, user_id: FromPath[int]) -> Page[GrantOut]:
        """List which roles somebody has where."""
        user = await users.get_user(db, principal.tenant_id, user_id)
        return Page([GrantOut.of(each) for each in await users.grant_views(db, user)])

    @post("/{user_id:int}/grants")
    async def create_grant(self, db: Db, principal: Who, user_id: FromPath[int], data: JSONBody[GrantIn]) -> GrantOut:
        """Give somebody a role somewhere; 403 for more than who asks has there."""
        gateway_id = await entry.refer(db, principal.tenant_id, Gateway, data.gateway, "gateway")
        row = await users.add_grant(db, principal, user_id, data.role, Place(data.group, gateway_id))
        views = await users.grant_views(db, await users.get_user(db, principal.tenant_id, user_id))
        return GrantOut.of(next(each for each in views if each.row.id == row.id))

    @delete("/{user_id:int}/grants/{grant_id:int}")
    async def delete_grant(self, db: Db, principal: Who, user_id: FromPath[int], grant_id: FromPath[int]) -> None:
        """Take a role from somebody; 409 when nobody could manage accounts any more."""
        await users.remove_grant(db, principal, user_id, grant_id)

    @get("/{user_id:int}/sessions")
    async def list_user_sessions(self, db: Db, principal: Who, user_id: FromPath[int]) -> Page[SessionOut]:
        """List the browsers in which somebody is logged in."""
        user = await users.get_user(db, principal.tenant_id, user_id)
        rows = await sessions.list_sessions(db, user.id, int(time.time()))
        return Page([SessionOut.of(row, principal.proof) for row in rows])

    @delete("/{user_id:int}/sessions")
    async def end_user_sessions(self, db: Db, principal: Who, user_id: FromPath[int]) -> None:
        """End all sessions of somebody."""
        await users.end_sessions(db, principal, user_id)


class RoleController(Controller):
    """Roles of the tenant."""

    path = "/roles"
    tags = ("account",)
    opt = may(Permission.ACCOUNTS)

    @get()
    async def list_roles(self, db: Db, principal: Who) -> Page[RoleOut]:
        """List all roles, the built-in ones first."""
        return Page([RoleOut.of(row, count) for row, count in await roles.list_roles(db, principal.tenant_id)])

    @post()
    async def create_role(self, db: Db, principal: Who, data: JSONBody[RoleIn]) -> RoleOut:
        """Enter a role; 403 for permissions that who asks has not."""
        return RoleOut.of(await roles.create_role(db, principal, data.key, data.name, data.permissions), 0)

    @patch("/{role:str}")
    async def patch_role(self, db: Db, principal: Who, role: FromPath[str], data: JSONBody[RolePatch]) -> RoleOut:
        """Change a role for everybody who has it; 409 when nobody could manage accounts any more."""
        await roles.edit_role(db, principal, role, name=data.name, permissions=data.permissions)
        rows = await roles.list_roles(db, principal.tenant_id)
        return next(RoleOut.of(row, count) for row, count in rows if row.key == role)

    @delete("/{role:str}")
    async def delete_role(self, db: Db, principal: Who, role: FromPath[str]) -> None:
        """Remove a role that is not built in and that nobody has (409)."""
        await roles.delete_role(db, principal, role)


class SessionController(Controller):
    """One's own browsers; only for people."""

    path = "/sessions"
    tags = ("account",)
    opt = PERSON

    @get()
    async def list_sessions(self, db: Db, principal: Who) -> Page[SessionOut]:
        """List one's own sessions, the last used first."""
        rows = await sessions.list_sessions(db, principal.user_id, int(time.time()))
        return Page([SessionOut.of(row, principal.proof) for row in rows])

    @delete()
    async def end_other_sessions(self, db: Db, principal: Who) -> None:
        """End all of one's sessions but this one."""
        await sessions.close_own_others(db, principal)

    @delete("/{session_id:str}")
    async def end_session(self, db: Db, principal: Who, session_id: FromPath[str]) -> None:
        """End one of one's own sessions."""
        await sessions.close_one(db, principal, principal.user_id, session_id, int(time.time()))
