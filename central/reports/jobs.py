"""Reports made in the background, as their people see them: ask for one, look at it, cancel it, remove it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.audit.service import record
from central.errors import Conflict, NotFound, Refused
from central.mail import is_address
from central.reports.catalogue import report_of
from central.reports.columns import arranged
from central.reports.exports import FORMATS
from central.reports.models import ReportJob
from central.reports.parameters import Filters
from central.reports.table import Scope, parse_sort
from central.store.pages import Page, bounded

#: Reports of one person that may wait or be made at once.
MOST_WAITING: Final = 20
MOST_RECIPIENTS: Final = 20
OPEN: Final = ("queued", "running")
LANGUAGES: Final = ("pt_BR", "es", "ru", "en")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a report shows: filters, columns in their order (none: as they come), sort. Stored as JSON."""

    filters: Filters = Filters()
    columns: tuple[str, ...] = ()
    sort: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How a report is made: its form and language, who gets it by e-mail."""

    form: str
    language: str
    recipients: tuple[str, ...] = ()
    title: str = ""


def encode(wanted: Wanted) -> str:
    return msgspec.json.encode(wanted).decode()


def decode(text: str) -> Wanted:
    return msgspec.json.decode(text, type=Wanted)


async def check(session: AsyncSession, scope: Scope, key: str, wanted: Wanted, order: Order) -> None:
    """Raise :class:`Refused` or :class:`NotFound` for what could not be made."""
    report = report_of(key)
    table = await report.open(session, report.ask(scope, wanted.filters))
    arranged(table.columns, wanted.columns)
    if wanted.sort:
        parse_sort(wanted.sort, table.columns, "")
    if order.form not in FORMATS:
        raise Refused("format", f"{order.form[:16]!r} is not one of {', '.join(FORMATS)}")
    if order.language not in LANGUAGES:
        raise Refused("language", f"{order.language[:16]!r} is not one of {', '.join(LANGUAGES)}")
    if len(order.recipients) > MOST_RECIPIENTS:
        raise Refused("recipients", f"{len(order.recipients)} are over the limit of {MOST_RECIPIENTS}")
    for address in order.recipients:
        if not is_address(address):
            raise Refused("recipients", f"{address[:100]!r} is no e-mail address such as ana@example.org")


async def submit(
    session: AsyncSession, principal: Principal, scope: Scope, key: str, wanted: Wanted, order: Order
) -> ReportJob:
    """Queue a report; raises :class:`Refused`, :class:`NotFound`, :class:`Conflict`."""
    await check(session, scope, key, wanted, order)
    waiting = select(func.count()).where(ReportJob.user_id == principal.user_id, ReportJob.state.in_(OPEN))
    if int(await session.scalar(waiting) or 0) >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} of your reports wait already; let them be made, or cancel some.")
    job = ReportJob(
        tenant_id=principal.tenant_id, user_id=principal.user_id, report=key, title=order.title[:200],
        format=order.form, language=order.language, parameters=encode(wanted),
        recipients=" ".join(order.recipients), state="queued", created_at=scope.now,
    )  # fmt: skip
    session.add(job)
    await session.flush()
    record(
        session, principal, "created", "report_job", str(job.id), object_id=job.id,
        after={"report": key, "format": order.form, "recipients": job.recipients},
    )  # fmt: skip
    return job


async def find(
    session: AsyncSession, principal: Principal, *, after: str | None = None, limit: int = 50
) -> Page[ReportJob]:
    """A person's jobs, newest first."""
    limit = bounded(limit)
    query = _own(principal).order_by(ReportJob.id.desc()).limit(limit + 1)
    if after is not None:
        if not (after.isascii() and after.isdigit() and len(after) < 19):
            raise Refused("after", f"{after[:40]!r} is not the 'next' of a page")
        query = query.where(ReportJob.id < int(after))
    rows: Sequence[ReportJob] = (await session.scalars(query)).all()
    return Page(rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None)


async def get(session: AsyncSession, principal: Principal, job_id: int) -> ReportJob:
    """One of a person's jobs; raises :class:`NotFound`."""
    row: ReportJob | None = await session.scalar(_own(principal).where(ReportJob.id == job_id))
    if row is None:
        raise NotFound("report job", job_id)
    return row


async def cancel(session: AsyncSession, principal: Principal, job_id: int, now: int) -> ReportJob:
    """Stop a job that waits or is being made; raises :class:`NotFound`, :class:`Conflict`."""
    job = await get(session, principal, job_id)
    stopped = await session.execute(
        update(ReportJob)
        .where(ReportJob.id == job_id, ReportJob.state.in_(OPEN))
        .values(state="cancelled", finished_at=now)
    )
    if not stopped.rowcount:  # type: ignore[attr-defined]
        raise Conflict(f"Report job {job_id} is {job.state}: there is nothing to cancel.")
    record(session, principal, "cancelled", "report_job", str(job_id), object_id=job_id)
    await session.refresh(job)
    return job


async def remove(session: AsyncSession, principal: Principal, job_id: int, folder: Path) -> None:
    """Remove a job and its file; one that is being made has to be cancelled first."""
    job = await get(session, principal, job_id)
    if job.state == "running":
        raise Conflict(f"Report job {job_id} is being made: cancel it first.")
    await session.delete(job)
    await session.flush()
    forget_file(folder, job.file)


def folder_of(data_dir: str) -> Path:
    """Where files of reports are kept."""
    return Path(data_dir) / "reports"


def path_of(folder: Path, job: ReportJob) -> Path:
    """The file of a job that is done; raises :class:`NotFound` when it is kept no more."""
    path = folder / Path(job.file).name
    if job.state != "done" or not job.file or not path.is_file():
        raise NotFound("file of report job", job.id)
    return path


def forget_file(folder: Path, name: str) -> None:
    """Remove a job's file, if there is one."""
    if name:
        (folder / Path(name).name).unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Reports hold customers' data: the folder is its owner's only."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)  # noqa: PTH101 - an existing folder too


def _own(principal: Principal) -> Select[Any]:
    return select(ReportJob).where(ReportJob.tenant_id == principal.tenant_id, ReportJob.user_id == principal.user_id)
