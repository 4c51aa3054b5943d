"""Shapes of enrolments in the API."""

from typing import Annotated, Literal

from msgspec import Meta

from central.api.query import instant_text, optional_text
from central.api.schemas import Input, KeyText, Output
from central.enrolment import certificates
from central.enrolment.service import View

Code = Annotated[str, Meta(min_length=10, max_length=40, description="As it was shown; case and dashes do not matter")]
Secret = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$", description="32 random octets in base64url, made by the gateway")
]
Pem = Annotated[str, Meta(min_length=1, max_length=20_000)]
State = Literal["open", "expired", "waiting", "approved", "issued", "refused", "revoked", "locked"]


class CodeIn(Input):
    """A code, to learn whose it is."""

    code: Code


class CodeFor(Output):
    """The gateway a code is for: the common name of its request."""

    gateway: str
    expires_at: str


class AskIn(Input):
    """A gateway's request: its code, a secret it will ask with, and a PEM request for an EC P-256 key."""

    code: Code
    secret: Secret
    csr: Pem


class AskedOut(Output):
    """How a request stands. ``certificate`` and ``chain`` (PEM) are there once it is ``issued``."""

    id: int
    gateway: str
    state: State
    fingerprint: str
    reason: str
    certificate: str
    chain: str

    @classmethod
    def of(cls, view: View) -> "AskedOut":
        row = view.row
        return cls(row.id, view.gateway, view.state, row.fingerprint, row.reason, row.certificate, row.chain)  # type: ignore[arg-type]


class EnrolmentIn(Input):
    """A gateway to be let in; ``new``: enter it into the registry where it is not in it yet."""

    gateway: KeyText
    new: bool = False


class RefusalIn(Input):
    """Why not; the gateway is told."""

    reason: Annotated[str, Meta(max_length=300)] = ""


class CertificateIn(Input):
    """A certificate for an approved request, and the certificates above it (PEM)."""

    certificate: Pem
    chain: Pem


class EnrolmentOut(Output):
    """An enrolment. ``code`` is the first half; ``fingerprint`` the SHA-256 of the gateway's public key."""

    id: int
    gateway: str
    state: State
    code: str
    tries: int
    created_at: str
    created_by: str
    expires_at: str
    fingerprint: str
    address: str
    asked_at: str | None
    seen_at: str | None
    decided_at: str | None
    decided_by: str
    reason: str
    csr: str
    certificate: str
    certificate_ends: str | None
    issued_at: str | None
    fetched_at: str | None

    @classmethod
    def of(cls, view: View) -> "EnrolmentOut":
        row = view.row
        return cls(
            id=row.id, gateway=view.gateway, state=view.state, code=row.prefix, tries=row.tries,  # type: ignore[arg-type]
            created_at=instant_text(row.created_at), created_by=row.created_by,
            expires_at=instant_text(row.expires_at), fingerprint=row.fingerprint, address=row.address,
            asked_at=optional_text(row.asked_at), seen_at=optional_text(row.seen_at),
            decided_at=optional_text(row.decided_at), decided_by=row.decided_by, reason=row.reason, csr=row.csr,
            certificate=row.certificate, certificate_ends=optional_text(certificates.end_of(row.certificate)),
            issued_at=optional_text(row.issued_at), fetched_at=optional_text(row.fetched_at),
        )  # fmt: skip


class NewEnrolmentOut(Output):
    """An enrolment with its code and the command for the gateway; shown this once."""

    code: str
    command: str
    about: EnrolmentOut
