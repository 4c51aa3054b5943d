"""What exists: gateways, communication modules, meters and models, metering points, customers, groups, lots."""

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from central.store.base import Base, Id, Instant, Key, Name, Note, TenantId


class Gateway(Base):
    """*Controlador*: ``key`` is its id on the wire. Its live state is kept by ``central.fleet``."""

    __tablename__ = "gateway"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    place: Mapped[Note] = mapped_column(default="")
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[Instant]


class CommunicationModule(Base):
    """Modem or interface through which meters are reached; ``key`` is its id in telemetry."""

    __tablename__ = "communication_module"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateway.id"))
    created_at: Mapped[Instant]


class MeterModel(Base):
    __tablename__ = "meter_model"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    maker: Mapped[Name] = mapped_column(default="")
    name: Mapped[Name]
    protocol: Mapped[Key] = mapped_column(default="")
    resource: Mapped[Key] = mapped_column(default="electricity")


class CustomerGroup(Base):
    """Tree of any depth; groups hold groups or customers."""

    __tablename__ = "customer_group"

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("customer_group.id"), index=True)
    name: Mapped[Name]


class Lot(Base):
    """*Lote*: customers billed together; ``reading_day`` is the planned day of the month."""

    __tablename__ = "lot"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    reading_day: Mapped[int] = mapped_column(Integer, default=1)


class Customer(Base):
    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("tenant_id", "external_key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    external_key: Mapped[Key]
    name: Mapped[Name]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("customer_group.id"), index=True)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    created_at: Mapped[Instant]

    group: Mapped[CustomerGroup | None] = relationship(lazy="raise")
    lot: Mapped[Lot | None] = relationship(lazy="raise")


class MeteringPoint(Base):
    """Place that is measured; it owns the series, a meter is installed in it for a time."""

    __tablename__ = "metering_point"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"), index=True)
    address: Mapped[Note] = mapped_column(default="")
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[Instant]

    customer: Mapped[Customer | None] = relationship(lazy="raise")


class Meter(Base):
    """A device. ``key`` is its id on the wire; readings hang on it, reports go through the point it is installed in."""

    __tablename__ = "meter"
    __table_args__ = (UniqueConstraint("tenant_id", "key"), Index("ix_meter_serial", "tenant_id", "serial"))

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    serial: Mapped[Key]
    name: Mapped[Name] = mapped_column(default="")
    model_id: Mapped[int | None] = mapped_column(ForeignKey("meter_model.id"))
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateway.id"), index=True)
    zone: Mapped[Key] = mapped_column(default="")  # "" = the tenant's
    multiplier_num: Mapped[int] = mapped_column(
        BigInteger, default=1
    )  # ratio of the transformers, where the constant has it not
    multiplier_den: Mapped[int] = mapped_column(BigInteger, default=1)
    monitored: Mapped[bool] = mapped_column(Boolean, default=True)
    calendar: Mapped[str] = mapped_column(Text, default="")  # JSON of shared.calendar; "" = the tenant's default
    registered: Mapped[bool] = mapped_column(
        Boolean, default=True
    )  # False: came with a gateway, nobody has entered it yet
    created_at: Mapped[Instant]

    model: Mapped[MeterModel | None] = relationship(lazy="raise")
    gateway: Mapped[Gateway | None] = relationship(lazy="raise")


class Installation(Base):
    """Which meter sat in which point, through which module, from when until when (``ends_at`` None: still)."""

    __tablename__ = "installation"
    __table_args__ = (
        Index("ix_installation_meter", "meter_id", "starts_at"),
        Index("ix_installation_point", "point_id", "starts_at"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    point_id: Mapped[int | None] = mapped_column(ForeignKey("metering_point.id"))
    module_id: Mapped[int | None] = mapped_column(ForeignKey("communication_module.id"))
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant | None]
    reason: Mapped[str] = mapped_column(String(300), default="")

    meter: Mapped[Meter] = relationship(lazy="raise")
    point: Mapped[MeteringPoint | None] = relationship(lazy="raise")
    module: Mapped[CommunicationModule | None] = relationship(lazy="raise")
