"""Roles of a tenant, and who has which of them where."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.errors import RoleInUse, RoleStays
from central.accounts.models import Grant, Role, User
from central.accounts.permissions import BUILTIN, Permission, parse, words
from central.accounts.principal import Principal
from central.accounts.rules import hold_tenant, require_administrator, require_everywhere
from central.audit.service import record
from central.errors import Conflict, NotFound, Refused

_KEY: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


async def make_roles(db: AsyncSession, tenant_id: int) -> dict[str, Role]:
    """Enter the built-in roles of a new tenant; returns them by key."""
    roles = {
        key: Role(tenant_id=tenant_id, key=key, name="", permissions=words(permissions), builtin=True)
        for key, permissions in BUILTIN.items()
    }
    db.add_all(roles.values())
    await db.flush()
    return roles


async def grant(
    db: AsyncSession, user: User, role_key: str, *, group_id: int | None = None, gateway_id: int | None = None
) -> Grant:
    """Give a user a role of its tenant: everywhere, or in a group's subtree, or at a gateway."""
    role = await get_role(db, user.tenant_id, role_key)
    row = Grant(user_id=user.id, role_id=role.id, group_id=group_id, gateway_id=gateway_id)
    db.add(row)
    await db.flush()
    return row


async def list_roles(db: AsyncSession, tenant_id: int) -> Sequence[tuple[Role, int]]:
    """Roles with the number of users that have each; built-in ones first, the mightiest at the top."""
    users = (
        select(Grant.role_id, func.count(Grant.user_id.distinct()).label("users")).group_by(Grant.role_id).subquery()
    )
    query = (
        select(Role, func.coalesce(users.c.users, 0))
        .outerjoin(users, users.c.role_id == Role.id)
        .where(Role.tenant_id == tenant_id)
        .order_by(Role.id)
    )
    rows = [(row[0], int(row[1])) for row in (await db.execute(query)).all()]
    order = list(BUILTIN)
    return sorted(rows, key=lambda row: (order.index(row[0].key) if row[0].key in BUILTIN else len(order), row[0].key))


async def get_role(db: AsyncSession, tenant_id: int, key: str) -> Role:
    """One role by its key; raises :class:`NotFound`."""
    role = await db.scalar(select(Role).where(Role.tenant_id == tenant_id, Role.key == key))
    if role is None:
        raise NotFound("role", key)
    return role


async def create_role(db: AsyncSession, who: Principal, key: str, name: str, permissions: Iterable[str]) -> Role:
    """Enter a role of one's own; raises :class:`Refused`, :class:`Conflict`, :class:`BeyondOwnRights`."""
    if _KEY.fullmatch(key) is None:
        raise Refused(
            "key", f"{key[:64]!r} is not 1 to 64 of a-z, 0-9, '.', '-' and '_', beginning with letter or digit"
        )
    wanted = known(permissions)
    require_everywhere(who, wanted)
    role = Role(tenant_id=who.tenant_id, key=key, name=name.strip()[:200], permissions=words(wanted), builtin=False)
    try:
        async with db.begin_nested():
            db.add(role)
    except IntegrityError as error:
        raise Conflict(f"There is a role {key!r} already.") from error
    record(db, who, "created", "role", key, object_id=role.id, after=_facts(role))
    return role


async def edit_role(
    db: AsyncSession, who: Principal, key: str, *, name: str | None = None, permissions: Iterable[str] | None = None
) -> Role:
    """Change a role's name and permissions, for everybody who has it.

    Raises :class:`NotFound`, :class:`Refused`, :class:`BeyondOwnRights` (for what is added), :class:`Conflict` (nobody
    could manage accounts any more).
    """
    await hold_tenant(db, who.tenant_id)
    role = await get_role(db, who.tenant_id, key)
    before = _facts(role)
    if permissions is not None:
        wanted = known(permissions)
        require_everywhere(who, wanted - parse(role.permissions))
        role.permissions = words(wanted)
    if name is not None:
        role.name = name.strip()[:200]
    await require_administrator(db, who.tenant_id)
    record(db, who, "changed", "role", key, object_id=role.id, before=before, after=_facts(role))
    return role


async def delete_role(db: AsyncSession, who: Principal, key: str) -> None:
    """Remove a role of one's own that nobody has; raises :class:`NotFound`, :class:`Conflict`."""
    await hold_tenant(db, who.tenant_id)
    role = await get_role(db, who.tenant_id, key)
    if role.builtin:
        raise RoleStays(key)
    query = select(User.login).join(Grant, Grant.user_id == User.id).where(Grant.role_id == role.id).distinct()
    holders = (await db.scalars(query.order_by(User.login))).all()
    if holders:
        raise RoleInUse(key, holders)
    record(db, who, "deleted", "role", key, object_id=role.id, before=_facts(role))
    await db.delete(role)
    await db.flush()


def known(permissions: Iterable[str]) -> frozenset[Permission]:
    """Permissions of words; raises :class:`Refused` for one that is not known."""
    try:
        return frozenset(Permission(each) for each in permissions)
    except ValueError as error:
        raise Refused("permissions", f"{error}; known are {', '.join(Permission)}") from error


def _facts(role: Role) -> dict[str, object]:
    return {"name": role.name, "permissions": role.permissions.split()}
