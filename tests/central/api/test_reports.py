"""Reports over HTTP: rows by cursor, CSV, jobs with their file, schedules, views; each refusal names its place."""

import csv
import io
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from central.reports.catalogue import REPORTS
from central.store.engine import Database
from tests.central.reports.fleet import TODAY, Fleet, make_fleet
from tests.central.world import Side, bearer

Client = AsyncTestClient[Any]
ROOT = "/api/v1/reports"
DATE = TODAY.isoformat()


@pytest.fixture
async def fleet(database: Database, ours: Side) -> Fleet:
    async with database.write() as db:
        return await make_fleet(db, ours.tenant.id)


async def test_list(client: Client, ours: Side) -> None:
    found = (await client.get(ROOT, headers=bearer(ours.read_key))).json()["items"]
    assert [each["key"] for each in found] == list(REPORTS)
    assert "lot" in found[0]["parameters"]


async def test_rows_by_cursor(client: Client, ours: Side, fleet: Fleet) -> None:
    query = f"{ROOT}/registers-last?date={DATE}&lot=10&lot=11&post=total&limit=3"
    rows: list[dict[str, Any]] = []
    address: str | None = query
    while address:
        answer = await client.get(address, headers=bearer(ours.read_key))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        rows += body["items"]
        address = body["next"]
    assert [row["meter"] for row in rows] == [f"r-{n:04d}" for n in (1, 3, 4, 6, 7, 9, 10, 12)]
    assert rows[0]["1.8.0"] == "691.2"
    assert rows[0]["read_at"] == f"{DATE}T04:30:00Z"
    assert rows[2]["1.8.0"] is rows[2]["read_at"] is None
    assert {column["key"]: column["unit"] for column in body["columns"]}["1.8.0"] == "kWh"


@pytest.mark.parametrize("key", list(REPORTS))
async def test_every_report_answers(client: Client, ours: Side, theirs: Side, fleet: Fleet, key: str) -> None:
    query = "?meter=r-0002" if REPORTS[key].one else ""
    answer = await client.get(f"{ROOT}/{key}{query}", headers=bearer(ours.read_key))
    assert answer.status_code == 200, answer.text
    as_csv = await client.get(f"{ROOT}/{key}{query}", headers=bearer(ours.read_key) | {"accept": "text/csv"})
    lines = list(csv.reader(io.StringIO(as_csv.text)))
    assert lines[0][0] == answer.json()["columns"][0]["key"]
    strangers = await client.get(f"{ROOT}/{key}{query}", headers=bearer(theirs.read_key))
    assert strangers.status_code == 422 if REPORTS[key].one else strangers.json()["items"] == []


async def test_csv_of_chosen_columns(client: Client, ours: Side, fleet: Fleet) -> None:
    address = f"{ROOT}/availability?from=2026-06-01&to=2026-06-10&columns=availability,serial&sort=-availability"
    answer = await client.get(address, headers=bearer(ours.read_key) | {"accept": "text/csv"})
    lines = list(csv.reader(io.StringIO(answer.text)))
    assert lines[0] == ["availability", "serial"]
    shares = [float(line[0]) for line in lines[1:]]
    assert shares == sorted(shares, reverse=True)
    assert "availability-2026-06-01-2026-06-10.csv" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("address", "status", "path"),
    [
        ("availability?colour=red", 422, "colour"), ("availability?window=3", 422, "window"),
        ("availability?month=June", 422, "month"), ("availability?lot=99", 422, "lot"),
        ("availability?sort=serial", 422, "sort"), ("availability?cursor=xxx", 422, "cursor"),
        ("availability?month=2026-05&month=2026-06", 422, "month"), ("registers-meter", 422, "meter"),
        ("nothing", 404, ""), ("availability/totals?energy=active", 422, "energy"),
        ("events?cursor=MTIz", 422, "cursor"), ("jobs/99", 404, ""), ("jobs/99/file", 404, ""),
    ],
)  # fmt: skip
async def test_refusals(client: Client, ours: Side, fleet: Fleet, address: str, status: int, path: str) -> None:
    answer = await client.get(f"{ROOT}/{address}", headers=bearer(ours.read_key))
    assert answer.status_code == status, answer.text
    assert not path or answer.json()["errors"][0]["path"] == path


