"""Random tokens: given out once, stored as SHA-256 (they carry 256 random bits, so a plain digest is enough)."""

import hashlib
import re
import secrets
from typing import Final, NamedTuple

API_KEY_MARK: Final = "mg"
_API_KEY = re.compile(r"mg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class NewKey(NamedTuple):
    """``text`` is shown once; ``prefix`` finds it, ``digest`` proves it."""

    text: str
    prefix: str
    digest: bytes


def new_token() -> str:
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """SHA-256 of a token, 32 octets."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_api_key() -> NewKey:
    """Make a key ``mg_{12 hex}_{43 characters}``: easy to recognise, also for scanners of leaked secrets."""
    prefix = secrets.token_hex(6)
    text = f"{API_KEY_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    return NewKey(text, prefix, digest(text))


def api_key_prefix(text: str) -> str | None:
    """Return the public prefix of a key, None when ``text`` has not the form of one."""
    match = _API_KEY.fullmatch(text)
    return match[1] if match else None
