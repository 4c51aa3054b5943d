"""Shapes shared by all answers: pages, scales, and how instants come in."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

#: RFC 3339 with offset, or whole seconds since 1970.
InstantIn = Annotated[datetime, Meta(tz=True)] | Annotated[int, Meta(ge=0, le=253_402_300_799)]
KeyText = Annotated[str, Meta(min_length=1, max_length=64)]
NameText = Annotated[str, Meta(max_length=200)]
NoteText = Annotated[str, Meta(max_length=10_000)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class Input(msgspec.Struct, forbid_unknown_fields=True):
    """Base of everything that is sent to us: an unknown field is an error, not silently dropped."""


class Output(msgspec.Struct):
    """Base of everything that is answered."""


class Page(msgspec.Struct, Generic[T]):
    """Part of a list; ``next`` is the address of the following part, null when this is the last."""

    items: list[T]
    next: str | None = None


class Scale(msgspec.Struct, forbid_unknown_fields=True):
    """Exact fraction that turns a raw integer into its unit."""

    num: Annotated[int, Meta(ge=1, le=(1 << 53) - 1)] = 1
    den: Annotated[int, Meta(ge=1, le=(1 << 53) - 1)] = 1


def seconds(moment: datetime | int) -> int:
    """UTC seconds of an instant that came in; parts of a second are dropped."""
    return moment if isinstance(moment, int) else int(moment.astimezone(UTC).timestamp())
