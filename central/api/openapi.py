"""The OpenAPI document, /api/v1/openapi.json and .yaml. No renderer: those load scripts from other hosts."""

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
**Errors** are `application/problem+json` (RFC 9457) with `errors` naming each wrong place.
"""


class _Documents(Router):
    """Router of the document without the framework's catch-all, which would answer for all unknown addresses."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        return [] if "/{path:str}" in getattr(value, "paths", ()) else super().register(value)


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
            Tag(name="ccee", description="What the market operator did at each meter: connections, verdicts, success"),
            Tag(name="alarms", description="Alarms, acknowledgement, and who is told"),
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
    """Say what the framework cannot know: errors are problems, and which operations answer in other media types too."""
    document = deepcopy(document)
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    document["components"]["schemas"] |= schemas
    problem = {
        "description": "The request was refused; the body says why",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = problem
            for media in other_media.get(operation["operationId"], ()):
                operation["responses"]["200"]["content"].setdefault(media, {})
    return document


def _operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    return handler.handler_name
