"""Reports in the background: made with their people's rights, cancelled, taken up after a death, sent, forgotten."""

import asyncio
import csv
import io
import time
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from central.accounts.models import Grant, User
from central.accounts.principal import Principal
from central.accounts.roles import grant, make_roles
from central.audit.models import AuditEntry
from central.errors import Conflict, NotFound, Refused
from central.reports import jobs, making, schedules, views
from central.reports.excess import Rules
from central.reports.jobs import Order, Wanted
from central.reports.making import STALE, Maker
from central.reports.models import ReportJob, ReportSchedule, SavedView
from central.reports.parameters import Filters
from central.reports.schedules import When, moved, next_at
from central.reports.table import Scope
from central.settings import AlarmSettings, Settings
from central.store.engine import Database
from central.web.report_mail import letter
from central.web.report_words import Words
from central.webhooks.models import Webhook, WebhookDelivery
from tests.central.alarms.test_notices import Inbox, smtp
from tests.central.reports.fleet import NOW, ZONE, Fleet, make_fleet
from tests.central.samples import enter_tenant

CSV = Order(form="csv", language="en", title="Weekly")
JUNE = Wanted(Filters(month="2026-06"), ("serial", "availability"), "-serial")


class Office:
    """A tenant with a fleet and two people, and who makes their reports."""

    def __init__(self, database: Database, fleet: Fleet, folder: Path) -> None:
        self.database = database
        self.fleet = fleet
        self.settings = Settings(data_dir=str(folder), zone=ZONE.key)
        self.folder = jobs.folder_of(str(folder))

    @property
    def maker(self) -> Maker:
        about = partial(letter, zone=ZONE.key, base_url="https://meters.example")
        return Maker(self.database, self.settings, Words, about)

    async def principal(self, login: str = "ana") -> Principal:
        async with self.database.read() as db:
            return Principal.of_session((await db.scalars(select(User).where(User.login == login))).one(), "", b"")

    async def submit(self, wanted: Wanted = JUNE, order: Order = CSV, key: str = "availability") -> ReportJob:
        principal = await self.principal()
        scope = Scope(principal.tenant_id, principal.zone, NOW, Rules())
        async with self.database.write() as db:
            return await jobs.submit(db, principal, scope, key, wanted, order)

    async def job(self, job_id: int) -> ReportJob:
        async with self.database.read() as db:
            return await db.get_one(ReportJob, job_id)

    async def lines(self, job_id: int) -> list[list[str]]:
        path = jobs.path_of(self.folder, await self.job(job_id))
        return list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))


@pytest_asyncio.fixture
async def office(database: Database, tmp_path: Path) -> Office:
    tenant = await enter_tenant(database)
    async with database.write() as db:
        fleet = await make_fleet(db, tenant)
        await make_roles(db, tenant)
        for login, role in (("ana", "operator"), ("rui", "viewer")):
            user = User(tenant_id=tenant, login=login, name=login, password_hash="", created_at=0)
            db.add(user)
            await db.flush()
            await grant(db, user, role)
    return Office(database, fleet, tmp_path)


async def test_made_in_the_background(office: Office) -> None:
    job = await office.submit()
    assert await office.maker.once(NOW)
    assert not await office.maker.once(NOW)
    done = await office.job(job.id)
    assert (done.state, done.done, done.total, done.error) == ("done", 12, 12, "")
    assert done.size == jobs.path_of(office.folder, done).stat().st_size
    lines = await office.lines(job.id)
    assert lines[0] == ["Serial", "Availability"]
    assert [line[0] for line in lines[1:]] == sorted((line[0] for line in lines[1:]), reverse=True)
    assert (office.folder.stat().st_mode & 0o077, list(office.folder.glob("*.part"))) == (0, [])
    async with office.database.read() as db:
        assert await db.scalar(select(func.count()).where(AuditEntry.kind == "report_job")) == 1


async def test_webhooks_are_told_when_one_is_made(office: Office) -> None:
    job = await office.submit()
    async with office.database.write() as db:
        db.add(
            Webhook(
                tenant_id=job.tenant_id, url="https://example.org/", kinds="report.finished", secret="s", created_at=0,
                created_by="ana",
            )
        )  # fmt: skip
    assert await office.maker.once(NOW)
    async with office.database.read() as db:
        told = (await db.scalars(select(WebhookDelivery))).one()
    assert told.kind == "report.finished"
    data = msgspec.json.decode(told.body)["data"]
    assert data == {"job": job.id, "report": "availability", "title": "Weekly", "state": "done"}


