"""Time-based one-time codes (RFC 6238 over RFC 4226): HMAC-SHA-1, 30 s, six digits, as every authenticator app has."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final
from urllib.parse import quote

STEP_S: Final = 30
DIGITS: Final = 6
#: Steps before and after the present one whose codes are taken: clocks differ, and people type slowly.
WINDOW: Final = 1
_SECRET_BYTES: Final = 20  # RFC 4226 section 4, R6: 160 bits
_SECRET: Final = re.compile(r"[A-Z2-7]{32}")
_RECOVERY_BYTES: Final = 10  # 80 bits: a plain digest is enough
RECOVERY_CODES: Final = 10


def new_secret() -> str:
    """A random secret, base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Whether ``text`` has the form of :func:`new_secret`."""
    return _SECRET.fullmatch(text) is not None


def code_at(secret: str, step: int, digits: int = DIGITS) -> str:
    """The code of a time step (seconds since 1970 over :data:`STEP_S`)."""
    mac = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 0x0F
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: str, code: str, now: int, last: int) -> int | None:
    """The step whose code this is, None when none is: within the window, and after ``last``, the step used last."""
    present = now // STEP_S
    for step in range(max(present - WINDOW, last + 1), present + WINDOW + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            return step
    return None


def address(secret: str, login: str, issuer: str) -> str:
    """What a QR code says to an authenticator app."""
    label = f"{quote(issuer, safe='')}:{quote(login, safe='')}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}&digits={DIGITS}&period={STEP_S}"


def new_recovery() -> list[str]:
    """One-time codes for when the app is lost, ``xxxx-xxxx-xxxx-xxxx``."""
    texts = (base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES))
    return ["-".join(text[at : at + 4] for at in range(0, 16, 4)) for text in texts]


def recovery_digest(code: str) -> str:
    """The stored form of a recovery code; case, blanks and hyphens do not matter."""
    return hashlib.sha256(re.sub(r"[\s-]", "", code).lower().encode("utf-8", "surrogatepass")).hexdigest()
