"""Reading a meter as CCEE would, through our own listener (F8)."""

import asyncio
import socket
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from edge.drivers.contract import Driver
from edge.errors import LinkError
from edge.lines.contract import LineClass
from edge.lines.line import ManagedLine
from edge.lines.pipe import Pipe

#: Identification, clock and an hour of memory are read within this time (s), or the way is too slow for CCEE as well.
PATIENCE: Final = 300.0
HOUR: Final = 3600


@dataclass(frozen=True)
class Passed:
    """What the meter said: its serial, how far its clock is off (s), intervals of its last hour."""

    serial: str
    drift: float
    intervals: int


def local_socket(host: str) -> socket.socket:
    """A socket of this machine that may connect to a listener on ``host``; :class:`LinkError` without that address."""
    address = ip_address(host)
    loopback = "127.0.0.1" if address.version == 4 else "::1"
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.bind((loopback if address.is_unspecified else host, 0))
    except OSError as error:
        sock.close()
        raise LinkError(f"{host} cannot be tested from here: {error.strerror or error}") from error
    return sock


async def read_as_ccee(driver: Driver, sock: socket.socket, port: int) -> Passed:
    """Connect ``sock`` to our listener and read; raises the errors of ``edge.errors``."""
    name = f"our own port {port}"

    async def connect() -> Pipe:
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, (sock.getsockname()[0], port))
        except OSError as error:
            raise LinkError(f"{name} cannot be reached: {error.strerror or error}") from error
        _, pipe = await loop.create_connection(lambda: Pipe(name), sock=sock)
        return pipe

    line = ManagedLine("self-test", connect)
    try:
        async with asyncio.timeout(PATIENCE), line.claim(LineClass.COMMAND, "self-test") as claim:
            identity = await driver.identify(claim)
            clock = await driver.read_clock(claim)
            now = int(time.time())
            readout = await driver.read_profile(claim, now - HOUR, now)
    except TimeoutError:
        raise LinkError(f"{name}: the meter was not read within {PATIENCE:.0f} s") from None
    finally:
        await line.close()
        sock.close()
    return Passed(identity.serial, clock.drift, sum(block.count for block in readout.profile))
