"""The offline authority, looked at by ``openssl`` and used by a real mosquitto."""

import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pki import OPENSSL
from tests.provisioning.tools import PROVISIONING, program

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")

authority = program("pki/authority.py")
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def openssl(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], input=stdin, capture_output=True, text=True, check=False)


def command(folder: Path, *arguments: str, stdin: str = "") -> dict[str, Any]:
    """As Ansible calls it; AssertionError with its words when it fails."""
    done = subprocess.run(
        [sys.executable, str(PROVISIONING / "pki/authority.py"), "--dir", str(folder), *arguments],
        input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def request(folder: Path, name: str, key: Path | None = None) -> str:
    """A request made by openssl, as a gateway makes it."""
    folder.mkdir(exist_ok=True)
    key = key or folder / f"{name}.key"
    if not key.exists():
        openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(key))
    return openssl("req", "-new", "-key", str(key), "-subj", f"/CN={name}").stdout


def verified(folder: Path, name: str, purpose: str) -> str:
    """openssl's verdict with the list of revoked certificates: empty when good."""
    done = openssl("verify", "-CAfile", str(folder / "ca.pem"), "-CRLfile", str(folder / "crl.pem"), "-crl_check",
                   "-x509_strict", "-purpose", purpose, str(folder / f"certs/{name}.pem"))  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_a_gateways_request_is_signed_and_renewed_when_due(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    assert command(ca, "init")["changed"]
    assert not command(ca, "init")["changed"]
    asked = request(tmp_path, "gw-0001")
    sign = ("sign", "-", "--name", "gw-0001", "--use", "client", "--days", "730")
    assert command(ca, "--dry-run", *sign, stdin=asked)["changed"]
    assert not (ca / "certs").exists()
    first = command(ca, *sign, stdin=asked)
    assert first["changed"]
    assert verified(ca, "gw-0001", "sslclient") == ""
    assert "purpose" in verified(ca, "gw-0001", "sslserver")
    again = command(ca, *sign, stdin=asked)
    assert (again["changed"], again["serial"], again["pem"]) == (False, first["serial"], first["pem"])
    assert command(ca, "list", "--due", "729")["certificates"] == []
    assert [row["name"] for row in command(ca, "list", "--due", "731")["certificates"]] == ["gw-0001"]
    renewed = command(ca, *sign, "--renew", "731", stdin=asked)
    assert renewed["changed"]
    assert renewed["serial"] != first["serial"]
    new_hardware = command(ca, *sign, stdin=request(tmp_path, "gw-0001", tmp_path / "new.key"))
    assert new_hardware["changed"]
    revoked = command(ca, "revoke", "gw-0001", "--keep", new_hardware["serial"].upper().zfill(40))
    assert revoked["revoked"] == [first["serial"], renewed["serial"]]
    assert verified(ca, "gw-0001", "sslclient") == ""


def test_revoked_is_refused_and_may_begin_anew(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    command(ca, "init")
    made = command(ca, "issue", "central", "--use", "client")
    assert Path(made["key"]).stat().st_mode & 0o077 == 0
    assert command(ca, "revoke", "central", "--reason", "keyCompromise")["changed"]
    assert not command(ca, "revoke", "central")["changed"]
    assert "certificate revoked" in verified(ca, "central", "sslclient")
    listed = openssl("crl", "-in", str(ca / "crl.pem"), "-noout", "-text").stdout
    assert "Key Compromise" in listed
    assert not command(ca, "crl")["changed"]
    assert command(ca, "issue", "central", "--use", "client")["changed"]
    assert verified(ca, "central", "sslclient") == ""


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("gw-0002", lambda folder: request(folder, "gw-0001"), "is for gw-0001, not for gw-0002"),
        ("gw-0001", lambda folder: "-----BEGIN CERTIFICATE REQUEST-----\n!\n", "not a PEM certificate request"),
        ("../../etc", lambda folder: request(folder, "gw-0001"), "cannot be a name"),
        ("gw/#", lambda folder: request(folder, "gw-0001"), "cannot be a name"),
    ],
)
def test_a_request_of_another_is_refused(tmp_path: Path, name: str, asked: Any, words: str) -> None:
    ca = authority.Authority(tmp_path / "ca", now=NOW)
    ca.locked(lambda: ca.init("Test", 3650))
    with pytest.raises(authority.AuthorityError, match=words):
        ca.sign(asked(tmp_path).encode(), name, "client", [], 730, 60)
    assert json.loads((tmp_path / "ca/index.json").read_text()) == []


