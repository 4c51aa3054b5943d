"""A signed POST to a program, over the standard library's HTTP client in a thread.

``Metergate-Signature: t=<UTC seconds>,sha256=<hex HMAC-SHA256 over "t.body" with the secret>``: the time is signed
with the body, so that an old message cannot be played again later. ``Metergate-Delivery`` numbers the message and is
the same when it is sent again. Any 2xx takes it; redirects are not followed.

Where a message may go is looked at when the name has been resolved, at each connection: names that lead to this machine
itself or to link-local addresses (a cloud's metadata service) are refused unless the settings allow them.
"""

import asyncio
import hashlib
import hmac
import http.client
import ipaddress
import re
import socket
import ssl
import time
from typing import Any, Final
from urllib.parse import urlsplit

from central.errors import Refused

TIMEOUT: Final = 10.0
_SIGNATURE: Final = "Metergate-Signature"


class NotTaken(Exception):
    """The other side did not take it; the text says why, ``status`` what it answered, if anything."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


def sign(secret: str, body: bytes, at: int) -> str:
    """The signature header of a body sent at an instant."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},sha256={digest}"


def check_url(url: str, field: str) -> None:
    """Raise :class:`Refused` for what is no address of a program."""
    if len(url) > 500:
        raise Refused(field, "has more than 500 characters")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or re.search(r"[\x00-\x20\x7f]", url):
        raise Refused(field, f"{url[:100]!r} is no address such as https://example.org/hook (without password)")


def is_local(address: str) -> bool:
    """Whether an address is this machine's own, link-local, or none that a program has."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast or found.is_reserved


async def post(url: str, secret: str, number: int, body: bytes, *, local: bool) -> int:
    """Send one message; returns the status of who took it, raises :class:`NotTaken`. ``local``: anywhere at all."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "metergate",
        "Metergate-Delivery": str(number),
        _SIGNATURE: sign(secret, body, int(time.time())),
    }
    try:
        status = await asyncio.to_thread(_post, url, body, headers, local)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotTaken(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    if not 200 <= status < 300:
        raise NotTaken(f"answered {status}", status)
    return status


def _post(url: str, body: bytes, headers: dict[str, str], local: bool) -> int:
    parts = urlsplit(url)
    connection: Any
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    if not local:
        connection._create_connection = _connect_elsewhere  # where http.client itself opens its socket
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        status: int = connection.getresponse().status
        return status
    finally:
        connection.close()


def _connect_elsewhere(place: tuple[str, int], timeout: float, *_: Any) -> socket.socket:
    """Connect to an address that was looked at: a name resolved twice might lead elsewhere the second time."""
    host, port = place
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    allowed = [address for address in found if not is_local(address)]
    if not allowed:
        raise OSError(
            f"{host} leads to {', '.join(sorted(set(found)))}: not sent to this machine or to link-local addresses "
            "(webhooks.local_targets allows it)"
        )
    for address in allowed[:-1]:
        try:
            return socket.create_connection((address, port), timeout)
        except OSError:
            continue
    return socket.create_connection((allowed[-1], port), timeout)
