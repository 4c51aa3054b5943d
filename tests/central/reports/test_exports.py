"""Files are read back by what we did not write: csv, calamine, pypdf. They hold exactly what is shown."""

import csv
import io
import re
import zipfile
from datetime import date
from pathlib import Path

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.registry.models import Customer
from central.reports import exports, xlsx
from central.reports.catalogue import REPORTS, report_of
from central.reports.columns import Column, Kind, register_columns
from central.reports.excess import Rules
from central.reports.exports import Shown, csv_lines, file_name, harmless, show, write
from central.reports.parameters import parse
from central.reports.table import Scope
from central.store.engine import Database
from central.web.i18n import LANGUAGES, language
from central.web.report_words import Words
from tests.central.reports.fleet import NOW, TODAY, ZONE, Fleet, make_fleet
from tests.central.samples import enter_tenant

HOSTILE = (
    '=HYPERLINK("x")', "+1+1", "-2", "@SUM(A1)", '#"]) #text("x") $1$ _a_ `b` \\ // <x>', 'Áé; "q",\nnew',
)  # fmt: skip


@pytest.fixture
async def fleet(database: Database) -> Fleet:
    tenant = await enter_tenant(database)
    async with database.write() as db:
        fleet = await make_fleet(db, tenant)
        for number, text in enumerate(HOSTILE, 1):
            await db.execute(update(Customer).where(Customer.external_key == f"UC{4000 + number}").values(name=text))
        return fleet


async def shown(
    db: AsyncSession, fleet: Fleet, key: str, query: str = "", columns: str = "", sort: str = "", code: str = "pt_BR"
) -> Shown:
    report = report_of(key)
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    filters = parse(pairs, report.parameters)
    scope = Scope(fleet.tenant_id, ZONE.key, NOW, Rules())
    return await show(db, report, scope, filters, [key for key in columns.split(",") if key], sort, Words(code))


async def written(db: AsyncSession, what: Shown, form: str, folder: Path) -> tuple[Path, int]:
    target, told = folder / f"out.{form}", list[int]()

    async def progress(done: int) -> None:
        told.append(done)

    count = await write(db, what, form, target, progress)
    assert told == sorted(told)
    assert not told or told[-1] == count
    return target, count


async def test_csv_is_what_is_shown(database: Database, fleet: Fleet, tmp_path: Path) -> None:
    async with database.read() as db:
        what = await shown(db, fleet, "registers-last", "", "1.8.0,customer,serial,read_at", "-1.8.0")
        target, count = await written(db, what, "csv", tmp_path)
    text = target.read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert rows[0][0] == f"{Words('pt_BR').heading(what.columns[0])}"
    assert rows[0][0].endswith("(kWh)")
    assert len(rows) == 13
    assert count == 12
    assert rows[1][2] == str(7_000_000 + 2 * 37)  # the transformers' ratio makes it the largest
    assert re.fullmatch(r"[0-9.]+,[0-9]{3}", rows[1][0])
    assert rows[-1][2] == str(7_000_000 + 4 * 37)
    assert rows[-1][0] == ""  # never read: empty, not zero
    assert {row[1] for row in rows} >= {f"'{text}" for text in HOSTILE[:4]} | {HOSTILE[5]}


async def test_xlsx_has_numbers_instants_and_no_formula(database: Database, fleet: Fleet, tmp_path: Path) -> None:
    async with database.read() as db:
        what = await shown(
            db, fleet, "billing", "month=2026-06", "serial,customer,due_on,read_at,1.8.0,notes", "serial"
        )
        target, count = await written(db, what, "xlsx", tmp_path)
    book = CalamineWorkbook.from_path(target)
    rows = book.get_sheet_by_index(0).to_python()
    assert count == len(rows) - 1 == 11
    first = rows[1]
    assert first[0] == "7000037"
    assert first[1] == HOSTILE[0]  # a text, as it was entered
    assert str(first[2])[:10] == "2026-06-09"
    assert str(first[3]) == "2026-06-09 01:30:00"
    assert isinstance(first[4], float)
    about = {str(row[0]): row[1] for row in book.get_sheet_by_index(1).to_python()}
    assert about[language("pt_BR").gettext("Meters without reading")] == "4"
    raw = _unzipped(target)
    assert "<f>" not in raw
    assert "<f " not in raw


