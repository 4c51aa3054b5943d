"""Tables in files: CSV and spreadsheets, read as rows of text whoever wrote them, and written so that they come back.

Read: comma, semicolon or tab; UTF-8 with or without mark, UTF-16 with it, else Windows' Western letters; the first
sheet of XLSX, XLS and ODS with its dates and numbers as text. Nothing in a cell is ever run: formulas count as text.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import xlsxwriter
from python_calamine import CalamineError, CalamineWorkbook, PasswordError, WorksheetNotFound, ZipError

MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 200
#: A spreadsheet is a ZIP file; unpacked it may take so much.
_MAX_UNPACKED: Final = 300 << 20
_MAX_CELL: Final = 100_000

CSV: Final = "text/csv"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?\d[\d.,]*")
_EXACT: Final = 10**15


class SheetError(Exception):
    """A file that is no table we can read; the text says why and what to do."""


def read(data: bytes) -> list[list[str]]:
    """All rows of a file, the header first, empty rows at the end left out; raises :class:`SheetError`."""
    if data[:4] == b"PK\x03\x04" or data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        rows = _read_workbook(data)
    else:
        rows = _read_csv(_decoded(data))
    while rows and not any(rows[-1]):
        rows.pop()
    if len(rows) > MAX_ROWS + 1:
        raise SheetError(f"the file has more than {MAX_ROWS} rows: divide it")
    if any(len(row) > MAX_COLUMNS for row in rows):
        raise SheetError(f"the file has more than {MAX_COLUMNS} columns: remove those that are not needed")
    return rows


def safe_cell(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula becomes text; numbers stay as they are."""
    quoted = cell[:1] == "'" and cell[1:2] in _FORMULA
    return f"'{cell}" if quoted or (cell[:1] in _FORMULA and not _NUMBER.fullmatch(cell)) else cell


def plain_cell(cell: str) -> str:
    """Undo :func:`safe_cell`."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in (*_FORMULA, "'") else cell


def csv_lines(rows: Iterable[Sequence[str]], delimiter: str = ",") -> Iterator[bytes]:
    """CSV in pieces, with the mark by which spreadsheets know UTF-8."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\r\n")
    yield b"\xef\xbb\xbf"
    for number, row in enumerate(rows, 1):
        writer.writerow([safe_cell(cell) for cell in row])
        if number % 500 == 0:
            yield target.getvalue().encode()
            target.seek(0)
            target.truncate()
    yield target.getvalue().encode()


def xlsx(rows: Iterable[Sequence[str]], name: str) -> bytes:
    """A workbook with one sheet, header first; every cell is text, so that serials keep their zeros."""
    target = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(target, options)
    sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\']", " ", name)[:31] or "1")
    bold = book.add_format({"bold": True})
    text = book.add_format({"num_format": "@"})
    sheet.freeze_panes(1, 0)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.write_string(number, column, cell[:32_767], bold if number == 0 else text)
    book.close()
    return target.getvalue()


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp1252", "latin-1")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise SheetError("the file is neither CSV nor a spreadsheet")


def _read_csv(text: str) -> list[list[str]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=_outside_quotes(first).count)
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False):
            rows.append([plain_cell(cell.strip()) for cell in row])
            if len(rows) > MAX_ROWS + 1:
                break
    except csv.Error as error:
        raise SheetError(f"line {len(rows) + 1} is no CSV: {error}") from error
    return rows


def _outside_quotes(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _read_workbook(data: bytes) -> list[list[str]]:
    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MAX_UNPACKED:
                    raise SheetError("the spreadsheet is too large unpacked: save it as CSV")
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False, nrows=MAX_ROWS + 2)
    except PasswordError as error:
        raise SheetError("the spreadsheet has a password: save it without") from error
    except (CalamineError, ZipError, WorksheetNotFound, zipfile.BadZipFile, ValueError, OSError) as error:
        raise SheetError(f"the spreadsheet cannot be read: {str(error)[:200]}") from error
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: Any) -> str:
    """A cell of a spreadsheet as people would type it."""
    match cell:
        case bool():
            return "1" if cell else "0"
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "seconds")
        case date():
            return cell.isoformat()
        case time():
            return cell.strftime("%H:%M")
        case timedelta():
            minutes = int(cell.total_seconds()) // 60
            return f"{minutes // 60:02}:{minutes % 60:02}"
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < _EXACT else repr(cell)
        case _:
            return str(cell).strip()[:_MAX_CELL]
