"""Lines over TCP: serial servers, modems with a transparent byte pipe, meters with a network port."""

import asyncio
import socket
from typing import Final

from edge.errors import LinkError
from edge.lines.pipe import Pipe

CONNECT_TIMEOUT: Final = 10.0  # s
KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # a dead peer is noticed within 1 min


async def open_tcp(host: str, port: int, timeout: float = CONNECT_TIMEOUT) -> Pipe:
    """Connect to ``host:port`` with Nagle off and keep-alive on; raises :class:`LinkError` naming the address."""
    name = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            transport, pipe = await loop.create_connection(lambda: Pipe(name), host, port)
    except TimeoutError:
        raise LinkError(
            f"{name} did not answer within {timeout:g} s: is the address right and the device on?"
        ) from None
    except ConnectionRefusedError:
        raise LinkError(f"{name} refused the connection: nothing listens on port {port} there") from None
    except socket.gaierror as error:
        raise LinkError(f"{host} cannot be resolved: {error.strerror}") from error
    except OSError as error:
        raise LinkError(f"{name} cannot be reached: {error.strerror or error}") from error
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return pipe