def test_a_weak_or_changed_request_is_refused(tmp_path: Path) -> None:
    ca = authority.Authority(tmp_path / "ca", now=NOW)
    ca.locked(lambda: ca.init("Test", 3650))
    rsa = openssl("req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", str(tmp_path / "k"), "-subj", "/CN=gw1")
    with pytest.raises(authority.AuthorityError, match="another kind of key"):
        ca.sign(rsa.stdout.encode(), "gw1", "client", [], 730, 60)
    der = bytearray(_der(request(tmp_path, "gw1")))
    der[-1] ^= 1
    changed = openssl_pem(bytes(der))
    with pytest.raises(authority.AuthorityError, match=r"not signed by its own key|not a PEM"):
        ca.sign(changed, "gw1", "client", [], 730, 60)


def _der(pem: str) -> bytes:
    assert OPENSSL is not None
    return subprocess.run(
        [OPENSSL, "req", "-outform", "DER"], input=pem.encode(), capture_output=True, check=True
    ).stdout


def openssl_pem(der: bytes) -> bytes:
    import base64

    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE REQUEST-----\n"


def test_the_list_is_made_anew_at_half_its_life(tmp_path: Path) -> None:
    ca = authority.Authority(tmp_path, now=NOW)
    ca.locked(lambda: ca.init("Test", 3650))
    assert not ca.crl(365)["changed"]
    later = authority.Authority(tmp_path, now=NOW + dt.timedelta(days=183))
    assert later.crl(365)["changed"]
    assert not later.crl(365)["changed"]


def test_a_passphrase_opens_the_key(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    (tmp_path / "words").write_text("right\n")
    (tmp_path / "other").write_text("wrong\n")
    command(ca, "--passphrase-file", str(tmp_path / "words"), "init")
    assert "ENCRYPTED" in (ca / "ca.key").read_text()
    with pytest.raises(AssertionError, match=r"cannot be opened \(passphrase\?\)"):
        command(ca, "--passphrase-file", str(tmp_path / "other"), "issue", "central", "--use", "client")
    command(ca, "--passphrase-file", str(tmp_path / "words"), "issue", "central", "--use", "client")
    assert verified(ca, "central", "sslclient") == ""


def test_interrupted_anywhere_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write is tried as the last one before a power cut: the same command, given again, ends well."""
    write = authority.Authority._write
    for last in range(7):  # key, index, certificate, list; key, index, certificate
        ca = tmp_path / str(last)
        left = [last]

        def cut(self: Any, name: str, content: bytes, mode: int = 0o644, left: list[int] = left) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            write(self, name, content, mode)

        def work(ca: Path = ca) -> None:
            it = authority.Authority(ca, now=NOW)
            it.locked(lambda: it.init("Test", 3650))
            it.locked(lambda: it.issue("gw1", "client", [], 730, 60))

        monkeypatch.setattr(authority.Authority, "_write", cut)
        with pytest.raises(KeyboardInterrupt):
            work()
        monkeypatch.setattr(authority.Authority, "_write", write)
        work()
        key = openssl("pkey", "-in", str(ca / "certs/gw1.key"), "-pubout").stdout
        assert key == openssl("x509", "-in", str(ca / "certs/gw1.pem"), "-noout", "-pubkey").stdout
        assert verified_at(ca, "gw1") == ""
        shutil.rmtree(ca)


def verified_at(folder: Path, name: str) -> str:
    """As :func:`verified`, at the tests' own time."""
    done = openssl("verify", "-attime", str(int(NOW.timestamp())), "-CAfile", str(folder / "ca.pem"), "-CRLfile",
                   str(folder / "crl.pem"), "-crl_check", str(folder / f"certs/{name}.pem"))  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr
