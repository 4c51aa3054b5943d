"""Browser sessions: a random token in the cookie, its SHA-256 in the table, sliding expiry with an absolute end."""

import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import LoginSession, User
from central.accounts.principal import Principal
from central.accounts.tokens import digest, new_token
from central.audit.service import record
from central.errors import NotFound
from central.store.engine import Database

IDLE_S: Final = 12 * 3600
LONGEST_S: Final = 30 * 86400
_SLIDE_EVERY_S: Final = 60  # a page of twenty requests writes once


class NewSession(NamedTuple):
    """``token`` goes into the cookie and nowhere else."""

    token: str
    csrf: str
    expires_at: int


async def open_session(db: AsyncSession, user: User, address: str, agent: str, now: int) -> NewSession:
    """Begin a session; sessions of this user that have expired go."""
    await db.execute(delete(LoginSession).where(LoginSession.user_id == user.id, LoginSession.expires_at <= now))
    new = NewSession(new_token(), secrets.token_urlsafe(24), now + IDLE_S)
    db.add(
        LoginSession(
            token_hash=digest(new.token),
            user_id=user.id,
            csrf=new.csrf,
            created_at=now,
            seen_at=now,
            expires_at=new.expires_at,
            address=address[:64],
            agent=agent[:300],
        )
    )
    await db.flush()
    return new


async def find_session(database: Database, token: str, now: int) -> Principal | None:
    """Return whose session ``token`` is, None when it is unknown, over, or its user disabled; keeps it alive."""
    proof = digest(token)
    async with database.read() as db:
        row = await db.scalar(select(LoginSession).where(LoginSession.token_hash == proof))
    if row is None or row.expires_at <= now or row.user.disabled_at is not None:
        return None
    if now - row.seen_at >= _SLIDE_EVERY_S:
        until = min(now + IDLE_S, row.created_at + LONGEST_S)
        async with database.write() as db:
            await db.execute(
                update(LoginSession).where(LoginSession.token_hash == proof).values(seen_at=now, expires_at=until)
            )
    return Principal.of_session(row.user, row.csrf, proof)


async def close_session(db: AsyncSession, principal: Principal) -> None:
    """Log out: the token is worth nothing from now on."""
    await db.execute(delete(LoginSession).where(LoginSession.token_hash == principal.proof))


async def close_others(db: AsyncSession, principal: Principal) -> None:
    """End every other session of this user."""
    await db.execute(
        delete(LoginSession).where(
            LoginSession.user_id == principal.user_id, LoginSession.token_hash != principal.proof
        )
    )


async def close_all(db: AsyncSession, user_id: int) -> None:
    """End every session of a user."""
    await db.execute(delete(LoginSession).where(LoginSession.user_id == user_id))


def session_id(row: LoginSession) -> str:
    """What a session is called; it opens nothing."""
    return row.token_hash.hex()[:16]


async def list_sessions(db: AsyncSession, user_id: int, now: int) -> Sequence[LoginSession]:
    """A user's sessions that are not over, the last used first."""
    query = select(LoginSession).where(LoginSession.user_id == user_id, LoginSession.expires_at > now)
    return (await db.scalars(query.order_by(LoginSession.seen_at.desc(), LoginSession.created_at.desc()))).all()


async def close_one(db: AsyncSession, who: Principal, user_id: int, name: str, now: int) -> None:
    """End one session of a user, one's own or by who manages accounts; raises :class:`NotFound`."""
    rows = await list_sessions(db, user_id, now)
    row = next((each for each in rows if session_id(each) == name), None)
    if row is None:
        raise NotFound("session", name)
    user = row.user
    record(db, who, "session-ended", "user", user.login, object_id=user_id,
           before={"address": row.address, "agent": row.agent})  # fmt: skip
    await db.delete(row)
    await db.flush()


async def close_own_others(db: AsyncSession, principal: Principal) -> None:
    """The same as :func:`close_others`, by the person's own wish."""
    await close_others(db, principal)
    record(db, principal, "sessions-ended", "user", principal.login, object_id=principal.user_id)
