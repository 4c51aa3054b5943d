"""Trees, search, dashboard and group pages in a real browser: by keyboard alone, within their weight."""

from typing import Any

import pytest

from tests.central.web.browser import DRAWN, READY, Watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

#: What the whole dashboard may weigh on the wire, compressed (bytes).
HEAVIEST = 600_000
FOCUSED = "document.activeElement.dataset.name ?? document.activeElement.textContent.trim()"
PLACES = "[...document.querySelectorAll('.widget')].map((w) => [w.getAttribute('gs-id'), w.getAttribute('gs-w')])"


def _press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_trees_by_keyboard(desk: Watched) -> None:
    page = desk.page
    desk.open("/gateways")
    _press(page, "/")
    page.wait_for_selector("#tree-business [role=treeitem]")
    _press(page, "ArrowDown", "ArrowDown")
    assert page.evaluate(FOCUSED) == "Região Leste"
    _press(page, "ArrowRight")
    page.wait_for_selector("[role=treeitem] [role=treeitem]")
    _press(page, "ArrowRight", "v")
    assert page.evaluate(FOCUSED) == "Vila Prudente"
    _press(page, "ArrowRight")
    page.wait_for_selector("[role=treeitem].more")
    count = page.locator("[data-node^=c]").count()
    _press(page, "End", "Enter")
    page.wait_for_function(f"() => document.querySelectorAll('[data-node^=c]').length > {count}")
    page.wait_for_function("() => document.activeElement.matches('[data-node^=c]')")
    _press(page, "ArrowLeft")
    assert page.evaluate(FOCUSED) == "Vila Prudente"
    _press(page, "ArrowLeft", "Home")
    assert page.evaluate(FOCUSED) == "Lapa"
    _press(page, "End", "Enter")
    page.wait_for_url("**/groups/*")
    # the tree outlives the change of page, and marks where one is
    page.wait_for_selector("[role=treeitem][aria-current=page]")
    assert page.locator("[role=treeitem][aria-current=page]").get_attribute("data-name") == "Vila Prudente"
    page.focus("#tab-business")
    _press(page, "ArrowRight")
    page.wait_for_selector("#tree-communication [role=treeitem] .dot")
    assert page.get_attribute("#tab-communication", "aria-selected") == "true"
    assert desk.faults == []


def test_a_level_opens_before_htmx_has_looked_at_it(desk: Watched) -> None:
    """A key comes faster than htmx settles what it brought; here it takes its time."""
    page = desk.page
    desk.open("/gateways")
    page.evaluate("htmx.config.defaultSettleDelay = 20000")
    _press(page, "/")
    page.wait_for_selector("#tree-business [role=treeitem]")
    _press(page, "ArrowDown", "ArrowDown")
    assert page.evaluate(FOCUSED) == "Região Leste"
    _press(page, "ArrowRight")
    page.wait_for_selector("[role=treeitem] [role=treeitem]", timeout=8000)


def test_search_by_keyboard(desk: Watched) -> None:
    page = desk.page
    desk.open("/profile")
    _press(page, "/")
    page.keyboard.type("moo")
    page.wait_for_selector("#found [role=option]")
    assert page.get_attribute("#find", "aria-expanded") == "true"
    _press(page, "ArrowDown", "ArrowDown")
    active = page.get_attribute("#find", "aria-activedescendant")
    assert page.get_attribute(f"#{active}", "aria-selected") == "true"
    assert page.get_attribute(f"#{active}", "href").startswith("/groups/")
    _press(page, "Escape")
    assert not page.is_visible("#found")
    page.keyboard.type("06647673")
    page.wait_for_selector("#found [href='/meters/m-0002']")
    _press(page, "Enter")
    page.wait_for_url("**/meters/m-0002")
    assert desk.faults == []


def test_panel_stays_as_it_was_left(desk: Watched) -> None:
    page = desk.page
    desk.open("/gateways")
    assert not page.is_visible("#find")
    page.click("[data-panel-toggle=communication]")
    page.wait_for_selector("#tree-communication [role=treeitem]")
    desk.open("/profile")
    assert page.is_visible("#find")
    page.click("[data-panel-close]")
    desk.open("/gateways")
    assert not page.is_visible("#find")
    assert desk.faults == []


