"""Events on their way out: written in the transaction of the change they tell of, so that neither is without the other.

:func:`publish` costs nothing where no program listens: that a tenant has no webhook is remembered for
:data:`REMEMBERED` seconds, after which a new webhook is told of what happens in this process too.
"""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import event, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

import central.registry.models
from central.api.query import instant_text
from central.audit.models import AuditEntry
from central.store.base import Base
from central.webhooks.kinds import Kind
from central.webhooks.models import Webhook, WebhookDelivery

REMEMBERED: Final = 2.0
_DELIVERY: Final[Any] = WebhookDelivery.__table__
_HOOK: Final[Any] = Webhook.__table__


class Message(msgspec.Struct):
    """What is posted. ``id`` is the event's, for every webhook and repetition the same; ``at`` when it was noted."""

    id: str
    kind: str
    at: str
    data: Mapping[str, Any]


#: Tenants with webhooks by database (its pool), and when that was looked up.
_known: Final[WeakKeyDictionary[Any, tuple[float, frozenset[int]]]] = WeakKeyDictionary()


async def publish(db: AsyncSession, tenant_id: int, kind: Kind, data: Mapping[str, Any]) -> None:
    """Tell the tenant's webhooks of one event, within this transaction."""
    if hooks := await listening(db, tenant_id, kind):
        await put(db, hooks, kind, [data])


async def listening(db: AsyncSession, tenant_id: int, kind: Kind) -> Sequence[int]:
    """Ids of the webhooks that want this kind, kept from being deleted until the transaction ends."""
    if tenant_id not in await _tenants(db):
        return []
    return _wanting(kind, (await db.execute(_hooks(tenant_id))).all())


async def put(db: AsyncSession, hooks: Iterable[int], kind: Kind | str, events: Iterable[Mapping[str, Any]]) -> None:
    """Queue events for these webhooks."""
    rows = _rows(hooks, kind, events, int(time.time()))
    if rows:
        await db.execute(insert(_DELIVERY), rows)


def forget() -> None:
    """Webhooks changed: look at them anew."""
    _known.clear()


async def _tenants(db: AsyncSession) -> frozenset[int]:
    pool, clock = db.get_bind().engine.pool, time.monotonic()
    since, found = _known.get(pool, (-REMEMBERED, frozenset()))
    if clock - since >= REMEMBERED:
        query = select(_HOOK.c.tenant_id).where(_HOOK.c.enabled).distinct()
        found = frozenset((await db.scalars(query)).all())
        _known[pool] = clock, found
    return found


def _hooks(tenant_id: int) -> Any:
    query = select(_HOOK.c.id, _HOOK.c.kinds).where(_HOOK.c.tenant_id == tenant_id, _HOOK.c.enabled)
    return query.order_by(_HOOK.c.id).with_for_update(read=True, key_share=True)


def _wanting(kind: str, rows: Iterable[Any]) -> list[int]:
    return [row.id for row in rows if not row.kinds or kind in row.kinds.split()]


def _rows(hooks: Iterable[int], kind: str, events: Iterable[Mapping[str, Any]], now: int) -> list[dict[str, Any]]:
    wanted = list(hooks)
    queued = {"kind": str(kind), "state": "queued", "tries": 0, "next_at": now, "error": ""}
    rows = []
    for data in events:
        body = msgspec.json.encode(Message(secrets.token_hex(16), str(kind), instant_text(now), data)).decode()
        rows += [{"webhook_id": each, "body": body, **queued} for each in wanted]
    return rows


#: What the audit log calls things of the registry: their tables.
_REGISTRY: Final = frozenset(
    mapper.local_table.name  # type: ignore[attr-defined]
    for mapper in Base.registry.mappers
    if mapper.class_.__module__ == central.registry.models.__name__
)
_ACTIONS: Final = {
    "created": Kind.REGISTRY_CREATED, "changed": Kind.REGISTRY_CHANGED, "deleted": Kind.REGISTRY_DELETED,
}  # fmt: skip


@event.listens_for(Session, "after_flush")
def _tell_of_added(session: Session, _context: UOWTransaction) -> None:
    """What the audit log is told of the registry, programs are told as well: entries added one by one."""
    _tell(session, [vars(each) for each in session.new if isinstance(each, AuditEntry)])


@event.listens_for(Session, "do_orm_execute")
def _tell_of_inserted(state: ORMExecuteState) -> None:
    """The same for entries inserted in one statement."""
    if state.is_insert and state.bind_mapper is not None and state.bind_mapper.class_ is AuditEntry:
        given = state.parameters or []
        _tell(state.session, [given] if isinstance(given, Mapping) else given)


def _tell(session: Session, entries: Iterable[Mapping[str, Any]]) -> None:
    """Queue events of these entries: one query a tenant, however many there are."""
    by_tenant: dict[int, list[Mapping[str, Any]]] = {}
    for each in entries:
        if each["action"] in _ACTIONS and each["kind"] in _REGISTRY:
            by_tenant.setdefault(each["tenant_id"], []).append(each)
    for tenant_id, some in by_tenant.items():
        hooks = session.connection().execute(_hooks(tenant_id)).all()
        rows: list[dict[str, Any]] = []
        for entry in some if hooks else ():
            kind = _ACTIONS[entry["action"]]
            rows += _rows(_wanting(kind, hooks), kind, [_registry_event(entry)], int(time.time()))
        if rows:
            session.connection().execute(insert(_DELIVERY), rows)


def _registry_event(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "object": entry["kind"], "key": entry["key"], "by": entry["author"],
        "before": msgspec.Raw(entry["before"].encode()), "after": msgspec.Raw(entry["after"].encode()),
    }  # fmt: skip
