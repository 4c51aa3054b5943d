"""Who is told of alarms."""

import secrets
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.alarms.models import AlarmNotice, AlarmSubscription
from central.alarms.severity import Severity
from central.audit.service import Author, record
from central.errors import Conflict, NotFound, Refused
from central.mail import is_address
from central.webhooks.http import check_url

KINDS: Final = ("email", "webhook")


async def subscriptions(session: AsyncSession, tenant_id: int) -> Sequence[AlarmSubscription]:
    """All subscriptions of a tenant, oldest first."""
    query = select(AlarmSubscription).where(AlarmSubscription.tenant_id == tenant_id).order_by(AlarmSubscription.id)
    return (await session.scalars(query)).all()


async def subscribe(
    session: AsyncSession, who: Author, kind: str, target: str, least: Severity, *, now: int
) -> AlarmSubscription:
    """Enter a subscription; a webhook gets a secret to sign with. Raises :class:`Refused`, :class:`Conflict`."""
    _check(kind, target)
    row = AlarmSubscription(
        tenant_id=who.tenant_id, kind=kind, target=target, least=int(least),
        secret=secrets.token_hex(32) if kind == "webhook" else "", created_at=now, created_by=who.author[:200],
    )  # fmt: skip
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(f"{target[:100]!r} is told already; remove that subscription first.") from error
    record(session, who, "created", "alarm_subscription", _name(row), object_id=row.id, after=_facts(row))
    return row


async def unsubscribe(session: AsyncSession, who: Author, subscription_id: int) -> None:
    """Remove a subscription and what was on its way to it; raises :class:`NotFound`."""
    row = await session.get(AlarmSubscription, subscription_id)
    if row is None or row.tenant_id != who.tenant_id:
        raise NotFound("subscription", subscription_id)
    record(session, who, "deleted", "alarm_subscription", _name(row), object_id=row.id, before=_facts(row))
    await session.execute(delete(AlarmNotice).where(AlarmNotice.subscription_id == subscription_id))
    await session.delete(row)
    await session.flush()


def _name(row: AlarmSubscription) -> str:
    """What the audit log calls it; of a web address only the host: the rest may let in who knows it."""
    return row.target if row.kind == "email" else urlsplit(row.target).netloc


def _facts(row: AlarmSubscription) -> dict[str, Any]:
    return {"kind": row.kind, "target": _name(row), "least": Severity(row.least).word}


def _check(kind: str, target: str) -> None:
    if kind not in KINDS:
        raise Refused("kind", f"{kind[:32]!r} is not one of {', '.join(KINDS)}")
    if kind == "webhook":
        check_url(target, "target")
    elif len(target) > 500 or not is_address(target):
        raise Refused("target", f"{target[:100]!r} is no e-mail address such as ana@example.org")
