"""One .zip for whoever helps: machine, ports, configuration without secrets, journal, readings, what passed."""

import io
import json
import os
import platform
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from edge import export
from edge.config import mask
from edge.errors import ConfigError
from edge.field.folder import Folder, utc_text
from edge.field.ports import serial_ports
from edge.field.tap import MARKS
from shared.pcapng import Chunk, capture

#: The newest conversations.
TRACES: Final = 20
MAX_TRACE: Final = 32 << 20
#: Addresses a capture is dressed in: a serial line has none (RFC 5737).
_CLIENT, _METER = "192.0.2.1:1", "192.0.2.2:1"
_SIDES: Final = {mark: side for side, mark in MARKS.items()}
_PARTS: Final = ("metergate", "msgspec", "serialx", "aiomqtt", "textual")


def make(folder: Folder, output: Path | None, configs: Sequence[Path]) -> Path:
    """Write the bundle and return its path. A configuration that cannot be masked is refused, not packed."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = output or folder.path / "bundles" / f"metergate-field-{folder.laptop}-{stamp}.zip"
    parts = list(_parts(folder, configs))
    fresh = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts:
                archive.writestr(name, content)
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _parts(folder: Folder, configs: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    yield "environment.json", _json(environment(folder))
    yield "ports.json", _json([msgspec.to_builtins(port) for port in serial_ports()])
    yield "places.json", _json(folder.places())
    if folder.journal_path.exists():
        yield "journal.jsonl", folder.journal_path.read_bytes()
    if folder.spool_path.exists():
        rows = io.BytesIO()
        export.write(folder.spool_path, "json", None, rows)
        yield "readings.jsonl", rows.getvalue()
    for config in configs:
        try:
            text = mask(config.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise ConfigError(f"{config} cannot be read: {error}") from error
        yield f"config/{config.name}", text.encode()
    for trace in folder.traces[:TRACES]:
        data = trace.read_bytes()[:MAX_TRACE]
        yield f"traces/{trace.name}", data
        chunks = list(chunks_of(data.decode("ascii", "replace")))
        if chunks:
            comment = f"{trace.stem}: octets as seen by the field tool; addresses are made up, secrets masked"
            yield f"traces/{trace.stem}.pcapng", capture(chunks, _CLIENT, _METER, comment)


def chunks_of(text: str) -> Iterator[Chunk]:
    """Pieces of a trace; a line cut short by a crash is left out."""
    for line in text.splitlines():
        at, _, rest = line.partition(" ")
        mark, _, octets = rest.partition(" ")
        try:
            yield Chunk(float(at), int(_SIDES[mark]), bytes.fromhex(octets))
        except (ValueError, KeyError):
            continue


def environment(folder: Folder) -> dict[str, Any]:
    """What the machine is; nothing of the person's environment variables."""
    return {
        "at": utc_text(time.time()),
        "laptop": folder.laptop,
        "folder": str(folder.path),
        "free_bytes": shutil.disk_usage(folder.path).free,
        "system": platform.platform(),
        "python": sys.version,
        "user": os.getuid(),
        "groups": os.getgroups(),
        "zone": time.strftime("%Z %z"),
        "packages": {name: _version(name) for name in _PARTS},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str).encode()
