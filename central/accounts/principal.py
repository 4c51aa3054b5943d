"""Who is asking: the person or program behind a request, as far as every handler needs to know."""

from dataclasses import dataclass, field
from typing import Literal

from central.accounts.models import User


@dataclass(frozen=True, slots=True)
class Principal:
    """One user through one door; ``can_write`` is false for a read-only API key.

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
    is_admin: bool
    can_write: bool
    kind: Literal["session", "key"]
    csrf: str = field(default="", repr=False)
    proof: bytes = field(default=b"", repr=False)
    key_prefix: str = ""

    @property
    def author(self) -> str:
        """How actions of this principal are signed, at most 200 characters."""
        return (f"{self.login} (key {self.key_prefix})" if self.key_prefix else self.login)[:200]

    @classmethod
    def of_session(cls, user: User, csrf: str, proof: bytes) -> "Principal":
        return cls(
            user.tenant_id, user.tenant.key, user.tenant.name, user.tenant.zone, user.id, user.login, user.name,
            user.language, user.is_admin, True, "session", csrf, proof,
        )  # fmt: skip

    @classmethod
    def of_key(cls, user: User, can_write: bool, prefix: str, proof: bytes) -> "Principal":
        """A key that only reads has no administrator's rights either."""
        return cls(
            user.tenant_id, user.tenant.key, user.tenant.name, user.tenant.zone, user.id, user.login, user.name,
            user.language, user.is_admin and can_write, can_write, "key", "", proof, prefix,
        )  # fmt: skip
