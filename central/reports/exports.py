"""A report as a file, of exactly the columns, order and filters shown: CSV, XLSX, PDF. Rows pass through in pieces."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.reports.columns import Column, Row, arranged
from central.reports.parameters import Filters
from central.reports.pdf import MOST_CELLS, MOST_ROWS, write_pdf
from central.reports.table import Asked, Report, Scope, Table
from central.reports.wording import Cell, Wording, cells_of, head_of, text_of
from central.reports.xlsx import MOST_LINES, Workbook

FORMATS: Final[dict[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
#: Characters with which a spreadsheet begins a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Progress = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A report as somebody has it before them: an opened table, the columns shown in their order, the sort."""

    report: Report
    asked: Asked
    table: Table
    columns: Sequence[Column]
    sort: str
    wording: Wording

    @property
    def cells(self) -> list[Cell]:
        return list(cells_of(self.columns))


async def show(
    session: AsyncSession, report: Report, scope: Scope, filters: Filters, columns: Sequence[str], sort: str,
    wording: Wording,
) -> Shown:  # fmt: skip
    """Open a report; raises :class:`Refused`."""
    asked = report.ask(scope, filters)
    table = await report.open(session, asked)
    return Shown(report, asked, table, arranged(table.columns, columns), sort, wording)


def file_name(shown: Shown, form: str) -> str:
    """Such as ``availability-2026-06-01-2026-06-30.xlsx``."""
    first, last = shown.asked.period.first, shown.asked.period.last
    days = f"{first}" if first == last else f"{first}-{last}"
    return f"{shown.report.key}-{days}.{form}"


async def csv_pieces(session: AsyncSession, shown: Shown) -> AsyncIterator[tuple[int, bytes]]:
    """Pieces of the CSV, each with how many rows it has; the first, the headings with the mark of UTF-8, has none."""
    cells = shown.cells
    yield 0, b"\xef\xbb\xbf" + csv_lines([[head_of(cell, shown.wording) for cell in cells]], shown.wording.separator)
    async for rows in shown.table.walk(session, shown.sort):
        yield len(rows), await asyncio.to_thread(_csv_rows, shown, cells, rows)


def _csv_rows(shown: Shown, cells: Sequence[Cell], rows: Sequence[Row]) -> bytes:
    zone = shown.asked.scope.zone
    return csv_lines(
        ([harmless(text) if cell.is_text else text.replace("\N{MINUS SIGN}", "-")
          for cell in cells for text in (text_of(cell, row, shown.wording, zone),)] for row in rows),
        shown.wording.separator,
    )  # fmt: skip


def csv_lines(rows: "Sequence[Sequence[str]] | object", separator: str) -> bytes:
    """Lines of RFC 4180."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


def harmless(text: str) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


async def write(session: AsyncSession, shown: Shown, form: str, target: Path, progress: Progress) -> int:
    """Write the file, telling ``progress`` how many rows there are so far; returns how many there were.

    Raises :class:`Refused` when there is more than the form holds.
    """
    if form == "csv":
        return await _write_csv(session, shown, target, progress)
    most = MOST_ROWS if form == "pdf" else MOST_LINES
    count = await shown.table.count(session)
    if count > most:
        raise Refused("format", f"{count} rows are more than the {most} of a {form.upper()}; take CSV")
    if form == "pdf":
        return await _write_pdf(session, shown, target, progress)
    return await _write_xlsx(session, shown, target, progress)


async def _write_csv(session: AsyncSession, shown: Shown, target: Path, progress: Progress) -> int:
    done = 0
    with target.open("wb") as file:
        async for rows, piece in csv_pieces(session, shown):
            file.write(piece)
            done += rows
            await progress(done)
    return done


async def _write_xlsx(session: AsyncSession, shown: Shown, target: Path, progress: Progress) -> int:
    done, cells = 0, shown.cells
    about = shown.wording.about(shown.asked, await shown.table.totals(session))
    heads = [head_of(cell, shown.wording) for cell in cells]
    with Workbook(target, shown.wording, shown.asked.scope.zone) as book:
        book.begin(shown.wording.title(shown.report.key), cells, heads)
        async for rows in shown.table.walk(session, shown.sort):
            await asyncio.to_thread(book.add, rows)
            done += len(rows)
            await progress(done)
        book.end(about)
        await asyncio.to_thread(book.close)
    return done


async def _write_pdf(session: AsyncSession, shown: Shown, target: Path, progress: Progress) -> int:
    cells = shown.cells
    if len(cells) > MOST_CELLS:
        raise Refused("columns", f"{len(cells)} columns do not fit a page; a PDF holds {MOST_CELLS}: hide some")
    zone, lines = shown.asked.scope.zone, list[list[str]]()
    async for rows in shown.table.walk(session, shown.sort):
        lines += [[text_of(cell, row, shown.wording, zone) for cell in cells] for row in rows]
        if len(lines) > MOST_ROWS:
            raise Refused("format", f"there are more than the {MOST_ROWS} rows of a PDF; narrow the filters, or CSV")
        await progress(len(lines))
    about = shown.wording.about(shown.asked, await shown.table.totals(session))
    heads = [head_of(cell, shown.wording) for cell in cells]
    title = shown.wording.title(shown.report.key)
    await asyncio.to_thread(write_pdf, target, title, about, cells, heads, lines, shown.wording.tag)
    return len(lines)
