"""Shapes of reports in the API."""

from typing import Annotated, Any

from msgspec import Meta

from central.api.query import instant_text, optional_text
from central.api.schemas import Input, NameText, Output
from central.reports.columns import Column, Row
from central.reports.exports import Shown
from central.reports.jobs import Order, Wanted, decode
from central.reports.models import ReportJob, ReportSchedule
from central.reports.parameters import Filters
from central.reports.schedules import Cadence, When
from central.reports.table import Report, Total
from central.reports.views import Saved, View
from central.reports.wording import plain

Address = Annotated[str, Meta(min_length=3, max_length=320)]


class ReportOut(Output):
    """A report there is: its parameters, how its days are said, its longest period, whether it is of one meter."""

    key: str
    parameters: list[str]
    form: str
    longest_days: int
    one_meter: bool

    @classmethod
    def of(cls, report: Report) -> "ReportOut":
        return cls(report.key, sorted(report.parameters), report.form, report.longest, report.one)


class ColumnOut(Output):
    """A column of the rows; ``quantity`` is the OBIS code of a register or channel."""

    key: str
    kind: str
    unit: str
    quantity: str | None
    sortable: bool

    @classmethod
    def of(cls, column: Column) -> "ColumnOut":
        quantity = str(column.quantity) if column.quantity else None
        return cls(column.key, column.kind.value, column.unit, quantity, bool(column.sort))


class RowsOut(Output):
    """Rows of a report by column key; null is an empty cell. Exact numbers are decimal text, shares 0..1, instants
    RFC 3339, days of ``availability-days`` true, false, or null (still to come)."""

    first: str
    last: str
    columns: list[ColumnOut]
    items: list[dict[str, Any]]
    next: str | None = None


class TotalOut(Output):
    """A figure over the whole selection; a share is 0..1."""

    key: str
    value: float | None

    @classmethod
    def of(cls, total: Total) -> "TotalOut":
        return cls(total.key, None if total.value is None else float(total.value))


class OrderIn(Input):
    """A report to be made; ``filters`` by the names of the query string, ``columns`` in their order (none: all)."""

    report: Annotated[str, Meta(max_length=64)]
    format: Annotated[str, Meta(max_length=8)] = "csv"
    language: Annotated[str, Meta(max_length=8)] = "en"
    filters: Filters = Filters()
    columns: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=300)] = []
    sort: Annotated[str, Meta(max_length=64)] = ""
    recipients: Annotated[list[Address], Meta(max_length=20)] = []

    def wanted(self, filters: Filters) -> Wanted:
        return Wanted(filters, tuple(self.columns), self.sort)


class JobIn(OrderIn):
    """A report to be made in the background."""

    title: NameText = ""

    def order(self) -> Order:
        return Order(
            form=self.format, language=self.language, recipients=tuple(self.recipients), title=self.title
        )  # fmt: skip


class ScheduleIn(OrderIn, kw_only=True):
    """A report to be made regularly; its period is the day, the week or the month before."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    cadence: Cadence
    day: Annotated[int, Meta(ge=0, le=31)] = 0
    hour: Annotated[int, Meta(ge=0, le=23)] = 6

    def order(self) -> Order:
        return Order(
            form=self.format, language=self.language, recipients=tuple(self.recipients), title=self.name
        )  # fmt: skip

    def when(self) -> When:
        return When(self.cadence, self.day, self.hour)


class SwitchIn(Input):
    """Pause a regular report or take it up again."""

    enabled: bool


class JobOut(Output):
    """A report made in the background; ``state``: queued, running, done, failed, cancelled."""

    id: int
    report: str
    title: str
    format: str
    language: str
    filters: Filters
    columns: list[str]
    sort: str
    recipients: list[str]
    state: str
    done: int
    total: int | None
    error: str
    size: int | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    mailed_at: str | None
    schedule: int | None

    @classmethod
    def of(cls, job: ReportJob) -> "JobOut":
        wanted = decode(job.parameters)
        return cls(
            job.id, job.report, job.title, job.format, job.language, wanted.filters, list(wanted.columns), wanted.sort,
            job.recipients.split(), job.state, job.done, job.total, job.error, job.size, instant_text(job.created_at),
            optional_text(job.started_at), optional_text(job.finished_at), optional_text(job.mailed_at),
            job.schedule_id,
        )  # fmt: skip


class ScheduleOut(Output):
    """A report made regularly; ``next_at`` is when it is due."""

    id: int
    name: str
    report: str
    format: str
    language: str
    filters: Filters
    columns: list[str]
    sort: str
    recipients: list[str]
    cadence: str
    day: int
    hour: int
    enabled: bool
    next_at: str

    @classmethod
    def of(cls, row: ReportSchedule) -> "ScheduleOut":
        wanted = decode(row.parameters)
        return cls(
            row.id, row.name, row.report, row.format, row.language, wanted.filters, list(wanted.columns), wanted.sort,
            row.recipients.split(), row.cadence, row.day, row.hour, row.enabled, instant_text(row.next_at),
        )  # fmt: skip


class ViewIn(Input):
    """A view to be saved under a name; one of that name is replaced."""

    report: Annotated[str, Meta(max_length=64)]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    view: View


class ViewOut(Output):
    """A saved view."""

    id: int
    report: str
    name: str
    view: View

    @classmethod
    def of(cls, saved: Saved) -> "ViewOut":
        return cls(saved.id, saved.report, saved.name, saved.view)


def row_out(columns: list[Column], row: Row) -> dict[str, Any]:
    """A row by column key, with the meter's key."""
    cells = {column.key: plain(column, row.get(column.key)) for column in columns}
    return {"meter": row.get("meter")} | cells


def rows_out(shown: Shown, rows: list[Row], following: str | None) -> RowsOut:
    """A page of rows."""
    period = shown.asked.period
    columns = list(shown.columns)
    return RowsOut(
        period.first.isoformat(), period.last.isoformat(), [ColumnOut.of(column) for column in columns],
        [row_out(columns, row) for row in rows], following,
    )  # fmt: skip
