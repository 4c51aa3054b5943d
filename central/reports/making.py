"""Make the reports that wait, one after the other, with the rights their people have at that time.

A job is claimed, beats while it is made, and is marked when its file stands. One whose maker died (no beat for
:data:`STALE`) waits again; its file appears whole or not at all.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central import mail
from central.accounts.models import User
from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.accounts.reach import REACH
from central.errors import CentralError
from central.reports.catalogue import report_of
from central.reports.exports import Shown, file_name, show, write
from central.reports.jobs import decode, folder_of, forget_file, make_folder
from central.reports.models import ReportJob
from central.reports.schedules import queue_due
from central.reports.scope import scope_of
from central.reports.wording import Wording
from central.settings import Settings
from central.store.engine import Database
from central.store.faults import is_passing, reason_of
from central.webhooks import outbox
from central.webhooks.kinds import Kind

log = structlog.get_logger("metergate.reports")

#: Pause between looks for work, between beats, and the silence after which a maker is taken for dead, s.
EVERY: Final = 2.0
BEAT: Final = 2.0
STALE: Final = 60
#: A job that was begun so long ago and is not done yet takes its maker down each time: it has failed, s.
GIVE_UP: Final = 6 * 3600
#: A file up to this size goes with the e-mail, a larger one as a link.
ATTACH: Final = 8 << 20
#: An e-mail that was refused is tried again after this, for a day, s.
MAIL_AGAIN: Final = 300
_DAY: Final = 86400

#: The wording of a language; subject and text of the e-mail about a job (attached: whether the file goes with it).
Word = Callable[[str], Wording]
Letter = Callable[[ReportJob, bool], tuple[str, str]]


class Maker:
    """Makes reports with settings and words; ``mail`` words the e-mails."""

    def __init__(self, database: Database, settings: Settings, words: Word, letter: Letter) -> None:
        self._database = database
        self._settings = settings
        self._words = words
        self._letter = letter
        self._folder = folder_of(settings.data_dir)
        self._mail_after: dict[int, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set."""
        while not stop.is_set():
            busy = False
            try:
                busy = await self.once(int(time.time()))
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("reports wait: the database is out of reach", error=reason_of(error))
            if not busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EVERY)

    async def once(self, now: int) -> bool:
        """Queue what is due, take up what was left, make one report, send what is made; returns whether one was."""
        await queue_due(self._database, now)
        await self._take_up(now)
        job = await self._claim(now)
        if job is not None:
            await self._make(job)
        await self._send_mail(now)
        return job is not None

    async def forget(self, now: int) -> int:
        """Remove jobs and files past their retention; returns how many."""
        limit = now - self._settings.retention.reports * _DAY
        async with self._database.write() as session:
            old = (await session.scalars(select(ReportJob).where(ReportJob.finished_at < limit))).all()
            for job in old:
                await session.delete(job)
        for job in old:
            forget_file(self._folder, job.file)
        return len(old)

    async def _take_up(self, now: int) -> None:
        dead = ReportJob.state == "running", or_(ReportJob.beat_at.is_(None), ReportJob.beat_at < now - STALE)
        async with self._database.write() as session:
            await session.execute(
                update(ReportJob)
                .where(*dead, ReportJob.started_at < now - GIVE_UP)
                .values(state="failed", error="its maker died several times", finished_at=now)
            )
            await session.execute(update(ReportJob).where(*dead).values(state="queued", done=0, total=None))

    async def _claim(self, now: int) -> ReportJob | None:
        async with self._database.read() as session:
            job = await session.scalar(
                select(ReportJob).where(ReportJob.state == "queued").order_by(ReportJob.id).limit(1)
            )
        if job is None:
            return None
        started = job.started_at or now
        values = {"state": "running", "started_at": started, "beat_at": now, "done": 0, "error": ""}
        return job if await self._mark(job.id, "queued", **values) else None

    async def _make(self, job: ReportJob) -> None:
        work = _Work()
        making = asyncio.create_task(self._write(job, work), name=f"report-{job.id}")
        try:
            while not (await asyncio.wait({making}, timeout=BEAT))[0]:
                beat = {"beat_at": int(time.time()), "done": work.done, "total": work.total}
                if not await self._mark(job.id, "running", **beat):
                    making.cancel()  # somebody cancelled it
            file, size = making.result()
        except asyncio.CancelledError:
            if not making.done():  # this process is asked to stop
                making.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await making
                await asyncio.shield(self._mark(job.id, "running", state="queued", done=0))
                raise
        except CentralError as error:
            await self._fail(job, str(error))
        except Exception as error:
            if is_passing(error):
                raise
            log.exception("a report failed", job=job.id, report=job.report)
            await self._fail(job, reason_of(error))
        else:
            now = int(time.time())
            ready = {"state": "done", "file": file, "size": size, "done": work.done, "total": work.done}
            if not await self._finish(job, finished_at=now, beat_at=now, **ready):
                forget_file(self._folder, file)

    async def _write(self, job: ReportJob, work: "_Work") -> tuple[str, int]:
        """Write the file; returns its name within the folder, and its size."""
        needed = Permission.MAIL if job.recipients or job.schedule_id is not None else Permission.READ
        principal = await self._person(job.user_id, needed)
        wanted = decode(job.parameters)
        make_folder(self._folder)
        async with self._database.read(**{REACH: principal.reach(needed)}) as session:
            scope = scope_of(principal, self._settings.reports, int(time.time()))
            shown = await show(
                session, report_of(job.report), scope, wanted.filters, wanted.columns, wanted.sort,
                self._words(job.language),
            )  # fmt: skip
            work.total = await shown.table.count(session)
            return await self._write_file(session, shown, job, work)

    async def _write_file(self, session: AsyncSession, shown: Shown, job: ReportJob, work: "_Work") -> tuple[str, int]:
        name = f"{job.id}-{secrets.token_hex(8)}-{file_name(shown, job.format)}"
        part = self._folder / f"{name}.part"
        try:
            await write(session, shown, job.format, part, work.tell)
            size = part.stat().st_size
            part.rename(self._folder / name)
        finally:
            part.unlink(missing_ok=True)
        return name, size

    async def _person(self, user_id: int, needed: Permission) -> Principal:
        async with self._database.read() as session:
            user = await session.get(User, user_id)
        if user is None or user.disabled_at is not None:
            raise NotPermitted("whose report it is may not come in any more")
        principal = Principal.of_session(user, "", b"")
        if not principal.may(Permission.READ):
            raise NotPermitted("whose report it is may not read any more")
        if not principal.may(needed):
            raise NotPermitted("whose report it is may not send reports any more")
        return principal

    async def _fail(self, job: ReportJob, reason: str) -> None:
        await self._finish(job, state="failed", error=reason[:1000], finished_at=int(time.time()))

    async def _finish(self, job: ReportJob, **values: Any) -> bool:
        """Mark a running job as done or failed, and tell the webhooks of it in the same transaction."""
        told = {"job": job.id, "report": job.report, "title": job.title, "state": values["state"]}
        async with self._database.write() as session:
            ended = await _mark_in(session, job.id, "running", values)
            if ended:
                await outbox.publish(session, job.tenant_id, Kind.REPORT_FINISHED, told)
        return ended

    async def _mark(self, job_id: int, was: str, **values: Any) -> bool:
        async with self._database.write() as session:
            return await _mark_in(session, job_id, was, values)

    async def _send_mail(self, now: int) -> None:
        if not self._settings.alarms.smtp_host:
            return
        query = select(ReportJob).where(
            ReportJob.state == "done", ReportJob.recipients != "", ReportJob.mailed_at.is_(None),
            ReportJob.finished_at > now - _DAY,
        )  # fmt: skip
        async with self._database.read() as session:
            jobs = (await session.scalars(query)).all()
        for job in jobs:
            if self._mail_after.get(job.id, 0) <= now:
                await self._mail(job, now)

    async def _mail(self, job: ReportJob, now: int) -> None:
        path = self._folder / job.file
        attached = path.is_file() and path.stat().st_size <= ATTACH
        subject, text = self._letter(job, attached)
        to = ", ".join(job.recipients.split())
        message = mail.new_message(self._settings.alarms, to, subject, text, f"report-{job.id}")
        if attached:
            message.add_attachment(
                path.read_bytes(), maintype="application", subtype=_SUBTYPES[job.format], filename=download_name(path)
            )
        try:
            await mail.send(self._settings.alarms, message)
        except mail.MailRefused as error:
            log.warning("report not sent", job=job.id, error=str(error))
            self._mail_after[job.id] = now + MAIL_AGAIN
            await self._mark(job.id, "done", error=f"e-mail: {error}"[:1000])
        else:
            self._mail_after.pop(job.id, None)
            await self._mark(job.id, "done", mailed_at=now, error="")


_SUBTYPES: Final = {
    "csv": "csv", "xlsx": "vnd.openxmlformats-officedocument.spreadsheetml.sheet", "pdf": "pdf",
}  # fmt: skip


class NotPermitted(CentralError):
    """The person may not have this report any more."""


class _Work:
    """How far a report is."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None

    async def tell(self, done: int) -> None:
        self.done = done


def download_name(path: Path) -> str:
    """The name people get: without the number and the random part."""
    return path.name.split("-", 2)[2]


async def _mark_in(session: AsyncSession, job_id: int, was: str, values: dict[str, Any]) -> bool:
    """Change a job that still is in the state ``was``; says whether it was."""
    done: Any = await session.execute(
        update(ReportJob).where(ReportJob.id == job_id, ReportJob.state == was).values(**values)
    )
    return bool(done.rowcount)
