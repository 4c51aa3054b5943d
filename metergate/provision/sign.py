"""Requests that were approved at central, signed by the offline authority on this machine, and brought back.

Interrupted, it is given again: the authority answers a key it has signed with the same certificate, and central takes
the same certificate twice.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metergate.provision.central_api import CentralApi
from metergate.provision.errors import ProvisionError


@dataclass(frozen=True)
class Authority:
    """The script ``provisioning/pki/authority.py`` over its folder."""

    script: Path
    folder: Path
    passphrase_file: Path | None = None
    days: int = 730
    python: str = sys.executable

    def check(self) -> None:
        """ProvisionError unless script and authority are there."""
        if not self.script.is_file():
            raise ProvisionError(f"{self.script} is not there: --script names provisioning/pki/authority.py")
        if not (self.folder / "ca.pem").is_file():
            raise ProvisionError(f"there is no authority in {self.folder}: is its medium plugged in? 'init' begins one")

    def sign(self, request: str, name: str) -> str:
        """The certificate (PEM) for a request; :class:`ProvisionError` with the authority's words."""
        more = ["--passphrase-file", str(self.passphrase_file)] if self.passphrase_file else []
        words: Sequence[str] = [
            self.python, str(self.script), "--dir", str(self.folder), *more, "sign", "-", "--name", name,
            "--use", "client", "--days", str(self.days),
        ]  # fmt: skip
        done = subprocess.run(list(words), input=request, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise ProvisionError(done.stderr.strip().removeprefix("error: ") or "the authority failed without a word")
        try:
            return str(json.loads(done.stdout)["pem"])
        except (ValueError, KeyError, TypeError) as error:
            raise ProvisionError(f"{self.script} answers with something else than a certificate") from error

    @property
    def chain(self) -> str:
        return (self.folder / "ca.pem").read_text()


def approved(api: CentralApi) -> list[dict[str, Any]]:
    """Requests that wait to be signed, oldest first."""
    return list(api.items("/enrolments", state="approved"))[::-1]


def sign_one(api: CentralApi, authority: Authority, request: dict[str, Any]) -> str:
    """Sign one request and bring the certificate; returns its end."""
    certificate = authority.sign(str(request["csr"]), str(request["gateway"]))
    body = {"certificate": certificate, "chain": authority.chain}
    return str(api.put(f"/enrolments/{request['id']}/certificate", body)["certificate_ends"])
