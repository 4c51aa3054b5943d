"""Shapes of accounts in the API."""

from typing import Annotated

from msgspec import Meta

from central.accounts.models import ApiKey, LoginSession, Role, User
from central.accounts.permissions import READING, Permission, parse, words
from central.accounts.principal import Principal
from central.accounts.sessions import session_id
from central.accounts.users import GrantView
from central.api.query import instant_text, optional_text
from central.api.schemas import Input, InstantIn, KeyText, NameText, Output


class Me(Output):
    """Who is asking."""

    login: str
    name: str
    tenant: str
    tenant_name: str
    zone: str
    admin: bool
    can_write: bool
    kind: str
    permissions: list[str]

    @classmethod
    def of(cls, p: Principal) -> "Me":
        return cls(
            login=p.login, name=p.name, tenant=p.tenant_key, tenant_name=p.tenant_name, zone=p.zone,
            admin=p.may(Permission.ACCOUNTS), can_write=bool(p.permissions - READING), kind=p.kind,
            permissions=words(p.permissions).split(),
        )  # fmt: skip


class KeyIn(Input):
    """A key to be made; it acts as the person who makes it.

    ``permissions``: at most these of the person's. Without it ``can_write`` decides: all of them, or ``read`` only.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    can_write: bool = False
    expires_at: InstantIn | None = None
    permissions: Annotated[list[Permission], Meta(min_length=1, max_length=50)] | None = None


class KeyOut(Output):
    """A key without its secret."""

    id: int
    name: str
    prefix: str
    login: str
    can_write: bool
    permissions: list[str]
    created_at: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, row: ApiKey, login: str) -> "KeyOut":
        return cls(
            id=row.id, name=row.name, prefix=f"mg_{row.prefix}", login=login,
            can_write=writes(row), permissions=row.permissions.split(),
            created_at=instant_text(row.created_at), expires_at=optional_text(row.expires_at),
            used_at=optional_text(row.used_at), revoked_at=optional_text(row.revoked_at),
        )  # fmt: skip


def writes(row: ApiKey) -> bool:
    """Whether a key may do more than read."""
    return not row.permissions or bool(parse(row.permissions) - READING)


class NewKeyOut(Output):
    """A key just made; ``key`` is shown this once."""

    key: str
    about: KeyOut


class RoleIn(Input):
    """A role of one's own. ``key`` is for good."""

    key: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    permissions: Annotated[list[Permission], Meta(max_length=50)]
    name: NameText = ""


class RolePatch(Input):
    """What is to be changed of a role."""

    permissions: Annotated[list[Permission], Meta(max_length=50)] | None = None
    name: NameText | None = None


class RoleOut(Output):
    """A role; ``users`` have it somewhere."""

    key: str
    name: str
    permissions: list[str]
    builtin: bool
    users: int

    @classmethod
    def of(cls, row: Role, users: int) -> "RoleOut":
        return cls(row.key, row.name, row.permissions.split(), row.builtin, users)


class UserIn(Input):
    """Somebody to be entered; without a password they come through the identity provider only."""

    login: Annotated[str, Meta(min_length=2, max_length=100)]
    name: NameText = ""
    email: NameText = ""
    password: Annotated[str, Meta(max_length=1000)] = ""


class UserPatch(Input):
    """What is to be changed of somebody. ``password`` "" takes it away; ``unlock`` forgets failed tries."""

    name: NameText | None = None
    email: NameText | None = None
    disabled: bool | None = None
    password: Annotated[str, Meta(max_length=1000)] | None = None
    unlock: bool = False


class GrantIn(Input):
    """A role in the whole tenant, or in a group and all below it, or at a gateway."""

    role: KeyText
    group: Annotated[int, Meta(ge=1, le=(1 << 53) - 1)] | None = None
    gateway: KeyText | None = None


class GrantOut(Output):
    """A role somebody has somewhere."""

    id: int
    role: str
    group: int | None
    group_name: str
    gateway: str | None

    @classmethod
    def of(cls, view: GrantView) -> "GrantOut":
        return cls(view.row.id, view.row.role.key, view.row.group_id, view.group, view.gateway or None)


class UserOut(Output):
    """Somebody who may come in. ``locked_until``: failed tries are being waited off."""

    id: int
    login: str
    name: str
    email: str
    created_at: str
    disabled_at: str | None
    locked_until: str | None
    failed_logins: int
    second_factor: bool
    has_password: bool
    roles: list[str]

    @classmethod
    def of(cls, row: User) -> "UserOut":
        return cls(
            id=row.id, login=row.login, name=row.name, email=row.email, created_at=instant_text(row.created_at),
            disabled_at=optional_text(row.disabled_at), locked_until=optional_text(row.locked_until),
            failed_logins=row.failed_logins, second_factor=bool(row.totp_secret), has_password=bool(row.password_hash),
            roles=sorted({each.role.key for each in row.grants}),
        )  # fmt: skip


class SessionOut(Output):
    """A browser that is logged in."""

    id: str
    created_at: str
    seen_at: str
    expires_at: str
    address: str
    agent: str
    current: bool

    @classmethod
    def of(cls, row: LoginSession, proof: bytes) -> "SessionOut":
        return cls(
            session_id(row), instant_text(row.created_at), instant_text(row.seen_at), instant_text(row.expires_at),
            row.address, row.agent, row.token_hash == proof,
        )  # fmt: skip
