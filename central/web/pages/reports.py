"""Reports on screen: the list of them, one with its filters, rows for the grid, figures, charts, files."""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Response, Stream
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.accounts.reach import REACH
from central.errors import NotFound, Refused
from central.reports import jobs, schedules, views
from central.reports.catalogue import REPORTS, report_of
from central.reports.columns import Column, Kind, Row
from central.reports.exports import FORMATS, Shown, csv_pieces, file_name, show, write
from central.reports.modules import chart_series
from central.reports.parameters import NAMES, Filters, parse
from central.reports.pdf import MOST_ROWS
from central.reports.scope import scope_of
from central.reports.table import Report, Scope
from central.web import report_words
from central.web.forms import Db, Search, Web, Who, database
from central.web.i18n import current, gettext
from central.web.render import page
from central.web.report_words import Words
from central.web.views import report_filters
from shared.intervals import utc_offset
from shared.intervals import zone as zone_of

_MAX_PAGE: Final = 200
_JOBS: Final = 12
_COLOURS: Final = ("line-1", "line-2", "line-3", "post-1", "post-2", "post-4")
_RIGHT: Final = frozenset({Kind.NUMBER, Kind.SHARE, Kind.SECONDS})
_WIDTHS: Final = {
    Kind.INSTANT: 160, Kind.DAY: 120, Kind.NUMBER: 150, Kind.SHARE: 150, Kind.TEXT: 165, Kind.DETAIL: 320,
    Kind.NOTES: 200, Kind.POST: 120, Kind.EVENT: 200, Kind.FLAGS: 170, Kind.MEASURED: 200, Kind.BILLED: 150,
    Kind.SECONDS: 110,
}  # fmt: skip
_DAY_WIDTH: Final = 22
#: Of a heading: width of a letter, and what padding, arrow and menu take. No word is broken.
_LETTER: Final = 9
_BESIDE: Final = 56

ReportKey = FromPath[str]


@get("/reports")
async def reports(request: Web, db: Db, principal: Who) -> Response[str]:
    """What reports there are, what is being made, what is made regularly."""
    return page(
        request, "reports/list.html", reports=list(REPORTS), words=report_words,
        jobs=(await jobs.find(db, principal, limit=_JOBS)).items,
        schedules=await schedules.find(db, principal),
    )  # fmt: skip


@get("/reports/{key:str}")
async def report(request: Web, db: Db, principal: Who, key: ReportKey) -> Response[str]:
    """One report: its filters, and the grid that asks for its rows."""
    found = report_of(key)
    saved = await views.find(db, principal, key)
    view, pairs = _view(request, saved)
    problem, filters, shown = "", Filters(), None
    try:
        filters = parse(pairs, found.parameters)
        if not found.one or filters.meter:
            shown = await show(db, found, _scope(request, principal), filters, (), "", _words())
    except Refused as error:
        problem = report_words.refusal(error.message)
    query = urlencode(pairs)
    return page(
        request, "reports/report.html", report=found, words=report_words, problem=problem, filters=filters,
        shown=shown, query=query, saved=saved, view=view, kept=_kept(found, filters),
        options=await report_filters.options(db, principal, filters), today=_scope(request, principal).today,
        period=_words().period(shown.asked) if shown else "",
        most_pdf=_words().bound(MOST_ROWS), formats=list(FORMATS), chart=_chart(shown) if shown else "",
        grid=_grid(shown, view) if shown else None,
    )  # fmt: skip


