"""Words to search by, as the registry enters them."""

import unicodedata
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 64


def words(texts: Iterable[str]) -> set[str]:
    """Words of texts without case and accents: parts between blanks whole, and runs of letters and digits."""
    found: set[str] = set()
    for text in texts:
        plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
        found.update(part[:_LONGEST] for part in plain.split())
        found.update(part[:_LONGEST] for part in "".join(c if c.isalnum() else " " for c in plain).split())
    return found
