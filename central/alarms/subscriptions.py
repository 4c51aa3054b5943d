"""Who is told of alarms."""

import re
import secrets
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.alarms.models import AlarmNotice, AlarmSubscription
from central.alarms.severity import Severity
from central.errors import Conflict, NotFound, Refused
from central.mail import is_address

KINDS: Final = ("email", "webhook")


async def subscriptions(session: AsyncSession, tenant_id: int) -> Sequence[AlarmSubscription]:
    """All subscriptions of a tenant, oldest first."""
    query = select(AlarmSubscription).where(AlarmSubscription.tenant_id == tenant_id).order_by(AlarmSubscription.id)
    return (await session.scalars(query)).all()


async def subscribe(
    session: AsyncSession, tenant_id: int, kind: str, target: str, least: Severity, *, by: str, now: int
) -> AlarmSubscription:
    """Enter a subscription; a webhook gets a secret to sign with. Raises :class:`Refused`, :class:`Conflict`."""
    _check(kind, target)
    row = AlarmSubscription(
        tenant_id=tenant_id, kind=kind, target=target, least=int(least),
        secret=secrets.token_hex(32) if kind == "webhook" else "", created_at=now, created_by=by[:200],
    )  # fmt: skip
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise Conflict(f"{target[:100]!r} is told already; remove that subscription first.") from error
    return row


async def unsubscribe(session: AsyncSession, tenant_id: int, subscription_id: int) -> None:
    """Remove a subscription and what was on its way to it; raises :class:`NotFound`."""
    row = await session.get(AlarmSubscription, subscription_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFound("subscription", subscription_id)
    await session.execute(delete(AlarmNotice).where(AlarmNotice.subscription_id == subscription_id))
    await session.delete(row)
    await session.flush()


def _check(kind: str, target: str) -> None:
    if kind not in KINDS:
        raise Refused("kind", f"{kind[:32]!r} is not one of {', '.join(KINDS)}")
    if len(target) > 500:
        raise Refused("target", "has more than 500 characters")
    if kind == "email":
        if not is_address(target):
            raise Refused("target", f"{target[:100]!r} is no e-mail address such as ana@example.org")
        return
    try:
        parts = urlsplit(target)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not target.isascii() or re.search(r"[\x00-\x20\x7f]", target):
        raise Refused("target", f"{target[:100]!r} is no address such as https://example.org/alarms (without password)")
