"""Central's side of the wire: three questions over HTTPS, to a server that was proven before anything is told to it."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edge.enrol.keys import certificate_fingerprint
from edge.errors import ConfigError, LinkError, NotPermittedError, ReportError, RetryError

_TIMEOUT_S: Final = 20.0
#: The largest honest answer is a certificate with its chain.
_MAX_ANSWER: Final = 256 << 10
_PIN_MIN: Final = 32  # hexadecimal digits: 128 bits
_LOCAL: Final = ("127.0.0.1", "::1", "localhost")


class CodeRefused(NotPermittedError):
    """Central does not take the code."""


class Throttled(RetryError):
    """Too many wrong codes came from this address; ``wait`` in s."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many wrong codes came from this address: central looks again in {wait} s")
        self.wait = wait


@dataclass(frozen=True)
class Server:
    """Where central is, and how it proves itself: by a pinned key, an authority's file, or what the machine trusts."""

    url: str
    ca: Path | None = None
    pin: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        local = parts.hostname in _LOCAL
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"--server {self.url!r} is no address such as https://metergate.example.net")
        if parts.username or parts.password:
            raise ConfigError(f"--server {self.url!r} has a login in it: leave it out, the code is the proof")
        if parts.scheme == "http" and not local:
            raise ConfigError(
                f"--server {self.url}: without TLS anybody between could change the request; use https://"
            )
        if parts.scheme == "http" and (self.pin or self.ca):
            raise ConfigError("--pin and --ca are for https:// addresses")
        try:
            parts.port  # noqa: B018  # it looks at the number
        except ValueError as error:
            raise ConfigError(f"--server {self.url!r}: {error}") from error
        if self.pin:
            _digits(self.pin)

    def whose(self, code: str) -> str:
        """The gateway a code is for; the code stays unused."""
        return str(self._post("/code", {"code": code})["gateway"])

    def ask(self, code: str, secret: str, request: str) -> dict[str, Any]:
        """Ask with the code; the same again finds the same request."""
        return self._post("", {"code": code, "secret": secret, "csr": request})

    def look(self, number: int, secret: str) -> dict[str, Any]:
        """How the request stands."""
        return self._answer("GET", f"/{number}", None, {"X-Enrolment-Secret": secret})

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _answer(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        parts = urlsplit(self.url)
        connection = self._connection(parts.scheme, str(parts.hostname), parts.port)
        try:
            connection.connect()
            self._prove(connection)
            where = f"{parts.path.rstrip('/')}/api/v1/enrolment{path}"
            connection.request(method, where, body, {"Accept": "application/json", **headers})
            answer = connection.getresponse()
            data = answer.read(_MAX_ANSWER + 1)
        except ssl.SSLCertVerificationError as error:
            raise NotPermittedError(
                f"{parts.netloc} does not prove to be who it says ({error.verify_message}): give --pin as shown beside "
                "the code, or --ca with the authority's file"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise LinkError(f"{parts.netloc} cannot be reached: {_reason(error)}") from error
        finally:
            connection.close()
        return _read(answer, data, parts.netloc)

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        try:
            context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except OSError as error:
            raise ConfigError(f"--ca {self.ca} cannot be used: {error}") from error
        if self.pin:  # the key itself is known: who signed it, and for which name, does not matter
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)

    def _prove(self, connection: http.client.HTTPConnection) -> None:
        if not self.pin:
            return
        sock = connection.sock
        assert isinstance(sock, ssl.SSLSocket)  # noqa: S101 - a pin goes with https only
        met = certificate_fingerprint(sock.getpeercert(binary_form=True) or b"")
        if not met.startswith(_digits(self.pin)):
            raise NotPermittedError(
                f"{urlsplit(self.url).netloc} has another key (sha256:{met[:_PIN_MIN]}) than the one pinned: "
                "either the server's certificate was changed, or somebody is between; ask who made the code"
            )


def _digits(pin: str) -> str:
    kind, _, digits = pin.strip().lower().replace(" ", "").partition(":")
    if kind != "sha256" or not _PIN_MIN <= len(digits) <= 64 or set(digits) - set("0123456789abcdef"):
        raise ConfigError(f"--pin {pin!r} is not sha256: and 32 to 64 hexadecimal digits, as shown beside the code")
    return digits


def _read(answer: http.client.HTTPResponse, data: bytes, where: str) -> dict[str, Any]:
    try:
        body = json.loads(data) if len(data) <= _MAX_ANSWER else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ReportError(f"{where} answers {answer.status} with something else than central would: is it the address?")
    if answer.status in (200, 201):
        return body
    if answer.status == 429:
        wait = answer.headers.get("Retry-After", "")
        raise Throttled(int(wait) if wait.isdecimal() and len(wait) < 6 else 60)
    detail = str(body.get("detail", ""))
    if answer.status >= 500:
        raise LinkError(f"{where} answers {answer.status}: {detail or 'it is in trouble'}")
    faults = body.get("errors")
    first = faults[0] if isinstance(faults, list) and faults else None
    if answer.status == 422 and isinstance(first, dict) and first.get("path") == "code":
        raise CodeRefused(
            "central does not take this code: it is mistyped, used, expired or revoked; ask for a new one"
        )
    raise ReportError(f"central refuses: {detail or answer.status}")


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"its name is not known ({error.strerror})"
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_S:.0f} s"
    return str(error) or type(error).__name__
