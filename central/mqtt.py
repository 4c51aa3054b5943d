"""The connection of central's processes to the broker: built from settings, kept up for ever."""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Final

import aiomqtt
import structlog

from central.settings import BrokerSettings, SettingsError, secret
from shared.waiting import cancellations, give_way

log = structlog.get_logger("metergate.broker")

#: Seconds between tries: doubled from the first to the ceiling, each shortened by chance so that not all come at once.
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0
#: A connection that lasted so long ends a series of failures.
STABLE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0


def client(settings: BrokerSettings, *, incoming: int = 0, suffix: str = "") -> aiomqtt.Client:
    """A client that is not yet connected; ``incoming`` bounds its queue of messages without acknowledgement."""
    context = None
    if settings.ca_file:
        try:
            context = ssl.create_default_context(cafile=settings.ca_file)
            if settings.cert_file:
                context.load_cert_chain(settings.cert_file, settings.key_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"broker: its TLS files cannot be used: {error}") from error
    return aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username or None,
        password=secret(settings.password_file, "broker.password_file"),
        identifier=f"{settings.client_id}{suffix}" if settings.client_id else None,
        tls_context=context,
        timeout=CONNECT_SECONDS,
        max_queued_incoming_messages=incoming,
    )


async def keep_connected(
    make: Callable[[], aiomqtt.Client], use: Callable[[aiomqtt.Client], Awaitable[None]], what: str
) -> None:
    """Connect, run ``use`` until the connection breaks, and again for ever; returns when ``use`` returns.

    The first failure of a series is a warning, the rest is for debugging.
    """
    failures = 0
    while True:
        began = time.monotonic()
        try:
            asked = cancellations()
            async with make() as connection:
                give_way(asked)
                log.info("connected to the broker", part=what)
                await use(connection)
                return
        except (aiomqtt.MqttError, ExceptionGroup) as error:
            if isinstance(error, ExceptionGroup) and error.split(aiomqtt.MqttError)[1] is not None:
                raise
            failures = 1 if time.monotonic() - began > STABLE_SECONDS else failures + 1
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
            say = log.warning if failures == 1 else log.debug
            say("no connection to the broker, trying again", part=what, error=_text(error), seconds=round(delay, 1))
            await asyncio.sleep(delay)


def _text(error: BaseException) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def withhold_acknowledgements(connection: aiomqtt.Client) -> Callable[[aiomqtt.Message], None]:
    """Switch automatic PUBACKs off; returns the function that sends one.

    aiomqtt has no door for it: below it, paho acknowledges by hand. The broker sends only so many messages ahead of
    their acknowledgement, which bounds what can pile up here.
    """
    below = connection._client
    below.manual_ack_set(True)

    def acknowledge(message: aiomqtt.Message) -> None:
        below.ack(message.mid, message.qos)

    return acknowledge
