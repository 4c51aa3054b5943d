"""API keys: shown once, stored as SHA-256, found by prefix; with their user's rights or some of them, and an end."""

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.errors import AccountError
from central.accounts.models import ApiKey, Tenant, User
from central.accounts.permissions import Permission, words
from central.accounts.principal import Principal
from central.accounts.roles import known
from central.accounts.tokens import api_key_prefix, digest, new_api_key
from central.audit.service import Author, Program, record
from central.errors import Refused
from central.store.engine import Database

_USED_EVERY_S: Final = 60


async def create_key(
    db: AsyncSession,
    principal: Principal,
    name: str,
    *,
    permissions: str,
    expires_at: int | None,
    now: int,
    by: Author | None = None,
) -> tuple[ApiKey, str]:
    """Make a key that acts as ``principal``, at most with ``permissions`` (words; "" = all of theirs).

    Returns its row and the text that is shown this once.
    """
    new = new_api_key()
    row = ApiKey(
        tenant_id=principal.tenant_id, user_id=principal.user_id, name=name, prefix=new.prefix, key_hash=new.digest,
        permissions=permissions, created_at=now, expires_at=expires_at, used_at=None, revoked_at=None,
    )  # fmt: skip
    db.add(row)
    await db.flush()
    record(
        db, by or principal, "created", "api_key", f"mg_{row.prefix}", object_id=row.id,
        after={"name": name, "user": principal.login, "permissions": permissions.split(), "expires_at": expires_at},
    )  # fmt: skip
    return row, new.text


def scope(principal: Principal, wanted: Iterable[str]) -> str:
    """The stored form of what a key may; raises :class:`Refused` for what is not known or not the user's own."""
    permissions = known(wanted)
    if not permissions:
        raise Refused("permissions", "a key that may nothing opens nothing: name at least 'read'")
    beyond = permissions - principal.permissions
    if beyond:
        raise Refused("permissions", f"{words(beyond)!r}: a key has at most the rights of its user")
    return words(permissions)


async def create_key_for(
    db: AsyncSession,
    tenant_key: str,
    login: str,
    name: str,
    *,
    permissions: Iterable[str],
    expires_at: int | None,
    now: int,
) -> str:
    """Make a key that acts as the user ``login`` of the tenant; raises :class:`AccountError` when nobody may use it.

    ``permissions``: at most these of the user's; none named: all of them.
    """
    wanted = login.strip().casefold()
    user = await db.scalar(select(User).join(Tenant).where(User.login == wanted, Tenant.key == tenant_key))
    if user is None:
        raise AccountError(f"There is no user {wanted[:100]!r} in tenant {tenant_key!r}.")
    if user.disabled_at is not None:
        raise AccountError(f"User {wanted!r} is disabled: a key would not let anybody in.")
    if not 1 <= len(name) <= 200:
        raise AccountError("The key's name needs 1 to 200 characters.")
    who = Principal.of_session(user, "", b"")
    named = tuple(permissions)
    try:
        limit = scope(who, named) if named else ""
    except Refused as error:
        raise AccountError(str(error)) from error
    program = Program(user.tenant_id, "command line")
    _, text = await create_key(db, who, name, permissions=limit, expires_at=expires_at, now=now, by=program)
    return text


async def list_keys(db: AsyncSession, principal: Principal) -> Sequence[ApiKey]:
    """Keys of the tenant for those who manage accounts, else the user's own; newest first."""
    query = select(ApiKey).where(ApiKey.tenant_id == principal.tenant_id).order_by(ApiKey.id.desc())
    if not principal.everywhere(Permission.ACCOUNTS):
        query = query.where(ApiKey.user_id == principal.user_id)
    return (await db.scalars(query)).all()


async def revoke_key(db: AsyncSession, principal: Principal, key_id: int, now: int) -> ApiKey | None:
    """Revoke for good; None when there is no such key within reach. Revoking again changes nothing."""
    query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.tenant_id == principal.tenant_id)
    if not principal.everywhere(Permission.ACCOUNTS):
        query = query.where(ApiKey.user_id == principal.user_id)
    row = await db.scalar(query)
    if row is not None and row.revoked_at is None:
        row.revoked_at = now
        record(db, principal, "revoked", "api_key", f"mg_{row.prefix}", object_id=row.id,
               before={"name": row.name, "user": row.user.login})  # fmt: skip
        await db.flush()
    return row


async def find_key(database: Database, text: str, now: int) -> Principal | None:
    """Return who acts with the key ``text``, None when it is unknown, expired, revoked, or its user disabled."""
    prefix = api_key_prefix(text)
    if prefix is None:
        return None
    async with database.read() as db:
        row = await db.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
    if row is None or not hmac.compare_digest(row.key_hash, digest(text)):
        return None
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    if row.user.disabled_at is not None:
        return None
    if row.used_at is None or now - row.used_at >= _USED_EVERY_S:
        async with database.write() as db:
            await db.execute(update(ApiKey).where(ApiKey.id == row.id).values(used_at=now))
    return Principal.of_key(row.user, row.permissions, row.prefix, row.key_hash)
