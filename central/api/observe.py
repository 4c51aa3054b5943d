"""What operators see of the web process: request figures, one log line per request; and headers of every answer."""

import time
from typing import Any, Final

import structlog
from litestar import Request, Response, get
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import ServiceUnavailableException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from central.accounts.cookies import is_https
from central.accounts.principal import Principal
from central.api.conditions import coded

_log = structlog.get_logger("central.web")

REQUESTS: Final = Counter("metergate_http_requests_total", "Requests answered", ("method", "route", "status"))
SECONDS: Final = Histogram(
    "metergate_http_request_seconds",
    "Time until the answer was sent",
    ("method", "route"),
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)

#: Sent with every answer that does not set them itself. API answers are data and may load nothing at all.
HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_HSTS: Final = "max-age=31536000"


async def add_headers(message: Message, scope: Scope) -> None:
    """Hook ``before_send``: protective headers on every answer, whoever made it."""
    if message["type"] != "http.response.start":
        return
    headers = list(message.get("headers", []))
    present = {name.lower() for name, _ in headers}
    if b"content-encoding" in present and scope["path"].startswith("/api/"):
        headers = [
            (name, coded(value.decode()).encode()) if name.lower() == b"etag" else (name, value)
            for name, value in headers
        ]
    wanted = dict(HEADERS)
    if scope["path"].startswith("/api/"):
        wanted["content-security-policy"] = _DATA_POLICY
    if is_https(ASGIConnection(scope)):
        wanted["strict-transport-security"] = _HSTS
    headers += [(k.encode(), v.encode()) for k, v in wanted.items() if k.encode() not in present]
    message["headers"] = headers


class Observe(ASGIMiddleware):
    """Count and log every request that reached a handler, by route template: nobody's ids become labels."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = "assets"

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Measure from the first octet in to the last octet out."""
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - started
            method = str(scope["method"])  # type: ignore[typeddict-item]
            route = scope.get("path_template") or scope["path"]
            REQUESTS.labels(method, route, status).inc()
            SECONDS.labels(method, route).observe(seconds)
            user = scope.get("user")
            _log.info(
                "request",
                method=method,
                path=scope["path"],
                status=status,
                ms=round(seconds * 1000, 1),
                user=user.author if isinstance(user, Principal) else "",
            )


@get("/healthz", opt={"public": True}, include_in_schema=False)
async def healthz(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """For load balancers and service managers: 200 while the database answers, else 503."""
    try:
        async with request.app.state.database.read() as db:
            await db.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as error:
        _log.warning("database does not answer", error=str(error))
        raise ServiceUnavailableException("The database does not answer.") from error
    return Response({"status": "ok"})


@get("/metrics", include_in_schema=False)
async def metrics() -> Response[bytes]:
    """Figures of this process in Prometheus' text form; a scraper sends an API key as its bearer token."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
