"""Reports in a real browser: the grid sorts, hides, pins, saves; files follow it; all fits; the keyboard is enough."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import select

from central.accounts.models import Tenant
from central.accounts.service import TenantOf, create_user
from central.app import create_app
from central.reports.catalogue import REPORTS
from central.settings import DatabaseSettings, Settings
from central.store.engine import open_url
from central.store.migrate import migrate
from tests.central.reports.fleet import TODAY, ZONE, make_fleet
from tests.central.web.seed import LOGIN, PASSWORD
from tests.central.web.test_browser import ARGUMENTS, CHROMIUM, DESKTOP, PHONE, TOO_WIDE, Watched
from tests.ports import free_port, wait_for_port

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MONTH = TODAY.isoformat()[:7]
READY = """() => [...document.querySelectorAll("[data-report-grid], [data-chart]")].every(
  (part) => part.dataset.drawn || part.dataset.empty
)"""


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
    port = free_port()
    settings = Settings(database=DatabaseSettings(url=url), tenant="demo", zone=ZONE.key, data_dir=str(folder))
    app = create_app(settings, follow=False)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, name="reports under test")
    thread.start()
    wait_for_port(port)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Any]:
    """Chromium, after the server: its loop leaves no room for another."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


def visit(browser: Any, address: str, viewport: Any, locale: str) -> Watched:
    context = browser.new_context(viewport=viewport, locale=locale, timezone_id=ZONE.key, accept_downloads=True)
    watched = Watched(context.new_page(), address)
    watched.log_in()
    return watched


def opened(watched: Watched, path: str) -> Any:
    watched.page.goto(watched.address + path)
    watched.page.wait_for_function(READY)
    return watched.page


@pytest.mark.parametrize(("viewport", "locale"), [(DESKTOP, "pt-BR"), (PHONE, "ru")])
def test_every_report_fits_and_loads(browser: Any, address: str, viewport: Any, locale: str) -> None:
    watched = visit(browser, address, viewport, locale)
    for key, report in REPORTS.items():
        days = "date=2026-06-15" if report.form == "day" else f"month={MONTH}"
        page = opened(watched, f"/reports/{key}?{days}" + ("&meter=r-0002" if report.one else ""))
        assert page.evaluate(TOO_WIDE) <= 0, key
        rows = page.locator(".tabulator-row").count()
        assert rows >= 1 or key == "profile", key
    opened(watched, "/reports")
    assert watched.page.evaluate(TOO_WIDE) <= 0
    assert watched.faults == []
    watched.page.context.close()


def test_columns_sort_hide_pin_and_are_saved(browser: Any, address: str) -> None:
    watched = visit(browser, address, DESKTOP, "en")
    page = opened(watched, f"/reports/availability?month={MONTH}&lot=10")
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
    assert watched.faults == []
    page.context.close()


def test_filters_by_keyboard_and_a_refusal_in_words(browser: Any, address: str) -> None:
    watched = visit(browser, address, DESKTOP, "en")
    page = opened(watched, f"/reports/availability-days?month={MONTH}")
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
    page.goto(f"{address}/reports/availability?lot=99")
    assert "Not found: '99'" in page.inner_text("[role=alert]")
    assert watched.faults == []
    page.context.close()


def test_order_from_the_dialog(browser: Any, address: str) -> None:
    watched = visit(browser, address, PHONE, "en")
    page = opened(watched, f"/reports/consumption?month={MONTH}")
    page.click("button:has-text('Export')")
    page.click("button:has-text('In the background')")
    page.fill("#job-title", "June")
    page.click("#in-background button[type=submit]")
    page.wait_for_url("**/reports#jobs")
    assert "June" in page.inner_text("#report-jobs")
    page.click("#report-jobs button:has-text('Cancel')")
    page.wait_for_function("() => document.querySelector('#report-jobs').innerText.includes('Cancelled')")
    assert watched.faults == []
    page.context.close()
