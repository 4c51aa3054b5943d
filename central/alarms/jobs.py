"""Tell subscribers of alarms, for as long as the regular work lasts."""

import asyncio
import contextlib
from functools import partial
from typing import Final

import structlog

from central.alarms import webhook
from central.alarms.email import Mailer, Render
from central.alarms.notices import Send, deliver
from central.settings import AlarmSettings, WebhookSettings
from central.store.engine import Database
from central.store.faults import is_passing, reason_of

log = structlog.get_logger("metergate.alarms")

#: Seconds between looks for messages that are due.
EVERY: Final = 5.0


def senders(settings: AlarmSettings, programs: WebhookSettings, render: Render) -> dict[str, Send]:
    """What can be sent with these settings; e-mails wait until a server is named."""
    found: dict[str, Send] = {"webhook": partial(webhook.send, local=programs.local_targets)}
    if settings.smtp_host:
        found["email"] = Mailer(settings, render).send
    return found


async def tell(database: Database, ways: dict[str, Send], tries: int, stop: asyncio.Event) -> None:
    """Send what is due until ``stop`` is set."""
    while not stop.is_set():
        try:
            await deliver(database, ways, tries)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("messages wait: the database is out of reach", error=reason_of(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)
