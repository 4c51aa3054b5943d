"""Requests and certificates: what is refused, and the profile beside ``openssl`` as a foreign reader."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from central.enrolment.certificates import Issuer, check_certificate, end_of, fingerprint, read_request, server_pin
from central.errors import Refused
from central.settings import EnrolmentSettings, SettingsError
from tests.central.enrolment.requests import csr, make_issuer, new_key
from tests.pki import OPENSSL

NOW = int(time.time())


def issuer(folder: Path, name: str = "Issuer", days: int = 730) -> Issuer:
    cert, key = make_issuer(folder, name)
    found = Issuer.load(EnrolmentSettings(issuer_cert=str(cert), issuer_key=str(key), days=days))
    assert found is not None
    return found


def openssl(*arguments: str) -> str:
    if OPENSSL is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    done = subprocess.run([OPENSSL, *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_openssl_reads_the_profile_and_verifies_the_chain(tmp_path: Path) -> None:
    key = new_key()
    made = issuer(tmp_path).sign(read_request(csr(key, "gw-1"), "gw-1"), "gw-1", NOW)
    (tmp_path / "gw.pem").write_text(made)
    text = openssl("x509", "-in", str(tmp_path / "gw.pem"), "-noout", "-text")
    assert re.search(r"Subject: CN ?= ?gw-1\n", text)
    assert "ASN1 OID: prime256v1" in text
    for extension, content in (
        ("Basic Constraints: critical", "CA:FALSE"), ("Key Usage: critical", "Digital Signature"),
        ("Extended Key Usage: ", "TLS Web Client Authentication"), ("Subject Alternative Name: ", "DNS:gw-1"),
    ):  # fmt: skip
        assert re.search(rf"X509v3 {re.escape(extension)}\n\s+{re.escape(content)}\n", text), extension
    assert "Authority Key Identifier" in text
    verify = ("verify", "-purpose", "sslclient", "-CAfile")
    assert "gw.pem: OK" in openssl(*verify, str(tmp_path / "issuer.pem"), str(tmp_path / "gw.pem"))
    (tmp_path / "other").mkdir()
    other, _ = make_issuer(tmp_path / "other")
    assert "OK" not in openssl(*verify, str(other), str(tmp_path / "gw.pem"))
    assert end_of(made) == NOW + 730 * 86400
    check_certificate(made, (tmp_path / "issuer.pem").read_text(), fingerprint(key.public_key()), "gw-1", NOW)


def test_openssl_finds_the_same_fingerprint_and_pin(tmp_path: Path) -> None:
    made = issuer(tmp_path).sign(new_key().public_key(), "gw-1", NOW)
    file = tmp_path / "gw.pem"
    file.write_text(made)
    (tmp_path / "key.pem").write_text(openssl("x509", "-in", str(file), "-noout", "-pubkey"))
    openssl("pkey", "-pubin", "-in", str(tmp_path / "key.pem"), "-outform", "DER", "-out", str(tmp_path / "key.der"))
    digest = openssl("dgst", "-sha256", str(tmp_path / "key.der")).split()[-1]
    key = x509.load_pem_x509_certificate(made.encode()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert fingerprint(key) == digest
    assert server_pin(str(file)) == f"sha256:{digest[:32]}"


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_no_text_is_a_fault(text: str) -> None:
    for armour in ("{}", "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n"):
        with pytest.raises(Refused):
            read_request(armour.format(text), "gw-1")
        with pytest.raises(Refused):
            check_certificate(armour.format(text), armour.format(text), "", "gw-1", NOW)


def test_requests_that_are_refused(tmp_path: Path) -> None:
    key = new_key()
    good = csr(key, "gw-1")
    with pytest.raises(Refused, match="csr: names gw-2; this code is for gw-1"):
        read_request(csr(key, "gw-2"), "gw-1")
    with pytest.raises(Refused, match="another kind of key than EC P-256"):
        read_request(csr(new_key(ec.SECP384R1()), "gw-1"), "gw-1")
    lines = good.splitlines()
    lines[-2] = lines[-2][::-1].replace("=", "A")[: len(lines[-2])]
    with pytest.raises(Refused, match="csr"):
        read_request("\n".join(lines), "gw-1")


def test_certificates_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, other, key = issuer(tmp_path), issuer(tmp_path / "other"), new_key()
    own = fingerprint(key.public_key())
    good = ours.sign(key.public_key(), "gw-1", NOW)

    def refused(certificate: str, chain: str = ours.chain, name: str = "gw-1", now: int = NOW) -> str:
        with pytest.raises(Refused) as error:
            check_certificate(certificate, chain, own, name, now)
        return str(error.value)

    assert "another key" in refused(ours.sign(new_key().public_key(), "gw-1", NOW))
    assert "names gw-1, not gw-2" in refused(good, name="gw-2")
    assert "not signed by the next" in refused(good, other.chain)
    assert "only" in refused(good, now=NOW + 800 * 86400)
    assert "not one PEM certificate" in refused(good + good)
    assert "chain" in refused(good, "")
    assert "not signed by the next" in refused(good, ours.chain + other.chain)


def test_issuers_that_cannot_sign(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    cert, key = make_issuer(tmp_path, days=100)
    _, other = make_issuer(tmp_path / "other")
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(issuer(tmp_path / "other").sign(new_key().public_key(), "gw-1", NOW))
    for broken, words in (
        (EnrolmentSettings(issuer_cert=str(cert), issuer_key=str(other)), "is not the key of"),
        (EnrolmentSettings(issuer_cert=str(tmp_path / "none"), issuer_key=str(key)), "cannot be used"),
        (EnrolmentSettings(issuer_cert=str(key), issuer_key=str(key)), "cannot be used"),
        (EnrolmentSettings(issuer_cert=str(leaf), issuer_key=str(key)), "is no root"),
    ):
        with pytest.raises(SettingsError, match=words):
            Issuer.load(broken)
    short = Issuer.load(EnrolmentSettings(issuer_cert=str(cert), issuer_key=str(key), days=730))
    assert short is not None
    with pytest.raises(SettingsError, match="ends on"):
        short.sign(new_key().public_key(), "gw-1", NOW)
    assert Issuer.load(EnrolmentSettings()) is None
    assert server_pin("") == ""
    with pytest.raises(SettingsError, match="server_cert"):
        server_pin(str(tmp_path / "none"))
