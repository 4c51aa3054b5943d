"""Central's API as the controller uses it: with a key, over a connection that is proven."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from metergate.provision.errors import ProvisionError

_LOCAL: Final = ("127.0.0.1", "::1", "localhost")
_TIMEOUT_S: Final = 30.0


class CentralApi:
    """A connection to ``/api/v1`` of one server; use it in a ``with`` block. Raises :class:`ProvisionError`."""

    def __init__(self, server: str, key_file: Path, ca: Path | None = None) -> None:
        parts = urlsplit(server)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ProvisionError(f"--server {server!r} is no address such as https://metergate.example.net")
        if parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise ProvisionError(f"--server {server}: without TLS the key would be read on its way; use https://")
        try:
            key = key_file.read_text().split("\n", 1)[0].strip()
            verify = ssl.create_default_context()
            if ca is not None:
                verify.load_verify_locations(str(ca))
        except OSError as error:
            raise ProvisionError(f"{error.filename or ca} cannot be read: {error.strerror or error}") from error
        if not key.startswith("mg_"):
            raise ProvisionError(
                f"the first line of {key_file} is no API key (mg_...); central shows one when it is made"
            )
        self._where = parts.netloc
        self._client = httpx.Client(
            base_url=f"{server.rstrip('/')}/api/v1", headers={"Authorization": f"Bearer {key}"}, verify=verify,
            timeout=_TIMEOUT_S,
        )  # fmt: skip

    def __enter__(self) -> "CentralApi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One answer."""
        return self._ask("GET", path, params=query)

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All entries of a list, page by page."""
        page = self.get(path, limit=500, **query)
        while True:
            yield from page["items"]
            if not page["next"]:
                return
            page = self._ask("GET", str(page["next"]).removeprefix("/api/v1"))

    def put(self, path: str, body: Any) -> dict[str, Any]:
        return self._ask("PUT", path, json=body)

    def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **how)
        except httpx.HTTPError as error:
            raise ProvisionError(f"{self._where} cannot be reached: {str(error) or type(error).__name__}") from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ProvisionError(f"{self._where} answers {answer.status_code} with something else than central would")
        if answer.status_code not in (200, 201):
            raise ProvisionError(f"{self._where} refuses {method} {path}: {body.get('detail') or answer.status_code}")
        return body
