"""Every handler of an application, and how the tests fill its path: what a matrix over all of them needs.

A new route needs nothing here while its path parameters are known; an unknown one fails ``test_matrix`` with its name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from litestar import Litestar
from litestar.routes import HTTPRoute

from central.accounts.guards import SAFE
from central.accounts.permissions import Permission

_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Case:
    """One handler: ``rule`` is the permission it needs, "own", "public", or "nobody" when it says nothing."""

    method: str
    path: str
    name: str
    rule: str

    @property
    def title(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def safe(self) -> bool:
        return self.method in SAFE

    @property
    def api(self) -> bool:
        return self.path.startswith("/api/")

    @property
    def parameters(self) -> list[str]:
        """Names of the path's parameters; ``key`` with what it is a key of, such as ``meters.key``."""
        found = []
        before = ""
        for part in self.path.split("/"):
            match = _PARAMETER.fullmatch(part)
            if match:
                found.append(f"{before}.key" if match[1] == "key" else match[1])
            else:
                before = part
        return found

    def url(self, values: dict[str, Any]) -> str:
        """The path with its parameters filled."""
        names = iter(self.parameters)
        return _PARAMETER.sub(lambda _match: str(values[next(names)]), self.path)


def cases(app: Litestar) -> Iterator[Case]:
    """All handlers of pages and API; not the static files and what the framework answers itself."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.opt.get("assets") or handler.handler_name.endswith("options_handler"):
                continue
            if "/openapi" in route.path_format:
                continue
            for method in sorted(handler.http_methods):
                name = handler.handler_name.rpartition(".")[2]
                yield Case(str(method), route.path_format, name, _rule(handler.opt, str(method)))


def _rule(opt: dict[str, Any], method: str) -> str:
    if opt.get("public"):
        return "public"
    if opt.get("may") is not None:
        return str(Permission(opt["may"]))
    if opt.get("own"):
        return "own"
    return str(Permission.READ) if method in SAFE else "nobody"
