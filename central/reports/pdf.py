"""A report as PDF, set by Typst. What people entered reaches it as data in a file, never as markup."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import typst

from central.reports.columns import Kind
from central.reports.wording import Cell

#: Rows of a PDF: beyond that it is no paper to read, and takes long to set.
MOST_ROWS: Final = 5000
#: Columns of the widest page.
MOST_CELLS: Final = 48
_TEMPLATE: Final = Path(__file__).with_name("report.typ")
_RIGHT: Final = frozenset({Kind.NUMBER, Kind.SHARE, Kind.SECONDS})


def write_pdf(
    target: Path,
    title: str,
    about: Sequence[tuple[str, str]],
    cells: Sequence[Cell],
    heads: Sequence[str],
    lines: Sequence[Sequence[str]],
    tag: str,
) -> None:
    """Set the table; the page is as wide as its columns need."""
    width = sum(0.35 if cell.place is not None else 1.0 for cell in cells)
    data: dict[str, Any] = {
        "title": title,
        "about": about,
        "columns": [_shape(cell, head) for cell, head in zip(cells, heads, strict=True)],
        "rows": lines,
        "paper": "a4" if width <= 13 else "a3",
        "size": 7.5 if width <= 9 else 6.5 if width <= 20 else 5,
        "language": tag.split("-")[0],
    }
    with tempfile.TemporaryDirectory(prefix="metergate-pdf-") as name:
        folder = Path(name)
        shutil.copyfile(_TEMPLATE, folder / "report.typ")
        (folder / "data.json").write_bytes(msgspec.json.encode(data))
        made = typst.compile(str(folder / "report.typ"), root=name)
    target.write_bytes(made)


def _shape(cell: Cell, head: str) -> dict[str, Any]:
    kind = cell.column.kind
    return {
        "head": head,
        "right": cell.place is None and kind in _RIGHT,
        "day": cell.place is not None,
        "wide": cell.place is None and kind in (Kind.TEXT, Kind.DETAIL, Kind.NOTES),
    }
