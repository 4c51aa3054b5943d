"""Report R7 as CSV: connections with their verdicts, and success by week."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from central.ccee.schemas import ConnectionOut, WeekOut
from central.ccee.verdicts import VERDICTS

CONNECTION_HEAD: Final = tuple(field.name for field in msgspec.structs.fields(ConnectionOut))
_CODES: Final = tuple(code for code in VERDICTS if code.startswith("I"))


def week_head(*first: str) -> tuple[str, ...]:
    """Column names of a table of weeks."""
    return (*first, "week", "ok", "failed", "unclear", "rate", *_CODES)


def week_cells(one: WeekOut) -> list[object]:
    """One week; the rate as a share 0..1 with four places."""
    share = "" if one.rate is None else f"{one.rate:.4f}"
    return [one.week, one.ok, one.failed, one.unclear, share, *(one.verdicts.get(code, 0) for code in _CODES)]


def connection_cells(one: ConnectionOut) -> list[object]:
    return ["" if value is None else value for value in msgspec.structs.astuple(one)]


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Lines of CSV (RFC 4180); what a spreadsheet would take for a formula is marked as text."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: object) -> object:
    """Texts come from meters and networks: one that begins like a formula gets an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
