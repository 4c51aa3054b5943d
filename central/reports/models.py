"""Views that a user saved, reports made in the background, reports made regularly."""

from sqlalchemy import Boolean, ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant, Key, Name, Note, TenantId


class SavedView(Base):
    """Columns, order and filters of a list or report under a name; ``data`` is JSON."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("user_id", "report", "name"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    report: Mapped[Key]
    name: Mapped[Name]
    data: Mapped[str] = mapped_column(Text)


class ReportJob(Base):
    """A report made in the background into a file. ``state``: queued, running, done, failed, cancelled.

    ``parameters`` is JSON: filters and columns, as on screen. It is made with the rights its user has when it runs.
    """

    __tablename__ = "report_job"
    __table_args__ = (
        Index("ix_report_job_state", "state", "id"),
        Index("ix_report_job_user", "user_id", "created_at"),
    )

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("report_schedule.id", ondelete="SET NULL"), index=True)
    report: Mapped[Key]
    title: Mapped[Name] = mapped_column(default="")
    format: Mapped[str] = mapped_column(String(8))
    language: Mapped[str] = mapped_column(String(8))
    parameters: Mapped[str] = mapped_column(Text)
    recipients: Mapped[Note] = mapped_column(default="")  # e-mail addresses, a word each
    state: Mapped[str] = mapped_column(String(16))
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[Note] = mapped_column(default="")
    file: Mapped[Name] = mapped_column(default="")  # name within the folder of reports
    size: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[Instant]
    started_at: Mapped[Instant | None]
    beat_at: Mapped[Instant | None]  # last sign of life of who makes it
    finished_at: Mapped[Instant | None]
    mailed_at: Mapped[Instant | None]


class ReportSchedule(Base):
    """A report made regularly. ``cadence``: daily, weekly (``day`` 0 = Monday), monthly (``day`` 1..31, at most the
    last); ``hour`` is local. Its period moves along: the day, week or month before.
    """

    __tablename__ = "report_schedule"
    __table_args__ = (Index("ix_report_schedule_due", "enabled", "next_at"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    name: Mapped[Name]
    report: Mapped[Key]
    format: Mapped[str] = mapped_column(String(8))
    language: Mapped[str] = mapped_column(String(8))
    parameters: Mapped[str] = mapped_column(Text)
    recipients: Mapped[Note] = mapped_column(default="")
    cadence: Mapped[str] = mapped_column(String(16))
    day: Mapped[int] = mapped_column(SmallInteger, default=0)
    hour: Mapped[int] = mapped_column(SmallInteger, default=6)
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    next_at: Mapped[Instant]
    created_at: Mapped[Instant]
