"""How far each spool's stream has been committed (design §5, point 3)."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant


class Stream(Base):
    """One spool: ``cursor`` is the end of its gap-free prefix of committed rows."""

    __tablename__ = "stream"

    spool_id: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id"), index=True)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    first_at: Mapped[Instant]
    last_at: Mapped[Instant]


class StreamPart(Base):
    """Committed rows [first, last] beyond the cursor, until the gap before them is filled."""

    __tablename__ = "stream_part"

    spool_id: Mapped[bytes] = mapped_column(
        LargeBinary(16), ForeignKey("stream.spool_id", ondelete="CASCADE"), primary_key=True
    )
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)


class Rejected(Base):
    """An item or batch that could not be taken: kept whole, with the reason, so that no mistake of ours loses it."""

    __tablename__ = "rejected"
    __table_args__ = (Index("ix_rejected_at", "at"),)

    id: Mapped[Id]
    at: Mapped[Instant]
    topic: Mapped[str] = mapped_column(String(200))
    spool_id: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(500))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
