"""One connection to the broker and off again: does it accept this gateway?"""

import aiomqtt

from edge.uplink._trouble import Below, cause_of, words
from edge.uplink.settings import UplinkSettings


async def probe(settings: UplinkSettings, identifier: str) -> str:
    """Connect as ``identifier``; returns "" or what is wrong, in words. :class:`ConfigError` for files of TLS."""
    below = Below()
    client = aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username,
        password=settings.password,
        identifier=identifier,
        timeout=settings.timeout_seconds,
        tls_context=settings.tls_context(),
        logger=below,
    )
    try:
        async with client:
            return ""
    except (aiomqtt.MqttError, OSError) as error:
        return words(cause_of(error, below), settings)
