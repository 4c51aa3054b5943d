"""The spool's rows for people on the spot: CSV, JSON lines, or msgpack as stored."""

import contextlib
import csv
import io
import sys
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from edge.errors import ConfigError
from edge.spool.inspection import StoredItem, stored_items
from ext.profile import unpack
from shared.intervals import iso
from shared.quantities import Quantity, QuantityError
from shared.wire import (
    ForwardCapture,
    ForwardConnection,
    InstantSnapshot,
    MeterEvent,
    ProfileBlock,
    RegisterReading,
    encode,
)

COLUMNS: Final = ("seq", "delivered", "kind", "meter", "at", "quantity", "value", "unit", "quality", "detail")


def write(path: Path, style: str, meter: str | None, output: IO[bytes]) -> int:
    """Write all rows of the spool at ``path`` (of one meter); returns their number. Damaged rows are left out."""
    rows = stored_items(path, meter=meter)
    first = next(rows, None)  # a spool that cannot be read is said before anything is written
    count = 0
    text = io.TextIOWrapper(output, "utf-8", newline="", write_through=True)
    table = csv.writer(text)
    if style == "csv":
        table.writerow(COLUMNS)
    for row in chain([] if first is None else [first], rows):
        if row.item is None:
            continue
        count += 1
        if style == "csv":
            table.writerows(csv_rows(row))
        elif style == "json":
            text.write(msgspec.json.encode(json_row(row)).decode() + "\n")
        else:
            output.write(encode(row.item))
    text.flush()
    text.detach()
    return count


@contextlib.contextmanager
def opened(path: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that stands under its name only when it is whole; :class:`ConfigError`."""
    if path is None:
        yield sys.stdout.buffer
        return
    whole = path if path.exists() and not path.is_file() else path.with_name(path.name + ".part")
    try:
        file = whole.open("wb")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with contextlib.closing(file):
            yield file
        if whole != path:
            whole.replace(path)
    except BaseException:
        if whole != path:
            whole.unlink(missing_ok=True)
        raise


def csv_rows(row: StoredItem) -> Iterator[tuple[object, ...]]:
    """One line per value: exact counts times scale; a missing interval has an empty value."""
    item = row.item
    head = (row.seq, int(row.acknowledged), row.kind, row.meter)
    if isinstance(item, RegisterReading):
        for register in item.values:
            at = iso(item.at if register.at is None else register.at)
            number = scaled(register.value, register.num, register.den)
            yield (*head, at, register.quantity, number, unit_of(register.quantity), "", f"period {item.period}")
    elif isinstance(item, ProfileBlock):
        values, flags, step = unpack(item.data)
        for index, (count, flag) in enumerate(zip(values, flags, strict=True)):
            number = "" if flag & 1 else scaled(count, item.num, item.den)
            at = iso(item.start + index * step)
            yield (*head, at, item.channel, number, unit_of(item.channel), flag, f"{step} s from then")
    elif isinstance(item, InstantSnapshot):
        for code, value in zip(item.quantities, floats(item.values), strict=False):
            yield (*head, iso(item.at), code, "" if value != value else f"{value:.7g}", unit_of(code), "", "")
    elif isinstance(item, MeterEvent):
        detail = msgspec.json.encode(item.detail).decode()
        until = f" until {iso(item.until)}" if item.until is not None else ""
        yield (*head, iso(item.at), "", "", "", "", f"{item.kind}{until} {detail}")
    elif isinstance(item, ForwardConnection | ForwardCapture):
        at = iso(item.started_ms // 1000)
        yield (*head, at, "", "", "", "", msgspec.json.encode(named(item)).decode())
    elif item is not None:
        instant = item.started_ms // 1000 if isinstance(item, ForwardConnection | ForwardCapture) else item.at
        yield (*head, iso(instant), "", "", "", "", msgspec.json.encode(named(item)).decode())


def json_row(row: StoredItem) -> dict[str, Any]:
    """A row with field names; a profile's counts and quality flags are unpacked, missing counts are null."""
    shown = named(row.item)
    if isinstance(row.item, ProfileBlock):
        values, flags, _ = unpack(row.item.data)
        shown["data"] = [None if flag & 1 else count for count, flag in zip(values, flags, strict=True)]
        shown["quality"] = list(flags)
    elif isinstance(row.item, InstantSnapshot):
        shown["values"] = [None if number != number else number for number in floats(row.item.values)]
    return {"seq": row.seq, "delivered": row.acknowledged, **shown}


def floats(data: bytes) -> "array[float]":
    """Little-endian 32-bit floats of a snapshot."""
    import sys

    values = array("f")
    values.frombytes(data[: len(data) // 4 * 4])
    if sys.byteorder == "big":
        values.byteswap()
    return values


def named(value: Any) -> Any:
    """A wire struct as an object with field names, bytes as hex."""
    if isinstance(value, msgspec.Struct):
        fields = {name: named(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, list | tuple):
        return [named(each) for each in value]
    if isinstance(value, dict):
        return {key: named(each) for key, each in value.items()}
    return value.hex() if isinstance(value, bytes) else value


def scaled(count: int, num: int, den: int) -> str:
    """``count * num / den`` in decimal: exact where it ends, else 12 significant digits."""
    from decimal import Context, Inexact

    context = Context(prec=28)
    number = context.divide(context.multiply(context.create_decimal(count), num), den)
    return f"{+number if not context.flags[Inexact] else Context(prec=12).plus(number):f}"


def unit_of(code: str) -> str:
    try:
        return Quantity.parse(code).unit
    except QuantityError:
        return ""
