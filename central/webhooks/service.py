"""Webhooks of a tenant: enter, change, try out, remove; what was and is to be delivered."""

import secrets
import time
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.audit.service import record
from central.errors import Conflict, NotFound, Refused
from central.store.pages import Page, bounded
from central.webhooks import outbox
from central.webhooks.http import check_url
from central.webhooks.kinds import PING, Kind
from central.webhooks.models import Webhook, WebhookDelivery

STATES: Final = ("queued", "sent", "failed")
#: Of one tenant: each event is written once for each.
_MOST: Final = 50
_NO_ID: Final = 1 << 63


async def webhooks(db: AsyncSession, who: Principal) -> Sequence[Webhook]:
    """All webhooks of the tenant, oldest first; none for who may not set them up everywhere."""
    if not who.everywhere(Permission.SETTINGS):
        return []
    return (await db.scalars(select(Webhook).where(Webhook.tenant_id == who.tenant_id).order_by(Webhook.id))).all()


async def get(db: AsyncSession, who: Principal, webhook_id: int) -> Webhook:
    """One webhook; raises :class:`NotFound`. A webhook hears of the whole tenant: it is for who has all of it."""
    row = await db.get(Webhook, webhook_id) if webhook_id < _NO_ID else None
    if row is None or row.tenant_id != who.tenant_id or not who.everywhere(Permission.SETTINGS):
        raise NotFound("webhook", webhook_id)
    return row


async def create(
    db: AsyncSession, who: Principal, url: str, kinds: Collection[str], *, enabled: bool = True
) -> Webhook:
    """Enter a webhook; its secret is in the row. Raises :class:`Refused`, :class:`Conflict`."""
    if not who.everywhere(Permission.SETTINGS):
        raise Refused("url", "a webhook hears of the whole tenant: only who has its settings everywhere may make one")
    check_url(url, "url")
    if len(await webhooks(db, who)) >= _MOST:
        raise Conflict(f"There are {_MOST} webhooks already; remove one first.")
    row = Webhook(
        tenant_id=who.tenant_id, url=url, kinds=_words(kinds), secret=secrets.token_hex(32), enabled=enabled,
        created_at=int(time.time()), created_by=who.author,
    )  # fmt: skip
    db.add(row)
    await db.flush()
    record(db, who, "created", "webhook", url, object_id=row.id, after=_audited(row))
    outbox.forget()
    return row


async def change(db: AsyncSession, who: Principal, webhook_id: int, **values: Any) -> Webhook:
    """Change ``url``, ``kinds`` or ``enabled``; raises as :func:`create`."""
    row = await get(db, who, webhook_id)
    before = _audited(row)
    if "url" in values:
        check_url(values["url"], "url")
    if "kinds" in values:
        values["kinds"] = _words(values["kinds"])
    for field, value in values.items():
        setattr(row, field, value)
    await db.flush()
    if before != _audited(row):
        record(db, who, "changed", "webhook", row.url, object_id=row.id, before=before, after=_audited(row))
    outbox.forget()
    return row


async def rotate(db: AsyncSession, who: Principal, webhook_id: int) -> Webhook:
    """Give a webhook a new secret, in force from the next message on, also for those that wait."""
    row = await get(db, who, webhook_id)
    row.secret = secrets.token_hex(32)
    await db.flush()
    record(db, who, "secret-changed", "webhook", row.url, object_id=row.id)
    return row


async def remove(db: AsyncSession, who: Principal, webhook_id: int) -> None:
    """Remove a webhook and what was on its way to it."""
    row = await get(db, who, webhook_id)
    record(db, who, "deleted", "webhook", row.url, object_id=row.id, before=_audited(row))
    await db.execute(delete(WebhookDelivery).where(WebhookDelivery.webhook_id == row.id))
    await db.delete(row)
    await db.flush()
    outbox.forget()


async def ping(db: AsyncSession, who: Principal, webhook_id: int) -> WebhookDelivery:
    """Queue a message that says nothing but that it came; also to a webhook that is switched off."""
    row = await get(db, who, webhook_id)
    if not row.enabled:
        raise Refused("enabled", "it is switched off: nothing is sent to it")
    await outbox.put(db, [row.id], PING, [{"by": who.author}])
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == row.id).order_by(WebhookDelivery.id.desc())
    return (await db.scalars(query.limit(1))).one()


async def deliveries(
    db: AsyncSession, who: Principal, webhook_id: int, *, state: str | None = None, after: int | None = None,
    limit: int = 50,
) -> Page[WebhookDelivery]:  # fmt: skip
    """Deliveries of one webhook, newest first; ``state`` one of :data:`STATES`."""
    row, limit = await get(db, who, webhook_id), bounded(limit)
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == row.id).order_by(WebhookDelivery.id.desc())
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if after is not None:
        query = query.where(WebhookDelivery.id < after)
    rows = (await db.scalars(query.limit(limit + 1))).all()
    return Page(rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None)


async def get_delivery(db: AsyncSession, who: Principal, webhook_id: int, delivery_id: int) -> WebhookDelivery:
    """One delivery; raises :class:`NotFound`."""
    row = await get(db, who, webhook_id)
    found = await db.get(WebhookDelivery, delivery_id) if delivery_id < _NO_ID else None
    if found is None or found.webhook_id != row.id:
        raise NotFound("delivery", delivery_id)
    return found


async def redeliver(db: AsyncSession, who: Principal, webhook_id: int, delivery_id: int) -> WebhookDelivery:
    """Send a delivery again, whatever became of it, under its old number and with all tries before it."""
    found = await get_delivery(db, who, webhook_id, delivery_id)
    await db.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == found.id)
        .values(state="queued", tries=0, next_at=int(time.time()), error="")
    )
    await db.refresh(found)
    return found


async def counts(db: AsyncSession, who: Principal) -> dict[int, dict[str, int]]:
    """Deliveries kept, by webhook and state."""
    ids = [row.id for row in await webhooks(db, who)]
    query = (
        select(WebhookDelivery.webhook_id, WebhookDelivery.state, func.count())
        .where(WebhookDelivery.webhook_id.in_(ids))
        .group_by(WebhookDelivery.webhook_id, WebhookDelivery.state)
    )
    found: dict[int, dict[str, int]] = {each: dict.fromkeys(STATES, 0) for each in ids}
    for webhook_id, state, number in await db.execute(query):
        found[webhook_id][state] = number
    return found


def _words(kinds: Collection[str]) -> str:
    unknown = sorted(set(kinds) - set(Kind))
    if unknown:
        raise Refused("kinds", f"{unknown[0][:64]!r} is not one of {', '.join(Kind)}")
    return " ".join(each for each in Kind if each in kinds)


def _audited(row: Webhook) -> dict[str, Any]:
    return {"url": row.url, "kinds": row.kinds, "enabled": row.enabled}
