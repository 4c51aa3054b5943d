"""Logins, passwords, users. A try is counted before the password is looked at, so parallel guesses count too."""

import re
import time
from typing import Final, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import passwords
from central.accounts.errors import AccountConflict, AccountError, LoginRefused, LoginThrottled, PasswordRefused
from central.accounts.models import Tenant, User
from central.accounts.principal import Principal
from central.accounts.roles import grant, make_roles
from central.accounts.sessions import NewSession, close_others, open_session
from central.accounts.throttle import FREE_TRIES, FREE_TRIES_ADDRESS, Throttle, wait_after
from central.store.engine import Database
from shared.ids import check_id

_LOGIN: Final = re.compile(r"[^\s\x00-\x1f\x7f]{2,100}")


class TenantOf(NamedTuple):
    """The utility a user belongs to: key as in topics, and what it is created with."""

    key: str
    name: str
    zone: str


class LoginGate:
    """What one process remembers of failed logins; one per application."""

    def __init__(self) -> None:
        self.addresses = Throttle(FREE_TRIES_ADDRESS)
        self.strangers = Throttle(FREE_TRIES)

    def check_address(self, address: str, now: int) -> None:
        """Raise :class:`LoginThrottled` while ``address`` has to wait."""
        if wait := self.addresses.retry_after(address, now):
            raise LoginThrottled(wait)


async def login(
    database: Database, gate: LoginGate, name: str, password: str, *, address: str, agent: str, now: int
) -> NewSession:
    """Open a session for the right password; raises :class:`LoginRefused` or :class:`LoginThrottled`.

    Three short transactions with the slow hash between them: no lock is held while it runs.
    """
    name = name.strip().casefold()[:200]
    gate.check_address(address, now)
    found = await _count_try(database, name, now)
    if found is None:
        if wait := gate.strangers.retry_after(name, now):
            raise LoginThrottled(wait)
        gate.strangers.failed(name, now)  # same work, same counting: nobody can tell which names exist
    if not await passwords.verify(found.password_hash if found else None, password) or found is None:
        gate.addresses.failed(address, now)
        raise LoginRefused
    fresh = await passwords.hash_password(password) if passwords.needs_rehash(found.password_hash) else None
    async with database.write() as db:
        user = await db.get(User, found.id)
        if user is None or user.disabled_at is not None:
            raise LoginRefused
        user.failed_logins, user.locked_until = 0, None
        if fresh is not None and user.password_hash == found.password_hash:
            user.password_hash = fresh
        return await open_session(db, user, address, agent, now)


async def _count_try(database: Database, name: str, now: int) -> User | None:
    """Count a failure before the password is looked at; a right one takes it back. None: there is no such user."""
    async with database.write() as db:
        user = await db.scalar(select(User).where(User.login == name).with_for_update(of=User))
        if user is None:
            return None
        if user.locked_until is not None and user.locked_until > now:
            raise LoginThrottled(user.locked_until - now)
        user.failed_logins += 1
        wait = wait_after(user.failed_logins)
        user.locked_until = now + wait if wait else None
        return user


async def change_password(database: Database, principal: Principal, old: str, new: str) -> None:
    """Replace the password and end the user's other sessions; raises :class:`PasswordRefused`.

    Wrong tries count as failed logins do (:class:`LoginThrottled`): a stolen session must not find the password out.
    """
    user = await _count_try(database, principal.login, int(time.time()))
    if user is None or not await passwords.verify(user.password_hash, old):
        raise PasswordRefused("The current password is wrong.")
    passwords.check_new(new, user.login)
    stored = await passwords.hash_password(new)
    async with database.write() as db:
        fresh = {"password_hash": stored, "failed_logins": 0, "locked_until": None}
        await db.execute(update(User).where(User.id == principal.user_id).values(**fresh))
        await close_others(db, principal)


async def set_language(db: AsyncSession, principal: Principal, language: str) -> None:
    """Keep the language chosen on screen; ``""`` = by the browser."""
    await db.execute(update(User).where(User.id == principal.user_id).values(language=language[:8]))


async def create_user(
    database: Database, tenant: TenantOf, login: str, name: str, password: str, *, role: str, now: int
) -> User:
    """Add a user with a role in the whole tenant, made when missing; raises :class:`AccountError`."""
    login = login.strip().casefold()
    if _LOGIN.fullmatch(login) is None:
        raise AccountError(f"Login name {login[:100]!r} is not usable: 2 to 100 characters without spaces.")
    passwords.check_new(password, login)
    stored = await passwords.hash_password(password)
    try:
        async with database.write() as db:
            owner = await ensure_tenant(db, tenant)
            user = User(
                tenant_id=owner.id, login=login, name=name.strip()[:200] or login, created_at=now,
                password_hash=stored, language="", disabled_at=None, failed_logins=0, locked_until=None,
            )  # fmt: skip
            db.add(user)
            await db.flush()
            await grant(db, user, role)
            return user
    except IntegrityError as error:
        raise AccountConflict(f"Login name {login!r} is taken.") from error


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