async def test_made_with_the_rights_of_then(office: Office) -> None:
    job = await office.submit()
    later = await office.submit()
    async with office.database.write() as db:
        only = {"group_id": office.fleet.groups["b1"]}
        ana = select(User.id).where(User.login == "ana").scalar_subquery()
        await db.execute(update(Grant).where(Grant.user_id == ana).values(**only))
    await office.maker.once(NOW)
    assert len(await office.lines(job.id)) == 1 + 4
    async with office.database.write() as db:
        await db.execute(delete(Grant).where(Grant.user_id == ana))
    await office.maker.once(NOW)
    refused = await office.job(later.id)
    assert (refused.state, refused.file) == ("failed", "")
    assert "may not read" in refused.error
    async with office.database.write() as db:
        await db.execute(update(User).values(disabled_at=1))
    async with office.database.write() as db:
        await db.execute(update(ReportJob).where(ReportJob.id == later.id).values(state="queued"))
    await office.maker.once(NOW)
    assert "may not come in" in (await office.job(later.id)).error


async def test_a_dead_makers_job_is_made_again(office: Office) -> None:
    job = await office.submit()
    async with office.database.write() as db:
        died = {"state": "running", "started_at": NOW - 500, "beat_at": NOW - STALE + 5, "done": 7}
        await db.execute(update(ReportJob).values(**died))
    assert not await office.maker.once(NOW)  # perhaps it lives
    assert await office.maker.once(NOW + 10)
    assert (await office.job(job.id)).state == "done"
    async with office.database.write() as db:
        lost = {"state": "running", "started_at": NOW - making.GIVE_UP - 1, "beat_at": NOW - STALE - 1}
        await db.execute(update(ReportJob).values(**lost))
    assert not await office.maker.once(NOW)
    assert (await office.job(job.id)).state == "failed"


async def test_cancelled_while_it_is_made(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "BEAT", 0.05)
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any) -> int:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 0

    monkeypatch.setattr(making, "write", slow)
    job = await office.submit()
    work = asyncio.create_task(office.maker.once(NOW))
    await asyncio.wait_for(began.wait(), 10)
    principal = await office.principal()
    async with office.database.write() as db:
        await jobs.cancel(db, principal, job.id, NOW)
    await asyncio.wait_for(ended.wait(), 10)
    assert await asyncio.wait_for(work, 10)
    assert (await office.job(job.id)).state == "cancelled"
    async with office.database.write() as db:
        with pytest.raises(Conflict):
            await jobs.cancel(db, principal, job.id, NOW)


async def test_a_maker_that_is_stopped_leaves_its_job(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    began = asyncio.Event()

    async def slow(*_: Any) -> int:
        began.set()
        await asyncio.sleep(60)
        return 0

    monkeypatch.setattr(making, "write", slow)
    job = await office.submit()
    work = asyncio.create_task(office.maker.run(asyncio.Event()))
    await asyncio.wait_for(began.wait(), 10)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await office.job(job.id)).state == "queued"


async def test_what_cannot_be_made_is_refused_or_fails(office: Office) -> None:
    for wanted, order, field in (
        (Wanted(Filters(lot=("99",))), CSV, "lot"), (Wanted(columns=("nothing",)), CSV, "columns"),
        (Wanted(sort="days"), CSV, "sort"), (Wanted(), Order(form="doc", language="en"), "format"),
        (Wanted(), Order(form="csv", language="xx"), "language"),
        (Wanted(), Order(form="csv", language="en", recipients=("nobody",)), "recipients"),
    ):  # fmt: skip
        with pytest.raises(Refused) as found:
            await office.submit(wanted, order)
        assert found.value.field == field
    with pytest.raises(NotFound):
        await office.submit(key="nothing")
    job = await office.submit(Wanted(Filters(month="2026-06", lot=("10",))))
    async with office.database.write() as db:
        await db.execute(update(ReportJob).values(parameters=jobs.encode(Wanted(Filters(lot=("gone",))))))
    await office.maker.once(NOW)
    failed = await office.job(job.id)
    assert (failed.state, failed.error) == ("failed", "lot: there is no lot 'gone'")


