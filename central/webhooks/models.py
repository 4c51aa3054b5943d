"""Webhooks and the messages on their way to them."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from central.store.base import Base, Id, Instant, Note, TenantId


class Webhook(Base):
    """Where to post which kinds of events (words; "" = all). ``secret`` signs, so it is stored as it is."""

    __tablename__ = "webhook"

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    url: Mapped[str] = mapped_column(String(500))
    kinds: Mapped[Note] = mapped_column(default="")
    secret: Mapped[str] = mapped_column(String(64))
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[Instant]
    created_by: Mapped[str] = mapped_column(String(200))


class WebhookDelivery(Base):
    """One message to one webhook. ``state``: queued, sent, failed (given up). ``body`` is the JSON that is posted."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_due", "state", "next_at"),
        Index("ix_webhook_delivery_webhook", "webhook_id", "id"),
    )

    id: Mapped[Id]
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[Instant]
    sent_at: Mapped[Instant | None]
    status: Mapped[int | None] = mapped_column(BigInteger)  # last HTTP status
    error: Mapped[str] = mapped_column(String(300), default="")
