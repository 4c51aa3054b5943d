"""The audit log: rows are only ever added."""

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant, Key, TenantId


class AuditEntry(Base):
    """One change of consequence. ``before`` and ``after`` are JSON objects of the fields that changed (secrets never).

    ``action``: created, changed, deleted, and verbs of what has no row of its own (logged-in, refused, imported ...);
    ``kind`` and ``key`` name the thing as people do, ``object_id`` is its row.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_at", "tenant_id", "at"),
        Index("ix_audit_entry_object", "tenant_id", "kind", "object_id"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    at: Mapped[Instant]
    user_id: Mapped[int | None] = mapped_column(BigInteger)  # no reference: the log outlives the user
    author: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64), default="")
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[int | None] = mapped_column(BigInteger)
    key: Mapped[Key] = mapped_column(default="")
    before: Mapped[str] = mapped_column(Text, default="{}")
    after: Mapped[str] = mapped_column(Text, default="{}")
