"""Keys, requests and authorities for tests, made by ``cryptography``; an enrolment's row."""

import datetime as dt
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from central.enrolment.certificates import PEM
from central.enrolment.models import Enrolment

Key = ec.EllipticCurvePrivateKey


def new_key(curve: ec.EllipticCurve | None = None) -> Key:
    return ec.generate_private_key(curve or ec.SECP256R1())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def csr(key: Key, name: str) -> str:
    """A PEM request."""
    built = x509.CertificateSigningRequestBuilder().subject_name(named(name)).sign(key, hashes.SHA256())
    return built.public_bytes(PEM).decode()


def make_issuer(folder: Path, name: str = "Issuer", days: int = 3650) -> tuple[Path, Path]:
    """Files of a self-signed authority: certificate and key."""
    key, now = new_key(), dt.datetime.now(dt.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "issuer.pem", folder / "issuer.key"
    files[0].write_bytes(cert.public_bytes(PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


def enrolment(tenant_id: int, gateway_id: int, prefix: str, now: int, **values: Any) -> Enrolment:
    """A request that waits for approval, unless ``values`` say otherwise."""
    row = {
        "state": "waiting", "prefix": prefix, "code_hash": "none", "tries": 0, "created_at": now, "created_by": "test",
        "expires_at": now + 3600, "secret_hash": b"s" * 32, "csr": "none", "fingerprint": "0123456789abcdef" * 4,
        "address": "192.0.2.7", "asked_at": now, "seen_at": now, "decided_by": "", "reason": "", "certificate": "",
        "chain": "",
    }  # fmt: skip
    return Enrolment(tenant_id=tenant_id, gateway_id=gateway_id, **row | values)