def test_dashboard_is_arranged_by_keyboard(desk: Watched) -> None:
    page = desk.page
    desk.open("/")
    page.wait_for_function(READY)
    before = dict(page.evaluate(PLACES))
    assert not page.is_visible("[data-handle]")  # nothing moves by accident
    page.focus("[data-edit]")
    _press(page, "Enter")
    page.wait_for_selector(".is-arranging [data-handle] >> visible=true")
    page.focus("[gs-id=energy] [data-handle]")
    _press(page, "Shift+ArrowLeft")
    assert "largura 2" in page.inner_text("[data-said]")
    page.focus("[gs-id=events] [data-handle]")
    _press(page, "Delete")
    page.wait_for_selector("[gs-id=events]", state="detached")
    page.click("[data-tools] .dropdown-toggle")
    page.click("[data-add=alarms]")
    page.wait_for_selector("[gs-id=alarms-2] .list-group-item")
    page.select_option("[gs-id=alarms-2] [data-option=rows]", "20")
    with page.expect_navigation():
        page.click("[data-save]")
    page.wait_for_function(READY)
    after = dict(page.evaluate(PLACES))
    assert int(after["energy"]) == int(before["energy"]) - 1
    assert "events" not in after
    assert "rows=20" in page.get_attribute("[gs-id=alarms-2] .widget-body", "hx-get")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("[data-edit]")
    with page.expect_navigation():
        page.click("form[action='/dashboard/reset'] button")
    assert dict(page.evaluate(PLACES)) == before
    assert desk.faults == []


def test_date_and_gateways_hold_for_all_widgets(desk: Watched) -> None:
    page = desk.page
    desk.open("/")
    page.click("#scope .dropdown-toggle")
    page.check("#gateway-choice input[value=gw-lapa]")
    with page.expect_navigation():
        page.click("#scope button[type=submit]")
    assert "gateway=gw-lapa" in page.url
    page.wait_for_function(READY)
    sources = page.evaluate("[...document.querySelectorAll('.widget-body')].map((body) => body.getAttribute('hx-get'))")
    assert all("gateway=gw-lapa" in source for source in sources)
    assert "gateway=gw-lapa" in page.get_attribute("[gs-id=totals] .widget-more", "href")
    page.click("#scope .dropdown-toggle")
    with page.expect_navigation():
        page.click("[data-all-gateways]")
    assert "gateway=" not in page.url
    assert desk.faults == []


def test_dashboard_is_light_and_shows_its_charts(desk: Watched) -> None:
    page = desk.page
    sizes: dict[str, int] = {}  # by address: on a slow machine a widget has refreshed itself meanwhile
    addresses: dict[str, str] = {}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    network.on(
        "Network.responseReceived", lambda event: addresses.setdefault(event["requestId"], event["response"]["url"])
    )
    network.on(
        "Network.loadingFinished",
        lambda event: sizes.setdefault(addresses[event["requestId"]], event["encodedDataLength"]),
    )
    desk.open("/")
    page.wait_for_function(READY)
    page.wait_for_function(DRAWN, timeout=10_000)
    page.wait_for_selector(".leaflet-marker-icon")
    assert sum(sizes.values()) < HEAVIEST
    assert desk.faults == []


def test_phone(phone: Watched) -> None:
    page = phone.page
    phone.open("/")
    page.wait_for_function(READY)
    page.locator("[data-panel-toggle]:visible").first.click()
    page.wait_for_selector("#tree-business [role=treeitem]")
    assert page.evaluate("document.querySelector('.page-wrapper').inert")
    page.keyboard.press("Escape")
    assert not page.is_visible("#panel-body")
    phone.open("/")
    page.click("[data-edit]")
    first = page.evaluate(PLACES)[0][0]
    page.click(f"[gs-id='{first}'] [data-step='1']")
    assert page.evaluate(PLACES)[1][0] == first
    assert phone.faults == []
