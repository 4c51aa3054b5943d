"""Certificate requests and certificates of gateways: looked at, and signed where central has an issuer of its own.

The profile is that of the offline authority (``provisioning/pki/authority.py``): EC P-256, the gateway's id as common
name and DNS name, for clients only. The name is the registry's, never what a request says it wants to be called.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from central.errors import Refused
from central.settings import BrokerSettings, EnrolmentSettings, SettingsError

#: Clocks of gateways that were off for long are behind: a certificate begins a day before it was made.
_BACKDATE: Final = dt.timedelta(days=1)
PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of a public key's SubjectPublicKeyInfo, 64 hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, _SPKI)).hexdigest()


def read_request(text: str, name: str) -> ec.EllipticCurvePublicKey:
    """The key of a request that the gateway ``name`` made; :class:`Refused` when it is damaged or another's."""
    try:
        csr = x509.load_pem_x509_csr(text.encode())
        good = csr.is_signature_valid
        key = csr.public_key()
        asked = [str(each.value) for each in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except Exception as error:  # what a parser of a stranger's octets raises is not ours to list
        raise Refused("csr", "is not a PEM certificate request") from error
    if not good:
        raise Refused("csr", "is not signed by its own key: it was changed on its way")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("csr", "has another kind of key than EC P-256")
    if asked != [name]:
        raise Refused("csr", f"names {', '.join(asked)[:100] or 'nobody'}; this code is for {name}")
    return key


def check_certificate(text: str, chain: str, key_print: str, name: str, now: int) -> None:
    """:class:`Refused` unless it is a good client certificate for this key and name, signed by the chain's first."""
    try:
        (cert,), issuers = x509.load_pem_x509_certificates(text.encode()), _load_chain(chain)
        key = cert.public_key()
        names = [str(each.value) for each in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        uses = _uses(cert)
    except Refused:
        raise
    except Exception as error:
        raise Refused("certificate", "is not one PEM certificate") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or fingerprint(key) != key_print:
        raise Refused("certificate", "is for another key than the one that was approved")
    if names != [name]:
        raise Refused("certificate", f"names {', '.join(names)[:100] or 'nobody'}, not {name}")
    if ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise Refused("certificate", "is not for clients (extended key usage)")
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    if not cert.not_valid_before_utc <= moment < cert.not_valid_after_utc:
        raise Refused("certificate", f"is good from {cert.not_valid_before_utc} to {cert.not_valid_after_utc} only")
    _check_signed(cert, *issuers)


def _load_chain(chain: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(chain.encode())
    except Exception as error:
        raise Refused("chain", "is not one or more PEM certificates") from error


def _uses(cert: x509.Certificate) -> list[x509.ObjectIdentifier]:
    try:
        return list(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []


def _check_signed(*chain: x509.Certificate) -> None:
    """Each is signed by the next one, the last by itself: who trusts it needs no other certificate."""
    for one, above in zip(chain, (*chain[1:], chain[-1]), strict=True):
        try:
            one.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature) as error:
            name = one.subject.rfc4514_string()
            way = "is no root, which has to be its last" if one is above else "is not signed by the next one in it"
            raise Refused("chain", f"{name} {way}") from error


@dataclass(frozen=True, slots=True)
class Issuer:
    """Central's own issuing certificate, and the chain that gateways get with theirs (PEM)."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    chain: str
    days: int

    @classmethod
    def load(cls, settings: EnrolmentSettings) -> "Issuer | None":
        """The issuer of the settings; None without one. Raises :class:`SettingsError` in words."""
        if not settings.issuer_cert:
            return None
        try:
            chain = Path(settings.issuer_cert).read_text()
            certs = x509.load_pem_x509_certificates(chain.encode())
            _check_signed(*certs)
            may_sign = certs[0].extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            key = serialization.load_pem_private_key(Path(settings.issuer_key).read_bytes(), None)
        except (OSError, ValueError, TypeError, Refused, x509.ExtensionNotFound) as error:
            raise SettingsError(f"enrolment.issuer_cert or issuer_key cannot be used: {error}") from error
        if not may_sign:
            raise SettingsError("enrolment.issuer_cert: its first certificate is no authority's (basic constraints)")
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise SettingsError("enrolment.issuer_key is neither an EC nor an RSA key")
        if key.public_key() != certs[0].public_key():
            raise SettingsError("enrolment.issuer_key is not the key of the first certificate in enrolment.issuer_cert")
        return cls(certs[0], key, chain, settings.days)

    def sign(self, key: ec.EllipticCurvePublicKey, name: str, now: int) -> str:
        """A client certificate (PEM) for ``key`` that names ``name``; SettingsError when the issuer ends before it."""
        begin = dt.datetime.fromtimestamp(now, dt.UTC)
        cert = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.cert.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin - _BACKDATE)
            .not_valid_after(begin + dt.timedelta(days=self.days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_FOR_SIGNATURES, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        if cert.not_valid_after_utc > self.cert.not_valid_after_utc:
            raise SettingsError(
                f"enrolment.issuer_cert ends on {self.cert.not_valid_after_utc:%Y-%m-%d}, before a certificate of "
                f"{self.days} days would: set enrolment.days lower or renew it"
            )
        return cert.public_bytes(PEM).decode()


_FOR_SIGNATURES: Final = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def end_of(text: str) -> int | None:
    """The instant at which a stored certificate ends (UTC s); None without one."""
    return int(x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()) if text else None


def own_names(settings: BrokerSettings) -> frozenset[str]:
    """What central is called at the broker: a gateway of that name could do there what central may."""
    names = {settings.username}
    if settings.cert_file:
        try:
            subject = x509.load_pem_x509_certificate(Path(settings.cert_file).read_bytes()).subject
        except (OSError, ValueError) as error:
            raise SettingsError(f"broker.cert_file {settings.cert_file!r} cannot be used: {error}") from error
        names.update(str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return frozenset(names - {""})


def server_pin(file: str) -> str:
    """``sha256:`` and half the digest of the key in a PEM certificate: what ``metergate edge enrol --pin`` takes.

    128 bits of it, so that a person could type them. ``""`` without a file; raises :class:`SettingsError`.
    """
    if not file:
        return ""
    try:
        key = x509.load_pem_x509_certificates(Path(file).read_bytes())[0].public_key()
    except (OSError, ValueError) as error:
        raise SettingsError(f"enrolment.server_cert {file!r} cannot be used: {error}") from error
    return f"sha256:{hashlib.sha256(key.public_bytes(serialization.Encoding.DER, _SPKI)).hexdigest()[:32]}"
