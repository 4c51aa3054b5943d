"""Keys and requests through the ``openssl`` of the machine: the gateway carries no cryptography of its own.

The private key is written by ``openssl`` into a file that only its owner may read, and never leaves it.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from edge.errors import ConfigError, ReportError


def make_key(path: Path) -> None:
    """Make an EC P-256 key at ``path`` (mode 0600), whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(draft))
    draft.chmod(0o600)
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)


def make_request(key: Path, gateway: str) -> str:
    """A certificate request (PEM) that names the gateway."""
    return _openssl("req", "-new", "-sha256", "-key", str(key), "-subj", f"/CN={gateway}").decode()


def fingerprint(key: Path) -> str:
    """SHA-256 of the public half (SubjectPublicKeyInfo), 64 hexadecimal digits."""
    return hashlib.sha256(_openssl("pkey", "-in", str(key), "-pubout", "-outform", "DER")).hexdigest()


def certificate_fingerprint(cert: bytes) -> str:
    """The same of a certificate's key; ``cert`` is PEM, or DER as TLS hands it over."""
    form = "PEM" if cert.startswith(b"-----") else "DER"
    public = _openssl("x509", "-inform", form, "-noout", "-pubkey", data=cert)
    return hashlib.sha256(_openssl("pkey", "-pubin", "-outform", "DER", data=public)).hexdigest()


def certificate_facts(cert: bytes) -> tuple[str, str]:
    """Common name and end of a PEM certificate, in words."""
    text = _openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", "-enddate", data=cert).decode()
    name = re.search(r"CN=([^,\n]+)", text)
    end = re.search(r"notAfter=(.+)", text)
    return (name[1] if name else "", end[1].strip() if end else "")


def verifies(cert: Path, chain: Path) -> bool:
    """Whether a certificate leads to the chain's root as a client's; the last of ``chain`` is trusted."""
    last = chain.read_text().rpartition("-----BEGIN CERTIFICATE-----")
    root = chain.with_name(f"{chain.name}.root")
    try:
        root.write_text(last[1] + last[2])
        _openssl("verify", "-purpose", "sslclient", "-CAfile", str(root), "-untrusted", str(chain), str(cert))
    except ReportError:
        return False
    finally:
        root.unlink(missing_ok=True)
    return True


def _openssl(*arguments: str, data: bytes = b"") -> bytes:
    program = shutil.which("openssl")
    if program is None:
        raise ConfigError("the program openssl is missing: apt-get install openssl")
    done = subprocess.run([program, *arguments], input=data, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ReportError(f"openssl {arguments[0]} failed: {said[-1] if said else 'without a word'}")
    return done.stdout