async def test_days_are_columns_of_files(database: Database, fleet: Fleet, tmp_path: Path) -> None:
    async with database.read() as db:
        what = await shown(db, fleet, "availability-days", "month=2026-06", "serial,days", code="en")
        target, _ = await written(db, what, "xlsx", tmp_path)
        plain, _ = await written(db, what, "csv", tmp_path)
    rows = CalamineWorkbook.from_path(target).get_sheet_by_index(0).to_python()
    assert len(rows[0]) == 31
    assert rows[0][1] == "Jun 1"
    for number in (3, 4, 6):
        days = fleet.days[f"r-{number:04d}"]
        expected = ["" if n > TODAY.day else float(date(2026, 6, n) in days) for n in range(1, 31)]
        (mine,) = [row for row in rows if row[0] == str(7_000_000 + number * 37)]
        assert mine[1:] == expected
    lines = list(csv.reader(io.StringIO(plain.read_text("utf-8-sig"))))
    assert lines[1][1:] == ["1"] * 15 + [""] * 15


@pytest.mark.parametrize("key", list(REPORTS))
async def test_every_report_as_pdf(database: Database, fleet: Fleet, tmp_path: Path, key: str) -> None:
    query = "meter=r-0002" if REPORTS[key].one else ""
    async with database.read() as db:
        what = await shown(db, fleet, key, query, code="ru")
        target, count = await written(db, what, "pdf", tmp_path)
    found = pypdf.PdfReader(target)
    text = " ".join(" ".join(page.extract_text().split()) for page in found.pages)
    assert " ".join(Words("ru").title(key).split()) in text
    if key in ("availability", "billing", "consumption"):
        assert count >= 11
        assert "Customer 007" in text
        squeezed = text.replace(" ", "")
        for hostile in HOSTILE[4:5]:
            assert hostile.replace(" ", "") in squeezed, "what people enter is text, not markup"


async def test_bounds_are_said(
    database: Database, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_ROWS", 11)
    monkeypatch.setattr(exports, "MOST_LINES", 11)
    async with database.read() as db:
        for form in ("pdf", "xlsx"):
            with pytest.raises(Refused, match="12 rows are more than the 11"):
                await written(db, await shown(db, fleet, "availability"), form, tmp_path)
        wide = await shown(db, fleet, "availability-days", "from=2026-04-01&to=2026-06-15")
        monkeypatch.setattr(exports, "MOST_ROWS", 100)
        with pytest.raises(Refused, match="do not fit a page"):
            await written(db, wide, "pdf", tmp_path)
        with pytest.raises(Refused, match="no column 'nothing'"):
            await shown(db, fleet, "availability", columns="nothing")
    assert file_name(wide, "csv") == "availability-days-2026-04-01-2026-06-15.csv"


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.lists(_TEXT, min_size=1), min_size=1))
def test_csv_is_read_back(rows: list[list[str]]) -> None:
    made = csv_lines([[harmless(cell) for cell in row] for row in rows], ";").decode()
    back = list(csv.reader(io.StringIO(made, newline=""), delimiter=";"))
    assert back == [[harmless(cell) for cell in row] for row in rows]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in back for cell in row)


@given(st.floats(-1e9, 1e9), st.integers(0, 4), st.sampled_from(list(LANGUAGES)))
def test_fast_numbers_are_the_languages(value: float, digits: int, code: str) -> None:
    value = round(value, 6)
    mine, theirs = Words(code).number(value, digits), language(code).number(value, digits)
    if mine != theirs:  # the last digit of a tie may be rounded the other way: one is decimal, one is binary
        plain = [re.sub(r"\D", "", each) or "0" for each in (mine, theirs)]
        assert abs(int(plain[0]) - int(plain[1])) <= 1


def test_headings_name_thing_post_and_unit() -> None:
    words = Words("en")
    fleet_filters = parse([("energy", "active"), ("reverse", "1"), ("post", "post")], {"energy", "reverse", "post"})
    heads = [words.heading(column) for column in register_columns(fleet_filters)]
    assert heads[0] == "Active · Peak (kWh)"
    assert heads[4] == "Active reverse · Peak (kWh)"
    assert words.text(Column("x", Kind.SHARE, digits=2), 1 - 1e-9, ZONE.key) == "99.99%"
    assert words.text(Column("x", Kind.INSTANT), NOW, ZONE.key) == "15 Jun 2026, 12:00"


def _unzipped(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist() if name.startswith("xl/worksheets/"))


async def test_a_broken_workbook_leaves_nothing(
    database: Database, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(xlsx.Workbook, "add", broken)
    folder = tmp_path / "out"
    folder.mkdir()
    async with database.read() as db:
        what = await shown(db, fleet, "availability")
        with pytest.raises(RuntimeError, match="disk full"):
            await written(db, what, "xlsx", folder)
    assert list(folder.iterdir()) == []
