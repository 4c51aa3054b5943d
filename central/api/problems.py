"""Errors as ``application/problem+json`` (RFC 9457): one table turns every exception into one answer.

Members: type, title, status, detail, instance, and ``errors`` where several places of a request are wrong, each with
``path`` (JSON path or parameter name), ``message`` and, for unknown names, ``nearest``.
"""

import difflib
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from sqlalchemy.exc import SQLAlchemyError

from central.accounts.errors import (
    AccountConflict,
    AccountError,
    BeyondOwnRights,
    LoginRefused,
    LoginThrottled,
    SetupRefused,
)
from central.errors import Conflict, NotFound, OutOfReach, Refused
from central.store.faults import is_passing

MEDIA_TYPE: Final = "application/problem+json"
_PATH = re.compile(r" - at `\$\.?(.*)`$")
#: SQLSTATE of transactions that lost to another: serialization failure, deadlock.
_RACES: Final = ("40001", "40P01")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


class Fault(msgspec.Struct, omit_defaults=True, frozen=True):
    """One wrong place in a request."""

    path: str
    message: str
    nearest: str = ""


class Problem(msgspec.Struct, omit_defaults=True, frozen=True):
    """Body of an error answer (RFC 9457)."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    instance: str = ""
    errors: list[Fault] = []


class ApiError(Exception):
    """Refuse a request: status, one sentence, and the wrong places."""

    def __init__(
        self, status: int, detail: str, errors: Iterable[Fault] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers


def invalid(path: str, message: str, nearest: str = "") -> ApiError:
    """One parameter or field cannot be used (422)."""
    return ApiError(422, f"{path}: {message}", [Fault(path, message, nearest)])


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that looks most like ``name``, ``""`` when none does."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, 0.5)), "")


def from_msgspec(error: msgspec.MsgspecError, fields: Iterable[str] = ()) -> ApiError:
    """Turn a decoding error into an answer: broken syntax is 400, a value out of place 422 with its path."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return ApiError(400, f"The body cannot be decoded: {text}")
    match = _PATH.search(text)
    path, message = (match[1], text[: match.start()]) if match else ("", text)
    unknown = _UNKNOWN.search(message)
    if unknown:
        path = f"{path}.{unknown[1]}" if path else unknown[1]
    return ApiError(
        422,
        f"{path or 'body'}: {message}",
        [Fault(path or "$", message, nearest(unknown[1], fields) if unknown else "")],
    )


def describe(error: Exception, *, conditional: bool = False) -> tuple[ApiError, bool]:
    """Return what to answer to ``error``, and whether it is our own fault and has to be logged.

    ``conditional``: the request was to be done only while nobody else changes what it is about.
    """
    answer = error if isinstance(error, ApiError) else _account_error(error) or _service_error(error)
    if answer is None and getattr(getattr(error, "orig", None), "sqlstate", None) in _RACES:
        answer = ApiError(
            412 if conditional else 409, "Somebody else changed this at the same moment. Read it again and repeat."
        )
    if answer is None and isinstance(error, ValidationException):
        answer = ApiError(422, "The request has values that cannot be used.", _faults(error.extra))
    elif answer is None and isinstance(error, HTTPException) and error.status_code < 500:
        answer = ApiError(error.status_code, error.detail, headers=error.headers)
    if answer is not None:
        return answer, False
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return ApiError(503, error.detail, headers=error.headers), False
    if isinstance(error, SQLAlchemyError | ConnectionError) and is_passing(error):
        return ApiError(503, "The database is busy or out of reach.", headers={"Retry-After": "5"}), True
    return ApiError(500, "Something went wrong here; the log has the details."), True


def response(request: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    """Build the problem answer."""
    problem = Problem(
        HTTPStatus(error.status).phrase, error.status, error.detail, instance=request.url.path, errors=error.errors
    )
    return Response(
        msgspec.json.encode(problem), status_code=error.status, media_type=MEDIA_TYPE, headers=error.headers
    )


def _account_error(error: Exception) -> ApiError | None:
    match error:
        case LoginThrottled():
            return ApiError(429, str(error), headers={"Retry-After": str(error.retry_after)})
        case LoginRefused():
            return ApiError(401, str(error))
        case SetupRefused() | BeyondOwnRights():
            return ApiError(403, str(error))
        case AccountConflict():
            return ApiError(409, str(error))
        case AccountError():
            return ApiError(422, str(error))
        case _:
            return None


def _service_error(error: Exception) -> ApiError | None:
    match error:
        case NotFound():
            return ApiError(404, str(error))
        case Refused():
            return ApiError(422, str(error), [Fault(error.field, error.message)])
        case Conflict():
            return ApiError(409, str(error))
        case OutOfReach():
            return ApiError(403, str(error))
        case _:
            return None


def _faults(extra: Any) -> list[Fault]:
    if not isinstance(extra, list):
        return []
    return [Fault(str(entry.get("key", "$")), str(entry.get("message", ""))) for entry in extra]