async def test_totals(client: Client, ours: Side, fleet: Fleet) -> None:
    answer = await client.get(f"{ROOT}/billing/totals?month=2026-06&lot=10", headers=bearer(ours.read_key))
    assert {each["key"]: each["value"] for each in answer.json()["items"]} == {"meters": 4, "lots": 1, "without": 0}


async def test_jobs_schedules_and_views(client: Client, ours: Side, theirs: Side, fleet: Fleet) -> None:
    mine, mailer = bearer(ours.read_key), bearer(ours.write_key)
    order = {"report": "availability", "format": "csv", "filters": {"month": "2026-06", "lot": ["10"]}}
    made = await client.post(f"{ROOT}/jobs", json=order, headers=mine)
    assert made.status_code == 201, made.text
    job = made.json()
    assert (job["state"], job["filters"]) == ("queued", {"month": "2026-06", "lot": ["10"]})
    assert (await client.get(f"{ROOT}/jobs?limit=1", headers=mine)).json()["items"] == [job]  # the newest
    assert (await client.get(f"{ROOT}/jobs/{job['id']}/file", headers=mine)).status_code == 404
    assert (await client.get(f"{ROOT}/jobs/{job['id']}", headers=bearer(theirs.read_key))).status_code == 404
    assert (await client.post(f"{ROOT}/jobs/{job['id']}/cancel", headers=mine)).json()["state"] == "cancelled"
    assert (await client.post(f"{ROOT}/jobs/{job['id']}/cancel", headers=mine)).status_code == 409
    assert (await client.delete(f"{ROOT}/jobs/{job['id']}", headers=mine)).status_code == 204
    for wrong, path in (
        ({"filters": {"energy": ["ufer"]}}, "energy"), ({"filters": {"colour": 1}}, "filters.colour"),
        ({"format": "doc"}, "format"), ({"recipients": ["nobody"]}, "recipients"),
    ):  # fmt: skip
        refused = await client.post(f"{ROOT}/jobs", json=order | wrong, headers=mailer)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["path"] == path
    to_someone = await client.post(f"{ROOT}/jobs", json=order | {"recipients": ["a@example.com"]}, headers=mine)
    assert to_someone.status_code == 403, "a key that only reads sends nothing"
    regular = order | {"name": "Mondays", "cadence": "weekly", "day": 0, "hour": 5}
    assert (await client.post(f"{ROOT}/schedules", json=regular, headers=mine)).status_code == 403
    entered = (await client.post(f"{ROOT}/schedules", json=regular, headers=mailer)).json()
    assert (entered["cadence"], entered["enabled"]) == ("weekly", True)
    address = f"{ROOT}/schedules/{entered['id']}"
    assert (await client.patch(address, json={"enabled": False}, headers=mailer)).json()["enabled"] is False
    assert (await client.delete(address, headers=bearer(theirs.write_key))).status_code == 404
    assert (await client.delete(address, headers=mailer)).status_code == 204
    left = (await client.get(f"{ROOT}/schedules", headers=mine)).json()["items"]
    assert [each["name"] for each in left] == ["spare"]
    view = {"report": "availability", "name": "Mine", "view": {"columns": [{"key": "serial"}], "sort": "-serial"}}
    saved = (await client.put(f"{ROOT}/views", json=view, headers=mine)).json()
    found = (await client.get(f"{ROOT}/views?report=availability", headers=mine)).json()["items"]
    assert [each["name"] for each in found] == ["Mine", "spare"]
    assert found[0] == saved
    assert (await client.delete(f"{ROOT}/views/{saved['id']}", headers=mine)).status_code == 204
