"""Reports in the API: rows by cursor or as CSV, reports in the background, regular ones, saved views."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Controller, Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import File, Stream
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.guards import narrow
from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.accounts.reach import REACH
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, about_cursor, answer, decode, encode, own_path
from central.api.query import wanted
from central.api.schemas import Page
from central.errors import Refused
from central.reports import jobs, schedules, views
from central.reports.catalogue import REPORTS, report_of
from central.reports.exports import FORMATS, Shown, csv_pieces, file_name, show
from central.reports.making import download_name
from central.reports.parameters import ENERGIES, NAMES, POSTS, SIDES, VALUES, Filters, parse
from central.reports.schemas import (
    JobIn,
    JobOut,
    OrderIn,
    ReportOut,
    RowsOut,
    ScheduleIn,
    ScheduleOut,
    SwitchIn,
    TotalOut,
    ViewIn,
    ViewOut,
    rows_out,
)
from central.reports.scope import scope_of
from central.reports.table import Report, Scope
from central.reports.wording import Plain
from central.store.engine import Database

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
JSON: Final = "application/json"
CSV: Final = "text/csv"
TYPES: Final = (JSON, CSV)


def _text(description: str, name: str) -> Any:
    return QueryParameter(name=name, description=description, max_length=100)


Month = Annotated[str, _text("Local month, 2026-06", "month")]
First = Annotated[str, _text("First local day, 2026-06-01", "from")]
Last = Annotated[str, _text("Last local day, 2026-06-30", "to")]
Date = Annotated[str, _text("Local day, 2026-06-15", "date")]
Serial = Annotated[str, _text("Part of the serial", "serial")]
Customer = Annotated[str, _text("Part of the customer's name or external key", "customer")]
Model = Annotated[str, _text("Part of the model's maker, name or key", "model")]
Lots = Annotated[list[str] | None, QueryParameter(name="lot", description="Keys of lots")]
Gateways = Annotated[list[str] | None, QueryParameter(name="gateway", description="Keys of gateways")]
Groups = Annotated[list[str] | None, QueryParameter(name="group", description="Ids of groups, with all below")]
Meters = Annotated[list[str] | None, QueryParameter(name="meter", description="Keys of meters")]
Missing = Annotated[str, _text("1: only meters without a reading on the last day", "missing")]
Energy = Annotated[list[str] | None, QueryParameter(name="energy", description=", ".join(ENERGIES))]
Post = Annotated[str, _text(", ".join(POSTS), "post")]
Reverse = Annotated[str, _text("1: the reverse direction as well", "reverse")]
Side = Annotated[str, _text(", ".join(SIDES), "side")]
Values = Annotated[str, _text(", ".join(VALUES), "values")]
Window = Annotated[str, _text("Days that a billing reading may be older than its day", "window")]
Kind = Annotated[str, _text("Kind of event", "kind")]
Columns = Annotated[str, QueryParameter(description="Keys of columns, separated by commas", max_length=4000)]
Sort = Annotated[str, QueryParameter(description="Only for CSV: key of a column, -key the other way", max_length=64)]


class ReportController(Controller):
    """Reports over many meters."""

    path = "/reports"
    tags = ("reports",)

    @get()
    async def list_reports(self) -> Page[ReportOut]:
        """List the reports there are."""
        return Page([ReportOut.of(report) for report in REPORTS.values()])

    @get("/{report:str}", opt={"offers": TYPES})
    async def get_report(
        self, request: Asked, db: Db, principal: Who, report: FromPath[str], month: Month = "", first: First = "",
        last: Last = "", date: Date = "", serial: Serial = "", customer: Customer = "", model: Model = "",
        lot: Lots = None, gateway: Gateways = None, group: Groups = None, meter: Meters = None, missing: Missing = "",
        energy: Energy = None, post_: Post = "", reverse: Reverse = "", side: Side = "", values: Values = "",
        window: Window = "", kind: Kind = "", columns: Columns = "", sort: Sort = "", cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[RowsOut]:  # fmt: skip
        """Return rows of a report, in order of the meters' keys or newest first; as ``text/csv`` all of them, streamed.

        Which parameters a report takes stands in the list of reports; it refuses others.
        """
        found = report_of(report)
        filters = _filters(request, found)
        scope = _scope(request, principal)
        wanted_columns = [key for key in columns.split(",") if key]
        shown = await show(db, found, scope, filters, wanted_columns, sort, Plain())
        if wanted(request, TYPES) == CSV:
            database: Database = request.app.state.database
            stream = csv_stream(database, principal, found, scope, filters, wanted_columns, sort)
            headers = {"Content-Disposition": f'attachment; filename="{file_name(shown, "csv")}"', "Vary": "Accept"}
            return Stream(stream, media_type=FORMATS["csv"], headers=headers)  # type: ignore[return-value]
        if sort:
            raise Refused("sort", "only CSV is sorted: pages by cursor have an order of their own")
        try:
            rows = await shown.table.after(db, decode(cursor), limit)
        except Refused as error:
            raise about_cursor(error) from error
        answered = rows_out(shown, list(rows.items), None)
        headers = {"Vary": "Accept"}
        if rows.next is not None:
            query = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
            answered.next = f"{own_path(request)}?{urlencode([*query, ('cursor', encode(rows.next))])}"
            headers["Link"] = f'<{answered.next}>; rel="next"'
        return Response(answered, headers=headers)

    @get("/{report:str}/totals")
    async def get_report_totals(
        self, request: Asked, db: Db, principal: Who, report: FromPath[str], month: Month = "", first: First = "",
        last: Last = "", date: Date = "", serial: Serial = "", customer: Customer = "", model: Model = "",
        lot: Lots = None, gateway: Gateways = None, group: Groups = None, meter: Meters = None, missing: Missing = "",
        window: Window = "",
    ) -> Page[TotalOut]:  # fmt: skip
        """Return figures over all meters that the filters leave; empty for reports without."""
        found = report_of(report)
        shown = await show(db, found, _scope(request, principal), _filters(request, found), (), "", Plain())
        return Page([TotalOut.of(total) for total in await shown.table.totals(db)])

    @get("/jobs")
    async def list_report_jobs(
        self, request: Asked, db: Db, principal: Who, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
    ) -> Response[Page[JobOut]]:
        """List your reports made in the background, newest first."""
        try:
            rows = await jobs.find(db, principal, after=decode(cursor), limit=limit)
        except Refused as error:
            raise about_cursor(error) from error
        return answer(request, rows, JobOut.of)

    @post("/jobs", opt=may(Permission.READ))
    async def create_report_job(self, request: Asked, db: Db, principal: Who, data: JSONBody[JobIn]) -> JobOut:
        """Have a report made in the background, with the rights you have when it is made.

        With recipients it needs ``mail``, and shows what that permission reaches.
        """
        if data.recipients:
            narrow(db, principal, Permission.MAIL)
        made = data.wanted(_given(data))
        return JobOut.of(await jobs.submit(db, principal, _scope(request, principal), data.report, made, data.order()))

    @get("/jobs/{job_id:int}")
    async def get_report_job(self, db: Db, principal: Who, job_id: FromPath[int]) -> JobOut:
        """Return one of your jobs."""
        return JobOut.of(await jobs.get(db, principal, job_id))

    @get("/jobs/{job_id:int}/file", media_type="application/octet-stream", opt={"offers": ("*/*",)})
    async def get_report_file(self, request: Asked, db: Db, principal: Who, job_id: FromPath[int]) -> File:
        """Return the file of a job that is done; 404 when it is kept no more."""
        return job_file(request, await jobs.get(db, principal, job_id))

    @post("/jobs/{job_id:int}/cancel", opt=may(Permission.READ), status_code=200)
    async def cancel_report_job(self, db: Db, principal: Who, job_id: FromPath[int]) -> JobOut:
        """Cancel a job that waits or is being made."""
        return JobOut.of(await jobs.cancel(db, principal, job_id, int(time.time())))

    @delete("/jobs/{job_id:int}", opt=may(Permission.READ))
    async def delete_report_job(self, request: Asked, db: Db, principal: Who, job_id: FromPath[int]) -> None:
        """Remove a job and its file."""
        await jobs.remove(db, principal, job_id, jobs.folder_of(request.app.state.settings.data_dir))

    @get("/schedules")
    async def list_report_schedules(self, db: Db, principal: Who) -> Page[ScheduleOut]:
        """List your regular reports."""
        return Page([ScheduleOut.of(row) for row in await schedules.find(db, principal)])

    @post("/schedules", opt=may(Permission.MAIL))
    async def create_report_schedule(
        self, request: Asked, db: Db, principal: Who, data: JSONBody[ScheduleIn]
    ) -> ScheduleOut:
        """Have a report made regularly; its period moves along."""
        scope = _scope(request, principal)
        made = data.wanted(_given(data))
        return ScheduleOut.of(await schedules.enter(db, principal, scope, data.report, made, data.order(), data.when()))

    @patch("/schedules/{schedule_id:int}", opt=may(Permission.MAIL))
    async def switch_report_schedule(
        self, request: Asked, db: Db, principal: Who, schedule_id: FromPath[int], data: JSONBody[SwitchIn]
    ) -> ScheduleOut:
        """Pause a regular report, or take it up again."""
        scope = _scope(request, principal)
        return ScheduleOut.of(await schedules.switch(db, principal, schedule_id, data.enabled, scope))

    @delete("/schedules/{schedule_id:int}", opt=may(Permission.READ))
    async def delete_report_schedule(self, db: Db, principal: Who, schedule_id: FromPath[int]) -> None:
        """Remove a regular report; what it made stays."""
        await schedules.remove(db, principal, schedule_id)

    @get("/views")
    async def list_report_views(
        self, db: Db, principal: Who,
        report: Annotated[str | None, QueryParameter(description="Of this report only", max_length=64)] = None,
    ) -> Page[ViewOut]:  # fmt: skip
        """List your saved views."""
        return Page([ViewOut.of(saved) for saved in await views.find(db, principal, report)])

    @put("/views", opt=may(Permission.READ))
    async def save_report_view(self, db: Db, principal: Who, data: JSONBody[ViewIn]) -> ViewOut:
        """Save a view under a name; one of that name is replaced."""
        return ViewOut.of(await views.save(db, principal, data.report, data.name, data.view))

    @delete("/views/{view_id:int}", opt=may(Permission.READ))
    async def delete_report_view(self, db: Db, principal: Who, view_id: FromPath[int]) -> None:
        """Remove a saved view."""
        await views.remove(db, principal, view_id)


async def csv_stream(
    database: Database, principal: Principal, report: Report, scope: Scope, filters: Filters, columns: list[str],
    sort: str,
) -> AsyncIterator[bytes]:  # fmt: skip
    """The report for programs: one view of the database for the whole stream, a piece of it in memory at a time."""
    async with database.read(**{REACH: principal.reach(Permission.READ)}) as db:
        shown: Shown = await show(db, report, scope, filters, columns, sort, Plain())
        async for _, piece in csv_pieces(db, shown):
            yield piece.removeprefix(b"\xef\xbb\xbf")


def job_file(request: Asked, job: Any) -> File:
    """The answer with a job's file."""
    path = jobs.path_of(jobs.folder_of(request.app.state.settings.data_dir), job)
    return File(
        path=path, filename=download_name(path), media_type=FORMATS[job.format],
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
    )  # fmt: skip


def _filters(request: Asked, report: Report) -> Filters:
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name in NAMES]
    return parse(pairs, report.parameters)


def _given(data: OrderIn) -> Filters:
    """The filters of a body, checked like those of an address."""
    return parse(data.filters.pairs(), report_of(data.report).parameters)


def _scope(request: Asked, principal: Principal) -> Scope:
    return scope_of(principal, request.app.state.settings.reports, int(time.time()))
