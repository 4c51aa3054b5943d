"""The laptop's folder: its name, its spool, what was learnt of places, a journal, traces.

::

    laptop.json   {"id": "field-1f2e3d4c"}: the gateway id under which readings travel
    spool.db      readings, until the aggregator has confirmed them
    places.json   what was found at a place, for the next visit
    journal.jsonl one line for every command: when, who, why, what, how it ended
    traces/       octets of every conversation, secrets masked
"""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError
from edge.spool import Spool, SpoolSettings
from shared.ids import check_id

VARIABLE: Final = "METERGATE_FIELD_DIR"
#: Traces beyond these are deleted, oldest first.
KEPT_TRACES: Final = 200
#: A laptop's disk may be nearly full and a reading still be worth keeping.
FREE_BYTES: Final = 4 << 20


def default_folder() -> Path:
    """The folder of this user (XDG data directory)."""
    given = os.environ.get("XDG_DATA_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local/share"
    return base / "metergate" / "field"


class Folder:
    """Everything the tool keeps. Files are replaced whole or appended to; nothing is half-written."""

    def __init__(self, path: Path, laptop: str = "") -> None:
        """Open or make the folder; ``laptop`` renames it. Raises :class:`ConfigError` where it may not be written."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self.laptop = self._laptop(laptop)
        except OSError as error:
            raise ConfigError(f"{path} cannot be used: {error.strerror or error}; choose another --folder") from error

    def spool(self) -> Spool:
        """The spool, not yet open; a second command at the same time is refused by its lock."""
        settings = SpoolSettings(free_bytes=FREE_BYTES, retention_days=3650, evidence_days=3650)
        return Spool(self.spool_path, self.laptop, settings)

    @property
    def spool_path(self) -> Path:
        return self.path / "spool.db"

    @property
    def journal_path(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def traces(self) -> list[Path]:
        """Traces, newest first."""
        return sorted((self.path / "traces").glob("*.txt"), reverse=True)

    # -- what was learnt -----------------------------------------------------------------------------------------------

    def learnt(self, place: str) -> dict[str, Any]:
        """What an earlier visit found there; {} without."""
        found = self._json("places.json").get(place)
        return found if isinstance(found, dict) else {}

    def places(self) -> dict[str, Any]:
        return self._json("places.json")

    def learn(self, place: str, **facts: Any) -> None:
        """Remember facts of a place, replacing those of the same name."""
        known = self._json("places.json")
        known[place] = {**self.learnt(place), **facts, "at": int(time.time())}
        self._replace("places.json", known)

    # -- the journal ---------------------------------------------------------------------------------------------------

    def journal(self, what: str, **facts: Any) -> None:
        """Append one line; a line cut short by a crash is left and read over."""
        line = json.dumps({"at": utc_text(time.time()), "what": what, **facts}, ensure_ascii=False, default=str)
        with self.journal_path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def entries(self) -> list[dict[str, Any]]:
        """All lines of the journal that are whole."""
        if not self.journal_path.exists():
            return []
        found = []
        for line in self.journal_path.read_text("utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                found.append(entry)
        return found

    def new_trace(self, what: str) -> Path:
        """Where the next conversation is written down; old ones make room."""
        for old in self.traces[KEPT_TRACES - 1 :]:
            old.unlink(missing_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        return self.path / "traces" / f"{stamp}-{what}.txt"

    # -- files ---------------------------------------------------------------------------------------------------------

    def _laptop(self, wanted: str) -> str:
        held = str(self._json("laptop.json").get("id", ""))
        name = wanted or held or f"field-{os.urandom(4).hex()}"
        try:
            check_id(name, "laptop")
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if name != held:
            self._replace("laptop.json", {"id": name})
        return name

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.path / name).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigError(f"{self.path / name} is damaged ({error}): move it away, it is made anew") from error
        return found if isinstance(found, dict) else {}

    def _replace(self, name: str, content: dict[str, Any]) -> None:
        fresh = self.path / f"{name}.{os.getpid()}"
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path / name)


def utc_text(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
