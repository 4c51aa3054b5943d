"""Accounts in the API: who is asking, and API keys. Logging in is the pages' business."""

import time

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import keys
from central.accounts.permissions import PERSON, Permission, words
from central.accounts.principal import Principal
from central.accounts.schemas import KeyIn, KeyOut, Me, NewKeyOut
from central.api.idempotency import SECRET
from central.api.problems import invalid
from central.api.schemas import Page, seconds
from central.errors import NotFound


@get("/me", tags=["account"])
async def me(principal: NamedDependency[Principal]) -> Me:
    """Say who is asking, and what they may do."""
    return Me.of(principal)


class KeyController(Controller):
    """API keys; only for people, never for keys themselves."""

    path = "/keys"
    tags = ("account",)
    opt = PERSON

    @get()
    async def list_keys(self, db: NamedDependency[AsyncSession], principal: NamedDependency[Principal]) -> Page[KeyOut]:
        """List the tenant's keys (administrators) or one's own, newest first."""
        return Page([KeyOut.of(row, row.user.login) for row in await keys.list_keys(db, principal)])

    @post(opt=SECRET)
    async def create_key(
        self, db: NamedDependency[AsyncSession], principal: NamedDependency[Principal], data: JSONBody[KeyIn]
    ) -> NewKeyOut:
        """Make a key; its text is in this answer and never again."""
        now = int(time.time())
        expires_at = seconds(data.expires_at) if data.expires_at is not None else None
        if expires_at is not None and expires_at <= now:
            raise invalid("expires_at", "is in the past")
        row, text = await keys.create_key(
            db,
            principal,
            data.name,
            permissions=_limit(principal, data),
            expires_at=expires_at,
            now=now,
        )
        return NewKeyOut(key=text, about=KeyOut.of(row, principal.login))

    @delete("/{key_id:int}")
    async def revoke_key(
        self, db: NamedDependency[AsyncSession], principal: NamedDependency[Principal], key_id: FromPath[int]
    ) -> None:
        """Revoke a key for good."""
        if await keys.revoke_key(db, principal, key_id, int(time.time())) is None:
            raise NotFound("key", key_id)


def _limit(principal: Principal, data: KeyIn) -> str:
    if data.permissions is not None:
        return keys.scope(principal, data.permissions)
    return "" if data.can_write else words([Permission.READ])
