"""What was measured. Keys begin with tenant and meter so that a distributed database can shard by them (design §9)."""

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, BigId, Id, Instant

#: Days of one series have the ids from its own times this on: enough until the year 2149.
DAYS: Final = 1 << 16


class ProfileSeries(Base):
    """What all days of one kind of a meter have in common, so that a day's row need not say it.

    ``channel`` is ``Quantity.code``; raw integer x num/den = unit of the quantity; ``shift`` is how many seconds after
    UTC midnight of its date a local day's first interval begins. A meter that changes scale, step or zone, or has
    daylight saving, has several. A series is never removed: on SQLite the next one may get its id, and so its days.
    """

    __tablename__ = "profile_series"
    __table_args__ = (
        UniqueConstraint("tenant_id", "meter_id", "channel", "step", "num", "den", "shift", name="uq_profile_series"),
        Index("ix_profile_series_meter_id", "meter_id"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(Integer)
    meter_id: Mapped[int] = mapped_column(BigInteger)
    channel: Mapped[int] = mapped_column(Integer)
    step: Mapped[int] = mapped_column(Integer)
    num: Mapped[int] = mapped_column(BigInteger)
    den: Mapped[int] = mapped_column(BigInteger)
    shift: Mapped[int] = mapped_column(Integer)


class ProfileDay(Base):
    """One local day of a series: the packed block (``ext.profile``) in force.

    ``id`` is series id x ``DAYS`` + the local date as days since 1970-01-01: with one integer for a key SQLite keeps
    the table 10 % smaller and takes rows twice as fast, and the days of a series lie side by side. ``held`` counts
    intervals with a value, ``total`` sums the raw integers of billable ones, ``flags`` is the OR of all flags.
    A date has one row per meter, channel and step, in one of their series. A meter whose step was changed within a day
    has two blocks of that day, each with the other's part missing.
    """

    __tablename__ = "profile_day"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    held: Mapped[int] = mapped_column(Integer)
    flags: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer, default=1)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class ProfileVersion(Base):
    """A block that a correction replaced: what stood there, when it was replaced, by whom, why."""

    __tablename__ = "profile_version"
    __table_args__ = {"sqlite_with_rowid": False}

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    meter_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    channel: Mapped[int] = mapped_column(Integer, primary_key=True)
    day: Mapped[int] = mapped_column(Integer, primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    start: Mapped[Instant]
    count: Mapped[int] = mapped_column(Integer)
    num: Mapped[int] = mapped_column(BigInteger)
    den: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    replaced_at: Mapped[Instant]
    source: Mapped[str] = mapped_column(String(64))
    author: Mapped[str] = mapped_column(String(200), default="")
    reason: Mapped[str] = mapped_column(String(300), default="")


class RegisterSet(Base):
    """All registers of a meter at one instant; ``data`` is msgpack of ``list[shared.wire.RegisterValue]``.

    ``digest`` of ``data`` is part of the key: two readings of one instant that differ are both kept.
    """

    __tablename__ = "register_set"
    __table_args__ = (UniqueConstraint("tenant_id", "meter_id", "at", "period", "digest"),)

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(Integer)
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"))
    at: Mapped[Instant]
    read_at: Mapped[Instant]
    period: Mapped[int] = mapped_column(SmallInteger)
    resets: Mapped[int | None] = mapped_column(Integer)
    reset_at: Mapped[Instant | None]
    digest: Mapped[int] = mapped_column(BigInteger, default=0)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class MeterMonth(Base):
    """What a local month of a meter holds, kept with each stored reading: lists over many meters read only this.

    ``month`` is year x 12 + month - 1. Bit n of ``days`` is set when day n + 1 has a register reading. ``first_...``
    and ``last_...`` are of the month's first and last reading that has the total register of active energy (1.8.0):
    millionths of its unit before the meter's multiplier, rounded down. Made for totals and rankings; bills are made
    from the registers themselves. A month lies together, because nearly all is written into the running one and sums
    are over all meters. Who asks for a meter's months names no tenant: SQLite would take the key for the better way.
    """

    __tablename__ = "meter_month"
    __table_args__ = (Index("ix_meter_month_meter", "meter_id", "month"), {"sqlite_with_rowid": False})

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    month: Mapped[int] = mapped_column(Integer, primary_key=True)
    meter_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    days: Mapped[int] = mapped_column(BigInteger)
    read_at: Mapped[Instant]  # of the last reading of any register
    first_at: Mapped[Instant | None]
    first_total: Mapped[int | None] = mapped_column(BigInteger)
    last_at: Mapped[Instant | None]
    last_total: Mapped[int | None] = mapped_column(BigInteger)


class Snapshot(Base):
    """Instantaneous values; ``data`` is msgpack of ``shared.wire.InstantSnapshot``. Kept for a limited time."""

    __tablename__ = "snapshot"
    __table_args__ = (Index("ix_snapshot_at", "at"), {"sqlite_with_rowid": False})

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    meter_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Event(Base):
    """Something that happened at or to a meter, or (``meter_id`` None) to a gateway; ``detail`` is JSON.

    ``digest`` of ``detail`` is part of the key: two events of one second that differ are both kept.
    """

    __tablename__ = "meter_event"
    __table_args__ = (
        UniqueConstraint("tenant_id", "meter_id", "at", "kind", "digest"),
        Index("ix_meter_event_at", "tenant_id", "at"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[int] = mapped_column(Integer)
    meter_id: Mapped[int | None] = mapped_column(ForeignKey("meter.id"))
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateway.id"), index=True)  # which gateway told it
    at: Mapped[Instant]
    until: Mapped[Instant | None]
    kind: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(String, default="{}")
    digest: Mapped[int] = mapped_column(BigInteger, default=0)
    received_at: Mapped[Instant]
