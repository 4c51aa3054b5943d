"""The configuration file as a thing that changes safely: a new one is on trial until the broker has been reached.

While a change is under way there are ``gateway.toml.previous`` and the marker ``gateway.toml.trial``.
Every step is a write to a new file, fsync, rename, fsync of the folder. Whatever step a power cut falls into, the next
start finds the old file, or the new one with a marker that says what is still to be decided:

    apply      previous written, marker (trial) written, new file renamed into place
    keep       marker removed                                  the broker was reached
    roll back  previous renamed into place, marker (rolled back) stays until the result is stored
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from edge.config.load import Loaded, hash_of, load, parse
from edge.errors import ConfigError

#: A configuration under trial with which the gateway was started so often without an end is the reason it does not end.
MAX_STARTS: Final = 3


class Phase(StrEnum):
    """What a marker says."""

    TRIAL = "trial"
    ROLLED_BACK = "rolled_back"


class Marker(msgspec.Struct, forbid_unknown_fields=True):
    """A decision under way: ``command`` brought the configuration ``hash``; ``starts`` counts starts with it."""

    command: str
    hash: str
    phase: Phase = Phase.TRIAL
    reason: str = ""
    starts: int = 0


class ConfigStore:
    """One configuration file and the decision about it that may be under way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous = path.with_name(path.name + ".previous")
        self._marker = path.with_name(path.name + ".trial")

    def marker(self) -> Marker | None:
        """The decision under way; a marker that cannot be read is treated as none, and removed."""
        try:
            return msgspec.json.decode(self._marker.read_bytes(), type=Marker)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError):
            self._marker.unlink(missing_ok=True)
            return None

    def start(self) -> tuple[Loaded, Marker | None]:
        """Load what is to run at a start, finishing a decision that a crash interrupted; :class:`ConfigError`."""
        marker = self.marker()
        if marker is None or marker.phase is Phase.ROLLED_BACK:
            return load(self.path), marker
        if self._hash() != marker.hash:  # the power went before the new file was in place, or after it was rolled back
            return self.roll_back("the gateway stopped before the new configuration was in place")
        marker.starts += 1
        if marker.starts > MAX_STARTS:
            return self.roll_back(f"the gateway was started {MAX_STARTS} times with it and never reached the broker")
        try:
            loaded = load(self.path)
        except ConfigError as error:
            return self.roll_back(str(error))
        _write(self._marker, msgspec.json.encode(marker))
        return loaded, marker

    def apply(self, text: str, command: str) -> Loaded:
        """Put a new configuration into place, on trial; :class:`ConfigError` and nothing changed when it cannot."""
        loaded = parse(text, "the new configuration")
        try:
            current = self.path.read_text("utf-8")
            _write(self._previous, current.encode())
            _write(self._marker, msgspec.json.encode(Marker(command, loaded.hash)))
            _write(self.path, text.encode())
        except OSError as error:
            self._marker.unlink(missing_ok=True)
            raise ConfigError(
                f"{error.filename or self.path} cannot be written: {error.strerror}; "
                "the gateway's user needs write access to the folder of its configuration"
            ) from error
        return loaded

    def keep(self) -> None:
        """The configuration on trial has proved itself, or its end is told: nothing is under way any more."""
        self._marker.unlink(missing_ok=True)
        _sync(self.path.parent)

    def roll_back(self, reason: str) -> tuple[Loaded, Marker]:
        """Put the previous configuration back; the marker stays until somebody was told."""
        marker = self.marker() or Marker("", "")
        if self._hash() == marker.hash:
            _write(self.path, self._previous.read_bytes())
        loaded = load(self.path)
        marker.phase, marker.reason = Phase.ROLLED_BACK, reason[:1500]
        _write(self._marker, msgspec.json.encode(marker))
        return loaded, marker

    def _hash(self) -> str:
        try:
            return hash_of(self.path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            return ""


def _write(path: Path, data: bytes) -> None:
    """Replace a file whole: readers and power cuts see the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
