"""Tables in files: whatever program wrote them, and nothing in them is run."""

import io
from datetime import date, datetime

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from central import sheets

CELL = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(str.strip)


@pytest.mark.parametrize(
    "data",
    [
        "a,b\nSão,2\n".encode(),
        "a;b\nSão;2\n".encode("utf-8-sig"),
        "a\tb\r\nSão\t2\r\n".encode("cp1252"),
        '"a";"b"\n"São";"2"\n\n;\n'.encode("latin-1"),
        "a,b\nSão,2".encode("utf-16"),
    ],
)
def test_csv_of_many_programs(data: bytes) -> None:
    assert sheets.read(data) == [["a", "b"], ["São", "2"]]


def test_cells_of_a_workbook_are_text() -> None:
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target)
    sheet = book.add_worksheet()
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    sheet.write_row(0, 0, ["serial", "day", "at", "factor", "on", "whole"])
    sheet.write_string(1, 0, "00123")
    sheet.write_datetime(1, 1, date(2026, 3, 31), day)
    sheet.write_datetime(
        1, 2, datetime.fromisoformat("2026-03-31T14:30"), book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
    )
    sheet.write_number(1, 3, -23.55)
    sheet.write_boolean(1, 4, True)
    sheet.write_number(1, 5, 350)
    book.close()
    read = sheets.read(target.getvalue())
    assert read[1] == ["00123", "2026-03-31", "2026-03-31 14:30:00", "-23.55", "1", "350"]


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), st.sampled_from(",;"))
def test_what_is_written_comes_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    table = [["first", "second"], *([one or "x", two] for one, two in rows)]
    assert sheets.read(b"".join(sheets.csv_lines(table, delimiter))) == table
    assert sheets.read(sheets.xlsx(table, "a/b")) == table


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=1", "=HYPERLINK(1)"])
def test_formulas_stay_text(cell: str) -> None:
    written = b"".join(sheets.csv_lines([["a"], [cell]])).decode("utf-8-sig").splitlines()[1]
    assert written.lstrip('"').startswith("'")
    assert sheets.safe_cell("-23,55") == "-23,55"


NO_TABLES = (b"PK\x03\x04 no zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), b"\0\1\2\3" * 9)


@pytest.mark.parametrize("data", NO_TABLES)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(sheets.SheetError):
        sheets.read(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        rows = sheets.read(data)
    except sheets.SheetError:
        return
    assert all(isinstance(cell, str) for row in rows for cell in row)
