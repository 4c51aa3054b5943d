"""Who may come in, and what they may do where: tenants, users, roles and grants, browser sessions, API keys."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from central.store.base import Base, Id, Instant, Key, Name, Note, TenantId


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
    email: Mapped[Name] = mapped_column(default="")
    language: Mapped[str] = mapped_column(String(8), default="")  # "" = by the browser
    created_at: Mapped[Instant]
    disabled_at: Mapped[Instant | None]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[Instant | None]
    totp_secret: Mapped[Key] = mapped_column(default="")  # base32; "" = no second factor
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0)  # the last time step used: a code works once
    recovery: Mapped[Note] = mapped_column(default="")  # hashes of one-time recovery codes, a word each
    subject: Mapped[str | None] = mapped_column(String(300))  # issuer and subject at the identity provider

    tenant: Mapped[Tenant] = relationship(lazy="joined")
    grants: Mapped[list["Grant"]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class Role(Base):
    """A set of permissions (``central.accounts.permissions``, words apart by blanks). ``builtin`` ones cannot go."""

    __tablename__ = "role"
    __table_args__ = (UniqueConstraint("tenant_id", "key"),)

    id: Mapped[Id]
    tenant_id: Mapped[TenantId]
    key: Mapped[Key]
    name: Mapped[Name] = mapped_column(default="")  # "" = the translated name of a built-in one
    permissions: Mapped[Note] = mapped_column(default="")
    builtin: Mapped[bool] = mapped_column(Boolean, default=False)


class Grant(Base):
    """A user has a role: in the whole tenant, or only in a group's subtree, or only at a gateway."""

    __tablename__ = "role_grant"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("customer_group.id", ondelete="CASCADE"), index=True)
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateway.id", ondelete="CASCADE"), index=True)

    role: Mapped[Role] = relationship(lazy="joined")


class Preference(Base):
    """What a user arranged on screen, JSON by name: the dashboard, the columns of a list."""

    __tablename__ = "preference"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[Key] = mapped_column(primary_key=True)
    data: Mapped[str] = mapped_column(Text)


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
    permissions: Mapped[Note] = mapped_column(default="")  # at most the user's own, words; "" = all of them
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant | None]
    used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]

    user: Mapped[User] = relationship(lazy="joined")
