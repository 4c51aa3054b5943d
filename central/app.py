"""The web process: pages, API, health and metrics around one database. ``create_app`` starts nothing by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.guards import GUARDS, SAFE, Identify, provide_principal, reach_of
from central.accounts.oidc import Provider
from central.accounts.reach import REACH
from central.accounts.setup import Setup
from central.accounts.throttle import LoginGate
from central.api import problems
from central.api.conditions import conditional
from central.api.exchange import PEEK, exchange
from central.api.idempotency import Replay
from central.api.observe import Observe, add_headers, healthz, metrics
from central.api.openapi import PATH, openapi_config
from central.api.routes import api_router
from central.ccee.controllers import CAPTURE_TYPES, TABLE_TYPES
from central.fleet.loop import feed_progress
from central.fleet.progress import ProgressBoard
from central.ingest.run import run_ingest
from central.metering.controllers import PROFILE_TYPES
from central.reports.controllers import TYPES as REPORT_TYPES
from central.settings import Settings
from central.store.engine import Database, open_database
from central.store.migrate import require_current
from central.web import error_page, web_routes

_log = structlog.get_logger("central.web")

#: Embedded ingest gets so long to commit and end by itself (s).
_STOP_S: Final = 10.0
#: The largest honest request is a gateway's configuration (200 kB) or an imported sheet.
MAX_BODY_BYTES: Final = 8 << 20

#: Media types that operations answer in besides their first.
_OTHER_MEDIA: Final = {
    "get_profile": PROFILE_TYPES,
    "get_capture": CAPTURE_TYPES,
    "get_report": REPORT_TYPES,
    **dict.fromkeys(("list_connections", "list_weeks", "list_meter_weeks"), TABLE_TYPES),
}


def create_app(settings: Settings, *, follow: bool = True, ingest: bool = False) -> Litestar:
    """Build the application from checked settings; nothing is connected before its start-up.

    ``follow``: show live progress as gateways publish it. ``ingest``: take in readings and send commands within this
    process too (small installations; else ``metergate central ingest`` runs beside it).
    """
    state = fresh_state(settings)
    return Litestar(
        route_handlers=[
            healthz,
            metrics,
            api_router(),
            Router("/", route_handlers=web_routes(), include_in_schema=False),
        ],
        lifespan=[_lifespan, _beside(settings, state["progress"], follow=follow, ingest=ingest)],
        state=State(state),
        dependencies={"db": Provide(_provide_db), "principal": Provide(provide_principal)},
        middleware=[Observe(), Identify()],
        guards=list(GUARDS),
        before_send=[add_headers],
        exception_handlers={Exception: answer_error},
        compression_config=CompressionConfig(backend="gzip", gzip_compress_level=5, exclude_opt_key="no_compression"),
        openapi_config=openapi_config(_OTHER_MEDIA),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


def fresh_state(settings: Settings) -> dict[str, Any]:
    """What an application keeps while it runs."""
    return {
        "settings": settings, "database": open_database(settings), "gate": LoginGate(), "setup": Setup(),
        "progress": ProgressBoard(), "provider": Provider(settings.oidc) if settings.oidc.issuer else None,
    }  # fmt: skip


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    """Say how to make the first administrator while there is none; close the database at the end."""
    database: Database = app.state.database
    try:
        await require_current(database)
        code = await app.state.setup.prepare(database)
        if code:
            _log.warning("no user yet: open /setup and enter this code once", code=code)
        yield
    finally:
        await database.close()


def _beside(
    settings: Settings, board: ProgressBoard, *, follow: bool, ingest: bool
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """What runs while the application serves; a part that fails is logged and does not take the pages with it."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        stop = asyncio.Event()
        following = [asyncio.create_task(_watch("progress", feed_progress(settings, board)))] if follow else []
        ingesting = [asyncio.create_task(_watch("ingest", run_ingest(settings, stop)))] if ingest else []
        try:
            yield
        finally:
            stop.set()
            if ingesting:  # it commits what it holds before it goes
                await asyncio.wait(ingesting, timeout=_STOP_S)
            for task in (*following, *ingesting):
                task.cancel()
            await asyncio.gather(*following, *ingesting, return_exceptions=True)

    return lifespan


async def _watch(name: str, part: Awaitable[None]) -> None:
    try:
        await part
    except Exception:
        _log.exception("a part beside the pages has ended; restart the process", part=name)


async def _provide_db(request: Request[Any, Any, Any]) -> AsyncIterator[AsyncSession]:
    """Dependency ``db``: read-only for safe methods, else committed when the handler ends well; kept to its reach."""
    database: Database = request.app.state.database
    reach = reach_of(request, request.route_handler)
    given: AsyncSession | None = request.scope.get(PEEK)  # type: ignore[assignment]
    if given is not None:  # the request looks into a transaction that is there
        given.info[REACH] = reach
        yield given
        return
    if request.method in SAFE:
        opened = database.read(**{REACH: reach})
    elif request.url.path.startswith(f"{PATH}/"):
        opened = exchange(request, database, reach)
    else:
        opened = database.write(**{REACH: reach})
    async with opened as session:
        yield session


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Turn any exception into an answer: problem+json for the API, a page or the login for people."""
    if isinstance(error, Replay):
        return error.response()
    answer, ours = problems.describe(error, conditional=conditional(request.headers))
    if ours:
        _log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    if request.url.path.startswith("/api/") or not _wants_page(request):
        return problems.response(request, answer)
    if answer.status == 401:
        return _to_login(request)
    page: Response[Any] = error_page(request, answer.status, answer.detail)
    page.headers.update(answer.headers or {})
    return page


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _to_login(request: Request[Any, Any, Any]) -> Response[Any]:
    """Send a stranger to the login and, after it, back to the page that was asked for."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"/login?next={quote(path)}" if request.method == "GET" and path != "/" else "/login"
    if "hx-request" in request.headers:
        return Response(None, status_code=204, headers={"HX-Redirect": "/login"})
    return Redirect(target, status_code=303)
