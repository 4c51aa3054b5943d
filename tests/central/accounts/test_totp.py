"""Codes of the second factor: RFC 6238's published values, an app we did not write, and the login's second step."""

import time

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from central.accounts import second_factor, totp
from central.accounts.errors import CodeNeeded, CodeRefused, LoginOver, LoginThrottled, PasswordRefused
from central.accounts.models import User
from central.accounts.principal import Principal
from central.accounts.service import login
from central.accounts.sessions import find_session
from central.accounts.throttle import FREE_TRIES, LoginGate
from central.store.engine import Database
from tests.central.accounts.test_login import WORD, come_in, make

#: RFC 6238 appendix B, SHA-1: seconds -> eight digits, of the secret "12345678901234567890".
VECTORS = {
    59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037",
    20000000000: "65353130",
}  # fmt: skip
#: RFC 4226 appendix D: the six digits of counters 0 to 9.
COUNTERS = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def test_published_values() -> None:
    for seconds, code in VECTORS.items():
        assert totp.code_at(SECRET, seconds // totp.STEP_S, 8) == code
    assert [totp.code_at(SECRET, step) for step in range(10)] == COUNTERS


@given(st.integers(0, 1 << 40), st.binary(min_size=20, max_size=20))
def test_the_same_codes_as_another_program(seconds: int, key: bytes) -> None:
    import base64

    secret = base64.b32encode(key).decode()
    assert totp.code_at(secret, seconds // 30) == pyotp.TOTP(secret).generate_otp(seconds // 30)


def test_an_app_reads_the_address() -> None:
    secret = totp.new_secret()
    read = pyotp.parse_uri(totp.address(secret, "ana maria@ours", "Metergate Água & Luz"))
    assert isinstance(read, pyotp.TOTP)
    assert (read.secret, read.name, read.issuer) == (secret, "ana maria@ours", "Metergate Água & Luz")
    assert (read.digits, read.interval) == (6, 30)


def test_window_and_use_once() -> None:
    now = 1_700_000_000
    step = now // 30
    for shift in (-2, -1, 0, 1, 2):
        found = totp.matching_step(SECRET, totp.code_at(SECRET, step + shift), now, 0)
        assert found == (step + shift if abs(shift) <= 1 else None)
    assert totp.matching_step(SECRET, totp.code_at(SECRET, step), now, step) is None
    assert totp.matching_step(SECRET, totp.code_at(SECRET, step + 1), now, step) == step + 1
    for wrong in ("", "12345", "abcdef", "１２３４５６", "\ud800"):
        assert totp.matching_step(SECRET, wrong.encode("utf-8", "replace").decode(), now, 0) is None


def test_recovery_codes() -> None:
    codes = totp.new_recovery()
    assert len(set(codes)) == totp.RECOVERY_CODES
    assert totp.recovery_digest(codes[0].upper().replace("-", " ")) == totp.recovery_digest(codes[0])
    assert totp.recovery_digest(codes[0]) != totp.recovery_digest(codes[1])


async def enrolled(database: Database) -> tuple[str, list[str], Principal]:
    """Ana with a second factor: its secret, the recovery codes, and her session."""
    await make(database)
    token = await come_in(database, LoginGate(), "ana", WORD)
    principal = await find_session(database, token, int(time.time()))
    assert principal is not None
    secret = totp.new_secret()
    last = totp.code_at(secret, int(time.time()) // 30 - 1)
    with pytest.raises(PasswordRefused):
        await second_factor.turn_on(database, principal, "wrong", secret, last)
    with pytest.raises(CodeRefused):
        await second_factor.turn_on(database, principal, WORD, secret, "000000" if last != "000000" else "000001")
    with pytest.raises(CodeRefused):
        await second_factor.turn_on(database, principal, WORD, "AAAA", last)
    codes = await second_factor.turn_on(database, principal, WORD, secret, last)
    return secret, codes, principal


async def ticket_of(database: Database, gate: LoginGate, now: int) -> str:
    with pytest.raises(CodeNeeded) as needed:
        await login(database, gate, "ana", WORD, address="10.0.0.1", agent="test", now=now)
    return needed.value.ticket


async def enter(database: Database, gate: LoginGate, ticket: str, code: str, now: int) -> str:
    new = await second_factor.enter_code(
        database, gate, ticket, code, address="10.0.0.1", agent="test", now=now
    )  # fmt: skip
    return new.token


async def test_login_in_two_steps(database: Database) -> None:
    secret, codes, _ = await enrolled(database)
    gate, now = LoginGate(), int(time.time())
    ticket = await ticket_of(database, gate, now)
    code = totp.code_at(secret, now // 30)
    assert await find_session(database, await enter(database, gate, ticket, code, now), now) is not None
    with pytest.raises(LoginOver):  # the ticket is used up with the code
        await enter(database, gate, ticket, totp.code_at(secret, now // 30 + 1), now)
    again = await ticket_of(database, gate, now)
    with pytest.raises(CodeRefused):  # a code works once
        await enter(database, gate, again, code, now)
    await enter(database, gate, again, codes[3].upper(), now)
    with pytest.raises(CodeRefused):
        await enter(database, gate, await ticket_of(database, gate, now), codes[3], now)


async def test_tickets_end(database: Database) -> None:
    secret, _, principal = await enrolled(database)
    gate, now = LoginGate(), int(time.time())
    ticket = await ticket_of(database, gate, now)
    later = now + second_factor.TICKET_S
    for wrong in ("", "1", "1.2.3", ticket[:-1] + ("0" if ticket[-1] != "0" else "1"), ticket + "x", f"9{ticket}"):
        with pytest.raises(LoginOver):
            await enter(database, gate, wrong, totp.code_at(secret, now // 30), now)
    with pytest.raises(LoginOver):
        await enter(database, gate, ticket, totp.code_at(secret, later // 30), later)
    await second_factor.turn_off(database, principal, WORD)
    with pytest.raises(LoginOver):
        await enter(database, gate, ticket, totp.code_at(secret, now // 30), now)
    assert await come_in(database, gate, "ana", WORD)


async def test_wrong_codes_lock_and_the_right_password_does_not_unlock(database: Database) -> None:
    """Who has the password has as many tries at the code as others at the password."""
    secret, _, _ = await enrolled(database)
    gate, now = LoginGate(), int(time.time())
    right = {totp.code_at(secret, now // 30 + shift) for shift in (-1, 0, 1)}
    wrong = next(code for code in ("000000", "000001", "000002", "000003") if code not in right)
    for _ in range(FREE_TRIES):
        ticket = await ticket_of(database, gate, now)
        with pytest.raises(CodeRefused):
            await enter(database, gate, ticket, wrong, now)
    with pytest.raises(LoginThrottled):
        await enter(database, gate, ticket, totp.code_at(secret, now // 30), now)
    with pytest.raises(LoginThrottled):
        await login(database, gate, "ana", WORD, address="10.0.0.1", agent="test", now=now)
    async with database.read() as db:
        user = (await db.scalars(select(User))).one()
    assert user.failed_logins == FREE_TRIES
    later = now + 15
    assert await enter(database, gate, ticket, totp.code_at(secret, later // 30), later)


async def test_new_recovery_codes_replace_the_old(database: Database) -> None:
    _, old, principal = await enrolled(database)
    gate, now = LoginGate(), int(time.time())
    new = await second_factor.renew_recovery(database, principal, WORD)
    with pytest.raises(CodeRefused):
        await enter(database, gate, await ticket_of(database, gate, now), old[0], now)
    assert await enter(database, gate, await ticket_of(database, gate, now), new[0], now)
