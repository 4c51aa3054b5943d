#!/usr/bin/env python3
"""A small certificate authority in one folder, kept offline: issue, renew, revoke, list of revoked certificates.

    authority.py --dir pki init [--name NAME]
    authority.py --dir pki sign REQUEST.csr --name gw-0001 --use client        # the key stays where it was made
    authority.py --dir pki issue central --use client                          # makes the key here, too
    authority.py --dir pki revoke gw-0001 [--reason keyCompromise]
    authority.py --dir pki crl                                                 # anew when half its life is over
    authority.py --dir pki list [--due 30]

The folder holds ``ca.key`` (with a passphrase when ``--passphrase-file`` is given), ``ca.pem``, ``crl.pem``,
``index.json`` and ``certs/NAME.pem``, the certificate in force of each name. Every file is written whole or not at all,
``index.json`` before what follows from it, so that a command that was interrupted is simply given again. Each command
prints one JSON object; ``changed`` says whether something was (or, with ``--dry-run``, would be) written. Needs the
package ``cryptography``, which Ansible has.
"""

import argparse
import datetime as dt
import fcntl
import ipaddress
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: A gateway's id and a host's name alike; nothing that a path, a topic or a configuration file could take otherwise.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")
USES: Final = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
#: Clocks of gateways that were off for long are behind: a certificate begins a day before it was made.
BACKDATE: Final = dt.timedelta(days=1)


class AuthorityError(Exception):
    """What the person at the authority has to know."""


