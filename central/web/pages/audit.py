"""The audit log: search, and the same as CSV. Needs ``audit`` in the whole tenant."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Response, Stream

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.audit.models import AuditEntry
from central.audit.search import AuditFilter, changes, search
from central.errors import Refused
from central.sheets import safe_cell
from central.store.engine import Database
from central.web import rights_words
from central.web.forms import Db, Search, Web, Who, database
from central.web.i18n import N_, current, gettext
from central.web.render import page
from shared.intervals import day_range
from shared.intervals import zone as zone_of

NEEDS: Final = may(Permission.AUDIT)
_ROWS: Final = 50
_CHUNK: Final = 1000
Word = Annotated[str, QueryParameter(max_length=32)]
First = Annotated[str, QueryParameter(name="from", max_length=10)]
Last = Annotated[str, QueryParameter(name="to", max_length=10)]
_COLUMNS: Final = (
    N_("Time"), N_("Who"), N_("From where"), N_("What happened"), N_("Kind"), N_("Object"), N_("Field"), N_("Before"),
    N_("After"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the form says."""

    q: str
    who: str
    kind: str
    action: str
    first: str
    last: str

    def query(self, **more: str) -> str:
        """The same as a query string."""
        own = {"q": self.q, "who": self.who, "kind": self.kind, "action": self.action, "from": self.first,
               "to": self.last}  # fmt: skip
        return urlencode({name: value for name, value in {**own, **more}.items() if value})


@get("/audit", opt=NEEDS)
async def audit(
    request: Web, db: Db, principal: Who, q: Search = "", who: Search = "", kind: Word = "", action: Word = "",
    first: First = "", last: Last = "", after: Annotated[str, QueryParameter(max_length=40)] = "",
) -> Response[str]:  # fmt: skip
    """One page of it."""
    chosen = Chosen(q[:100], who[:100], kind, action, first, last)
    try:
        found = await search(db, principal.tenant_id, _filter(chosen, principal), after=after or None, limit=_ROWS)
    except Refused:  # a page that is not one of ours
        found = await search(db, principal.tenant_id, _filter(chosen, principal), limit=_ROWS)
    return page(
        request, "audit.html", lines=[(row, changes(row)) for row in found.items], chosen=chosen, after=after,
        older=chosen.query(after=found.next) if found.next else "",
    )  # fmt: skip


@get("/audit.csv", opt=NEEDS)
async def audit_csv(
    request: Web, principal: Who, q: Search = "", who: Search = "", kind: Word = "", action: Word = "",
    first: First = "", last: Last = "",
) -> Response[Any]:  # fmt: skip
    """Everything the search finds, a line a field, the way a spreadsheet in the reader's language opens it."""
    wanted = _filter(Chosen(q[:100], who[:100], kind, action, first, last), principal)
    heads = [gettext(each) for each in _COLUMNS]
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    lines = _lines(database(request), principal, wanted, heads, "," if current().code == "en" else ";")
    return Stream(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(
    source: Database, principal: Principal, wanted: AuditFilter, heads: list[str], delimiter: str
) -> AsyncIterator[bytes]:
    """One view of the log for the whole stream, a part of it in memory at a time."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\r\n")
    target.write("\N{ZERO WIDTH NO-BREAK SPACE}")
    writer.writerow(heads)
    async with source.read() as db:
        after: str | None = None
        while True:
            found = await search(db, principal.tenant_id, wanted, after=after, limit=_CHUNK)
            for row in found.items:
                writer.writerows([safe_cell(cell) for cell in cells] for cells in _cells(row, principal))
            yield target.getvalue().encode()
            target.seek(0)
            target.truncate()
            db.expunge_all()
            if (after := found.next) is None:
                return


def _cells(row: AuditEntry, principal: Principal) -> list[list[str]]:
    head = [
        current().instant(row.at, zone_of(principal.zone), seconds=True), row.author, row.address,
        rights_words.action(row.action)[0], rights_words.kind(row.kind), row.key,
    ]  # fmt: skip
    found = [[*head, each.field, each.old or "", each.new or ""] for each in changes(row)]
    return found or [[*head, "", "", ""]]


def _filter(chosen: Chosen, principal: Principal) -> AuditFilter:
    tz = zone_of(principal.zone)
    first, last = _day(chosen.first), _day(chosen.last)
    return AuditFilter(
        who=chosen.who, kind=chosen.kind, action=chosen.action, text=chosen.q,
        start=day_range(first, tz).start if first else None, end=day_range(last, tz).end if last else None,
    )  # fmt: skip


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 < found.year < 9999 else None
