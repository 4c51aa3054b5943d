"""What gateways do: show a code, ask with it for a certificate, look whether it is there. No login: the code is the
proof, then the request's own secret.

Each step is a short transaction of its own, because a wrong try has to be counted although it is refused.
"""

import hmac
import time
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import passwords
from central.accounts.throttle import LoginGate
from central.accounts.tokens import digest
from central.audit.service import Program, record
from central.enrolment.certificates import fingerprint, read_request
from central.enrolment.codes import Code, parse
from central.enrolment.models import Enrolment
from central.enrolment.service import View
from central.enrolment.states import after
from central.errors import Conflict, NotFound, Refused
from central.registry.models import Gateway
from central.store.engine import Database

#: Wrong second halves of a code before it is void.
MOST_TRIES: Final = 5
_SEEN_EVERY_S: Final = 10
_log = structlog.get_logger("central.enrolment")


class CodeWrong(Refused):
    """Never told apart: unknown, wrong, used, expired, revoked."""

    def __init__(self) -> None:
        super().__init__("code", "is wrong, used, expired or revoked: have a new one made")


async def look_at(database: Database, gate: LoginGate, text: str, address: str) -> View:
    """Whose code it is; it stays unused. Raises :class:`CodeWrong`, ``LoginThrottled``."""
    view = await _proven(database, gate, text, address)
    if view.state != "open":
        raise CodeWrong
    return view


async def ask(database: Database, gate: LoginGate, text: str, secret: str, csr: str, address: str) -> View:
    """Use a code to ask for a certificate. The same code, secret and key again find the request that is there.

    Raises :class:`CodeWrong`, ``LoginThrottled``, :class:`Refused` for the request (the code stays unused then).
    """
    proven = await _proven(database, gate, text, address)
    if proven.state == "expired":
        raise CodeWrong
    key_print = fingerprint(read_request(csr, proven.gateway))
    async with database.write() as db:
        view = await _by_id(db, proven.row.id)
        row, now = view.row, int(time.time())
        if row.state != "open":
            if row.secret_hash is None or not hmac.compare_digest(row.secret_hash, digest(secret)):
                raise CodeWrong
            if row.fingerprint != key_print:
                raise Conflict("This code was used with another key: have a new one made.")
            return view
        row.state = after(row.state, "ask")
        row.secret_hash, row.csr, row.fingerprint = digest(secret), csr, key_print
        row.address, row.asked_at, row.seen_at = address[:64], now, now
        who = Program(row.tenant_id, "gateway", address)
        record(db, who, "asked", "enrolment", view.gateway, object_id=row.id, after={"fingerprint": key_print})
        return view


async def look(database: Database, enrolment_id: int, secret: str) -> View:
    """How a request stands, for who knows its secret; else :class:`NotFound`."""
    async with database.read() as db:
        row = await db.get(Enrolment, enrolment_id)
        known = row is not None and row.secret_hash is not None
        if row is None or not known or not hmac.compare_digest(row.secret_hash or b"", digest(secret)):
            raise NotFound("enrolment", enrolment_id)
        view = await _view(db, row)
    now = int(time.time())
    fetches = row.state == "issued" and row.fetched_at is None
    if fetches or now - (row.seen_at or 0) >= _SEEN_EVERY_S:
        async with database.write() as db:
            fresh = (await _by_id(db, row.id)).row
            fresh.seen_at = now
            if fetches and fresh.fetched_at is None:
                fresh.fetched_at = now
    return view


async def _proven(database: Database, gate: LoginGate, text: str, address: str) -> View:
    """The enrolment of a code that is right, in whatever state; a wrong one counts against address and code."""
    now = int(time.time())
    gate.check_address(address, now)
    code = parse(text)
    counted = await _count_try(database, code, now) if code else None
    right = await passwords.verify(counted.row.code_hash if counted else None, code.text if code else "")
    if counted is not None and right:
        async with database.write() as db:
            view = await _by_id(db, counted.row.id)
            if view.row.state != "locked":
                view.row.tries = max(0, view.row.tries - 1)
                return view
    gate.addresses.failed(address, now)
    _log.warning("enrolment code refused", address=address, code=code.prefix if code else "")
    if counted is not None and not right:
        await _refuse_try(database, counted.row.id, address)
    raise CodeWrong


async def _count_try(database: Database, code: Code, now: int) -> View | None:
    """Count a try before the slow hash is looked at, so that parallel guesses count too; None: no such code."""
    async with database.write() as db:
        row = await db.scalar(select(Enrolment).where(Enrolment.prefix == code.prefix).with_for_update())
        if row is None or row.state in ("revoked", "locked") or row.tries >= MOST_TRIES:
            return None
        if row.state == "open" and row.expires_at <= now:
            return None
        row.tries += 1
        return await _view(db, row)


async def _refuse_try(database: Database, enrolment_id: int, address: str) -> None:
    async with database.write() as db:
        view = await _by_id(db, enrolment_id)
        row = view.row
        who = Program(row.tenant_id, "gateway", address)
        record(db, who, "tried", "enrolment", view.gateway, object_id=row.id, after={"failures": row.tries})
        if row.tries >= MOST_TRIES and row.state == "open":
            row.state = after(row.state, "lock")
            record(db, who, "locked", "enrolment", view.gateway, object_id=row.id)


async def _by_id(db: AsyncSession, enrolment_id: int) -> View:
    query = select(Enrolment).where(Enrolment.id == enrolment_id).with_for_update()
    row = (await db.scalars(query)).one()
    return await _view(db, row)


async def _view(db: AsyncSession, row: Enrolment) -> View:
    return View(row, (await db.get_one(Gateway, row.gateway_id)).key)
