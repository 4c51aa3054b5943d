"""The second step of a login, and a person's own second factor: turned on, turned off, recovery codes made anew."""

import hashlib
import hmac
import time
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import passwords, totp
from central.accounts.errors import CodeRefused, LoginOver, PasswordRefused
from central.accounts.models import User
from central.accounts.principal import Principal
from central.accounts.sessions import NewSession, close_others, open_session
from central.accounts.throttle import LoginGate
from central.accounts.tries import count_try
from central.audit.service import record
from central.store.engine import Database

#: Between password and code, s.
TICKET_S: Final = 300


def ticket(user: User, now: int) -> str:
    """Proof that the password was right a moment ago; worth nothing once a code, the password or the secret changes."""
    text = f"{user.id}.{now + TICKET_S}"
    return f"{text}.{_mac(user, text)}"


async def enter_code(
    database: Database, gate: LoginGate, held: str, code: str, *, address: str, agent: str, now: int
) -> NewSession:
    """Open a session for a ticket and the right code, or a recovery code; each is worth something once.

    Raises :class:`LoginOver`, :class:`CodeRefused` or :class:`LoginThrottled`: wrong codes count as wrong passwords do.
    """
    gate.check_address(address, now)
    user = await _holder(database, held, now)
    await count_try(database, user.login, now)
    async with database.write() as db:
        row = await _locked(db, user.id)
        used = _use(row, code, now)
        who = Principal.of_session(row, "", b"", address)
        if used:
            row.failed_logins, row.locked_until = 0, None
            record(db, who, "logged-in", "user", row.login, object_id=row.id, after={"second_factor": used})
            return await open_session(db, row, address, agent, now)
        record(db, who, "refused", "user", row.login, object_id=row.id, after={"failures": row.failed_logins})
    gate.addresses.failed(address, now)
    raise CodeRefused


async def turn_on(database: Database, principal: Principal, password: str, secret: str, code: str) -> list[str]:
    """Begin to ask this person for codes; returns the recovery codes, shown this once. Other sessions end.

    Raises :class:`PasswordRefused`, or :class:`CodeRefused` when ``code`` is not of ``secret``.
    """
    now = int(time.time())
    await _prove(database, principal, password, now)
    step = totp.matching_step(secret, code.replace(" ", ""), now, 0) if totp.is_secret(secret) else None
    if step is None:
        raise CodeRefused
    codes = totp.new_recovery()
    async with database.write() as db:
        row = await _locked(db, principal.user_id)
        row.totp_secret, row.totp_step, row.recovery = secret, step, _stored(codes)
        row.failed_logins, row.locked_until = 0, None
        record(db, principal, "changed", "user", row.login, object_id=row.id, before={"second_factor": False},
               after={"second_factor": True})  # fmt: skip
        await close_others(db, principal)
    return codes


async def turn_off(database: Database, principal: Principal, password: str) -> None:
    """Ask for no code any more; raises :class:`PasswordRefused`."""
    await _prove(database, principal, password, int(time.time()))
    async with database.write() as db:
        row = await _locked(db, principal.user_id)
        row.failed_logins, row.locked_until = 0, None
        clear(row)
        record(db, principal, "changed", "user", row.login, object_id=row.id, before={"second_factor": True},
               after={"second_factor": False})  # fmt: skip


async def renew_recovery(database: Database, principal: Principal, password: str) -> list[str]:
    """New recovery codes instead of the old ones; raises :class:`PasswordRefused`, also without a second factor."""
    await _prove(database, principal, password, int(time.time()))
    codes = totp.new_recovery()
    async with database.write() as db:
        row = await _locked(db, principal.user_id)
        row.failed_logins, row.locked_until = 0, None
        if not row.totp_secret:
            raise PasswordRefused("There is no second factor to recover from.")
        row.recovery = _stored(codes)
        record(db, principal, "recovery-renewed", "user", row.login, object_id=row.id)
    return codes


def clear(row: User) -> None:
    """Take a user's second factor away."""
    row.totp_secret, row.totp_step, row.recovery = "", 0, ""


def _use(row: User, code: str, now: int) -> str:
    """Use a code up; returns what it was, "" when it is wrong."""
    step = totp.matching_step(row.totp_secret, code.replace(" ", ""), now, row.totp_step) if row.totp_secret else None
    if step is not None:
        row.totp_step = step
        return "code"
    left, wanted = row.recovery.split(), totp.recovery_digest(code)
    if row.totp_secret and wanted in left:
        row.recovery = " ".join(each for each in left if each != wanted)
        return "recovery code"
    return ""


async def _holder(database: Database, held: str, now: int) -> User:
    text, _, mac = held.rpartition(".")
    user_id, _, until = text.partition(".")
    if not (len(held) < 200 and held.isascii() and user_id.isdigit() and until.isdigit() and int(until) > now):
        raise LoginOver
    async with database.read() as db:
        user = await db.scalar(select(User).where(User.id == int(user_id[:18])))
    if user is None or user.disabled_at is not None or not hmac.compare_digest(_mac(user, text), mac):
        raise LoginOver
    return user


def _mac(user: User, text: str) -> str:
    key = hashlib.sha256("\0".join((user.password_hash, user.totp_secret, str(user.totp_step))).encode()).digest()
    return hmac.new(key, text.encode(), "sha256").hexdigest()


async def _prove(database: Database, principal: Principal, password: str, now: int) -> None:
    user = await count_try(database, principal.login, now)
    if user is None or not await passwords.verify(user.password_hash, password):
        raise PasswordRefused("The current password is wrong.")


async def _locked(db: AsyncSession, user_id: int) -> User:
    return (await db.scalars(select(User).where(User.id == user_id).with_for_update(of=User))).one()


def _stored(codes: list[str]) -> str:
    return " ".join(totp.recovery_digest(each) for each in codes)
