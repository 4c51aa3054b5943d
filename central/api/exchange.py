"""One request and its answer: entity tags on what is read, and one transaction for what is changed.

Controllers need nothing of this. Whatever answers a GET gets a strong tag of its octets. An unsafe request has its
preconditions checked against what its own address answers to a GET, within the transaction that makes the change:
of two changes to the same state one is made, the other refused.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.reach import REACH, Reach
from central.api import conditions, idempotency, problems
from central.store.engine import Database

#: In a request's scope: the session of the transaction it looks into; what it was answered.
PEEK: Final = "metergate.peek"
_ANSWER: Final = "metergate.answer"
#: Statuses that say there is nothing here, as far as the asking person is concerned.
_NOTHING: Final = (403, 404, 405, 410)


class _Watched(Response[Any]):
    """An answer that is looked at when its octets are known."""

    def __init__(self, inner: Response[Any]) -> None:
        super().__init__(None)
        self._inner = inner

    def to_asgi_response(self, app: Litestar | None, request: Request[Any, Any, Any], **how: Any) -> ASGIResponse:
        """Encode, then tag what was read or remember what was made."""
        answer = self._inner.to_asgi_response(app, request, **how)
        if type(answer) is not ASGIResponse:
            return answer  # a stream: its octets are not known yet
        if request.method != "GET":
            request.scope[_ANSWER] = answer  # type: ignore[typeddict-unknown-key]
        elif answer.status_code == 200:
            return _tagged(request, answer)
        return answer


async def watch(response: Response[Any]) -> Response[Any]:
    """Hook ``after_request`` of the API."""
    return _Watched(response)


def _tagged(request: Request[Any, Any, Any], answer: ASGIResponse) -> ASGIResponse:
    tag = conditions.tag_of(answer.body)
    answer.headers["etag"] = tag
    conditions.check_match(request.headers, tag)
    known = conditions.named(conditions.given(request.headers, "if-none-match"), tag, weak=True)
    if known is None:
        return answer
    return ASGIResponse(status_code=304, headers={"etag": tag if known == "*" else known.removeprefix("W/")})


@asynccontextmanager
async def exchange(
    request: Request[Any, Any, Any], database: Database, reach: Reach | None
) -> AsyncIterator[AsyncSession]:
    """The session of an unsafe request: its key claimed, its preconditions checked; committed when it ends well.

    On PostgreSQL a conditional request sees one state of the database throughout: whoever changes the same rows
    meanwhile makes it fail, and what it is answered then is in ``problems``. SQLite has one writer at a time.
    """
    conditional = conditions.conditional(request.headers)
    async with database.write(**{REACH: reach}) as db:
        if conditional and database.dialect == "postgresql":
            await db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        key = await idempotency.claim(db, request)
        if conditional:
            conditions.check(request.headers, await _present(request, db))
        yield db
        await db.flush()
        answer: ASGIResponse | None = request.scope.get(_ANSWER)  # type: ignore[assignment]
        if answer is None or answer.status_code >= 300:
            return
        if key is not None:
            await idempotency.keep(db, request, key, answer)
        if request.method in ("PUT", "PATCH") and (tag := await _present(request, db)):
            answer.headers["etag"] = tag


async def _present(request: Request[Any, Any, Any], db: AsyncSession) -> str | None:
    """The tag of what a GET of the request's address answers now, seen from within the transaction; None: nothing.

    It runs the handler itself over a session of its own on the same connection: with the reach of a reader, and
    without leaving rows in the session of the change.
    """
    route = _routes(request.app).get(request.scope["path_template"])
    if route is None or "GET" not in route.route_handler_map:
        return None
    handler = route.route_handler_map["GET"][0]
    kept = [(name, value) for name, value in request.scope["headers"] if name in (b"authorization", b"cookie")]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    inner = AsyncSession(bind=await db.connection(), join_transaction_mode="create_savepoint", expire_on_commit=False)
    async with inner:
        scope: Any = {
            **request.scope, "method": "GET", "headers": kept, "query_string": b"", "state": {},
            "route_handler": handler, PEEK: inner,
        }  # fmt: skip
        try:
            await route.handle(scope, request.receive, send)
        except Exception as error:
            if problems.describe(error)[0].status in _NOTHING:
                return None
            raise
    return next((value.decode() for name, value in sent[0]["headers"] if name.lower() == b"etag"), None)  # type: ignore[typeddict-item]


def _routes(app: Litestar) -> dict[str, HTTPRoute]:
    """Routes by their template, worked out once."""
    found: dict[str, HTTPRoute] | None = app.state.get("routes")
    if found is None:
        found = app.state["routes"] = {each.path_format: each for each in app.routes if isinstance(each, HTTPRoute)}
    return found
