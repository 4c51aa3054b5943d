"""One-time codes that people type: ten characters of Crockford's base 32 in two groups, such as ``7KQ2M-X09VD``.

The first group finds the code and may be shown again, the second proves it (25 bits, few tries, a short life). Letters
that look like digits are read as those: I and L as 1, O as 0; U is in none.
"""

import re
import secrets
from typing import Final, NamedTuple

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP: Final = 5
_ALIKE: Final = str.maketrans({"I": "1", "L": "1", "O": "0"})
_CODE: Final = re.compile(f"[{ALPHABET}]{{{2 * GROUP}}}")
_BETWEEN: Final = re.compile(r"[\s\-–—_]+")


class Code(NamedTuple):
    """A code's two groups."""

    prefix: str
    proof: str

    @property
    def text(self) -> str:
        """As it is shown and stored (hashed)."""
        return f"{self.prefix}-{self.proof}"


def new_code() -> Code:
    return Code(*("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(2)))


def parse(text: str) -> Code | None:
    """The code that was typed, whatever its case and dashes; None when it cannot be one."""
    plain = _BETWEEN.sub("", text[:64]).upper().translate(_ALIKE)
    return Code(plain[:GROUP], plain[GROUP:]) if _CODE.fullmatch(plain) else None