@get("/data/reports/{key:str}")
async def report_data(
    request: Web, db: Db, principal: Who, key: ReportKey, sort: Search = "",
    number: Annotated[int, QueryParameter(name="page", ge=1, le=1_000_000)] = 1,
    size: Annotated[int, QueryParameter(ge=1)] = 25,
) -> Response[Any]:  # fmt: skip
    """One page of the grid, in the reader's words."""
    size = min(size, _MAX_PAGE)
    try:
        shown = await _show(request, db, principal, key)
        rows = await shown.table.page(db, sort, (number - 1) * size, size)
    except Refused as error:
        return Response({"detail": report_words.refusal(error.message)}, status_code=422)
    count = await shown.table.count(db)
    return Response({
        "last_page": max(1, -(-count // size)), "last_row": count, "data": [_line(shown, row) for row in rows],
    })  # fmt: skip


@get("/data/reports/{key:str}/chart")
async def report_chart(request: Web, db: Db, principal: Who, key: ReportKey) -> dict[str, Any]:
    """Lines of the modules that the filters leave, of the first few."""
    shown = await _show(request, db, principal, key)
    if shown.report.chart != "lines":
        raise NotFound("chart", key)
    zone = zone_of(shown.asked.scope.zone)
    series = await chart_series(db, shown.asked, key, len(_COLOURS))
    if not series:
        return {"empty": gettext("These modules told nothing in this period.")}
    return {
        "offset": utc_offset(shown.asked.period.span(zone.key).start, zone),
        "series": [
            {"name": one.name, "unit": current().unit(one.unit), "colour": colour,
             "points": [[at * 1000, value] for at, value in one.points]}
            for one, colour in zip(series, _COLOURS, strict=False)
        ],
    }  # fmt: skip


@get("/reports/{key:str}/totals")
async def report_totals(request: Web, db: Db, principal: Who, key: ReportKey) -> Response[str]:
    """Figures over the whole selection, fetched beside the first rows."""
    shown = await _show(request, db, principal, key)
    totals = await shown.table.totals(db)
    words = _words()
    cards = [(report_words.TOTALS[total.key], words.total(total)) for total in totals]
    return page(request, "reports/totals.html", cards=cards)


@get("/reports/{key:str}/export")
async def report_export(
    request: Web, db: Db, principal: Who, key: ReportKey, columns: Search = "", sort: Search = "",
    form: Annotated[str, QueryParameter(name="format", max_length=8)] = "csv",
) -> Response[Any]:  # fmt: skip
    """The report as a file, of the columns that are shown, in their order."""
    if form not in FORMATS:
        raise Refused("format", f"{form!r} is not one of {', '.join(FORMATS)}")
    shown = await _show(request, db, principal, key, [each for each in columns.split(",") if each], sort)
    headers = {"Content-Disposition": f'attachment; filename="{file_name(shown, form)}"', "Cache-Control": "no-store"}
    if form == "csv":
        return Stream(_csv(request, principal, shown), media_type=FORMATS[form], headers=headers)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="metergate-report-"))
    try:
        await write(db, shown, form, folder / "report", _unwatched)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    headers["Content-Length"] = str((folder / "report").stat().st_size)
    return Stream(_pieces(folder), media_type=FORMATS[form], headers=headers)


@get("/reports/meters")
async def report_meters(request: Web, db: Db, principal: Who, meter: Search = "") -> Response[str]:
    """Meters to choose from, as somebody types."""
    found = await report_filters.meters(db, principal, meter[:100])
    return page(request, "reports/meters.html", found=found)


async def _csv(request: Web, principal: Principal, shown: Shown) -> AsyncIterator[bytes]:
    """One view of the database for the whole stream; what was opened in the request's session ends with it."""
    async with database(request).read(**{REACH: principal.reach(Permission.READ)}) as session:
        keys = [column.key for column in shown.columns]
        again = await show(
            session, shown.report, shown.asked.scope, shown.asked.filters, keys, shown.sort, shown.wording
        )
        async for _, piece in csv_pieces(session, again):
            yield piece


async def _pieces(folder: Path) -> AsyncIterator[bytes]:
    try:
        with (folder / "report").open("rb") as file:
            while piece := await asyncio.to_thread(file.read, 1 << 18):
                yield piece
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _unwatched(_done: int) -> None:
    return


async def _show(
    request: Web, db: AsyncSession, principal: Principal, key: str, columns: list[str] | None = None, sort: str = ""
) -> Shown:
    found = report_of(key)
    filters = parse(_pairs(request), found.parameters)
    return await show(db, found, _scope(request, principal), filters, columns or (), sort, _words())


def _pairs(request: Web) -> list[tuple[str, str]]:
    """What of the query is about the report, without what says nothing."""
    return [(name, value) for name, value in request.query_params.multi_items() if name in NAMES and value]


