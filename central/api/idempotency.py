"""Idempotency keys: a POST that is sent again under its key is answered as the first time and done once.

The claim of a key, what the request makes and the answer to it are one transaction. A second request under the key
waits for the first (or is told to come back), then gets its answer; a request that was refused leaves no trace, so
that it may be sent again, mended or not. Answers with a secret in them are never kept: their repetition is refused.
"""

import hashlib
import re
import time
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.api.models import IdempotencyKey
from central.api.problems import ApiError, invalid
from central.store.upsert import upsert

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
#: ``opt`` of handlers whose answer shows a secret once.
SECRET: Final = {"secret": True}
PATTERN: Final = r"[\x21-\x7e]{1,200}"
#: Answers are kept at least so long, s.
KEPT: Final = 48 * 3600
#: A second request waits so long for the first one (PostgreSQL); SQLite's writers queue anyway.
_WAIT_MS: Final = 10_000
_LOCKED: Final = "55P03"
_TABLE: Final[Any] = IdempotencyKey.__table__
_HEADERS: Final = ("location", "content-type")
#: The stored status of what must not be stored.
_HIDDEN: Final = 0


class Replay(Exception):
    """The request was done before: this is its answer."""

    def __init__(self, row: Any) -> None:
        super().__init__("done before")
        self._row = row

    def response(self) -> Response[bytes]:
        """The answer of the first time."""
        headers = msgspec.json.decode(self._row.headers, type=dict[str, str])
        media = headers.pop("content-type", "application/json")
        return Response(
            self._row.body, status_code=self._row.status, media_type=media, headers=headers | {REPLAYED: "true"}
        )


async def claim(db: AsyncSession, request: Request[Any, Any, Any]) -> str | None:
    """Take the request's key within its transaction; None: it has none. Raises :class:`Replay`, or refuses."""
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return None
    if re.fullmatch(PATTERN, key) is None:
        raise invalid(HEADER, "has to be 1 to 200 visible ASCII characters")
    who: Principal = request.user
    fingerprint = await _fingerprint(request)
    row = {
        "user_id": who.user_id, "key": key, "fingerprint": fingerprint, "status": _HIDDEN, "headers": "{}",
        "body": b"", "created_at": int(time.time()),
    }  # fmt: skip
    if await _insert(db, row):
        return key
    query = select(_TABLE).where(_TABLE.c.user_id == who.user_id, _TABLE.c.key == key)
    found = (await db.execute(query)).one()
    if found.fingerprint != fingerprint:
        raise ApiError(422, f"This {HEADER} was used for another request. Use a new one.")
    if found.status == _HIDDEN:
        raise ApiError(409, f"This was made already under this {HEADER}; the secret in its answer is shown only once.")
    raise Replay(found)


async def keep(db: AsyncSession, request: Request[Any, Any, Any], key: str, answer: ASGIResponse) -> None:
    """Store the answer under the key that was claimed."""
    if request.route_handler.opt.get("secret"):
        return
    headers = {name: value for name, value in answer.headers.items() if name.lower() in _HEADERS}
    await db.execute(
        update(_TABLE)
        .where(_TABLE.c.user_id == request.user.user_id, _TABLE.c.key == key)
        .values(status=answer.status_code, headers=msgspec.json.encode(headers).decode(), body=answer.body)
    )


async def _insert(db: AsyncSession, row: dict[str, Any]) -> bool:
    """Enter the claim; False: there is one. Another transaction's is waited for."""
    waits = db.get_bind().dialect.name == "postgresql"
    if waits:
        await db.execute(text(f"SET LOCAL lock_timeout = {_WAIT_MS}"))
    try:
        done: Any = await db.execute(upsert(db, _TABLE).values(row))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCKED:
            raise
        raise ApiError(
            409, f"The first request under this {HEADER} is still at work.", headers={"Retry-After": "5"}
        ) from error
    if waits:
        await db.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    return bool(done.rowcount)


async def _fingerprint(request: Request[Any, Any, Any]) -> bytes:
    address = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(address.encode() + await request.body()).digest()
