"""A report as XLSX, row by row into the file: memory does not grow with it. Numbers and instants stay what they are."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import xlsxwriter

from central.reports.columns import Kind, Row
from central.reports.wording import Cell, Wording
from shared.intervals import zone as zone_of

#: Lines of a sheet, less its headings.
MOST_LINES: Final = 1_048_575
_WIDTHS: Final = {Kind.INSTANT: 17, Kind.DAY: 11, Kind.NUMBER: 15, Kind.SHARE: 10, Kind.DETAIL: 40, Kind.SECONDS: 10}


class Workbook:
    """One report: a sheet of rows, a sheet that says what they are. ``with`` removes what is left of a broken one."""

    def __init__(self, target: Path, wording: Wording, zone: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="metergate-xlsx-", dir=target.parent)
        options = {
            "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True,
            "tmpdir": self._scratch.name,
        }  # fmt: skip
        self._book: Any = xlsxwriter.Workbook(str(target), options)
        self._wording = wording
        self._zone = zone_of(zone)
        self._zone_name = zone
        self._bold = self._book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        self._writers: list[Callable[[int, int, Any], None]] = []
        self._line = 0
        self._closed = False

    def __enter__(self) -> "Workbook":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None and not self._closed:
            self._book.fileclosed = 1  # no word about a workbook that was not finished
            for sheet in self._book.worksheets():
                sheet.row_data_fh.close()
        self._scratch.cleanup()

    def begin(self, title: str, cells: Sequence[Cell], heads: Sequence[str]) -> None:
        """Write the headings."""
        self._sheet: Any = self._book.add_worksheet(_sheet_name(title))
        self._cells = cells
        self._writers = [self._writer(cell) for cell in cells]
        for place, (cell, head) in enumerate(zip(cells, heads, strict=True)):
            width = 4 if cell.place is not None else _WIDTHS.get(cell.column.kind, 18)
            self._sheet.set_column(place, place, width)
            self._sheet.write_string(0, place, head, self._bold)
        self._sheet.freeze_panes(1, 1)

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows; an empty cell stays empty."""
        for row in rows:
            self._line += 1
            for place, (cell, write) in enumerate(zip(self._cells, self._writers, strict=True)):
                value = cell.of(row)
                if value is not None:
                    write(self._line, place, value)

    def end(self, about: Sequence[tuple[str, str]]) -> None:
        """Write the sheet about the report."""
        if self._line:
            self._sheet.autofilter(0, 0, self._line, len(self._cells) - 1)
        sheet = self._book.add_worksheet("i")
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, 1, 80)
        for line, (name, text) in enumerate(about):
            sheet.write_string(line, 0, name, self._bold)
            sheet.write_string(line, 1, text)

    def close(self) -> None:
        """Finish the file."""
        self._closed = True
        self._book.close()

    def _writer(self, cell: Cell) -> Callable[[int, int, Any], None]:
        sheet, column = self._sheet, cell.column
        if cell.place is not None:
            return lambda line, place, value: sheet.write_number(line, place, int(value))
        if column.kind in (Kind.NUMBER, Kind.SECONDS):
            style = self._style("#,##0" + ("." + "0" * column.digits if column.digits else ""))
            return lambda line, place, value: sheet.write_number(line, place, float(value), style)
        if column.kind == Kind.SHARE:
            share = self._style("0" + ("." + "0" * column.digits if column.digits else "") + "%")
            return lambda line, place, value: sheet.write_number(line, place, float(value), share)
        if column.kind == Kind.INSTANT:
            instant = self._style("yyyy-mm-dd hh:mm")
            return lambda line, place, value: sheet.write_datetime(line, place, self._local(value), instant)
        if column.kind == Kind.DAY:
            day = self._style("yyyy-mm-dd")
            return lambda line, place, value: sheet.write_datetime(line, place, value, day)
        text, zone = self._wording.text, self._zone_name
        return lambda line, place, value: sheet.write_string(line, place, text(column, value, zone))

    def _style(self, pattern: str) -> Any:
        return self._book.add_format({"num_format": pattern})

    def _local(self, at: int) -> datetime:
        """Spreadsheets know no zones: the local time."""
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone).replace(tzinfo=None)


def _sheet_name(title: str) -> str:
    """A name without the characters that sheets may not have, at most 31 long."""
    return "".join(" " if letter in "[]:*?/\\" else letter for letter in title).strip(" '")[:31] or "1"
