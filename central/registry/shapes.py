"""Shapes of the API made from the declared kinds. References are keys, as utility systems know them; groups and
holidays, which have none, go by their number.

In ``...In`` shapes every field may be left out: PUT then takes its default, PATCH leaves it as it is.
"""

from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from central.api.query import instant_text
from central.api.schemas import Input, KeyText, Output, Scale
from central.registry.fields import Ratio
from central.registry.kinds import Kind
from central.registry.records import Record

_NUMBER = Annotated[int, Meta(ge=1, le=(1 << 53) - 1)]


@cache
def input_of(kind: Kind) -> type[msgspec.Struct]:
    """The body of PUT and PATCH."""
    return _struct(kind, "In", [], Input, f"What may be told of a {kind.label}; what is left out is not told.")


@cache
def entry_of(kind: Kind) -> type[msgspec.Struct]:
    """One entry of a bulk request: the fields and what it is."""
    own = ("id", _NUMBER | UnsetType, UNSET) if kind.numbered else ("key", KeyText)
    return _struct(kind, "Entry", [own], Input, f"A {kind.label} to be entered, or the fields of one to be changed.")


@cache
def output_of(kind: Kind) -> type[msgspec.Struct]:
    """What is answered."""
    fields: list[Any] = [("id", int) if kind.numbered else ("key", str)]
    fields += [(each.name, each.type.shape | None if each.type.nullable else each.type.shape) for each in kind.fields]
    if kind.created_at:
        fields.append(("created_at", str))
    made = msgspec.defstruct(_name(kind) + "Out", fields, bases=(Output,), module=__name__)
    made.__doc__ = f"A {kind.label} as it is registered."
    return made


def answer_of(kind: Kind, record: Record) -> Any:
    """The answer about one record."""
    values = {
        each.name: Scale(**record.values[each.name]) if isinstance(each.type, Ratio) else record.values[each.name]
        for each in kind.fields
    }
    if kind.created_at and record.created_at is not None:
        values["created_at"] = instant_text(record.created_at)
    own: dict[str, Any] = {"id": record.id} if kind.numbered else {"key": record.key}
    return output_of(kind)(**own, **values)


def given(data: msgspec.Struct) -> dict[str, Any]:
    """The fields that a body tells."""
    told = {field: getattr(data, field) for field in data.__struct_fields__}
    return {field: value for field, value in told.items() if value is not UNSET}


class RowFault(Output):
    """What is wrong with one entry."""

    field: str
    message: str


class RowResult(Output):
    """What became of one entry: new, changed, same or refused."""

    row: int
    key: str
    status: str
    errors: list[RowFault] = []


class BulkOut(Output):
    """How many entries were new, changed, the same and refused, and each one's result, in their order."""

    new: int
    changed: int
    same: int
    refused: int
    results: list[RowResult]


def _struct(kind: Kind, ending: str, own: list[Any], base: type, words: str) -> type[msgspec.Struct]:
    fields: list[Any] = list(own)
    for each in kind.fields:
        shape = each.type.shape | UnsetType
        fields.append((each.name, shape | None if each.type.nullable else shape, UNSET))
    made = msgspec.defstruct(_name(kind) + ending, fields, bases=(base,), module=__name__)
    made.__doc__ = words
    return made


def _name(kind: Kind) -> str:
    return "".join(part.capitalize() for part in kind.name.split("_"))
