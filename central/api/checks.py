"""What the API checks before a handler runs: known query parameters, content type, and the body against its shape."""

import re
from collections.abc import Iterator
from typing import Any, Final, get_args, get_type_hints

import msgspec
from litestar import Request
from litestar.handlers import BaseRouteHandler

from central.api.conditions import check_syntax
from central.api.problems import ApiError, from_msgspec
from central.api.query import refuse_unknown, wanted

JSON: Final = "application/json"
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def check_request(request: Request[Any, Any, Any]) -> None:
    """Hook ``before_request`` of the API."""
    _check_numbers(request)
    check_syntax(request.headers)
    wanted(request, request.route_handler.opt.get("offers", (JSON,)))
    await refuse_unknown(request)
    await _check_body(request)


def _check_numbers(request: Request[Any, Any, Any]) -> None:
    """Row ids end at 63 bits; beyond there is nothing, not an error of the database."""
    for number in request.path_params.values():
        if isinstance(number, int) and not 0 < number < 1 << 63:
            raise ApiError(404, f"There is nothing with the number {str(number)[:40]}.")


async def _check_body(request: Request[Any, Any, Any]) -> None:
    """Decode strictly what the framework would take loosely (``"5"`` for 5), with the path of each mistake."""
    shape = _body_shape(request.route_handler)
    if shape is None:
        return
    content_type = request.headers.get("content-type", "")
    kind = content_type.split(";", 1)[0].strip().lower()
    if kind != JSON:
        raise ApiError(
            415,
            f"The body has to be {JSON}; this one is {kind[:100] or 'without Content-Type'}.",
            headers={"Accept": JSON},
        )
    body = await request.body()
    if _NUL.search(body):
        raise ApiError(422, "A text of the body has a NUL character (\\u0000) in it.")
    try:
        msgspec.json.decode(body, type=shape)
    except msgspec.MsgspecError as error:
        raise from_msgspec(error, set(_field_names(shape))) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body cannot be decoded: {error}") from error


def _body_shape(handler: BaseRouteHandler) -> Any:
    field = handler.parsed_data_field
    return field.annotation if field is not None else None


def _field_names(shape: Any) -> Iterator[str]:
    for part in get_args(shape):
        yield from _field_names(part)
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        for name, hint in get_type_hints(shape).items():
            yield name
            yield from _field_names(hint)
