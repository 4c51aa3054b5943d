"""Who may come in: tenants, users, browser sessions, API keys."""

from sqlalchemy import Boolean, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from central.store.base import Base, Id, Instant, Key, Name, TenantId


class Tenant(Base):
    """One utility; everything else belongs to one. ``key`` is the topic level."""

    __tablename__ = "tenant"

    id: Mapped[Id]
    key: Mapped[Key] = mapped_column(unique=True)
    name: Mapped[Name]
    zone: Mapped[Key] = mapped_column(default="America/Sao_Paulo")


class User(Base):
    __tablename__ = "user_account"
    __table_args__ = (UniqueConstraint("login"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    login: Mapped[Name]
    name: Mapped[Name]
    password_hash: Mapped[str] = mapped_column(String(255))
    is_admin: Mapped[bool] = mapped_column(Boolean, default=False)
    language: Mapped[str] = mapped_column(String(8), default="")  # "" = by the browser
    created_at: Mapped[Instant]
    disabled_at: Mapped[Instant | None]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[Instant | None]

    tenant: Mapped[Tenant] = relationship(lazy="joined")


class LoginSession(Base):
    """Server-side session; the cookie holds the token, the table only its SHA-256."""

    __tablename__ = "login_session"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Instant]
    seen_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(300), default="")

    user: Mapped[User] = relationship(lazy="joined")


class ApiKey(Base):
    """Key of a program: shown once, stored as SHA-256, found by its public prefix."""

    __tablename__ = "api_key"

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    name: Mapped[Name]
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    can_write: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant | None]
    used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]

    user: Mapped[User] = relationship(lazy="joined")
