"""Shapes of the audit log in the API."""

from typing import Any

from central.api.query import instant_text
from central.api.schemas import Output
from central.audit.models import AuditEntry
from central.audit.search import fields


class AuditOut(Output):
    """One change of consequence: the fields that differ, before and after; secrets never."""

    id: int
    at: str
    author: str
    address: str
    action: str
    kind: str
    key: str
    object_id: int | None
    before: dict[str, Any]
    after: dict[str, Any]

    @classmethod
    def of(cls, row: AuditEntry) -> "AuditOut":
        return cls(
            row.id, instant_text(row.at), row.author, row.address, row.action, row.kind, row.key, row.object_id,
            fields(row.before), fields(row.after),
        )  # fmt: skip