class Authority:
    """The authority in ``folder``; with ``dry`` everything is looked at and nothing written."""

    def __init__(
        self, folder: Path, passphrase: bytes | None = None, *, dry: bool = False, now: dt.datetime | None = None
    ):
        self.folder = folder
        self._passphrase = passphrase
        self._dry = dry
        self._now = (now or dt.datetime.now(dt.UTC)).replace(microsecond=0)

    # -- what it does -----------------------------------------------------------------------------------------------

    def init(self, name: str, days: int) -> dict[str, Any]:
        """Make the authority's key and certificate, unless they are there, and its first list of revoked ones."""
        made = not (self.folder / "ca.pem").exists()
        if made and not self._dry:
            key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            cert = (
                self._builder(subject, subject, key.public_key(), days)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(ca=True), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .sign(key, hashes.SHA256())
            )
            self._write("ca.key", _pem_key(key, self._passphrase), mode=0o600)
            self._write("index.json", b"[]\n")
            self._write("ca.pem", cert.public_bytes(serialization.Encoding.PEM))  # last: with it the authority exists
        listed = {"changed": made} if made and self._dry else self.crl(365)
        return {**listed, "changed": made or listed["changed"], "ca": str(self.folder / "ca.pem")}

    def sign(self, request: bytes, name: str, use: str, hosts: list[str], days: int, renew: int) -> dict[str, Any]:
        """Sign a request for ``name``; the one in force stays when it is of the same key, uses and hosts, and good.

        Good means not revoked and more than ``renew`` days left. A certificate that another one follows stays valid
        until it ends or is revoked. AuthorityError for a request that is damaged or another's.
        """
        _check_name(name)
        try:
            csr = x509.load_pem_x509_csr(request)
        except ValueError as error:
            raise AuthorityError(f"the request for {name} is not a PEM certificate request: {error}") from error
        if not csr.is_signature_valid:
            raise AuthorityError(f"the request for {name} is not signed by its own key: it was changed on its way")
        asked = [str(each.value) for each in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if asked != [name]:
            raise AuthorityError(f"the request is for {', '.join(asked) or 'nobody'}, not for {name}")
        public = csr.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise AuthorityError(f"the request for {name} has another kind of key than EC P-256")
        path = self.folder / "certs" / f"{name}.pem"
        present = self._in_force(name)
        wanted = _alternatives(name, hosts)
        lasting = present is not None and present.not_valid_after_utc - self._now > dt.timedelta(days=renew)
        if present is not None and lasting and _same(present, public, use, wanted):
            return _facts(present, path, changed=False)
        if self._dry:
            return {"changed": True, "name": name, "cert": str(path)}
        ca, ca_key = self._ca(), self._ca_key()
        cert = (
            self._builder(csr.subject, ca.subject, public, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([USES[use]]), critical=False)
            .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        if cert.not_valid_after_utc > ca.not_valid_after_utc:
            raise AuthorityError(
                f"the authority ends on {ca.not_valid_after_utc:%Y-%m-%d}, before the certificate of {name} would: "
                "ask for fewer days, or begin a new authority"
            )
        ends = cert.not_valid_after_utc.isoformat()
        row = {"serial": f"{cert.serial_number:x}", "name": name, "use": use, "ends": ends}
        self._save_index([*self._index(), row])
        self._write(f"certs/{name}.pem", cert.public_bytes(serialization.Encoding.PEM))
        return _facts(cert, path, changed=True)

    def issue(self, name: str, use: str, hosts: list[str], days: int, renew: int) -> dict[str, Any]:
        """Make a key beside the certificate (``certs/NAME.key``) for who cannot make its own, and sign it."""
        _check_name(name)
        path = self.folder / "certs" / f"{name}.key"
        if path.exists():
            key = _ec(serialization.load_pem_private_key(path.read_bytes(), None))
        else:
            key = ec.generate_private_key(ec.SECP256R1())
            if not self._dry:
                self._write(f"certs/{name}.key", _pem_key(key, None), mode=0o600)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        made = self.sign(csr.public_bytes(serialization.Encoding.PEM), name, use, hosts, days, renew)
        return {**made, "key": str(path)}

    def revoke(self, name: str, reason: str, *, keep: int = 0) -> dict[str, Any]:
        """Revoke all certificates of ``name`` that have not ended, but the one whose serial number is ``keep``."""
        rows = self._index()
        mine = [row for row in rows if row["name"] == name]
        if not mine:
            raise AuthorityError(f"no certificate was ever issued for {name}")
        due = [row for row in mine if int(row["serial"], 16) != keep and "revoked" not in row and self._lasts(row)]
        if due and not self._dry:
            for row in due:
                row.update(revoked=self._now.isoformat(), reason=reason)
            self._save_index(rows)
        told = {"changed": bool(due), "name": name, "revoked": [row["serial"] for row in due]}
        return {**self.crl(365, anew=bool(due)), **told}

    def crl(self, days: int, *, anew: bool = False) -> dict[str, Any]:
        """Write the list of revoked certificates when it lacks one or less than half its life is left.

        A broker refuses *everybody* once the list it has is past its end: take it there long before.
        """
        path = self.folder / "crl.pem"
        revoked = [row for row in self._index() if "revoked" in row and self._lasts(row)]
        if path.exists() and not anew:
            present = x509.load_pem_x509_crl(path.read_bytes())
            ends = present.next_update_utc
            listed = {f"{each.serial_number:x}" for each in present}
            if ends and ends - self._now > dt.timedelta(days=days) / 2 and {row["serial"] for row in revoked} <= listed:
                return {"changed": False, "crl": str(path), "crl_ends": ends.isoformat()}
        ends = self._now + dt.timedelta(days=days)
        if not self._dry:
            builder = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(self._ca().subject)
                .last_update(self._now)
                .next_update(ends)
                .add_extension(x509.CRLNumber(int(self._now.timestamp())), critical=False)
            )
            for row in revoked:
                builder = builder.add_revoked_certificate(
                    x509.RevokedCertificateBuilder()
                    .serial_number(int(row["serial"], 16))
                    .revocation_date(dt.datetime.fromisoformat(row["revoked"]))
                    .add_extension(x509.CRLReason(x509.ReasonFlags(row["reason"])), critical=False)
                    .build()
                )
            signed = builder.sign(self._ca_key(), hashes.SHA256())
            self._write("crl.pem", signed.public_bytes(serialization.Encoding.PEM))
        return {"changed": True, "crl": str(path), "crl_ends": ends.isoformat()}

    def names(self, due: int | None) -> dict[str, Any]:
        """The certificate in force of each name; with ``due`` only those that end within so many days."""
        newest = {row["name"]: row for row in self._index()}.values()
        limit = None if due is None else self._now + dt.timedelta(days=due)
        return {
            "changed": False,
            "certificates": [
                row for row in newest
                if limit is None or ("revoked" not in row and dt.datetime.fromisoformat(row["ends"]) <= limit)
            ],
        }  # fmt: skip

    # -- files -------------------------------------------------------------------------------------------------------

    def locked(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do ``work`` while nobody else works on the folder (playbooks sign for many hosts at once)."""
        if self._dry and not self.folder.exists():
            return work()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return work()

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: Any, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATE)
            .not_valid_after(self._now + dt.timedelta(days=days))
        )

    def _ca(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())
        except FileNotFoundError:
            raise AuthorityError(
                f"there is no authority in {self.folder}: is its medium plugged in? A new one is begun with 'init'"
            ) from None

    def _ca_key(self) -> ec.EllipticCurvePrivateKey:
        try:
            return _ec(serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), self._passphrase))
        except FileNotFoundError:
            raise AuthorityError(f"{self.folder / 'ca.key'} is not there: is its medium plugged in?") from None
        except (ValueError, TypeError) as error:
            raise AuthorityError(f"{self.folder / 'ca.key'} cannot be opened (passphrase?): {error}") from error

    def _index(self) -> list[dict[str, str]]:
        try:
            rows: list[dict[str, str]] = json.loads((self.folder / "index.json").read_text())
        except FileNotFoundError:
            if self._dry:
                return []
            raise AuthorityError(
                f"there is no authority in {self.folder}: is its medium plugged in? A new one is begun with 'init'"
            ) from None
        return rows

    def _save_index(self, rows: list[dict[str, str]]) -> None:
        self._write("index.json", (json.dumps(rows, indent=1) + "\n").encode())

    def _in_force(self, name: str) -> x509.Certificate | None:
        path = self.folder / "certs" / f"{name}.pem"
        if not path.exists():
            return None
        cert = x509.load_pem_x509_certificate(path.read_bytes())
        serial = f"{cert.serial_number:x}"
        known = any(row["serial"] == serial and "revoked" not in row for row in self._index())
        return cert if known else None

    def _lasts(self, row: dict[str, str]) -> bool:
        return dt.datetime.fromisoformat(row["ends"]) > self._now

    def _write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        Path(temporary).rename(path)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise AuthorityError(f"{name!r} cannot be a name: 1 to 48 letters, digits, _ . - and a letter or digit first")


def _alternatives(name: str, hosts: list[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for host in hosts or [name]:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host))
    return found


def _same(cert: x509.Certificate, key: ec.EllipticCurvePublicKey, use: str, hosts: list[x509.GeneralName]) -> bool:
    alternatives = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return cert.public_key() == key and list(alternatives) == hosts and list(uses) == [USES[use]]


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _ec(key: Any) -> ec.EllipticCurvePrivateKey:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"a key of another kind than EC: {type(key).__name__}")
    return key


def _pem_key(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None) -> bytes:
    lock: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def _facts(cert: x509.Certificate, path: Path, *, changed: bool) -> dict[str, Any]:
    return {
        "changed": changed, "name": path.stem, "cert": str(path), "serial": f"{cert.serial_number:x}",
        "ends": cert.not_valid_after_utc.isoformat(), "pem": cert.public_bytes(serialization.Encoding.PEM).decode(),
    }  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--dir", type=Path, required=True, help="the authority's folder")
    parser.add_argument("--passphrase-file", type=Path, help="its first line opens ca.key")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, write nothing")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="make the authority, unless it is there")
    init.add_argument("--name", default="Metergate CA")
    init.add_argument("--days", type=int, default=7300)
    for command, words in (("sign", "sign a request, - for standard input"), ("issue", "make a key and sign it")):
        one = commands.add_parser(command, help=words)
        if command == "sign":
            one.add_argument("request")
            one.add_argument("--name", required=True)
        else:
            one.add_argument("name")
        one.add_argument("--use", choices=sorted(USES), required=True)
        one.add_argument("--host", action="append", default=[], help="name or address; the name unless given")
        one.add_argument("--days", type=int, default=730)
        one.add_argument("--renew", type=int, default=60, help="a new one when fewer days are left")
    revoke = commands.add_parser("revoke", help="no longer valid, in the list of revoked ones")
    revoke.add_argument("name")
    reasons = [reason.value for reason in x509.ReasonFlags if reason.value not in ("unspecified", "removeFromCRL")]
    revoke.add_argument("--reason", choices=reasons, default="cessationOfOperation")
    revoke.add_argument(
        "--keep", type=_serial, default=0, metavar="SERIAL", help="spare this one, as openssl writes it"
    )
    crl = commands.add_parser("crl", help="the list of revoked certificates, when it is due")
    crl.add_argument("--days", type=int, default=365)
    listing = commands.add_parser("list", help="certificates in force")
    listing.add_argument("--due", type=int, help="only those that end within so many days")
    return parser


def _serial(text: str) -> int:
    return int(text, 16)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 well, 1 with a sentence on standard error."""
    given = _parser().parse_args(arguments)
    try:
        passphrase = given.passphrase_file.read_bytes().split(b"\n", 1)[0] if given.passphrase_file else None
        it = Authority(given.dir, passphrase, dry=given.dry_run)

        def work() -> dict[str, Any]:
            match given.command:
                case "init":
                    return it.init(given.name, given.days)
                case "sign":
                    request = sys.stdin.buffer.read() if given.request == "-" else Path(given.request).read_bytes()
                    return it.sign(request, given.name, given.use, given.host, given.days, given.renew)
                case "issue":
                    return it.issue(given.name, given.use, given.host, given.days, given.renew)
                case "revoke":
                    return it.revoke(given.name, given.reason, keep=given.keep)
                case "crl":
                    return it.crl(given.days)
                case _:
                    return it.names(given.due)

        sys.stdout.write(json.dumps(it.locked(work)) + "\n")
    except (AuthorityError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
