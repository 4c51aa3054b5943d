"""Who is asking: the person or program behind a request, as far as every handler needs to know."""

from dataclasses import dataclass, field
from typing import Literal

from central.accounts.models import User
from central.accounts.permissions import ALL, TENANT_WIDE, Permission, parse
from central.accounts.reach import EVERYWHERE, NOWHERE, Reach


@dataclass(frozen=True, slots=True)
class Granted:
    """Permissions in the whole tenant, or in the subtree of a group, or at a gateway."""

    permissions: frozenset[Permission]
    group_id: int | None = None
    gateway_id: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """One user through one door; ``limit`` is what an API key may do at most.

    ``csrf`` must come back with every unsafe request of a session; ``proof`` is the digest of session token or key.
    """

    tenant_id: int
    tenant_key: str
    tenant_name: str
    zone: str
    user_id: int
    login: str
    name: str
    language: str
    kind: Literal["session", "key"]
    grants: tuple[Granted, ...] = ()
    limit: frozenset[Permission] = ALL
    csrf: str = field(default="", repr=False)
    proof: bytes = field(default=b"", repr=False)
    key_prefix: str = ""
    address: str = ""  # of the network, as the server sees it

    @property
    def author(self) -> str:
        """How actions of this principal are signed, at most 200 characters."""
        return (f"{self.login} (key {self.key_prefix})" if self.key_prefix else self.login)[:200]

    def may(self, permission: str) -> bool:
        """Whether something is permitted anywhere at all."""
        return bool(self.reach(Permission(permission)))

    def everywhere(self, permission: str) -> bool:
        """Whether something is permitted in the whole tenant."""
        return self.reach(Permission(permission)).everywhere

    @property
    def permissions(self) -> frozenset[Permission]:
        """All that is permitted anywhere."""
        return frozenset(each for each in Permission if self.may(each))

    def reach(self, permission: Permission) -> Reach:
        """Where something is permitted."""
        if permission not in self.limit:
            return NOWHERE
        held = [grant for grant in self.grants if permission in grant.permissions]
        if any(grant.group_id is None and grant.gateway_id is None for grant in held):
            return EVERYWHERE
        if permission in TENANT_WIDE:
            return NOWHERE
        return Reach(
            groups=frozenset(grant.group_id for grant in held if grant.group_id is not None),
            gateways=frozenset(grant.gateway_id for grant in held if grant.gateway_id is not None),
        )

    @classmethod
    def of_session(cls, user: User, csrf: str, proof: bytes, address: str = "") -> "Principal":
        return cls(
            user.tenant_id, user.tenant.key, user.tenant.name, user.tenant.zone, user.id, user.login, user.name,
            user.language, "session", _grants(user), ALL, csrf, proof, address=address,
        )  # fmt: skip

    @classmethod
    def of_key(cls, user: User, permissions: str, prefix: str, proof: bytes) -> "Principal":
        """A key has its user's rights, or those of them that ``permissions`` names."""
        return cls(
            user.tenant_id, user.tenant.key, user.tenant.name, user.tenant.zone, user.id, user.login, user.name,
            user.language, "key", _grants(user), parse(permissions) if permissions else ALL, "", proof, prefix,
        )  # fmt: skip


def _grants(user: User) -> tuple[Granted, ...]:
    return tuple(Granted(parse(each.role.permissions), each.group_id, each.gateway_id) for each in user.grants)
