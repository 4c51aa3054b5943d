"""Enrolments of gateways: from the one-time code to the certificate, one row."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant, Key, Name, Note, TenantId


class Enrolment(Base):
    """One code for one gateway, and the request that came with it. ``state``: see ``central.enrolment.states``.

    Of the code only its first half (to find and to name it) and an Argon2 hash are kept, of the request's secret a
    SHA-256. ``fingerprint`` is the SHA-256 of the public key (SubjectPublicKeyInfo, DER).
    """

    __tablename__ = "enrolment"
    __table_args__ = (Index("ix_enrolment_state", "tenant_id", "state"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="open")
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    code_hash: Mapped[str] = mapped_column(String(255))
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    created_at: Mapped[Instant] = mapped_column(index=True)
    created_by: Mapped[Name]
    expires_at: Mapped[Instant]
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    csr: Mapped[Note] = mapped_column(default="")
    fingerprint: Mapped[Key] = mapped_column(default="")  # 64 hexadecimal digits
    address: Mapped[Key] = mapped_column(default="")  # that the request came from
    asked_at: Mapped[Instant | None]
    seen_at: Mapped[Instant | None]  # the gateway looked last whether it is decided
    decided_at: Mapped[Instant | None]
    decided_by: Mapped[Name] = mapped_column(default="")
    reason: Mapped[str] = mapped_column(String(300), default="")  # of a refusal
    certificate: Mapped[str] = mapped_column(Text, default="")  # PEM
    chain: Mapped[str] = mapped_column(Text, default="")  # PEM: who signed it, up to the root
    issued_at: Mapped[Instant | None]
    fetched_at: Mapped[Instant | None]
