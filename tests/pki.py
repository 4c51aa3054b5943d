"""Certificates for tests, made by ``openssl``: an authority of our own, servers, clients, expired ones."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OPENSSL = shutil.which("openssl")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM files."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority in ``folder``; its own certificate is ``cert``. RuntimeError without openssl."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        if OPENSSL is None:
            raise RuntimeError("openssl is not installed: apt-get install openssl")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.cert, self._key = folder / "ca.pem", folder / "ca.key"
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", str(self._key), "-out", str(self.cert),
        )  # fmt: skip

    def issue(self, name: str, alternative: str = "", days: int = 30) -> Pair:
        """A certificate for ``name``; ``alternative`` as in ``IP:127.0.0.1``; negative ``days``: long expired."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative or 'DNS:' + name}\n")
        openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", str(pair.key), "-out", str(request),
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.cert), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", str(days), "-extfile", str(extensions), "-out", str(pair.cert),
        )  # fmt: skip
        return pair

    def sign_request(self, request: str, name: str) -> str:
        """A client certificate (PEM) for somebody else's request."""
        files = [self.folder / f"{name}.{end}" for end in ("asked", "ext", "signed")]
        files[0].write_text(request)
        files[1].write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage=clientAuth\n")
        openssl(
            "x509", "-req", "-in", str(files[0]), "-CA", str(self.cert), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", "30", "-extfile", str(files[1]), "-out", str(files[2]),
        )  # fmt: skip
        return files[2].read_text()


def openssl(*arguments: str, data: bytes | None = None) -> bytes:
    """What ``openssl`` writes; RuntimeError with its words when it fails."""
    assert OPENSSL is not None
    done = subprocess.run([OPENSSL, *arguments], input=data, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout
