"""Keyset pagination: a page names the key after which the next one begins, so that new rows never shift it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from central.errors import Refused

T = TypeVar("T")

MAX_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next`` goes into ``after`` of the following request; None: this was the last page."""

    items: Sequence[T]
    next: str | None


def bounded(limit: int) -> int:
    """Rows of one page: 1..MAX_LIMIT."""
    return max(1, min(limit, MAX_LIMIT))


def place(after: str) -> tuple[int, int]:
    """Instant and row id within the ``next`` of a list that is ordered by both; raises :class:`Refused`."""
    at, _, row_id = after.partition("-")
    if not (at.isascii() and at.isdigit() and row_id.isascii() and row_id.isdigit() and len(after) < 40):
        raise Refused("after", f"{after[:40]!r} is not the 'next' of a page")
    return int(at), int(row_id)
