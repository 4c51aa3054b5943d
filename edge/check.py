"""``metergate edge check --connect``: try broker, lines and meters in turn and say in words what is wrong."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from edge.config import Config, Meter, driver_settings
from edge.drivers import open_driver
from edge.errors import ConfigError, EdgeError
from edge.gateway import with_password
from edge.lines.contract import LineClass
from edge.lines.factory import build_line
from edge.lines.line import ManagedLine
from edge.uplink import probe

#: One meter gets so long: a silent one must not hide the others.
METER_TIMEOUT = 90.0  # s


@dataclass(frozen=True)
class Finding:
    """What was tried, whether it is well, and what was found, in words."""

    what: str
    ok: bool
    text: str


async def try_all(config: Config) -> AsyncIterator[Finding]:
    """Try spool, broker, then each line with its meters. Lines are opened alone: no gateway may use them meanwhile."""
    yield try_spool(config)
    yield await try_broker(config)
    for line_config in config.lines:
        if not line_config.enabled:
            yield Finding(f"line {line_config.name}", True, "disabled in the configuration, not tried")
            continue
        line = build_line(line_config)
        meters = [meter for meter in config.meters if meter.line == line_config.name and meter.enabled]
        try:
            opened = await _open(line, line_config.address)
            yield opened
            if opened.ok:
                for meter in meters:
                    yield await try_meter(config, meter, line)
        finally:
            await line.close()


def try_spool(config: Config) -> Finding:
    """Look whether the spool could be written by whoever asks."""
    spool = config.spool
    path = Path(spool.path)
    what = f"spool {path}"
    if not path.parent.is_dir():
        return Finding(what, False, f"there is no folder {path.parent}: make it, or correct spool.path")
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            return Finding(
                what, False, f"{place} may not be written by this user: run as the gateway's, or change its owner"
            )
    free = shutil.disk_usage(path.parent).free
    if free < spool.free_bytes:
        return Finding(
            what, False, f"{free} bytes free on its disk, spool.free_bytes wants {spool.free_bytes}: free space"
        )
    return Finding(what, True, f"can be written, {free >> 20} MiB free on its disk")


async def try_broker(config: Config) -> Finding:
    """Connect as the gateway would, but under another client name, so that a running gateway is not thrown out."""
    uplink = with_password(config.uplink)
    what = f"broker {uplink.host}:{uplink.port}"
    try:
        wrong = await probe(uplink, f"{config.gateway}-check")
    except ConfigError as error:
        wrong = str(error)
    return Finding(what, not wrong, wrong or "accepts this gateway" + ("" if uplink.tls else " (without TLS)"))


async def try_meter(config: Config, meter: Meter, line: ManagedLine) -> Finding:
    """Ask a meter who it is and what time it has."""
    what = f"meter {meter.id}"
    driver = open_driver(meter.protocol, meter.id, driver_settings(config, meter))
    try:
        async with asyncio.timeout(METER_TIMEOUT), line.claim(LineClass.COMMAND, "check") as claim:
            identity = await driver.identify(claim)
            clock = await driver.read_clock(claim)
    except TimeoutError:
        return Finding(what, False, f"no end after {METER_TIMEOUT:.0f} s")
    except EdgeError as error:
        return Finding(what, False, str(error))
    drift = f"clock {clock.drift:+.0f} s"
    if abs(clock.drift) > config.schedule_of(meter).clock_tolerance:
        drift += " off: set it (command set clock)"
    return Finding(what, True, f"{identity.model}, serial {identity.serial}, {drift}")


async def _open(line: ManagedLine, address: str) -> Finding:
    what = f"line {line.name}"
    try:
        async with line.claim(LineClass.COMMAND, "check"):
            return Finding(what, True, f"{address} opens")
    except EdgeError as error:
        return Finding(what, False, str(error))
