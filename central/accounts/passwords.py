"""Passwords: Argon2id (RFC 9106, second recommended option) on a small thread pool; the event loop never waits."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from central.accounts.errors import PasswordRefused

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 256  # a bound on what a stranger can make us hash

_hasher = PasswordHasher()
#: Two at a time: a hash takes 64 MiB, and a flood of logins must not take more.
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


def check_new(password: str, login: str = "") -> None:
    """Raise :class:`PasswordRefused` unless ``password`` may become one."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PasswordRefused(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters; this one has {len(password)}.")
    if login and password.casefold() == login.casefold():
        raise PasswordRefused("The password must not be the login name.")
    if len(set(password)) < 4:
        raise PasswordRefused("The password repeats too few characters.")


async def hash_password(password: str) -> str:
    """Hash a new password; the result carries its own salt and parameters."""
    return await asyncio.get_running_loop().run_in_executor(_pool, _hasher.hash, password)


async def verify(stored: str | None, password: str) -> bool:
    """Say whether ``password`` belongs to ``stored``; without a stored hash the same work is done for nothing.

    ``""`` is of users without a password (they come through the identity provider): nothing is right for them.
    """
    return await asyncio.get_running_loop().run_in_executor(_pool, _verify, stored, password)


def needs_rehash(stored: str) -> bool:
    """Say whether ``stored`` was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _verify(stored: str | None, password: str) -> bool:
    if len(password) > MAX_LENGTH:
        password = ""
    try:
        _hasher.verify(stored or _decoy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(stored)


@cache
def _decoy() -> str:
    return _hasher.hash("nobody has this password")
