"""Deliveries from the outbox to their programs: at least once, oldest first while all goes well, in no promised order.

A delivery is claimed before it is sent and marked after: a restart loses none, one that died between the two is sent
again after :data:`LEASE` under the same number. Each webhook has a task of its own, so that a slow one holds up nobody;
behind a delivery that was not taken the other claimed ones of its webhook wait too.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import select, update

from central.settings import WebhookSettings
from central.store.engine import Database
from central.store.faults import is_passing, reason_of
from central.webhooks.http import NotTaken, post
from central.webhooks.models import Webhook, WebhookDelivery

log = structlog.get_logger("metergate.webhooks")

#: Seconds between looks for deliveries that are due.
EVERY: Final = 2.0
#: A claimed delivery that was not marked within this time is sent again, s.
LEASE: Final = 300
#: First pause after a failure and the longest, s; doubled in between, a fifth more or less by chance.
FIRST_PAUSE: Final = 15
LONGEST_PAUSE: Final = 4 * 3600
_MOST: Final = 20
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be sent now."""

    id: int
    webhook_id: int
    tries: int
    url: str
    secret: str
    body: str


class Sender:
    """``run()`` for as long as the regular work lasts."""

    def __init__(self, database: Database, settings: WebhookSettings) -> None:
        self._database = database
        self._settings = settings
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Send what is due until ``stop`` is set; what is under way then is sent again by the next process."""
        try:
            while not stop.is_set():
                try:
                    await self.look(int(time.time()))
                except Exception as error:
                    if not is_passing(error):
                        raise
                    log.warning("deliveries wait: the database is out of reach", error=reason_of(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EVERY)
        finally:
            for task in self._at_work.values():
                task.cancel()
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    async def look(self, now: int) -> Sequence[asyncio.Task[None]]:
        """Begin sending to every webhook that something is due for and nobody sends to yet."""
        self._at_work = {key: task for key, task in self._at_work.items() if not task.done()}
        query = (
            select(WebhookDelivery.webhook_id)
            .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
            .where(WebhookDelivery.state == "queued", WebhookDelivery.next_at <= now, Webhook.enabled)
            .distinct()
        )
        async with self._database.read() as db:
            waiting = (await db.scalars(query)).all()
        for webhook_id in waiting:
            if webhook_id not in self._at_work:
                self._at_work[webhook_id] = asyncio.create_task(self._send(webhook_id), name=f"webhook-{webhook_id}")
        return list(self._at_work.values())

    async def _send(self, webhook_id: int) -> None:
        """Send what is due for one webhook, until nothing is or the program does not take it."""
        try:
            async with self._at_once:
                while claimed := await claim(self._database, webhook_id, int(time.time())):
                    for n, each in enumerate(claimed):
                        try:
                            status = await post(
                                each.url, each.secret, each.id, each.body.encode(), local=self._settings.local_targets
                            )
                        except NotTaken as error:
                            await self._failed(claimed[n:], error)
                            return
                        await self._mark(each.id, state="sent", sent_at=int(time.time()), status=status, error="")
        except Exception as error:
            if not is_passing(error):
                log.exception("deliveries of a webhook not sent", webhook=webhook_id)
            else:
                log.warning("deliveries wait: the database is out of reach", error=reason_of(error))

    async def _failed(self, claimed: Sequence[Due], error: NotTaken) -> None:
        for each in claimed:
            given_up = each.tries >= self._settings.tries
            say = log.error if given_up else log.warning if each.tries == 1 else log.debug
            say(
                "delivery not taken",
                to=each.url,
                delivery=each.id,
                tries=each.tries,
                given_up=given_up,
                error=str(error),
            )
            await self._mark(
                each.id, state="failed" if given_up else "queued", next_at=int(time.time()) + pause(each.tries),
                status=error.status, error=str(error).replace("\0", "")[:300],
            )  # fmt: skip

    async def _mark(self, delivery_id: int, **values: Any) -> None:
        async with self._database.write() as db:
            await db.execute(update(WebhookDelivery).where(WebhookDelivery.id == delivery_id).values(**values))


async def claim(database: Database, webhook_id: int, now: int) -> list[Due]:
    """Take deliveries of one webhook that are due, oldest first. No two processes get the same one."""
    query = (
        select(WebhookDelivery.id, WebhookDelivery.tries, WebhookDelivery.body, Webhook.url, Webhook.secret)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(
            WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.state == "queued",
            WebhookDelivery.next_at <= now, Webhook.enabled,
        )
        .order_by(WebhookDelivery.id)
        .limit(_MOST)
    )  # fmt: skip
    found = []
    async with database.write() as db:
        for row in (await db.execute(query)).all():
            taken: Any = await db.execute(
                update(WebhookDelivery)
                .where(
                    WebhookDelivery.id == row.id, WebhookDelivery.state == "queued", WebhookDelivery.tries == row.tries
                )
                .values(tries=row.tries + 1, next_at=now + LEASE)
            )
            if taken.rowcount:
                found.append(Due(row.id, webhook_id, row.tries + 1, row.url, row.secret, row.body))
    return found


def pause(tries: int) -> int:
    """Seconds to wait after so many failures."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE << min(tries - 1, 16))
    return round(longest * random.uniform(0.8, 1.2))  # noqa: S311
