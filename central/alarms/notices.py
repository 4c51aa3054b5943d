"""Messages on their way: claimed from the database, sent, sent again with growing pauses, given up in the end.

A message is claimed before it is sent and marked after: a restart loses none. One that died between the two is sent
again after :data:`LEASE`; it has the same number, by which a receiver can tell.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import select, update

from central.accounts.models import Tenant
from central.alarms.models import Alarm, AlarmNotice, AlarmSubscription
from central.alarms.severity import Severity
from central.registry.models import Meter
from central.store.engine import Database

log = structlog.get_logger("metergate.alarms")

#: A claimed message that was not marked within this time is sent again, s.
LEASE: Final = 300
#: First pause after a failure and the longest, s; doubled in between.
FIRST_PAUSE: Final = 30
LONGEST_PAUSE: Final = 4 * 3600
_MOST: Final = 50
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to be sent now; ``what``: opened, closed."""

    id: int
    tries: int
    what: str
    kind: str
    target: str
    secret: str
    tenant: str
    zone: str
    alarm_id: int
    source: str
    code: str
    severity: Severity
    text: str
    meter: str
    meter_name: str
    opened_at: int
    closed_at: int | None


class NotSent(Exception):
    """The other side did not take it; the text says why."""


Send = Callable[[Notice], Awaitable[None]]


async def deliver(database: Database, senders: dict[str, Send], tries: int, now: int | None = None) -> int:
    """Send what is due, in order to each subscriber; returns how many were taken. ``senders`` by kind of subscription.

    Subscribers do not wait for each other. Behind a message that was not taken the others to the same wait too.
    """
    due: dict[tuple[str, str], list[Notice]] = {}
    for notice in await claim(database, list(senders), int(time.time()) if now is None else now):
        due.setdefault((notice.kind, notice.target), []).append(notice)
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def to_one(notices: list[Notice]) -> int:
        async with at_once:
            for n, notice in enumerate(notices):
                try:
                    await senders[notice.kind](notice)
                except NotSent as error:
                    for left in notices[n:]:
                        await _failed(database, left, str(error), tries, int(time.time()) if now is None else now)
                    return n
                await _sent(database, notice, int(time.time()) if now is None else now)
            return len(notices)

    return sum(await asyncio.gather(*(to_one(notices) for notices in due.values())))


async def claim(database: Database, kinds: list[str], now: int) -> list[Notice]:
    """Take messages that are due, oldest first. No two processes get the same one."""
    query = (
        select(AlarmNotice, Alarm, AlarmSubscription, Tenant, Meter)
        .join(Alarm, Alarm.id == AlarmNotice.alarm_id)
        .join(AlarmSubscription, AlarmSubscription.id == AlarmNotice.subscription_id)
        .join(Tenant, Tenant.id == Alarm.tenant_id)
        .join(Meter, Meter.id == Alarm.meter_id)
        .where(AlarmNotice.state == "queued", AlarmNotice.next_at <= now, AlarmSubscription.kind.in_(kinds))
        .order_by(AlarmNotice.id)
        .limit(_MOST)
    )
    async with database.read() as session:
        rows = (await session.execute(query)).all()
    if not rows:
        return []
    found = []
    async with database.write() as session:
        for notice, alarm, subscription, tenant, meter in rows:
            claimed: Any = await session.execute(
                update(AlarmNotice)
                .where(AlarmNotice.id == notice.id, AlarmNotice.state == "queued", AlarmNotice.tries == notice.tries)
                .values(tries=notice.tries + 1, next_at=now + LEASE)
            )
            if claimed.rowcount:
                found.append(
                    Notice(
                        notice.id, notice.tries + 1, notice.what, subscription.kind, subscription.target,
                        subscription.secret, tenant.name, meter.zone or tenant.zone, alarm.id, alarm.source,
                        alarm.code, Severity(alarm.severity), alarm.text, meter.key, meter.name or meter.serial,
                        alarm.opened_at, alarm.closed_at,
                    )
                )  # fmt: skip
    return found


def pause(tries: int) -> int:
    """Seconds to wait after so many failures."""
    return min(LONGEST_PAUSE, FIRST_PAUSE << min(tries - 1, 16))


async def _sent(database: Database, notice: Notice, now: int) -> None:
    async with database.write() as session:
        await session.execute(
            update(AlarmNotice).where(AlarmNotice.id == notice.id).values(state="sent", sent_at=now, error="")
        )


async def _failed(database: Database, notice: Notice, reason: str, tries: int, now: int) -> None:
    given_up = notice.tries >= tries
    say = log.error if given_up else log.warning if notice.tries == 1 else log.debug
    say("alarm not told", to=notice.target, alarm=notice.alarm_id, tries=notice.tries, given_up=given_up, error=reason)
    values = {
        "state": "failed" if given_up else "queued",
        "next_at": now + pause(notice.tries),
        "error": reason.replace("\0", "")[:300],
    }
    async with database.write() as session:
        await session.execute(update(AlarmNotice).where(AlarmNotice.id == notice.id).values(**values))
