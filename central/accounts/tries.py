"""Failures of one user: a try is counted before it is looked at, so parallel guesses count too."""

from sqlalchemy import select

from central.accounts.errors import LoginThrottled
from central.accounts.models import User
from central.accounts.throttle import wait_after
from central.store.engine import Database


async def count_try(database: Database, name: str, now: int) -> User | None:
    """Count a failure before password or code is looked at; a right one takes it back. None: there is no such user."""
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


async def take_back(database: Database, counted: User) -> None:
    """Take back the one try that was right; failures before it stay. It stays counted where others tried meanwhile."""
    async with database.write() as db:
        user = await db.scalar(select(User).where(User.id == counted.id).with_for_update(of=User))
        if user is not None and user.failed_logins == counted.failed_logins:
            user.failed_logins, user.locked_until = user.failed_logins - 1, None
