"""Webhooks in a real browser, against a real receiver: set up, tried out, looked at; on a phone too."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from central.settings import Settings, WebhookSettings
from central.store.engine import open_url
from central.webhooks.sending import Sender
from tests.central.alarms.test_notices import hook
from tests.central.web.browser import DESKTOP, PHONE, TOO_WIDE, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture
def sending(settings: Settings) -> Iterator[None]:
    """The jobs' sender, beside the pages."""
    ended = threading.Event()

    async def send() -> None:
        database = open_url(settings.database_url)
        stop = asyncio.Event()
        task = asyncio.create_task(Sender(database, WebhookSettings(local_targets=True)).run(stop))
        await asyncio.to_thread(ended.wait)
        stop.set()
        await task
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(send()))
    thread.start()
    yield
    ended.set()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.usefixtures("sending")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_program_is_told(browser: Any, address: str, size: dict[str, int]) -> None:
    with visit(browser, address, size, "en-US") as watched, hook() as receiver:
        page = watched.page
        watched.open("/webhooks")
        page.fill("#w-url", receiver.url)
        page.get_by_label("Gateway offline").check()
        assert page.evaluate(TOO_WIDE) == 0
        page.get_by_role("button", name="Tell from now on").click()
        secret = page.locator("#secret")
        secret.wait_for()
        assert len(secret.input_value()) == 64
        page.get_by_role("button", name="Send a test message").click()
        page.locator("#deliveries .badge", has_text="taken").wait_for()
        page.locator("#deliveries summary").first.click()
        page.get_by_text('"kind": "ping"').wait_for()
        assert page.evaluate(TOO_WIDE) == 0
        assert len(receiver.received) == 1
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove").click()
        page.get_by_text("No program is told yet").wait_for()
        assert not watched.faults
