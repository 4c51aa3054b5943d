"""The running gateway's local door: a Unix socket beside the spool, for the commands of ``metergate edge``.

One JSON object per line each way. Requests: ``{"op": "status"}`` and ``{"op": "read", "meter": M, "kinds": [...]}``.
Answers carry ``event``: progress lines, then one ``result`` or ``error``. Whoever may open the socket may read meters;
nothing can be changed through it.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from edge.errors import ConfigError, EdgeError, LinkError

log = structlog.get_logger("edge.control")

#: A request is one short line.
MAX_REQUEST: Final = 4096
#: An answer may hold a month of profile of one meter.
MAX_ANSWER: Final = 32 << 20
REQUEST_TIMEOUT: Final = 10.0  # s

Send = Callable[[dict[str, Any]], None]
Handler = Callable[[dict[str, Any], Send], Awaitable[None]]


class NoGatewayError(LinkError):
    """Nothing listens at the socket."""


def socket_path(spool: Path) -> Path:
    """Where the gateway with this spool listens."""
    return spool.with_name(spool.name + ".sock")


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of ``path`` that fits into a socket address (107 bytes), however deep the folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def no_gateway(spool: Path) -> Iterator[None]:
    """Make sure that no gateway uses this spool, and so its lines, until the block ends; :class:`ConfigError`."""
    try:
        descriptor = os.open(spool.with_name(spool.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise ConfigError(f"{error.filename} may not be opened: {error.strerror}; use the gateway's user") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ConfigError(
            f"a gateway (process {holder or 'unknown'}) owns the lines of this configuration and its local socket does "
            "not answer: stop it first"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


async def serve(path: Path, handler: Handler) -> None:
    """Answer requests until cancelled. The socket is the owner's and group's only."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(message: dict[str, Any]) -> None:
            writer.write(msgspec.json.encode(message) + b"\n")

        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                request = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
            await handler(request, send)
            await writer.drain()
        except (msgspec.MsgspecError, ValueError, TimeoutError) as error:
            send({"event": "error", "text": f"request not understood: {error}"})
        except EdgeError as error:
            send({"event": "error", "kind": type(error).__name__, "text": str(error)})
        except ConnectionError:
            log.debug("local client left")
        finally:
            writer.close()

    path.unlink(missing_ok=True)  # left by a gateway that was killed; the spool's lock says that we are the only one
    with short_path(path) as name:
        server = await asyncio.start_unix_server(client, name, limit=MAX_REQUEST)
        path.chmod(0o660)
        try:
            async with server:
                await server.serve_forever()
        finally:
            path.unlink(missing_ok=True)


async def ask(path: Path, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Send one request and yield what comes back.

    :class:`NoGatewayError` when no gateway listens there, :class:`LinkError` when it may not be asked or breaks off.
    """
    try:
        with short_path(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=MAX_ANSWER)
    except PermissionError:
        raise LinkError(f"{path} may not be opened: join the group of the gateway's user, or use sudo") from None
    except OSError as error:
        raise NoGatewayError(f"no gateway is running with this configuration ({path}: {error.strerror})") from error
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        await writer.drain()
        while line := await reader.readline():
            yield msgspec.json.decode(line, type=dict[str, Any])
    except (ConnectionError, ValueError) as error:
        raise LinkError(f"the gateway broke off: {error}") from error
    finally:
        writer.close()