def _view(request: Web, saved: Any) -> tuple[Any, list[tuple[str, str]]]:
    """The view asked for or the default one, and the filters: the query's, without any the view's."""
    pairs = _pairs(request)
    wanted = request.query_params.get("view", "")
    plain = not pairs and not wanted
    view = next((each for each in saved if str(each.id) == wanted or (plain and each.view.default)), None)
    return view, (pairs or list(view.view.query)) if view else pairs


def _kept(found: Report, filters: Filters) -> list[tuple[str, str]]:
    """Named meters that stay when other filters change: their inputs are hidden."""
    return [("meter", key) for key in filters.meter] if not found.one and len(filters.meter) != 1 else []


def _scope(request: Web, principal: Principal) -> Scope:
    return scope_of(principal, request.app.state.settings.reports, int(time.time()))


def _words() -> Words:
    return Words(current().code)


def _chart(shown: Shown) -> str:
    """Where the chart's data are."""
    filters = shown.asked.filters
    if shown.report.chart == "lines":
        return f"/data/reports/{shown.report.key}/chart?{urlencode(filters.pairs())}"
    if shown.report.chart != "profile":
        return ""
    channels = [column.key for column in shown.table.columns if column.quantity is not None]
    if not channels:
        return ""
    period = shown.asked.begun
    query = urlencode([("from", period.first.isoformat()), ("days", period.days), ("channel", channels[0])])
    return f"/data/meters/{filters.meter[0]}/profile?{query}"


def _grid(shown: Shown, view: Any) -> dict[str, Any]:
    """What the grid has to know."""
    words = _words()
    grouped = ["at", "billed", "measured"] if shown.report.key == "registers-meter" else []
    return {
        "report": shown.report.key,
        "columns": [_column(column, words) for column in shown.table.columns],
        "view": {
            "columns": [
                {"key": each.key, "width": each.width, "pin": each.pin} for each in view.view.columns
            ],
            "sort": view.view.sort, "size": view.view.size,
        } if view else None,
        "grouped": grouped,
        "counted": gettext(report_words.COUNTED["readings" if _is_samples(shown) else shown.report.counted]),
        "words": {
            "empty": gettext("Nothing found: widen the filters or the period."),
            "failed": gettext("The rows could not be loaded:"),
            "up": gettext("Sort ascending"), "down": gettext("Sort descending"), "hide": gettext("Hide column"),
            "left": gettext("Pin left"), "right": gettext("Pin right"), "free": gettext("Unpin"),
            "read": gettext("read"), "unread": gettext("not read"), "later": gettext("still to come"),
            "first_title": gettext("First page"), "last_title": gettext("Last page"),
            "prev_title": gettext("Page before"), "next_title": gettext("Next page"), "page": gettext("Page"),
            "rows": gettext("Rows"), "of": gettext("of"), "all": gettext("All"),
        },
    }  # fmt: skip


def _is_samples(shown: Shown) -> bool:
    """Whether the rows are what one module told, not one per meter."""
    return shown.report.chart == "lines" and len(shown.asked.filters.meter) == 1


def _column(column: Column, words: Words) -> dict[str, Any]:
    title = words.heading(column)
    least = _LETTER * max(map(len, re.split(r"[\s\u00a0]", title))) + _BESIDE
    width = max(180, _DAY_WIDTH * len(column.days) + 16) if column.kind == Kind.DAYS else _WIDTHS[column.kind]
    return {
        "key": column.key, "title": title, "kind": column.kind.value, "sort": bool(column.sort),
        "hidden": column.hidden, "right": column.kind in _RIGHT, "width": max(width, least), "least": least,
        "days": [{"number": f"{day.day:02d}", "title": current().day(day)} for day in column.days],
    }  # fmt: skip


def _line(shown: Shown, row: Row) -> dict[str, Any]:
    """A row's cells as text; of a column of days one letter each: 1 read, 0 not, - to come."""
    zone = shown.asked.scope.zone
    cells: dict[str, Any] = {"_meter": row.get("meter")}
    for column in shown.table.columns:
        value = row.get(column.key)
        if value is None:
            cells[column.key] = ""
        elif column.kind == Kind.DAYS:
            cells[column.key] = "".join("-" if each is None else str(int(each)) for each in value)
        else:
            cells[column.key] = shown.wording.text(column, value, zone)
    return cells
