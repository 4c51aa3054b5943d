"""Gateways at work: live state, telemetry of gateways and modules, commands and their results."""

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Instant, Key, Note


class GatewayLive(Base):
    """Last state a gateway told (or its last will): ``state`` is msgpack of ``shared.wire.GatewayState``, ``summary``
    of ``central.fleet.states.Summary``, the part of it that lists show (None in rows older than that)."""

    __tablename__ = "gateway_live"

    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id", ondelete="CASCADE"), primary_key=True)
    online: Mapped[bool] = mapped_column(Boolean, default=False)
    contact_at: Mapped[Instant | None]  # last message of any kind
    changed_at: Mapped[Instant | None]  # last change of online
    state: Mapped[bytes | None] = mapped_column(LargeBinary)
    summary: Mapped[bytes | None] = mapped_column(LargeBinary)
    config: Mapped[Note] = mapped_column(default="")  # TOML in force, secrets masked
    config_hash: Mapped[Key] = mapped_column(default="")


class GatewayHealth(Base):
    """One ``shared.wire.GatewayTelemetry``, whole in ``data`` (msgpack), the charted figures as columns."""

    __tablename__ = "gateway_health"
    __table_args__ = (Index("ix_gateway_health_at", "at"), {"sqlite_with_rowid": False})

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    gateway_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    spool_rows: Mapped[int] = mapped_column(BigInteger)
    rss_bytes: Mapped[int] = mapped_column(BigInteger)
    clock_offset_ms: Mapped[float | None] = mapped_column(Float)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ModuleHealth(Base):
    """Temperature and signal of a communication module at one instant."""

    __tablename__ = "module_health"
    __table_args__ = (Index("ix_module_health_at", "at"), {"sqlite_with_rowid": False})

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    module_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    temperature: Mapped[float | None] = mapped_column(Float)
    signal_dbm: Mapped[float | None] = mapped_column(Float)
    signal_percent: Mapped[float | None] = mapped_column(Float)


class FleetCommand(Base):
    """A command and what became of it; ``action`` is msgpack of ``shared.wire.Command``, ``result`` of its ``Result``.

    ``status``: queued, sent, done, failed, expired.
    """

    __tablename__ = "fleet_command"
    __table_args__ = (
        Index("ix_fleet_command_gateway", "gateway_id", "issued_at"),
        Index("ix_fleet_command_open", "status", "expires_at"),
    )

    id: Mapped[Key] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateway.id"))
    meter_id: Mapped[int | None] = mapped_column(ForeignKey("meter.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(200))
    action: Mapped[bytes] = mapped_column(LargeBinary)
    issued_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    status: Mapped[str] = mapped_column(String(16), default="queued")
    sends: Mapped[int] = mapped_column(Integer, default=0)
    sent_at: Mapped[Instant | None]
    finished_at: Mapped[Instant | None]
    code: Mapped[str] = mapped_column(String(32), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
