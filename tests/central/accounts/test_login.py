"""Logging in and out, first run, back-off, sessions: the services over both databases, without a browser."""

import asyncio
import time

import pytest
from sqlalchemy import func, select, update

from central.accounts import passwords
from central.accounts.errors import (
    AccountConflict,
    AccountError,
    LoginRefused,
    LoginThrottled,
    PasswordRefused,
    SetupRefused,
)
from central.accounts.models import LoginSession, User
from central.accounts.service import TenantOf, change_password, create_user, login
from central.accounts.sessions import IDLE_S, LONGEST_S, close_session, find_session
from central.accounts.setup import Setup
from central.accounts.throttle import FREE_TRIES, LONGEST_WAIT_S, LoginGate, Throttle, wait_after
from central.accounts.tokens import api_key_prefix, digest, new_api_key
from central.store.engine import Database

TENANT = TenantOf("ours", "Ours", "America/Sao_Paulo")
WORD = "a long enough word"
NOW = int(time.time())


async def make(database: Database, name: str = "Ana") -> User:
    return await create_user(database, TENANT, name, name, WORD, role="administrator", now=NOW)


async def come_in(database: Database, gate: LoginGate, name: str, word: str, now: int = NOW) -> str:
    return (await login(database, gate, name, word, address="10.0.0.1", agent="test", now=now)).token


async def test_login_session_logout(database: Database) -> None:
    await make(database)
    gate = LoginGate()
    token = await come_in(database, gate, " ANA ", WORD)
    principal = await find_session(database, token, NOW)
    assert principal is not None
    assert (principal.login, principal.tenant_key, principal.may("accounts"), principal.kind) == (
        "ana",
        "ours",
        True,
        "session",
    )
    async with database.read() as db:
        stored = await db.scalar(select(LoginSession))
        assert stored is not None
        assert stored.token_hash == digest(token)
        assert token not in repr(principal)
    async with database.write() as db:
        await close_session(db, principal)
    assert await find_session(database, token, NOW) is None


async def test_sessions_slide_and_end(database: Database) -> None:
    await make(database)
    token = await come_in(database, LoginGate(), "ana", WORD)
    at = NOW
    while at < NOW + LONGEST_S - IDLE_S:
        at += IDLE_S - 1
        assert await find_session(database, token, at) is not None
    assert await find_session(database, token, NOW + LONGEST_S) is None
    other = await come_in(database, LoginGate(), "ana", WORD)
    assert await find_session(database, other, NOW + IDLE_S) is None
    third = await come_in(database, LoginGate(), "ana", WORD)
    async with database.write() as db:
        await db.execute(update(User).values(disabled_at=NOW))
    assert await find_session(database, third, NOW) is None
    with pytest.raises(LoginRefused):
        await come_in(database, LoginGate(), "ana", WORD)


async def test_back_off_and_recovery(database: Database) -> None:
    await make(database)
    gate, at = LoginGate(), NOW
    for _ in range(FREE_TRIES):
        with pytest.raises(LoginRefused):
            await come_in(database, gate, "ana", "wrong", at)
    with pytest.raises(LoginThrottled) as waiting:
        await come_in(database, gate, "ana", WORD, at)
    assert 0 < waiting.value.retry_after <= 15
    at += waiting.value.retry_after
    with pytest.raises(LoginRefused):
        await come_in(database, gate, "ana", "wrong", at)
    with pytest.raises(LoginThrottled) as longer:
        await come_in(database, gate, "ana", WORD, at)
    assert longer.value.retry_after > waiting.value.retry_after
    await come_in(database, gate, "ana", WORD, at + longer.value.retry_after)
    with pytest.raises(LoginRefused):
        await come_in(database, gate, "ana", "wrong", at + 60)


async def test_strangers_are_treated_alike(database: Database) -> None:
    await make(database)
    gate = LoginGate()
    outcomes = []
    for name in ("ana", "nobody"):
        seen = []
        for _ in range(FREE_TRIES + 1):
            with pytest.raises(AccountError) as refused:
                await come_in(database, gate, name, "wrong")
            seen.append(str(refused.value))
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


