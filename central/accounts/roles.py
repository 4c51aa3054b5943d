"""Roles of a tenant, and who has which of them where."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Grant, Role, User
from central.accounts.permissions import BUILTIN, words


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
    role = (await db.scalars(select(Role).where(Role.tenant_id == user.tenant_id, Role.key == role_key))).one()
    row = Grant(user_id=user.id, role_id=role.id, group_id=group_id, gateway_id=gateway_id)
    db.add(row)
    await db.flush()
    return row
