"""Pages of reports: filters, rows in the reader's words, files, jobs, schedules, views, and refusals in words."""

import asyncio
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from central.accounts.models import Tenant
from central.accounts.service import TenantOf, create_user
from central.app import create_app
from central.registry import words
from central.reports.catalogue import REPORTS
from central.settings import DatabaseSettings, Settings
from central.store.engine import open_url
from central.store.migrate import migrate
from central.web.i18n import LANGUAGES
from tests.central.reports.fleet import TODAY, ZONE, make_fleet
from tests.central.web.conftest import HTML, csrf, log_in
from tests.central.web.seed import LOGIN, OPERATOR, PASSWORD

Client = TestClient[Any]
MONTH = TODAY.isoformat()[:7]


@pytest.fixture(scope="module")
def reporting(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The application over a fleet with readings."""
    folder = tmp_path_factory.mktemp("reports")
    url = f"sqlite+aiosqlite:///{folder / 'central.sqlite'}"

    async def prepare() -> None:
        database = open_url(url)
        await migrate(database)
        ours = TenantOf("demo", "Demo", ZONE.key)
        for login, role in ((LOGIN, "operator"), (OPERATOR, "operator"), ("reader", "viewer")):
            await create_user(database, ours, login, login, PASSWORD, role=role, now=1)
        async with database.write() as db:
            tenant = (await db.scalars(select(Tenant.id))).one()
            await make_fleet(db, tenant, 30)
            await words.rebuild(db, tenant)
        await database.close()

    asyncio.run(prepare())
    settings = Settings(
        database=DatabaseSettings(url=url), tenant="demo", zone=ZONE.key, data_dir=str(Path(folder) / "data")
    )
    with TestClient(create_app(settings, follow=False)) as client:
        client.headers["accept-language"] = "en"
        log_in(client)
        yield client


def about(text: str) -> dict[str, Any]:
    found = re.search(r'id="report-about">(.*?)</script>', text, re.DOTALL)
    assert found
    grid: dict[str, Any] = json.loads(found[1])
    return grid


def test_the_list_names_them_all(reporting: Client) -> None:
    text = reporting.get("/reports", headers=HTML).text
    for key in REPORTS:
        assert f'href="/reports/{key}"' in text
    assert "Nothing is made regularly" in text


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_page_in_every_language(reporting: Client, code: str) -> None:
    before = reporting.headers["accept-language"]
    reporting.headers["accept-language"] = code.replace("_", "-")
    try:
        for key, report in REPORTS.items():
            answer = reporting.get(f"/reports/{key}?meter=r-0001" if report.one else f"/reports/{key}", headers=HTML)
            assert answer.status_code == 200, key
            assert 'role="alert">' not in answer.text.replace('role="alert" id="report-problem">', "")
            assert about(answer.text)["columns"]
            data = reporting.get(f"/data/reports/{key}" + ("?meter=r-0001" if report.one else ""))
            assert data.status_code == 200, data.text
    finally:
        reporting.headers["accept-language"] = before


def test_rows_are_in_the_readers_words(reporting: Client) -> None:
    answer = reporting.get(f"/data/reports/consumption?month={MONTH}&lot=11&size=3&sort=-serial").json()
    assert (answer["last_row"], answer["last_page"], len(answer["data"])) == (10, 4, 3)
    row = answer["data"][-1]
    assert re.fullmatch(r"[0-9,]+\.[0-9]{3}", row["1.8.0"])
    assert row["_meter"].startswith("r-00")
    (never,) = reporting.get(f"/data/reports/consumption?month={MONTH}&meter=r-0004").json()["data"]
    assert (never["1.8.0"], never["notes"], never["availability"]) == ("", "no reading", "0.00%")


def test_filters_come_back_chosen(reporting: Client) -> None:
    text = reporting.get(
        f"/reports/consumption?month={MONTH}&lot=10&energy=inductive&missing=&side=secondary", headers=HTML
    ).text
    assert re.search(r'name="lot" value="10" checked', text)
    assert not re.search(r'name="lot" value="11" checked', text)
    assert re.search(r'name="energy" value="inductive" checked', text)
    assert re.search(r'name="side" value="secondary" checked', text)
    assert f'name="month" value="{MONTH}"' in text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("lot=99", "Not found: &#39;99&#39;"), ("from=2026-06-09&to=2026-06-01", "is after the last"),
        ("from=2020-01-01&to=2026-06-01", "days are too long"), ("sort=notes", ""),
    ],
)  # fmt: skip
def test_refusals_are_words_on_the_page(reporting: Client, query: str, words: str) -> None:
    page = reporting.get(f"/reports/availability?{query}", headers=HTML)
    assert page.status_code == 200
    assert words in page.text
    data = reporting.get(f"/data/reports/availability?{query}")
    assert data.status_code == 422
    assert data.json()["detail"]


def test_a_meter_has_to_be_chosen(reporting: Client) -> None:
    text = reporting.get("/reports/profile", headers=HTML).text
    assert "Choose a meter" in text
    assert "report-about" not in text
    assert 'value="r-0011"' in reporting.get("/reports/meters?meter=7000407").text


def test_totals_and_charts(reporting: Client) -> None:
    text = reporting.get(f"/reports/billing/totals?month={MONTH}", headers=HTML).text
    assert "Selected lots" in text
    assert re.search(r">29<", text)
    chart = reporting.get(f"/data/reports/temperature/chart?month={MONTH}&meter=r-0002").json()
    assert [len(series["points"]) for series in chart["series"]] == [72]
    assert "empty" in reporting.get("/data/reports/temperature/chart?month=2020-01").json()


@pytest.mark.parametrize(("form", "start"), [("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK"), ("pdf", b"%PDF")])
def test_files_of_what_is_shown(reporting: Client, form: str, start: bytes) -> None:
    query = f"month={MONTH}&lot=10&columns=availability,serial&sort=-serial&format={form}"
    answer = reporting.get(f"/reports/availability/export?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(start)
    assert f"availability-2026-06-01-2026-06-30.{form}" in answer.headers["content-disposition"]
    if form == "csv":
        lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert lines[0] == ["Availability", "Serial"]
        assert [line[1] for line in lines[1:]] == sorted((line[1] for line in lines[1:]), reverse=True)
    assert reporting.get("/reports/availability/export?format=doc", headers=HTML).status_code == 422


def test_order_in_the_background_and_regularly(reporting: Client) -> None:
    form = {"_csrf": csrf(reporting), "report": "availability", "query": f"month={MONTH}&lot=10",
            "columns": "serial,availability", "sort": "-serial", "format": "xlsx"}  # fmt: skip
    made = reporting.post("/reports/jobs", data=form | {"title": "For <Rui>"}, follow_redirects=False)
    assert (made.status_code, made.headers["location"]) == (303, "/reports#jobs")
    text = reporting.get("/reports", headers=HTML).text
    assert "For &lt;Rui&gt;" in text
    found = re.search(r"/reports/jobs/(\d+)/cancel", text)
    assert found
    header = {"x-csrf-token": csrf(reporting), **HTML}
    assert "Cancelled" in reporting.post(f"/reports/jobs/{found[1]}/cancel", headers=header).text
    assert "For &lt;Rui&gt;" not in reporting.post(f"/reports/jobs/{found[1]}/remove", headers=header).text
    when = {
        "name": "Mondays",
        "cadence": "weekly",
        "week_day": "0",
        "hour": "5",
        "recipients": "ana@example.org; b@c.de",
    }
    assert reporting.post("/reports/schedules", data=form | when, follow_redirects=False).status_code == 303
    text = reporting.get("/reports", headers=HTML).text
    assert "Weekly, Monday, 5:00" in text
    assert "ana@example.org, b@c.de" in text
    bad = reporting.post("/reports/schedules", data=form | when | {"recipients": "nobody"}, headers=HTML)
    assert bad.status_code == 422
    found = re.search(r"/reports/schedules/(\d+)/switch", text)
    assert found
    token = {"_csrf": csrf(reporting)}
    reporting.post(f"/reports/schedules/{found[1]}/switch", data=token | {"enabled": "0"})
    assert "Paused" in reporting.get("/reports", headers=HTML).text
    reporting.post(f"/reports/schedules/{found[1]}/remove", data=token)
    assert "Mondays" not in reporting.get("/reports", headers=HTML).text
    assert reporting.post("/reports/jobs", data=form | {"_csrf": "x"}, headers=HTML).status_code == 403


def test_who_only_reads_sends_nothing(reporting: Client) -> None:
    """Files are theirs, e-mails and regular reports are not: neither offered nor taken."""
    kept = dict(reporting.cookies.items())
    reporting.cookies.clear()
    try:
        log_in(reporting, "reader")
        shown = reporting.get("/reports/availability", headers=HTML).text
        assert 'id="in-background"' in shown
        assert 'name="recipients"' not in shown
        assert 'id="regularly"' not in shown
        assert 'id="schedules"' not in reporting.get("/reports", headers=HTML).text
        form = {"_csrf": csrf(reporting), "report": "availability", "query": "", "format": "csv"}
        sent = reporting.post("/reports/jobs", data=form | {"recipients": "a@example.org"}, headers=HTML)
        when = {"name": "x", "cadence": "daily"}
        regular = reporting.post("/reports/schedules", data=form | when, headers=HTML)
        assert (sent.status_code, regular.status_code) == (403, 403)
        assert reporting.post("/reports/jobs", data=form, follow_redirects=False).status_code == 303
    finally:
        reporting.cookies.clear()
        reporting.cookies.update(kept)


def test_saved_views(reporting: Client) -> None:
    view = {
        "columns": [{"key": "availability", "pin": "left"}, {"key": "serial", "width": 99}],
        "sort": "-availability",
    }
    form = {"_csrf": csrf(reporting), "report": "availability", "query": "lot=10&page=3", "name": "Mine",
            "view": json.dumps(view), "default": "1"}  # fmt: skip
    saved = reporting.post("/reports/availability/views", data=form, follow_redirects=False)
    number = re.fullmatch(r"/reports/availability\?lot=10&view=(\d+)", saved.headers["location"])
    assert number
    default = reporting.get("/reports/availability", headers=HTML).text
    assert re.search(r'name="lot" value="10" checked', default)
    shown = about(default)["view"]
    assert [column["key"] for column in shown["columns"]] == ["availability", "serial"]
    assert shown["sort"] == "-availability"
    assert about(reporting.get("/reports/availability?view=0", headers=HTML).text)["view"] is None
    gone = reporting.post(f"/reports/availability/views/{number[1]}/remove", data={"_csrf": csrf(reporting)})
    assert gone.status_code == 200
    assert about(reporting.get("/reports/availability", headers=HTML).text)["view"] is None
    broken = reporting.post("/reports/availability/views", data=form | {"view": "{"}, headers=HTML)
    assert broken.status_code == 422
