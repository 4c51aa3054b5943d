"""The tabs of a meter's page and the page of a customer: what stands in them, alone and whole, for whom."""

import asyncio
import re
import time
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from central.app import create_app
from central.settings import DatabaseSettings, Settings
from central.store.engine import open_url
from central.store.migrate import migrate
from central.web.i18n import LANGUAGES, language
from shared.intervals import local_date
from tests.central.web.conftest import HTML, Client, log_in
from tests.central.web.seed import OPERATOR, ZONE
from tests.central.web.seed_meter import DUE_DAY, seed_meter

TABS = ("", "/readings", "/billing", "/registration", "/reports")


@pytest.fixture(scope="session")
def utility(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a database with the meters of ``seed_meter``."""
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('meter') / 'central.sqlite'}"

    async def prepare() -> None:
        database = open_url(url)
        await migrate(database)
        await seed_meter(database, int(time.time()))
        await database.close()

    asyncio.run(prepare())
    return Settings(database=DatabaseSettings(url=url), tenant="demo", zone=ZONE.key)


@pytest.fixture(scope="module")
def client(utility: Settings) -> Iterator[Client]:
    with TestClient(create_app(utility, follow=False)) as client:
        log_in(client)
        client.headers["accept-language"] = "en"
        yield client


def text(client: Client, path: str) -> str:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


@pytest.mark.parametrize("code", LANGUAGES)
def test_tabs_whole_and_alone(client: Client, code: str) -> None:
    headers = {"accept-language": code.replace("_", "-")}
    for key in ("r-0001", "i-0001", "n-0001"):
        for tab in TABS:
            path = f"/meters/{key}{tab}"
            whole = client.get(path, headers={**HTML, **headers})
            alone = client.get(path, headers={"hx-request": "true", **headers})
            assert (whole.status_code, alone.status_code) == (200, 200), path
            assert f'<html lang="{language(code).tag}"' in whole.text
            assert "<html" not in alone.text
            assert f'href="{path}" hx-get="{path}" aria-current="page"' in whole.text
            assert f'href="{path}" hx-get="{path}" aria-current="page"' in alone.text
            again = client.get(path, headers={"hx-request": "true", "hx-history-restore-request": "true", **headers})
            assert "<html" in again.text


def test_consolidated_table(client: Client) -> None:
    """As on the reference product's screen: posts in its order, then the total."""
    page = text(client, "/meters/r-0001/billing")
    table = page.split("consolidated")[1].split("</table>")[0]
    names = re.findall(r"</span>([\w-]+)</th>", table)
    assert names == ["Peak", "Intermediate", "Off-peak", "Reserved"]
    rows = [re.findall(r'<td class="num">([\d.,–]+)', row) for row in table.split("<tr")[2:]]
    energies = [float(row[0].replace(",", "")) for row in rows]
    assert energies[-1] == pytest.approx(sum(energies[:-1]), abs=0.004)
    assert rows[3][:2] == ["0.000", "–"]
    assert max(float(row[1]) for row in rows[:3]) == float(rows[-1][1])
    for words in ("Lote vermelho", "Planned bill date", "00:00", "difference of the meter&#39;s registers"):
        assert words in page
    body = client.get("/api/v1/meters/r-0001/billing").json()
    running = body["periods"][-1]
    assert running["source"] == "registers"
    assert f"{running['posts'][0]['energy']['value']:,.3f}" == rows[-1][0]
    if running["posts"][0]["projected"]:
        assert f"{running['posts'][0]['projected']['value']:,.3f}" == rows[-1][2]
        assert "It is no bill." in page


def test_charts_of_bills(client: Client) -> None:
    bills = client.get("/data/meters/r-0001/billing/consumption").json()
    demand = client.get("/data/meters/r-0001/billing/demand").json()
    assert bills["open"] == demand["open"] == [False, False, True]
    assert [one["name"] for one in bills["series"]] == ["Peak", "Intermediate", "Off-peak", "Reserved"]
    assert all(one["rest"][:2] == [None, None] for one in bills["series"])
    assert [one["name"] for one in demand["series"]] == ["Peak", "Intermediate", "Off-peak"]
    assert all(one["when"][0] for one in demand["series"])
    injected = client.get("/data/meters/r-0001/billing/consumption?of=2").json()
    assert [one["name"] for one in injected["series"]] == ["Total"]
    assert client.get("/data/meters/n-0001/billing/consumption").json()["empty"].startswith("No consumption yet")
    assert client.get("/data/meters/n-0001/billing/demand").json()["empty"].startswith("No demand yet")
    for bad in ("11", "x", "-1", "001x"):
        assert client.get(f"/data/meters/r-0001/billing/demand?of={bad}").status_code in (400, 422)


def test_without_a_lot_months_of_the_calendar_are_said(client: Client) -> None:
    page = text(client, "/meters/i-0001/billing")
    assert "none: calendar months" in page
    assert "load profile, by the meter&#39;s calendar" in page
    names = re.findall(r'card-title">(\w+ \d{4})<', page)
    today = local_date(int(time.time()), ZONE)
    assert names[0] == language("en").month(today)


def test_calendar_marks_days(client: Client) -> None:
    page = text(client, "/meters/r-0001?month=2026-01")
    assert "is-read" not in page
    before = text(client, "/meters/r-0001").split('id="month-before" href="')[1].split('"')[0]
    page = text(client, before)
    (bill,) = re.findall(r'<\w+ class="day[^"]* bill"[^>]*>(\d+)<', page)
    assert int(bill) == DUE_DAY
    assert "registers read" in page
    industrial = text(client, "/meters/i-0001")
    assert len(re.findall(r'class="day[^"]* today', industrial)) == 1
    assert re.search(r'class="day[^"]*"[^>]*of 96 intervals held[^>]*>\d+<i class="a2">', industrial)


def test_several_meters_are_switched_within_the_tab(client: Client) -> None:
    page = text(client, "/meters/r-0001/billing")
    assert '<a href="/meters/r-0002/billing"' in page
    assert 'href="/customers/UC400071234"' in page
    assert "Meters of this customer" not in text(client, "/meters/i-0001")


def test_customers_lead_to_meters(client: Client) -> None:
    answer = client.get("/customers/UC400080001", headers=HTML, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/meters/i-0001")
    page = text(client, "/customers/UC400071234")
    assert page.index("r-0001") < page.index("r-0002")
    amounts = [float(found) for found in re.findall(r'num">([\d.]+)\u00a0kWh', page)]
    assert amounts[2] == pytest.approx(sum(amounts[:2]), abs=0.2)
    assert "No metering point" in text(client, "/customers/UC400070001")
    assert client.get("/customers/none", headers=HTML).status_code == 404


def test_registration_tells_facts_and_history(client: Client) -> None:
    page = text(client, "/meters/r-0001/registration")
    for words in ("07581000", "Exchange", "Construtora Acácias", "Moved", "ELO MEP-2"):
        assert words in page
    assert 'hx-get="/registry/meter/r-0001/form"' in page
    for part, words in (("customer", "78987799"), ("point", "P-r-0001"), ("module", "88007582095")):
        found = text(client, f"/meters/r-0001/registration?part={part}")
        assert words in found
        assert f'hx-get="/registry/{part}/' in found
    assert "Nothing entered yet" in text(client, "/meters/n-0001/registration?part=customer")
    assert "Never installed" in text(client, "/meters/n-0001/registration?part=nonsense")


def test_reports_are_of_this_meter_and_month(client: Client) -> None:
    page = text(client, "/meters/r-0001/reports?month=2026-03")
    found = re.findall(r'href="/reports/([\w-]+)\?meter=r-0001&amp;month=2026-03"', page)
    assert found == ["registers-meter", "consumption", "billing", "availability", "availability-days", "profile",
                     "events", "temperature", "signal"]  # fmt: skip


def test_readings_begin_where_asked(client: Client) -> None:
    page = text(client, "/meters/i-0001/readings?from=2026-03-04&days=3")
    assert "profile?from=2026-03-04&amp;days=3&amp;channel=1.29.0" in page
    assert '<option value="3" selected>' in page
    assert client.get("/meters/i-0001/readings?from=9999-99-99", headers=HTML).status_code == 200


def test_who_may_only_read_is_offered_nothing_else(client: Client, utility: Settings) -> None:
    with TestClient(create_app(utility, follow=False)) as reader:
        log_in(reader, OPERATOR)
        for tab in TABS:
            page = text(reader, f"/meters/r-0001{tab}")
            assert "/registry/meter/r-0001/form" not in page
            assert "/meters/r-0001/read" + '"' not in page