async def test_parallel_guesses_all_count(database: Database) -> None:
    await make(database)
    gate = LoginGate()
    await asyncio.gather(*(come_in(database, gate, "ana", f"guess {n}") for n in range(8)), return_exceptions=True)
    async with database.read() as db:
        user = await db.scalar(select(User))
    assert user is not None
    assert user.failed_logins == FREE_TRIES
    assert user.locked_until is not None


async def test_change_password(database: Database) -> None:
    await make(database)
    gate = LoginGate()
    mine, other = await come_in(database, gate, "ana", WORD), await come_in(database, gate, "ana", WORD)
    principal = await find_session(database, mine, NOW)
    assert principal is not None
    for old, new in (("wrong", "another long word"), (WORD, "short"), (WORD, "aaaaaaaaaaaa")):
        with pytest.raises(PasswordRefused):
            await change_password(database, principal, old, new)
    await change_password(database, principal, WORD, "another long word")
    assert await find_session(database, mine, NOW) is not None
    assert await find_session(database, other, NOW) is None
    with pytest.raises(LoginRefused):
        await come_in(database, gate, "ana", WORD)
    await come_in(database, gate, "ana", "another long word")
    for _ in range(FREE_TRIES):
        with pytest.raises(PasswordRefused):
            await change_password(database, principal, "guess", "a third long word")
    with pytest.raises(LoginThrottled):
        await change_password(database, principal, "another long word", "a third long word")


async def test_first_run(database: Database) -> None:
    setup, gate = Setup(), LoginGate()
    code = await setup.prepare(database)
    assert code is not None
    assert setup.open

    async def create(code: str, login: str, word: str = WORD) -> User:
        return await setup.create_first_admin(
            database, gate, TENANT, code, login, "Ana", word, address="10.0.0.1", now=NOW
        )

    with pytest.raises(SetupRefused):
        await create("0000", "ana")
    with pytest.raises(PasswordRefused):
        await create(code, "ana", "short")
    done = await asyncio.gather(create(code, "ana"), create(code, "eve"), return_exceptions=True)
    assert sum(isinstance(one, User) for one in done) == 1
    assert not setup.open
    async with database.read() as db:
        assert await db.scalar(select(func.count()).select_from(User)) == 1
    again = Setup()
    assert await again.prepare(database) is None
    assert not again.open


async def test_first_run_ends_when_another_process_enters_the_first_user(database: Database) -> None:
    setup = Setup()
    assert await setup.prepare(database) is not None
    assert await setup.look(database)
    await make(database)
    assert not await setup.look(database)
    assert not setup.open


async def test_login_names(database: Database) -> None:
    await make(database)
    with pytest.raises(AccountConflict):
        await make(database, "ANA")
    for name in ("", "a", "two words", "x" * 101, "a\0b"):
        with pytest.raises(AccountError):
            await make(database, name)


async def test_passwords_without_a_database() -> None:
    stored = await passwords.hash_password(WORD)
    assert stored.startswith("$argon2id$")
    assert await passwords.verify(stored, WORD)
    assert not await passwords.verify(stored, WORD + "!")
    assert not await passwords.verify(None, WORD)
    assert not await passwords.verify(None, "nobody has this password")
    assert not await passwords.verify("not a hash", WORD)
    assert not await passwords.verify(stored, "x" * 10_000_000)


def test_waiting_grows_to_a_limit() -> None:
    waits = [wait_after(n) for n in range(60)]
    assert waits[:FREE_TRIES] == [0] * FREE_TRIES
    assert waits[FREE_TRIES : FREE_TRIES + 3] == [15, 30, 60]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


def test_throttle_is_bounded() -> None:
    throttle = Throttle(2)
    for n in range(20_000):
        throttle.failed(f"name {n}", NOW)
    assert len(throttle._entries) <= 10_000
    throttle.failed("late", NOW)
    throttle.failed("late", NOW)
    assert throttle.retry_after("late", NOW) == 15
    assert throttle.retry_after("late", NOW + 15) == 0


def test_key_texts() -> None:
    key = new_api_key()
    assert api_key_prefix(key.text) == key.prefix
    assert digest(key.text) == key.digest
    for wrong in ("", "mg_", key.text[:-1], key.text + "x", key.text.replace("mg_", "xx_"), key.text + "\n"):
        assert api_key_prefix(wrong) is None
