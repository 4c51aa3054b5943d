"""Where keys and certificates lie, and what an enrolment has brought about so far: ``DIR/enrolment/`` while it goes on.

Everything appears whole. The names are those of the provisioning role: ``gateway.key``, ``gateway.pem``, ``ca.pem``.
"""

import grp
import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from edge.errors import ConfigError


class State(msgspec.Struct, forbid_unknown_fields=True):
    """What has to survive an interruption; ``number`` is the request's at central, 0 before it is known."""

    server: str
    code: str
    gateway: str
    secret: str
    number: int = 0


def group_of_service() -> str:
    """The group that the provisioned service runs as, when root asks and it is there; else "" (the owner alone)."""
    try:
        return grp.getgrnam("metergate").gr_name if os.geteuid() == 0 else ""
    except KeyError:
        return ""


class Place:
    """The folder of keys; ``group`` may read the key too (the group the gateway's service runs as)."""

    def __init__(self, folder: Path, group: str = "") -> None:
        self.folder, self.group = folder, group
        self.work = folder / "enrolment"
        self.key, self.cert, self.chain = (folder / name for name in ("gateway.key", "gateway.pem", "ca.pem"))
        self.new_key = self.work / "gateway.key"
        self._state = self.work / "state.json"

    def begin(self) -> None:
        """Make the folders; ConfigError where we may not."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self.work.mkdir(exist_ok=True, mode=0o700)
            if self.group:
                shutil.chown(self.folder, group=self.group)
        except (OSError, LookupError) as error:
            raise ConfigError(f"{self.folder} cannot be prepared: {error}; run it as root, or give --dir") from error

    def state(self) -> State | None:
        """What an interrupted enrolment left; None when none did."""
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{self._state} cannot be read ({error}): begin anew with --anew") from error

    def save(self, state: State) -> None:
        self._write(self._state, msgspec.json.encode(state), 0o600)

    def drop(self) -> None:
        """Forget an enrolment that goes on; what is in force stays."""
        self._state.unlink(missing_ok=True)  # first: the rest means nothing without it
        shutil.rmtree(self.work, ignore_errors=True)

    def take(self, certificate: str, chain: str) -> None:
        """Put the new key, chain and certificate in force, the certificate last; then forget how it came.

        Interrupted between, it is done again: the state is there until all is in place.
        """
        if self.new_key.exists():
            self._write(self.key, self.new_key.read_bytes(), 0o640 if self.group else 0o600)
        self._write(self.chain, chain.encode(), 0o644)
        self._write(self.cert, certificate.encode(), 0o644)
        self.drop()

    def draft(self, name: str, text: str) -> Path:
        """A file beside the state, to be looked at before it is taken."""
        path = self.work / name
        self._write(path, text.encode(), 0o600)
        return path

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            if self.group:
                shutil.chown(temporary, group=self.group)
            os.fsync(descriptor)
        Path(temporary).rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
