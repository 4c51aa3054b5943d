"""What exists: gateways, communication modules, meters and models, metering points, customers, groups, lots, and the
lists they refer to. Days without a time (``..._on``) are days since 1970-01-01, local.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
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
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateway.id"), index=True)
    serial: Mapped[Key] = mapped_column(default="")
    model: Mapped[Name] = mapped_column(default="")
    address: Mapped[Name] = mapped_column(default="")  # telephone number, SIM or network address
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
    """*Lote*: customers billed together; ``reading_day`` is the day of the months that no ``LotDate`` names."""

    __tablename__ = "lot"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    reading_day: Mapped[int] = mapped_column(Integer, default=1)


class LotDate(Base):
    """Reading calendar of a lot: the day its readings of a month are due; ``month`` is year x 12 + month - 1."""

    __tablename__ = "lot_date"

    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id", ondelete="CASCADE"), primary_key=True)
    month: Mapped[int] = mapped_column(Integer, primary_key=True)
    due_on: Mapped[int] = mapped_column(Integer)


class Holiday(Base):
    """A holiday of one year, or (``year`` None) of every year."""

    __tablename__ = "holiday"

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    name: Mapped[Name]
    month: Mapped[int] = mapped_column(SmallInteger)
    day: Mapped[int] = mapped_column(SmallInteger)
    year: Mapped[int | None] = mapped_column(SmallInteger)


class HolidayGroup(Base):
    """Holidays that hold together, for a city or a state; meters refer to one."""

    __tablename__ = "holiday_group"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]


class HolidayMember(Base):
    __tablename__ = "holiday_member"

    group_id: Mapped[int] = mapped_column(ForeignKey("holiday_group.id", ondelete="CASCADE"), primary_key=True)
    holiday_id: Mapped[int] = mapped_column(ForeignKey("holiday.id"), primary_key=True, index=True)


class DaylightSaving(Base):
    """*Horário de verão*: when a meter's posts are moved. ``periods`` is JSON of ``list[shared.calendar.DstPeriod]``,
    ``policy`` as in ``TariffCalendar``; a meter without one goes by its time zone.
    """

    __tablename__ = "daylight_saving"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    policy: Mapped[Key] = mapped_column(default="shift_clock")
    periods: Mapped[str] = mapped_column(Text, default="[]")


class Tariff(Base):
    """*Configuração tarifária*: posts by hour; ``calendar`` is JSON of ``shared.calendar.TariffCalendar``."""

    __tablename__ = "tariff"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    calendar: Mapped[str] = mapped_column(Text)


class InstallationStatus(Base):
    """*Status de instalação* of a metering point, in the utility's own words."""

    __tablename__ = "installation_status"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]


class Activity(Base):
    """*Atividade*: what a customer does."""

    __tablename__ = "activity"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]


class CommercialActivity(Base):
    """*Atividade comercial*, such as a code of CNAE."""

    __tablename__ = "commercial_activity"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]


class ActivityClass(Base):
    """*Classe de atividade*: residential, commercial, rural, public lighting ..."""

    __tablename__ = "activity_class"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]


class OpeningHours(Base):
    """*Horário de funcionamento*: ``hours`` is JSON, for Monday to Sunday a list of ``["08:00", "18:00"]``."""

    __tablename__ = "opening_hours"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name]
    hours: Mapped[str] = mapped_column(Text, default="[[],[],[],[],[],[],[]]")


class Customer(Base):
    __tablename__ = "customer"
    __table_args__ = (
        UniqueConstraint("tenant_id", "external_key"),
        Index("ix_customer_group_name", "group_id", "name", "id"),  # a level of the tree, in order
    )

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    external_key: Mapped[Key]
    name: Mapped[Name]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("customer_group.id"), index=True)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    contract: Mapped[Key] = mapped_column(default="")
    document: Mapped[Key] = mapped_column(default="")  # tax number: CPF, CNPJ, NIT, INN
    email: Mapped[Name] = mapped_column(default="")
    phone: Mapped[Key] = mapped_column(default="")
    activity_id: Mapped[int | None] = mapped_column(ForeignKey("activity.id"))
    commercial_activity_id: Mapped[int | None] = mapped_column(ForeignKey("commercial_activity.id"))
    activity_class_id: Mapped[int | None] = mapped_column(ForeignKey("activity_class.id"))
    opening_hours_id: Mapped[int | None] = mapped_column(ForeignKey("opening_hours.id"))
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
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"), index=True)  # now; see Supply
    address: Mapped[Note] = mapped_column(default="")
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    status_id: Mapped[int | None] = mapped_column(ForeignKey("installation_status.id"))
    starts_on: Mapped[int | None] = mapped_column(Integer)
    ends_on: Mapped[int | None] = mapped_column(Integer)
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
    can_cut: Mapped[bool] = mapped_column(Boolean, default=False)  # cut and reconnection are allowed
    starts_on: Mapped[int | None] = mapped_column(Integer)
    ends_on: Mapped[int | None] = mapped_column(Integer)
    daylight_saving_id: Mapped[int | None] = mapped_column(ForeignKey("daylight_saving.id"))
    holiday_group_id: Mapped[int | None] = mapped_column(ForeignKey("holiday_group.id"))
    tariff_id: Mapped[int | None] = mapped_column(ForeignKey("tariff.id"))
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


class Supply(Base):
    """Which customer was supplied at which point, from when until when; the open one is the point's ``customer_id``."""

    __tablename__ = "supply"
    __table_args__ = (
        Index("ix_supply_point", "point_id", "starts_at"),
        Index("ix_supply_customer", "customer_id", "starts_at"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    point_id: Mapped[int] = mapped_column(ForeignKey("metering_point.id"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant | None]
    reason: Mapped[str] = mapped_column(String(300), default="")

    customer: Mapped[Customer] = relationship(lazy="raise")


class SearchWord(Base):
    """A word by which a thing is found: folded (no case, no accents), looked up by its beginning."""

    __tablename__ = "search_word"
    __table_args__ = (Index("ix_search_word_object", "kind", "object_id"), {"sqlite_with_rowid": False})

    CUSTOMER, METER, MODULE, GROUP, GATEWAY, POINT = 1, 2, 3, 4, 5, 6

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    word: Mapped[str] = mapped_column(
        String(64).with_variant(String(64, collation="C"), "postgresql"), primary_key=True
    )
    kind: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    object_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