async def test_sent_with_the_file_or_a_link(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox(refuse=1)
    to = Order(form="csv", language="pt_BR", recipients=("ana@example.org", "rui@example.org"), title="Semanal")
    async with smtp(inbox) as port:
        mail = AlarmSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
        office.settings = Settings(data_dir=office.settings.data_dir, zone=ZONE.key, alarms=mail)
        maker = office.maker
        job = await office.submit(order=to)
        now = int(time.time())
        await maker.once(now)
        refused = await office.job(job.id)
        assert refused.mailed_at is None
        assert "451" in refused.error
        await maker.once(now + 1)
        assert inbox.messages == []
        await maker.once(now + making.MAIL_AGAIN)
        (message,) = inbox.messages
        assert message["To"] == "ana@example.org, rui@example.org"
        assert message["Subject"].startswith("Semanal")
        (part,) = message.iter_attachments()
        assert part.get_content() == jobs.path_of(office.folder, await office.job(job.id)).read_bytes()
        assert part.get_filename() == "availability-2026-06-01-2026-06-30.csv"
        assert (await office.job(job.id)).mailed_at == now + making.MAIL_AGAIN
        monkeypatch.setattr(making, "ATTACH", 10)
        large = await office.submit(order=to)
        await maker.once(now + 1000)
    assert len(inbox.messages) == 2
    assert list(inbox.messages[1].iter_attachments()) == []
    assert f"https://meters.example/reports/jobs/{large.id}/file" in inbox.messages[1].get_content()


async def test_nothing_is_sent_for_who_may_not(office: Office) -> None:
    """What was ordered before the right was taken fails; without addresses it is made as before."""
    to = await office.submit(order=Order(form="csv", language="en", recipients=("ana@example.org",)))
    plain = await office.submit()
    async with office.database.write() as db:
        held = (await db.scalars(select(Grant).join(User).where(User.login == "ana"))).one()
        await grant(db, await db.get_one(User, held.user_id), "viewer")
        await db.delete(held)
    await office.maker.once(NOW)
    await office.maker.once(NOW)
    failed = await office.job(to.id)
    assert (failed.state, failed.error) == ("failed", "whose report it is may not send reports any more")
    assert (await office.job(plain.id)).state == "done"


async def test_forgotten_after_their_retention(office: Office) -> None:
    job = await office.submit()
    await office.maker.once(NOW)
    done = await office.job(job.id)
    path = jobs.path_of(office.folder, done)
    days = office.settings.retention.reports
    assert done.finished_at is not None
    assert await office.maker.forget(done.finished_at + days * 86400) == 0
    assert path.is_file()
    assert await office.maker.forget(done.finished_at + days * 86400 + 1) == 1
    assert not path.exists()


async def test_everybody_has_their_own(office: Office) -> None:
    job = await office.submit()
    await office.maker.once(NOW)
    other = await office.principal("rui")
    async with office.database.write() as db:
        assert (await jobs.find(db, other)).items == []
        for attempt in (jobs.get(db, other, job.id), jobs.cancel(db, other, job.id, NOW),
                        jobs.remove(db, other, job.id, office.folder)):  # fmt: skip
            with pytest.raises(NotFound):
                await attempt
        mine = await office.principal()
        await jobs.remove(db, mine, job.id, office.folder)
    assert list(office.folder.iterdir()) == []


async def test_regular_reports(office: Office) -> None:
    principal = await office.principal()
    scope = Scope(principal.tenant_id, principal.zone, NOW, Rules())
    when = When("weekly", 0, 6)
    async with office.database.write() as db:
        row = await schedules.enter(db, principal, scope, "availability", JUNE, CSV, when)
        for bad in (When("weekly", 7, 6), When("monthly", 0, 6), When("daily", 0, 24)):
            with pytest.raises(Refused):
                await schedules.enter(db, principal, scope, "availability", JUNE, CSV, bad)
    monday = row.next_at
    assert datetime.fromtimestamp(monday, ZONE).isoformat() == "2026-06-22T06:00:00-03:00"
    assert await schedules.queue_due(office.database, monday - 1) == 0
    assert await schedules.queue_due(office.database, monday + 3 * 7 * 86400) == 1  # late: once, not four times
    assert await schedules.queue_due(office.database, monday + 3 * 7 * 86400) == 0
    async with office.database.read() as db:
        (job,) = (await db.scalars(select(ReportJob))).all()
        assert (await db.get_one(ReportSchedule, row.id)).next_at == monday + 4 * 7 * 86400
    wanted = jobs.decode(job.parameters)
    assert (wanted.filters.first, wanted.filters.last, wanted.filters.month) == ("2026-06-15", "2026-06-21", "")
    assert (wanted.columns, wanted.sort, job.title) == (JUNE.columns, JUNE.sort, "Weekly")
    async with office.database.write() as db:
        await schedules.switch(db, principal, row.id, False, scope)
    assert await schedules.queue_due(office.database, monday + 90 * 86400) == 0
    async with office.database.write() as db:
        assert (await schedules.switch(db, principal, row.id, True, scope)).next_at == monday
        with pytest.raises(NotFound):
            await schedules.remove(db, await office.principal("rui"), row.id)
        await schedules.remove(db, principal, row.id)
        assert await schedules.find(db, principal) == []


@given(
    st.sampled_from(schedules.CADENCES), st.integers(1, 31), st.integers(0, 23),
    st.integers(1_500_000_000, 2_000_000_000), st.sampled_from(["America/Sao_Paulo", "Europe/Moscow", "Europe/Lisbon"]),
)  # fmt: skip
def test_the_next_time_is_the_next(cadence: schedules.Cadence, day: int, hour: int, after: int, zone: str) -> None:
    when = When(cadence, day % 7 if cadence == "weekly" else day, hour)
    found = next_at(when, zone, after)
    local = datetime.fromtimestamp(found, ZoneInfo(zone))
    assert after < found <= after + 32 * 86400
    assert abs(local.hour - hour) <= 1  # one more where the clock jumps over it
    if cadence == "weekly":
        assert local.weekday() == when.day
    if cadence == "monthly":
        tomorrow = local.date() + timedelta(days=1)
        assert local.day == day or (local.day < day and tomorrow.month != local.month)


@pytest.mark.parametrize(
    ("form", "cadence", "expected"),
    [
        ("period", "daily", {"from": "2026-02-28", "to": "2026-02-28"}),
        ("period", "weekly", {"from": "2026-02-22", "to": "2026-02-28"}), ("period", "monthly", {"month": "2026-02"}),
        ("day", "daily", {"date": "2026-02-28"}), ("day", "monthly", {"date": "2026-02-28"}),
        ("month", "weekly", {"month": "2026-02"}), ("month", "monthly", {"month": "2026-02"}),
    ],
)  # fmt: skip
def test_periods_move_along(form: Any, cadence: Any, expected: dict[str, str]) -> None:
    found = moved(Filters(month="2020-01", lot=("10",)), form, cadence, date(2026, 3, 1))
    assert dict(found.pairs()) == expected | {"lot": "10"}


async def test_views(office: Office) -> None:
    ana, rui = await office.principal(), await office.principal("rui")
    one = views.View([views.ViewColumn("serial", 120, "left")], "-serial", [("lot", "10")], 50, True)
    async with office.database.write() as db:
        first = await views.save(db, ana, "availability", " My   view ", one)
        again = await views.save(db, ana, "availability", "My view", views.View(default=True))
        assert (first.id, first.name) == (again.id, "My view")
        other = await views.save(db, ana, "availability", "Other", one)
        await views.save(db, rui, "availability", "My view", one)
        found = {saved.name: saved.view for saved in await views.find(db, ana, "availability")}
        assert (found["Other"], found["My view"].default) == (one, False)
        assert await views.find(db, ana, "billing") == []
        with pytest.raises(NotFound):
            await views.remove(db, rui, other.id)
        await views.remove(db, ana, other.id)
        assert await db.scalar(select(func.count()).select_from(SavedView)) == 2
        for report, name, view, error in (
            ("nothing", "x", one, NotFound), ("billing", "  ", one, Refused),
            ("billing", "x", views.View(query=[("colour", "1")]), Refused),
        ):  # fmt: skip
            with pytest.raises(error):
                await views.save(db, ana, report, name, view)
