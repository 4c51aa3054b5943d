"""Hand the laptop's readings to the aggregator: the gateway's own uplink, until every row is confirmed."""

import asyncio
import contextlib
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.errors import ConfigError, LinkError
from edge.field.folder import Folder
from edge.gateway import program_version
from edge.spool import Spool
from edge.uplink import LinkState, Uplink, UplinkSettings
from shared.ids import check_id
from shared.wire import Command, GatewayConfig, GatewayState

#: Without any progress for so long the tool gives up; rows stay and go at the next try.
PATIENCE: Final = 60.0
#: The same while the broker is not even reached.
UNREACHED: Final = 15.0
POLL: Final = 0.1

#: (rows confirmed, rows in all)
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Central:
    """Where rows go: tenant and broker."""

    tenant: str
    settings: UplinkSettings


def central(url: str, key: str, ca_file: str | None = None) -> Central:
    """Read ``mqtts://[user@]host[:port]/tenant``; ``key`` is the password. :class:`ConfigError` for others.

    ``mqtt://`` is without TLS. A user that is left out is the laptop's id, as for gateways.
    """
    parts = urllib.parse.urlsplit(url)
    tenant = parts.path.strip("/")
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or not tenant:
        raise ConfigError(f"{url!r} is no broker with a tenant: write it as mqtts://broker.example.net/tenant")
    try:
        port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        check_id(tenant, "tenant")
    except ValueError as error:
        raise ConfigError(f"{url!r}: {error}; write it as mqtts://broker.example.net/tenant") from error
    if parts.password is not None:
        raise ConfigError("a password does not belong into the address, where others see it: use --key-file")
    settings = UplinkSettings(
        host=parts.hostname,
        port=port,
        username=parts.username,
        password=key or None,
        tls=parts.scheme == "mqtts",
        ca_file=ca_file,
        reconnect_max_seconds=5.0,
    )
    return Central(tenant, settings)


@dataclass(frozen=True)
class Synced:
    """``sent``: rows confirmed by this call; ``left``: rows still here."""

    sent: int
    left: int


async def sync(folder: Folder, where: Central, tell: Tell, patience: float = PATIENCE) -> Synced:
    """Deliver until every row is confirmed. :class:`LinkError` says why it did not come to that; nothing is lost."""
    async with folder.spool() as spool:
        begin = spool.cursor
        if spool.last_seq > begin:
            await _deliver(spool, where, tell, patience)
        return Synced(spool.cursor - begin, spool.last_seq - spool.cursor)


async def _deliver(spool: Spool, where: Central, tell: Tell, patience: float) -> None:
    started = int(time.time())

    def state() -> GatewayState:
        return GatewayState(
            int(time.time()), True, f"field {program_version()}", spool.spool_id, "", started,
            spool.last_seq - spool.cursor,
        )  # fmt: skip

    async def refuse(command: Command) -> None:
        """A laptop takes no orders; the aggregator's expire."""

    settings = where.settings
    if settings.username is None and settings.password is not None:
        settings = msgspec.structs.replace(settings, username=spool.gateway)
    uplink = Uplink(
        spool, where.tenant, settings, state=state,
        config=lambda: GatewayConfig(int(time.time()), "", "# a field tool has no configuration\n"), on_command=refuse,
    )  # fmt: skip
    task = asyncio.create_task(uplink.run(), name="field uplink")
    try:
        await _confirmed(spool, uplink, task, tell, patience)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _confirmed(spool: Spool, uplink: Uplink, task: "asyncio.Task[None]", tell: Tell, patience: float) -> None:
    seen, since = spool.cursor, time.monotonic()
    while spool.cursor < spool.last_seq:
        if task.done():
            task.result()
        if spool.cursor != seen:
            seen, since = spool.cursor, time.monotonic()
        tell(spool.cursor, spool.last_seq)
        allowed = patience if uplink.link.state == LinkState.CONNECTED else min(patience, UNREACHED)
        waited = time.monotonic() - since > allowed
        if waited or uplink.link.state == LinkState.REFUSED:
            left = spool.last_seq - spool.cursor
            raise LinkError(f"{left} readings stay on this laptop: {_why(uplink)}")
        await asyncio.sleep(POLL)
    tell(spool.cursor, spool.last_seq)


def _why(uplink: Uplink) -> str:
    settings = uplink.settings
    broker = f"broker {settings.host}:{settings.port}"
    if uplink.link.state == LinkState.CONNECTED:
        return (
            f"{broker} takes them, and the aggregator does not confirm: check that its ingest runs, and that the "
            f"broker lets {uplink.spool.gateway} use its topics"
        )
    return f"{broker}: {uplink.link.error or 'out of reach'}"
