"""Files between preview and apply: kept under a random name in the data folder, for a day, of bounded size."""

import contextlib
import re
import secrets
import time
from pathlib import Path
from typing import Final

import msgspec

from central.errors import NotFound, Refused

MAX_AGE: Final = 86_400  # s
MAX_BYTES: Final = 8 << 20
#: Files of one tenant at a time; the oldest make room.
MAX_FILES: Final = 30
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


class Upload(msgspec.Struct):
    """What is known of a kept file."""

    token: str
    tenant_id: int
    user_id: int
    kind: str
    name: str
    at: int


def keep(folder: Path, tenant_id: int, user_id: int, kind: str, name: str, data: bytes) -> Upload:
    """Keep a file; raises :class:`Refused` when it is empty or too large."""
    if not data:
        raise Refused("file", "is empty: choose a CSV file or a spreadsheet")
    if len(data) > MAX_BYTES:
        raise Refused("file", f"is larger than {MAX_BYTES >> 20} MiB: divide it")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _tidy(folder, tenant_id)
    upload = Upload(secrets.token_hex(16), tenant_id, user_id, kind, name[:200], int(time.time()))
    (folder / upload.token).write_bytes(data)
    (folder / f"{upload.token}.json").write_bytes(msgspec.json.encode(upload))
    return upload


def find(folder: Path, tenant_id: int, user_id: int, token: str) -> tuple[Upload, bytes]:
    """A file that this person has brought; raises :class:`NotFound`."""
    upload = _known(folder / f"{token}.json") if _TOKEN.fullmatch(token) else None
    if upload is None or (upload.tenant_id, upload.user_id) != (tenant_id, user_id) or _is_old(upload):
        raise NotFound("uploaded file", token[:32])
    try:
        return upload, (folder / token).read_bytes()
    except OSError:
        raise NotFound("uploaded file", token) from None


def drop(folder: Path, token: str) -> None:
    """Remove a file that is done with."""
    if _TOKEN.fullmatch(token):
        for path in (folder / token, folder / f"{token}.json"):
            with contextlib.suppress(OSError):
                path.unlink()


def _tidy(folder: Path, tenant_id: int) -> None:
    known = [upload for path in folder.glob("*.json") if (upload := _known(path)) is not None]
    for upload in known:
        if _is_old(upload):
            drop(folder, upload.token)
    ours = sorted((u for u in known if u.tenant_id == tenant_id and not _is_old(u)), key=lambda upload: upload.at)
    for upload in ours[: max(0, len(ours) - MAX_FILES + 1)]:
        drop(folder, upload.token)


def _is_old(upload: Upload) -> bool:
    return time.time() - upload.at > MAX_AGE


def _known(path: Path) -> Upload | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Upload)
    except (OSError, msgspec.MsgspecError):
        return None
