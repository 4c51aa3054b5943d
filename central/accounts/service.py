"""Logins, passwords, the first users of a tenant. Who manages them: ``central.accounts.users``."""

import re
import time
from typing import Final, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import passwords
from central.accounts.errors import (
    AccountConflict,
    AccountError,
    CodeNeeded,
    LoginRefused,
    LoginThrottled,
    PasswordRefused,
)
from central.accounts.models import Tenant, User
from central.accounts.principal import Principal
from central.accounts.roles import grant, make_roles
from central.accounts.second_factor import ticket
from central.accounts.sessions import NewSession, close_others, close_session, open_session
from central.accounts.throttle import LoginGate
from central.accounts.tries import count_try, take_back
from central.audit.service import Program, record
from central.store.engine import Database
from shared.ids import check_id

_LOGIN: Final = re.compile(r"[^\s\x00-\x1f\x7f]{2,100}")


class TenantOf(NamedTuple):
    """The utility a user belongs to: key as in topics, and what it is created with."""

    key: str
    name: str
    zone: str


async def login(
    database: Database, gate: LoginGate, name: str, password: str, *, address: str, agent: str, now: int
) -> NewSession:
    """Open a session for the right password; raises :class:`LoginRefused` or :class:`LoginThrottled`.

    Of a user with a second factor it raises :class:`CodeNeeded`: ``central.accounts.second_factor`` goes on from there.

    Three short transactions with the slow hash between them: no lock is held while it runs.
    """
    name = name.strip().casefold()[:200]
    gate.check_address(address, now)
    found = await count_try(database, name, now)
    if found is None:
        if wait := gate.strangers.retry_after(name, now):
            raise LoginThrottled(wait)
        gate.strangers.failed(name, now)  # same work, same counting: nobody can tell which names exist
    if not await passwords.verify(found.password_hash if found else None, password) or found is None:
        gate.addresses.failed(address, now)
        if found is not None:
            await _record_refusal(database, found, address)
        raise LoginRefused
    fresh = await passwords.hash_password(password) if passwords.needs_rehash(found.password_hash) else None
    if found.totp_secret and found.disabled_at is None:
        await take_back(database, found)
        raise CodeNeeded(ticket(found, now))
    async with database.write() as db:
        user = await db.get(User, found.id)
        if user is None or user.disabled_at is not None:
            raise LoginRefused
        user.failed_logins, user.locked_until = 0, None
        if fresh is not None and user.password_hash == found.password_hash:
            user.password_hash = fresh
        record(db, Principal.of_session(user, "", b"", address), "logged-in", "user", user.login, object_id=user.id)
        return await open_session(db, user, address, agent, now)


async def log_out(db: AsyncSession, principal: Principal) -> None:
    """End the session that asks."""
    await close_session(db, principal)
    record(db, principal, "logged-out", "user", principal.login, object_id=principal.user_id)


async def _record_refusal(database: Database, user: User, address: str) -> None:
    async with database.write() as db:
        who = Principal.of_session(user, "", b"", address)
        record(db, who, "refused", "user", user.login, object_id=user.id, after={"failures": user.failed_logins})


async def change_password(database: Database, principal: Principal, old: str, new: str) -> None:
    """Replace the password and end the user's other sessions; raises :class:`PasswordRefused`.

    Wrong tries count as failed logins do (:class:`LoginThrottled`): a stolen session must not find the password out.
    """
    user = await count_try(database, principal.login, int(time.time()))
    if user is None or not await passwords.verify(user.password_hash, old):
        raise PasswordRefused("The current password is wrong.")
    passwords.check_new(new, user.login)
    stored = await passwords.hash_password(new)
    async with database.write() as db:
        fresh = {"password_hash": stored, "failed_logins": 0, "locked_until": None}
        await db.execute(update(User).where(User.id == principal.user_id).values(**fresh))
        record(db, principal, "password-changed", "user", principal.login, object_id=principal.user_id)
        await close_others(db, principal)


async def set_language(db: AsyncSession, principal: Principal, language: str) -> None:
    """Keep the language chosen on screen; ``""`` = by the browser."""
    await db.execute(update(User).where(User.id == principal.user_id).values(language=language[:8]))


def login_name(text: str) -> str:
    """A login name in its stored form; raises :class:`AccountError`."""
    login = text.strip().casefold()
    if _LOGIN.fullmatch(login) is None:
        raise AccountError(f"Login name {login[:100]!r} is not usable: 2 to 100 characters without spaces.")
    return login


async def create_user(
    database: Database, tenant: TenantOf, login: str, name: str, password: str, *, role: str, now: int,
    author: str = "command line", address: str = "",
) -> User:  # fmt: skip
    """Add a user with a role in the whole tenant, made when missing; raises :class:`AccountError`."""
    login = login_name(login)
    passwords.check_new(password, login)
    stored = await passwords.hash_password(password)
    try:
        async with database.write() as db:
            owner = await ensure_tenant(db, tenant)
            user = new_user(owner.id, login, name, stored, now)
            db.add(user)
            await db.flush()
            await grant(db, user, role)
            record(db, Program(owner.id, author, address), "created", "user", login, object_id=user.id,
                   after={"name": user.name, "grants": [role]})  # fmt: skip
            return user
    except IntegrityError as error:
        raise AccountConflict(f"Login name {login!r} is taken.") from error


def new_user(tenant_id: int, login: str, name: str, password_hash: str, now: int, email: str = "") -> User:
    """The row of somebody new; ``password_hash`` "" is of somebody who comes through the identity provider only."""
    return User(
        tenant_id=tenant_id, login=login, name=name.strip()[:200] or login, created_at=now, email=email[:200],
        password_hash=password_hash, language="", disabled_at=None, failed_logins=0, locked_until=None,
        totp_secret="", totp_step=0, recovery="", subject=None,
    )  # fmt: skip


async def ensure_tenant(db: AsyncSession, tenant: TenantOf) -> Tenant:
    """Return the tenant, made when missing."""
    found = await db.scalar(select(Tenant).where(Tenant.key == tenant.key))
    if found is None:
        found = Tenant(key=check_id(tenant.key, "tenant"), name=tenant.name or tenant.key, zone=tenant.zone)
        db.add(found)
        await db.flush()
        await make_roles(db, found.id)
    return found


async def count_users(db: AsyncSession) -> int:
    return await db.scalar(select(func.count()).select_from(User)) or 0
