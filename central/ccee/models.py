"""Connections of the CCEE through forwarded ports, their captures, and which meters it is expected at."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant, Key


class CceeConnection(Base):
    """One ``shared.wire.ForwardConnection``; kept for ever. Columns named ``_ms`` are UTC milliseconds or durations.

    ``exchanges`` is msgpack of ``list[shared.wire.ForwardExchange]``, ``constants`` and ``facts`` are JSON. ``outcome``
    and ``codes`` (all verdicts that hold, with blanks between) are what ``central.ccee.verdicts`` made of it.
    """

    __tablename__ = "ccee_connection"
    __table_args__ = (
        UniqueConstraint("tenant_id", "meter_id", "forward", "started_ms", name="uq_ccee_connection"),
        Index("ix_ccee_connection_started", "tenant_id", "started_ms"),
        Index("ix_ccee_connection_meter", "meter_id", "started_ms"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(Integer)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id"), index=True)
    forward: Mapped[Key]
    mode: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(Text)
    listen: Mapped[str] = mapped_column(Text)
    started_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int] = mapped_column(BigInteger)
    sent: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger)
    first_byte_ms: Mapped[int | None] = mapped_column(BigInteger)
    longest_silence_ms: Mapped[int] = mapped_column(BigInteger)
    close_reason: Mapped[str] = mapped_column(String(32))
    protocol: Mapped[str] = mapped_column(String(32))
    verdict: Mapped[str] = mapped_column(String(32))
    outcome: Mapped[str] = mapped_column(String(8))
    codes: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    serial: Mapped[str] = mapped_column(Text)
    clock_offset_ms: Mapped[int | None] = mapped_column(BigInteger)
    range_start: Mapped[Instant | None]
    range_end: Mapped[Instant | None]
    delivered_end: Mapped[Instant | None]
    more: Mapped[int] = mapped_column(BigInteger)
    exchanges: Mapped[bytes] = mapped_column(LargeBinary)
    constants: Mapped[str] = mapped_column(Text)
    facts: Mapped[str] = mapped_column(Text)
    received_at: Mapped[Instant]


class CceeCapture(Base):
    """Octets of a connection, secrets masked: msgpack of [ms since its start, side, octets]. Kept for some time."""

    __tablename__ = "ccee_capture"
    __table_args__ = (Index("ix_ccee_capture_started_ms", "started_ms"), {"sqlite_with_rowid": False})

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    meter_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    started_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    part: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    parts: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class CceeMeter(Base):
    """Whether the CCEE is expected at a meter every night.

    ``expected``: what a person said, since ``said_at``; None: it is where there is a forward. ``forward_since``: since
    when its gateway tells of one, None while it tells of none.
    """

    __tablename__ = "ccee_meter"

    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, index=True)
    expected: Mapped[bool | None] = mapped_column(Boolean)
    said_by: Mapped[str] = mapped_column(String(200), default="")
    said_at: Mapped[Instant | None]
    forward_since: Mapped[Instant | None]
