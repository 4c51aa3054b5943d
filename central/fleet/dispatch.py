"""Commands on their way: what is due is claimed, sent, sent again while no result comes, and expires."""

import time
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import or_, select, update

from central.accounts.models import Tenant
from central.fleet.models import FleetCommand, GatewayLive
from central.registry.models import Gateway
from central.store.engine import Database
from shared.ids import Topic

#: Commands taken at once.
_MOST: Final = 200
#: An answer may still be on its way when a command expires, s.
GRACE: Final = 30


class Due(NamedTuple):
    """A command to be published now."""

    id: str
    topic: Topic
    payload: bytes


async def claim(database: Database, resend: int, awake: Collection[Topic] = (), now: int | None = None) -> list[Due]:
    """Take the commands that are due: new ones, and those sent ``resend`` s ago to a gateway that is online.

    ``awake``: gateways that have just come online, whose commands are due at once. What is claimed counts as sent.
    """
    at = int(time.time()) if now is None else now
    query = (
        select(FleetCommand.id, FleetCommand.sends, FleetCommand.action, Tenant.key, Gateway.key)
        .join(Gateway, Gateway.id == FleetCommand.gateway_id)
        .join(Tenant, Tenant.id == FleetCommand.tenant_id)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == FleetCommand.gateway_id)
        .where(FleetCommand.status.in_(("queued", "sent")), FleetCommand.expires_at > at)
        .order_by(FleetCommand.issued_at, FleetCommand.id)
        .limit(_MOST)
    )
    unanswered = (FleetCommand.sent_at <= at - resend) & GatewayLive.online.is_(True)
    due = or_(FleetCommand.status == "queued", unanswered)
    if awake:
        due = or_(due, Gateway.key.in_({topic.gateway for topic in awake}))
    async with database.read() as session:
        rows = (await session.execute(query.where(due))).all()
    if not rows:
        return []
    found = []
    async with database.write() as session:
        for command_id, sends, payload, tenant, gateway in rows:
            claimed: Any = await session.execute(
                update(FleetCommand)
                .where(
                    FleetCommand.id == command_id,
                    FleetCommand.sends == sends,
                    FleetCommand.status.in_(("queued", "sent")),
                )
                .values(status="sent", sends=sends + 1, sent_at=at)
            )
            if claimed.rowcount:
                found.append(Due(command_id, Topic(tenant, gateway, "cmd"), payload))
    return found


async def expire(database: Database, now: int | None = None) -> int:
    """Give up commands past their time; returns how many."""
    at = int(time.time()) if now is None else now
    old = FleetCommand.status.in_(("queued", "sent")), FleetCommand.expires_at <= at - GRACE
    async with database.read() as session:
        if await session.scalar(select(FleetCommand.id).where(*old).limit(1)) is None:
            return 0
    async with database.write() as session:
        done: Any = await session.execute(
            update(FleetCommand)
            .where(*old)
            .values(status="expired", code="expired", message="no answer came in time", finished_at=at)
        )
        return int(done.rowcount)
