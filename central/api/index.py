"""What is at the API's own address: where to begin."""

from typing import Any

from litestar import Request, get
from litestar.routes import HTTPRoute

from central.api.openapi import PATH
from central.api.schemas import Output


class Index(Output):
    """Addresses by name: everything that can be read without naming an object, and the document that tells the rest."""

    openapi: str
    addresses: dict[str, str]


@get("/", include_in_schema=False)
async def index(request: Request[Any, Any, Any]) -> Index:
    """List the API's addresses that need no key or number in them."""
    found = {
        route.path.removeprefix(f"{PATH}/").replace("/", "."): route.path
        for route in request.app.routes
        if isinstance(route, HTTPRoute)
        and route.path.startswith(f"{PATH}/")
        and "GET" in route.route_handler_map
        and "{" not in route.path_format
        and route.route_handler_map["GET"][0].resolve_include_in_schema()
    }
    return Index(openapi=f"{PATH}/openapi.json", addresses=dict(sorted(found.items())))
