"""Write the audit log, in the transaction of the change it tells of."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from central.audit.models import AuditEntry
from central.webhooks import outbox  # noqa: F401 - it listens for what is entered here

#: What never stands in the log, whatever is handed over.
_SECRET: Final = frozenset({"password", "password_hash", "secret", "totp_secret", "recovery", "key_hash", "token_hash"})


class Author(Protocol):
    """Who did it: a principal, or a :class:`Program`."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def user_id(self) -> int | None: ...
    @property
    def author(self) -> str: ...
    @property
    def address(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Program:
    """Something without a login: the command line, the first run, the identity provider."""

    tenant_id: int
    author: str
    address: str = ""
    user_id: int | None = None


def record(
    db: AsyncSession,
    who: Author,
    action: str,
    kind: str,
    key: str,
    *,
    object_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add one entry to the session. Of ``before`` and ``after`` only fields that differ are kept, never a secret.

    ``kind``: the table's name (``customer``, ``meter`` ...); ``key``: what people call the thing.
    """
    db.add(AuditEntry(**entry(who, action, kind, key, object_id=object_id, before=before, after=after)))


async def record_many(db: AsyncSession, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add many entries made by :func:`entry`, in few statements."""
    if entries:
        await db.execute(insert(AuditEntry), entries, execution_options={"render_nulls": True})


def entry(
    who: Author,
    action: str,
    kind: str,
    key: str,
    *,
    object_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The columns of one entry; arguments as of :func:`record`."""
    old, new = dict(before or {}), dict(after or {})
    changed = {name for name in old.keys() | new.keys() if name not in old or name not in new or old[name] != new[name]}
    return {
        "tenant_id": who.tenant_id, "at": int(time.time()), "user_id": who.user_id, "author": who.author[:200],
        "address": who.address[:64], "action": action, "kind": kind, "object_id": object_id, "key": key[:64],
        "before": _json(old, changed), "after": _json(new, changed),
    }  # fmt: skip


def _json(values: Mapping[str, Any], changed: set[str]) -> str:
    kept = {name: "***" if name in _SECRET else values[name] for name in sorted(values) if name in changed}
    return msgspec.json.encode(kept).decode()
