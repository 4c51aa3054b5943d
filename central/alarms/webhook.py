"""Messages to programs: a signed POST, over the standard library's HTTP client in a thread.

Body: JSON of :class:`Body`. Headers: ``Metergate-Signature: sha256=<hex of HMAC-SHA256 over the body with the
subscription's secret>``, ``Metergate-Delivery: <number, the same when sent again>``. Any 2xx takes it; redirects are
not followed.
"""

import asyncio
import hashlib
import hmac
import http.client
import ssl
from typing import Final
from urllib.parse import urlsplit

import msgspec

from central.alarms.notices import Notice, NotSent

TIMEOUT: Final = 10.0


class Body(msgspec.Struct):
    """What is posted; instants are UTC seconds."""

    delivery: int
    event: str  # opened, closed
    alarm: int
    source: str
    code: str
    severity: str
    meter: str
    meter_name: str
    text: str
    opened_at: int
    closed_at: int | None


def sign(secret: str, body: bytes) -> str:
    """The signature header of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def post(notice: Notice) -> None:
    """Send one message; raises :class:`NotSent`."""
    body = msgspec.json.encode(
        Body(
            notice.id, notice.what, notice.alarm_id, notice.source, notice.code, notice.severity.word, notice.meter,
            notice.meter_name, notice.text, notice.opened_at, notice.closed_at,
        )
    )  # fmt: skip
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "metergate",
        "Metergate-Delivery": str(notice.id),
        "Metergate-Signature": sign(notice.secret, body),
    }
    try:
        status = await asyncio.to_thread(_post, notice.target, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    if not 200 <= status < 300:
        raise NotSent(f"answered {status}")


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
