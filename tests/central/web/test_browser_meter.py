"""A meter's tabs in a real browser: swapped, gone back through, drawn, narrow enough."""

from collections.abc import Iterator
from typing import Any

import pytest

from central.settings import Settings
from tests.central.web.browser import DESKTOP, DRAWN, PHONE, TOO_WIDE, Watched, served
from tests.central.web.test_meter_pages import utility

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

__all__ = ["utility"]


@pytest.fixture(scope="module")
def address(utility: Settings) -> Iterator[str]:
    """The application over the meters of ``seed_meter``."""
    with served(utility) as found:
        yield found


def series(page: Any, kind: str) -> Any:
    """What a chart draws: names, values and how they are drawn."""
    return page.evaluate(f"document.querySelector('[data-chart={kind}]').chart.getOption().series")


def test_tabs_are_swapped_by_keyboard_and_gone_back_through(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/r-0001")
    page.wait_for_function(DRAWN)
    page.evaluate("window.kept = true")
    page.focus("#tab-billing")
    page.keyboard.press("Enter")
    page.wait_for_url("**/meters/r-0001/billing")
    page.wait_for_selector(".consolidated")
    page.wait_for_function(DRAWN)
    assert page.evaluate("window.kept")  # the page was not loaded anew
    assert page.evaluate("document.activeElement.id") == "tab-billing"
    page.click("#tab-reports")
    page.wait_for_url("**/reports")
    page.go_back()
    page.wait_for_selector(".consolidated")
    page.wait_for_function(DRAWN)
    assert page.url.endswith("/billing")
    page.select_option("#bill-of", "2")
    page.wait_for_url("**/billing?of=2")
    assert desk.faults == []


def test_open_period_is_drawn_apart(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/r-0001/billing")
    page.wait_for_function(DRAWN)
    demand = series(page, "maxima")
    posts = len(demand) // 2
    assert [one["name"] for one in demand[:posts]] == ["Ponta", "Intermediário", "Fora ponta"]
    assert all(one["data"][2] is None for one in demand[:posts])
    assert all(one["lineStyle"]["type"] == "dashed" for one in demand[posts:])
    dot = demand[posts]["data"][2]
    assert dot["itemStyle"]["color"] != demand[posts]["itemStyle"]["borderColor"]  # open
    bars = series(page, "bills")
    rest = bars[len(bars) // 2]
    assert rest["itemStyle"]["opacity"] < 0.5
    assert rest["data"][:2] == [None, None]
    assert desk.faults == []


def test_map_and_module_are_drawn(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/i-0001")
    page.wait_for_function(DRAWN)
    assert page.locator(".map .map-spot").count() == 1
    assert page.locator("[data-chart=spark] canvas").count() == 2
    page.locator(".day:has(i.a2)").first.click()
    page.wait_for_url("**/readings?from=*&days=1")
    page.wait_for_function(DRAWN)
    page.click("#tab-summary")
    page.wait_for_selector(".map .map-spot")
    page.click("#tab-readings")
    page.wait_for_function(DRAWN)
    with page.expect_response(lambda r: "/profile" in r.url and "days=31" in r.url):
        page.select_option("[data-profile-controls] select[name=days]", "31")
    assert desk.faults == []


def test_chosen_tab_comes_into_view(phone: Watched) -> None:
    phone.open("/meters/r-0001/reports")
    chosen = phone.page.locator("#tab-reports").bounding_box()
    assert 0 <= chosen["x"] <= PHONE["width"] - chosen["width"]
    phone.open("/meters/r-0001/billing")
    assert phone.page.evaluate(TOO_WIDE) <= 0  # three posts and long figures
    assert phone.faults == []


def test_everything_is_read_without_scripts(browser: Any, address: str, desk: Watched) -> None:
    context = browser.new_context(viewport=DESKTOP, locale="pt-BR", java_script_enabled=False)
    context.add_cookies(desk.page.context.cookies())
    page = context.new_page()
    page.goto(f"{address}/meters/r-0001")
    page.click("#tab-billing")
    assert page.locator(".consolidated tfoot td").first.inner_text() != "–"
    page.click("#tab-registration")
    page.click("#part-customer")
    assert "78987799" in page.locator("#registration-part").inner_text()
    context.close()
