"""The OpenAPI document, /api/v1/openapi.json and .yaml. No renderer: those load scripts from other hosts."""

from typing import Final

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, Contact, License, SecurityScheme, Tag
from litestar.router import Router

PATH: Final = "/api/v1"

_TEXT: Final = """\
Log in with an API key: `Authorization: Bearer mg_...` (made on the account page; read-only or read-write).
A browser session works too; unsafe requests then need its `X-CSRF-Token`.

**Times** are RFC 3339 with offset or whole seconds since 1970 when sent, RFC 3339 in UTC when answered.
**Values** are `raw` integers with an exact `scale` (`num`/`den`) and `unit`; `value` is their product.
Missing is `null`, never zero. **Intervals** are named by their *start* and cover [start, start + step).
**Lists** come in pages: follow `next` (also as a `Link` header) until it is `null`.
**Errors** are `application/problem+json` (RFC 9457) with `errors` naming each wrong place.
"""


def openapi_config() -> OpenAPIConfig:
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
            Tag(name="registry", description="Customers, points, groups, lots, models, modules, installations"),
            Tag(name="account", description="Who is asking, and API keys"),
        ],
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin(), YamlRenderPlugin()],
        openapi_router=Router(path=PATH, route_handlers=[], opt={"public": True}),
    )
