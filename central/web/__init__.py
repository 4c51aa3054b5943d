"""The pages people see. ``web_routes`` and ``error_page`` are what the application mounts.

Imported late, so that ``python -m central.web.assets`` needs nothing but the standard library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litestar import Request
    from litestar.response import Response
    from litestar.types import ControllerRouterHandler


def web_routes() -> "list[ControllerRouterHandler]":
    """Handlers of all pages and of the static files, to be mounted at the root."""
    from central.web.routes import web_routes as made

    return made()


def error_page(request: "Request[Any, Any, Any]", status: int, detail: str) -> "Response[Any]":
    """The page for a refusal or a fault, in the look of all others."""
    from central.web.routes import error_page as made

    return made(request, status, detail)
