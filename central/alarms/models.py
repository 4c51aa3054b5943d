"""Alarms, who wants to know of them, and the messages on their way."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant, TenantId


class Alarm(Base):
    """A condition that somebody has to know of. ``state``: open, acknowledged, closed.

    ``source`` and ``code`` say what it is, ``key`` which time of it: a number that grows with time (the source's own:
    milliseconds, a day). None: the source took it back, what it rested on turned out otherwise. Instants ``opened_at``
    and ``closed_at`` are of the condition, ``raised_at`` is when we came to know of it.
    """

    __tablename__ = "alarm"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source", "code", "meter_id", "key", name="uq_alarm"),
        Index("ix_alarm_opened_at", "tenant_id", "opened_at"),
        Index("ix_alarm_state", "tenant_id", "state", "severity"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    source: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(32))
    meter_id: Mapped[int] = mapped_column(ForeignKey("meter.id"), index=True)
    key: Mapped[int | None] = mapped_column(BigInteger)
    severity: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[Instant]
    raised_at: Mapped[Instant]
    closed_at: Mapped[Instant | None]
    acknowledged_at: Mapped[Instant | None]
    acknowledged_by: Mapped[str] = mapped_column(String(200), default="")
    note: Mapped[str] = mapped_column(Text, default="")


class AlarmSubscription(Base):
    """Who is told of a tenant's alarms from severity ``least`` on: an e-mail address, or the URL of a program.

    ``secret`` signs what is sent to a URL; it has to be known to both sides, so it is stored as it is.
    """

    __tablename__ = "alarm_subscription"
    __table_args__ = (UniqueConstraint("tenant_id", "kind", "target"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    kind: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(500))
    least: Mapped[int] = mapped_column(SmallInteger)
    secret: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[Instant]
    created_by: Mapped[str] = mapped_column(String(200))


class AlarmNotice(Base):
    """One message to one subscriber. ``what``: opened, closed; ``state``: queued, sent, failed."""

    __tablename__ = "alarm_notice"
    __table_args__ = (
        UniqueConstraint("alarm_id", "subscription_id", "what"),
        Index("ix_alarm_notice_due", "state", "next_at"),
        Index("ix_alarm_notice_subscription_id", "subscription_id"),
    )

    id: Mapped[Id]
    alarm_id: Mapped[int] = mapped_column(ForeignKey("alarm.id", ondelete="CASCADE"))
    subscription_id: Mapped[int] = mapped_column(ForeignKey("alarm_subscription.id", ondelete="CASCADE"))
    what: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[Instant]
    sent_at: Mapped[Instant | None]
    error: Mapped[str] = mapped_column(String(300), default="")
