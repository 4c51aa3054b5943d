"""Pages of webhooks: set up, tried out, changed, removed; secrets once."""

import asyncio
import re
import time
from typing import Any

from litestar.testing import TestClient

from central.settings import Settings
from central.store.engine import open_url
from central.webhooks.models import WebhookDelivery
from tests.central.web.conftest import HTML, csrf

Client = TestClient[Any]
URL = "https://receiver.example/hook"


def send(client: Client, path: str, **fields: str) -> Any:
    return client.post(path, data={"_csrf": csrf(client), **fields}, headers=HTML, follow_redirects=True)


def made(client: Client) -> tuple[str, str]:
    """Path and secret of a new webhook for two kinds."""
    answer = send(client, "/webhooks", url=URL, **{"kind-alarm.opened": "1", "kind-meter.event": "1"})
    assert answer.status_code == 200
    path = re.search(r'action="(/webhooks/\d+)"', answer.text)
    secret = re.search(r'id="secret" value="([0-9a-f]{64})"', answer.text)
    assert path
    assert secret
    return path[1], secret[1]


def test_from_the_first_to_the_last(client: Client) -> None:
    assert "No program is told yet" in client.get("/webhooks", headers=HTML).text
    path, secret = made(client)
    page = client.get(path, headers=HTML).text
    assert secret not in page
    assert re.search(r'name="kind-alarm.opened" value="1" checked', page)
    assert not re.search(r'name="kind-report.finished" value="1" checked', page)
    assert "No message yet" in page
    pinged = send(client, f"{path}/ping").text
    assert "Test message" in pinged
    assert "waits" in pinged
    assert f'hx-get="{path}/deliveries' in pinged, "looks again while something is under way"
    assert "Test message" in client.get(f"{path}/deliveries", headers=HTML).text
    assert "Test message" not in client.get(f"{path}?state=sent", headers=HTML).text
    rotated = re.search(r'id="secret" value="([0-9a-f]{64})"', send(client, f"{path}/secret").text)
    assert rotated
    assert rotated[1] != secret
    changed = send(client, path, url=f"{URL}2", enabled="").text
    assert "switched off" in changed
    assert f"{URL}2" in changed
    assert "switched off: nothing is sent" in send(client, f"{path}/ping").text
    assert "everything" in client.get("/webhooks", headers=HTML).text
    assert "No program is told yet" in send(client, f"{path}/remove").text
    assert client.get(path, headers=HTML).status_code == 404


def test_what_became_of_messages_and_sending_again(client: Client, settings: Settings) -> None:
    path, _ = made(client)

    async def fail() -> None:
        database = open_url(settings.database_url)
        async with database.write() as db:
            db.add(
                WebhookDelivery(
                    webhook_id=int(path.split("/")[-1]), kind="meter.event", body='{"data":{"meter":"<m-0001>"}}',
                    state="failed", tries=15, next_at=int(time.time()), status=503, error="answered 503",
                )
            )  # fmt: skip
        await database.close()

    asyncio.run(fail())
    page = client.get(path, headers=HTML).text
    assert "15 tries" in page
    assert "answered 503" in page
    assert "&lt;m-0001&gt;" in page
    assert "1 given up" in client.get("/webhooks", headers=HTML).text
    button = re.search(rf'action="({path}/deliveries/\d+)"', page)
    assert button
    again = send(client, button[1]).text
    assert "given up</span>" not in again
    assert "waits" in again
    send(client, f"{path}/remove")


def test_what_is_no_address_is_said_and_kept(client: Client) -> None:
    answer = send(client, "/webhooks", url="ftp://receiver.example", **{"kind-alarm.opened": "1"})
    assert answer.status_code == 422
    assert "A web address such as" in answer.text
    assert 'value="ftp://receiver.example"' in answer.text
    assert re.search(r'name="kind-alarm.opened" value="1" checked', answer.text)
    for path in (f"/webhooks/{1 << 64}", "/webhooks/999"):
        assert client.get(path, headers=HTML).status_code == 404
