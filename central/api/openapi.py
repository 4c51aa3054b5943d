"""The OpenAPI document, /api/v1/openapi.json and .yaml. No renderer: those load scripts from other hosts."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, Contact, License, SecurityScheme, Tag
from litestar.router import Router
from litestar.routes import BaseRoute
from litestar.types import ControllerRouterHandler

from central.api import conditions
from central.api.problems import MEDIA_TYPE, Problem

PATH: Final = "/api/v1"

#: Media types besides JSON, by operation.
OtherMedia = Mapping[str, Sequence[str]]

_TEXT: Final = """\
Log in with an API key: `Authorization: Bearer mg_...` (made on the account page; read-only or read-write).
A browser session works too; unsafe requests then need its `X-CSRF-Token`.

**Times** are RFC 3339 with offset or whole seconds since 1970 when sent, RFC 3339 in UTC when answered.
**Values** are `raw` integers with an exact `scale` (`num`/`den`) and `unit`; `value` is their product.
Missing is `null`, never zero. **Intervals** are named by their *start* and cover [start, start + step).
**Lists** come in pages: follow `next` (also as a `Link` header) until it is `null`.
**Entity tags**: every answer to a GET (but streams) has an `ETag`; `If-None-Match` with it gives 304 while nothing has
changed. `If-Match` with it changes only what you have seen, else 412; `If-None-Match: *` makes and never replaces.
**Idempotency keys**: a `POST` sent again with the same `Idempotency-Key` within 48 h is done once and answered as the
first time (`Idempotency-Replayed: true`). Refused requests leave their key free. A secret is answered once: then 409.
**Errors** are `application/problem+json` (RFC 9457) with `errors` naming each wrong place.
"""


class _Documents(Router):
    """Router of the document alone: the framework's catch-all would answer for all unknown addresses, and the API's own
    address has its index."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        paths: set[str] = getattr(value, "paths", set())
        paths.discard("/")
        return [] if "/{path:str}" in paths else super().register(value)


def openapi_config(other_media: OtherMedia) -> OpenAPIConfig:
    """Describe the API; the document itself is public, it says nothing about what is stored."""
    return OpenAPIConfig(
        title="Metergate",
        version="1",
        description=_TEXT,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        contact=Contact(name="Metergate"),
        components=Components(
            security_schemes={
                "key": SecurityScheme(type="http", scheme="bearer", description="API key mg_..."),
                "session": SecurityScheme(type="apiKey", name="mg_session", security_scheme_in="cookie"),
            }
        ),
        security=[{"key": []}, {"session": []}],
        tags=[
            Tag(name="meters", description="Meters and what they measured"),
            Tag(name="gateways", description="Gateways, their health, and commands to them"),
            Tag(name="enrolment", description="Gateways let in: one-time codes, requests, approval, certificates"),
            Tag(name="ccee", description="What the market operator did at each meter: connections, verdicts, success"),
            Tag(name="alarms", description="Alarms, acknowledgement, and who is told"),
            Tag(name="webhooks", description="Programs that are told what happens, and the messages to them"),
            Tag(name="registry", description="Customers, points, groups, lots, models, modules, installations"),
            Tag(name="reports", description="Reports over many meters, in pages, as files, regularly"),
            Tag(name="account", description="Who is asking, and API keys"),
        ],
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        render_plugins=[_Json(other_media), _Yaml(other_media)],
        openapi_router=_Documents(path=PATH, route_handlers=[], opt={"public": True}, include_in_schema=False),
    )


class _Json(JsonRenderPlugin):
    def __init__(self, other_media: OtherMedia) -> None:
        super().__init__()
        self._other_media = other_media

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, complete(openapi_schema, self._other_media))


class _Yaml(YamlRenderPlugin):
    def __init__(self, other_media: OtherMedia) -> None:
        super().__init__()
        self._other_media = other_media

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, complete(openapi_schema, self._other_media))


def complete(document: dict[str, Any], other_media: OtherMedia) -> dict[str, Any]:
    """Say what the framework cannot know: errors are problems, which operations answer in other media types too, and
    the conditions and keys that all of them understand (``central.api.exchange``)."""
    document = deepcopy(document)
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    components = document["components"]
    components["schemas"] |= schemas
    components["parameters"] = _PARAMETERS
    components["headers"] = {"ETag": {"description": "Strong entity tag of the answer", "schema": {"type": "string"}}}
    components["responses"] = {"NotModified": {"description": "What If-None-Match names is what is there"}}
    for item in document["paths"].values():
        for method, operation in item.items():
            operation["summary"] = _SENTENCE.split(operation["description"], 1)[0].replace("`", "")
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = _PROBLEM
            for media in other_media.get(operation["operationId"], ()):
                operation["responses"]["200"]["content"].setdefault(media, {})
            _add_exchange(method, operation, readable="get" in item)
    _write_tuples(document)
    return document


def _write_tuples(part: Any) -> None:
    """Write tuples of equal types as lists of a fixed length: the same, and older readers of the document know it."""
    if isinstance(part, dict):
        each = part.get("prefixItems")
        if each and all(one == each[0] for one in each):
            del part["prefixItems"]
            part |= {"items": each[0], "minItems": len(each), "maxItems": len(each)}
        for inner in part.values():
            _write_tuples(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            _write_tuples(inner)


_SENTENCE: Final = re.compile(r"[.;:](?:\s|$)")
_PROBLEM: Final = {
    "description": "The request was refused; the body says why",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_TAGS: Final = {"type": "string", "pattern": conditions.PATTERN, "maxLength": conditions.LONGEST}


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_PARAMETERS: Final = {
    "IfNoneMatch": _header("If-None-Match", "Entity tags known: 304 when one of them is what is there", _TAGS),
    "IfMatch": _header("If-Match", "Change only what one of these tags names (\"*\": anything), else 412", _TAGS),
    "OnlyNew": _header("If-None-Match", "\"*\": make it, 412 when it is there already", _TAGS),
    "IdempotencyKey": _header(
        "Idempotency-Key", "A text of your own: sent again with it, the request is done once and answered twice",
        {"type": "string", "pattern": "^[!-~]{1,200}$", "minLength": 1, "maxLength": 200},
    ),
}  # fmt: skip
_UNDERSTOOD: Final = {
    "get": ("IfNoneMatch",), "put": ("IfMatch", "OnlyNew"), "patch": ("IfMatch",), "delete": ("IfMatch",),
    "post": ("IdempotencyKey",),
}  # fmt: skip


#: Entering the same twice finds it: 200 instead of 201.
_MAY_BE_THERE: Final = ("create_group", "create_installation")


def _add_exchange(method: str, operation: dict[str, Any], *, readable: bool) -> None:
    if method != "post" and not readable:
        return
    operation.setdefault("parameters", []).extend(
        {"$ref": f"#/components/parameters/{name}"} for name in _UNDERSTOOD[method]
    )
    answers = operation["responses"]
    if method == "put":
        answers.setdefault("201", deepcopy(answers["200"]) | {"description": "Entered; there was none before"})
    elif operation["operationId"] in _MAY_BE_THERE:
        answers.setdefault("200", deepcopy(answers["201"]) | {"description": "It was there already"})
    if method == "get":
        answers["304"] = {"$ref": "#/components/responses/NotModified"}
    elif method != "post":
        answers["412"] = {**_PROBLEM, "description": "The conditions of the request do not hold for what is there"}
    if method in ("get", "put", "patch"):
        for status, answer in answers.items():
            if status in ("200", "201"):
                answer.setdefault("headers", {})["ETag"] = {"$ref": "#/components/headers/ETag"}


def _operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    return handler.handler_name
