"""What holds whenever rights change: nobody gives more than they have, and somebody can always manage accounts."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.errors import BeyondOwnRights, LastAdministrator
from central.accounts.models import Grant, Role, Tenant, User
from central.accounts.permissions import TENANT_WIDE, Permission, parse
from central.accounts.principal import Principal
from central.registry.groups import subtree


async def hold_tenant(db: AsyncSession, tenant_id: int) -> None:
    """One change of rights at a time: two administrators must not take each other's rights away at once."""
    await db.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update())


async def require_administrator(db: AsyncSession, tenant_id: int) -> None:
    """Raise :class:`LastAdministrator` unless an enabled user may manage accounts everywhere; after the change."""
    await db.flush()
    query = (
        select(Role.permissions)
        .join(Grant, Grant.role_id == Role.id)
        .join(User, User.id == Grant.user_id)
        .where(
            User.tenant_id == tenant_id, User.disabled_at.is_(None), Grant.group_id.is_(None),
            Grant.gateway_id.is_(None),
        )
        .distinct()
    )  # fmt: skip
    if not any(Permission.ACCOUNTS in parse(held) for held in await db.scalars(query)):
        raise LastAdministrator


def require_everywhere(who: Principal, permissions: Iterable[Permission]) -> None:
    """Raise :class:`BeyondOwnRights` unless ``who`` has all of these in the whole tenant."""
    for each in permissions:
        if not who.everywhere(each):
            raise BeyondOwnRights(each)


async def require_covering(
    db: AsyncSession, who: Principal, permissions: Iterable[Permission], group_id: int | None, gateway_id: int | None
) -> None:
    """Raise :class:`BeyondOwnRights` unless ``who`` has all of these in the whole of that place.

    What is about the tenant as a whole counts for nothing in a part of it: giving it there gives nothing.
    """
    part = group_id is not None or gateway_id is not None
    for each in permissions:
        reach = who.reach(each)
        if reach.everywhere or (part and each in TENANT_WIDE):
            continue
        inside = (gateway_id is not None and gateway_id in reach.gateways) or (
            group_id is not None and group_id in set(await db.scalars(subtree(reach.groups)))
        )
        if not inside:
            raise BeyondOwnRights(each)


async def require_above(db: AsyncSession, who: Principal, user: User) -> None:
    """Raise :class:`BeyondOwnRights` when ``user`` has rights that ``who`` has not: who sets a password, has both."""
    for grant in user.grants:
        await require_covering(db, who, parse(grant.role.permissions), grant.group_id, grant.gateway_id)
