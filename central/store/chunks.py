"""Lists in parts, for statements that take only so many values."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``, the last perhaps shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
