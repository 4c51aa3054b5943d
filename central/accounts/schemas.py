"""Shapes of accounts in the API."""

from typing import Annotated

from msgspec import Meta

from central.accounts.models import ApiKey
from central.accounts.permissions import READING, Permission, words
from central.accounts.principal import Principal
from central.api.query import instant_text, optional_text
from central.api.schemas import Input, InstantIn, Output


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
    """A key to be made; it acts as the person who makes it."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    can_write: bool = False
    expires_at: InstantIn | None = None


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
            can_write=row.permissions != "read", permissions=row.permissions.split(),
            created_at=instant_text(row.created_at), expires_at=optional_text(row.expires_at),
            used_at=optional_text(row.used_at), revoked_at=optional_text(row.revoked_at),
        )  # fmt: skip


class NewKeyOut(Output):
    """A key just made; ``key`` is shown this once."""

    key: str
    about: KeyOut
