"""Users, roles, audit log and second factor in a real browser: an administrator at a desk and on a phone."""

import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest

from tests.central.web.browser import DESKTOP, PHONE, Watched, visit
from tests.central.web.seed import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Watched]:
    """An administrator's browser that reads English."""
    with visit(browser, address, DESKTOP, "en-GB") as watched:
        yield watched


def test_a_person_is_entered_given_a_role_and_shut_out(opened: Watched) -> None:
    page = opened.page
    opened.open("/users/new")
    page.fill("#login", "bia")
    page.fill("#name", "Bia Souza")
    page.click("button[type=submit]:has-text('Enter')")
    page.wait_for_selector("#secret")
    assert len(page.input_value("#secret")) >= 16
    assert "No rights yet" in page.inner_text("main")
    page.select_option("#role", "field")
    page.click("button:has-text('Give')")
    page.wait_for_selector("text=Field service >> nth=0")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("button:has-text('Disable')")
    page.wait_for_selector("button:has-text('Let in again')")
    opened.open("/audit?q=bia")
    words = page.inner_text("main")
    assert all(each in words for each in ("created", "role given", "changed", "Bia Souza"))
    assert not opened.faults


def test_second_factor_by_keyboard(opened: Watched, browser: Any, address: str) -> None:
    page = opened.page
    opened.open("/profile/second-factor")
    assert page.locator(".qr svg path").count() >= 1
    page.click("summary")
    secret = page.inner_text("details code")
    page.fill("#code", pyotp.TOTP(secret).at(int(time.time()) - 30))
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("textarea#secret")
    codes = page.input_value("textarea#secret").split()
    assert len(codes) == 10
    other = browser.new_context(viewport=PHONE, locale="en-GB")
    phone = Watched(other.new_page(), address)
    try:
        phone.open("/login")
        phone.page.fill("#login", "ana")
        phone.page.fill("#password", PASSWORD)
        phone.page.keyboard.press("Enter")
        phone.page.wait_for_selector("#code")
        assert phone.page.evaluate("document.activeElement.id") == "code"
        phone.page.fill("#code", pyotp.TOTP(secret).now())
        phone.page.keyboard.press("Enter")
        phone.page.wait_for_url(address + "/")
    finally:
        other.close()
    opened.open("/profile")
    page.fill("#factor-password", PASSWORD)
    page.click("button:has-text('Turn off')")
    page.wait_for_selector("a:has-text('Set up')")
    assert not opened.faults
