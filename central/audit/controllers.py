"""The audit log in the API."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, about_cursor, answer, decode
from central.api.query import open_span
from central.api.schemas import Page
from central.audit.schemas import AuditOut
from central.audit.search import AuditFilter, search
from central.errors import Refused


class AuditController(Controller):
    """What people and programs changed. Needs the permission ``audit``, which counts only in the whole tenant."""

    path = "/audit"
    tags = ("audit",)
    opt = may(Permission.AUDIT)

    @get()
    async def list_audit(
        self,
        request: Request[Any, Any, Any],
        db: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        who: Annotated[str, QueryParameter(description="Part of the author", max_length=200)] = "",
        kind: Annotated[str, QueryParameter(description="Such as user, meter, command", max_length=32)] = "",
        key: Annotated[str, QueryParameter(description="What people call the thing", max_length=64)] = "",
        action: Annotated[str, QueryParameter(description="Such as created, changed, deleted", max_length=32)] = "",
        text: Annotated[str, QueryParameter(name="q", description="Words in key or values", max_length=200)] = "",
        start: Annotated[
            str | None, QueryParameter(name="from", description="First instant: RFC 3339 or seconds since 1970")
        ] = None,
        end: Annotated[str | None, QueryParameter(name="to", description="Instant after the last one")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[AuditOut]]:
        """List entries of the audit log, newest first."""
        first, last = open_span(start, end)
        wanted = AuditFilter(who=who, kind=kind, key=key, action=action, start=first, end=last, text=text)
        try:
            rows = await search(db, principal.tenant_id, wanted, after=decode(cursor), limit=limit)
        except Refused as error:
            raise about_cursor(error) from error
        return answer(request, rows, AuditOut.of)
