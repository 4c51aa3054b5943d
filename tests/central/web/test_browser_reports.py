"""Reports in a real browser: the grid sorts, hides, pins, saves; files follow it; all fits; the keyboard is enough."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.accounts.models import Tenant
from central.accounts.service import TenantOf, create_user
from central.settings import DatabaseSettings, Settings
from central.store.engine import open_url
from central.store.migrate import migrate
from tests.central.reports.fleet import TODAY, ZONE, make_fleet
from tests.central.web.browser import DESKTOP, PHONE, READY, Watched, served, visit
from tests.central.web.seed import LOGIN, PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MONTH = TODAY.isoformat()[:7]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application over a fleet, on a free port."""
    folder = tmp_path_factory.mktemp("reports")
    url = f"sqlite+aiosqlite:///{folder / 'central.sqlite'}"

    async def prepare() -> None:
        database = open_url(url)
        await migrate(database)
        ours = TenantOf("demo", "Demo", ZONE.key)
        await create_user(database, ours, LOGIN, "Ana", PASSWORD, role="operator", now=1)
        async with database.write() as db:
            await make_fleet(db, (await db.scalars(select(Tenant.id))).one(), 30, names=True)
        await database.close()

    asyncio.run(prepare())
    settings = Settings(database=DatabaseSettings(url=url), tenant="demo", zone=ZONE.key, data_dir=str(folder))
    with served(settings) as found:
        yield found


@pytest.fixture
def english(browser: Any, address: str) -> Iterator[Watched]:
    """A desktop in English."""
    with visit(browser, address, DESKTOP, "en") as watched:
        yield watched


def test_columns_sort_hide_pin_and_are_saved(english: Watched) -> None:
    page = english.page
    english.open(f"/reports/availability?month={MONTH}&lot=10")
    cells = '.tabulator-cell[tabulator-field="availability"]'
    with page.expect_response(lambda answer: "sort=availability" in answer.url):
        page.click('.tabulator-col[tabulator-field="availability"] .tabulator-col-title')
    page.wait_for_timeout(200)
    shares = [float(text.rstrip("%")) for text in page.locator(cells).all_inner_texts()]
    assert shares == sorted(shares)
    assert len(set(shares)) > 1
    page.click('.tabulator-col[tabulator-field="customer"] .tabulator-header-popup-button')
    page.click('.tabulator-menu-item:has-text("Hide column")')
    page.click('.tabulator-col[tabulator-field="last_at"] .tabulator-header-popup-button')
    page.click('.tabulator-menu-item:has-text("Pin right")')
    page.wait_for_function("() => document.querySelector('[data-report-view]').value.includes('\"right\"')")
    view = json.loads(page.input_value("[data-report-view]"))
    keys = [column["key"] for column in view["columns"]]
    assert "customer" not in keys
    assert keys[-1] == "last_at"
    assert view["sort"] == "availability"
    page.click("button:has-text('Export')")
    with page.expect_download() as downloading:
        page.click("[data-report-export=csv]")
    lines = Path(downloading.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("Serial,")
    assert lines[0].endswith(",Last reading")
    assert "Customer" not in lines[0]
    page.click("button:has-text('Views')")
    page.click("button:has-text('Save view')")
    page.fill("#view-name", "Worst first")
    page.click("#save-view button[type=submit]")
    page.wait_for_url("**view=*")
    page.wait_for_function(READY)
    again = json.loads(page.input_value("[data-report-view]"))
    assert [column["key"] for column in again["columns"]] == keys
    assert [float(text.rstrip("%")) for text in page.locator(cells).all_inner_texts()] == shares
    assert english.faults == []


def test_filters_by_keyboard_and_a_refusal_in_words(english: Watched) -> None:
    page = english.page
    english.open(f"/reports/availability-days?month={MONTH}")
    page.focus("[data-picker] summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.inner_text("[data-picker-words] >> nth=0") == "Lote 10"
    page.keyboard.press("Escape")
    page.focus("button:has-text('Columns')")
    page.keyboard.press("Enter")
    with page.expect_response(lambda answer: "sort=-availability" in answer.url):
        page.focus("[aria-label='Sort descending: Availability']")
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.focus("#filter-serial")
    page.keyboard.press("Enter")
    page.wait_for_url("**lot=10*")
    page.wait_for_function(READY)
    assert "serial=" not in page.url
    assert page.locator(".tabulator-row").count() == 10
    assert page.locator(".tabulator-row >> nth=0").locator(".days i").count() == 30
    english.open("/reports/availability?lot=99")
    assert "Not found: '99'" in page.inner_text("[role=alert]")
    assert english.faults == []


def test_order_from_the_dialog(browser: Any, address: str) -> None:
    with visit(browser, address, PHONE, "en") as watched:
        page = watched.page
        watched.open(f"/reports/consumption?month={MONTH}")
        page.click("button:has-text('Export')")
        page.click("button:has-text('In the background')")
        page.fill("#job-title", "June")
        page.click("#in-background button[type=submit]")
        page.wait_for_url("**/reports#jobs")
        assert "June" in page.inner_text("#report-jobs")
        page.click("#report-jobs button:has-text('Cancel')")
        page.wait_for_function("() => document.querySelector('#report-jobs').innerText.includes('Cancelled')")
        assert watched.faults == []
