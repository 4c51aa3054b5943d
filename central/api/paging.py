"""Pages of a list: opaque cursors, the next page's address in the body and as a Link header (RFC 8288)."""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote, urlencode

from litestar import Request, Response
from litestar.params import QueryParameter

from central.api.problems import invalid
from central.api.schemas import Page
from central.errors import Refused
from central.store.pages import Page as Rows

R = TypeVar("R")
S = TypeVar("S")

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Entries per page")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=400, description="Where to go on; take it from `next`, do not make it")
]


def encode(after: str) -> str:
    """Make a cursor of the key after which the next page begins."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def decode(cursor: str | None) -> str | None:
    """Return the key within a cursor; 422 when we did not make it."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    if not text or encode(text) != cursor or "\0" in text:
        raise invalid("cursor", f"{cursor[:64]!r} is no cursor: take it from 'next' of the page before")
    return text


def decode_number(cursor: str | None) -> int | None:
    """Return the number within a cursor, for lists in order of a number."""
    text = decode(cursor)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid("cursor", "this cursor belongs to another list")
    return int(text)


def about_cursor(error: Refused) -> Exception:
    """What to raise for a service's refusal: one of its ``after`` is about the cursor."""
    return invalid("cursor", "this cursor belongs to another list") if error.field == "after" else error


def own_path(request: Request[Any, Any, Any]) -> str:
    """Return the path that was asked for, escaped: a key in it may have any letters, a header may not."""
    return quote(request.url.path)


def answer(request: Request[Any, Any, Any], rows: Rows[R], shape: Callable[[R], S]) -> Response[Page[S]]:
    """Build the answer of one page."""
    page = Page([shape(row) for row in rows.items])
    headers = {}
    if rows.next is not None:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        page.next = f"{own_path(request)}?{urlencode([*query, ('cursor', encode(rows.next))])}"
        headers["Link"] = f'<{page.next}>; rel="next"'
    return Response(page, headers=headers)
