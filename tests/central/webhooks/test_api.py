"""Webhooks in the API: secrets once, for whole tenants only, everything in the audit log."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from litestar.testing import AsyncTestClient
from sqlalchemy import select

from central.accounts.models import Grant
from central.audit.models import AuditEntry
from central.store.engine import Database
from tests.central.world import Side, bearer, make_side, running

Client = AsyncTestClient[Any]
HOOKS = "/api/v1/webhooks"
URL = "https://example.org/hook?a=1"


@pytest_asyncio.fixture
async def ours(database: Database) -> Side:
    return await make_side(database, "ours")


@pytest_asyncio.fixture
async def client(database: Database, database_url: str, ours: Side) -> AsyncIterator[Client]:
    async with running(database_url) as client:
        client.headers.update(bearer(ours.write_key))
        yield client


async def test_a_webhook_from_its_making_to_its_end(client: Client, database: Database) -> None:
    made = await client.post(HOOKS, json={"url": URL, "kinds": ["meter.event", "alarm.opened"]})
    assert made.status_code == 201, made.text
    secret, about, where = made.json()["secret"], made.json()["about"], made.headers["location"]
    assert len(secret) == 64
    assert about["kinds"] == ["alarm.opened", "meter.event"]
    found = await client.get(where)
    assert found.json() == about
    assert secret not in found.text + (await client.get(HOOKS)).text
    changed = await client.patch(
        where, json={"kinds": [], "enabled": False}, headers={"If-Match": found.headers["etag"]}
    )
    assert (changed.json()["kinds"], changed.json()["enabled"], changed.json()["url"]) == ([], False, URL)
    assert (await client.post(f"{where}/ping")).status_code == 422
    await client.patch(where, json={"enabled": True})
    rotated = await client.post(f"{where}/secret")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != secret
    assert (await client.delete(where)).status_code == 204
    assert (await client.get(where)).status_code == 404
    async with database.read() as db:
        entries = (
            await db.scalars(select(AuditEntry).where(AuditEntry.kind == "webhook").order_by(AuditEntry.id))
        ).all()
    assert [(each.action, each.kind) for each in entries] == [
        ("created", "webhook"), ("changed", "webhook"), ("changed", "webhook"), ("secret-changed", "webhook"),
        ("deleted", "webhook"),
    ]  # fmt: skip
    assert not any(text in each.before + each.after for each in entries for text in (secret, rotated.json()["secret"]))


async def test_deliveries_are_listed_looked_at_and_sent_again(client: Client, ours: Side) -> None:
    where = f"{HOOKS}/{ours.ids['webhook']}"
    pinged = await client.post(f"{where}/ping")
    assert pinged.status_code == 201
    assert (pinged.json()["kind"], pinged.json()["state"]) == ("ping", "queued")
    assert (await client.get(pinged.headers["location"])).json() == pinged.json()
    first = (await client.get(f"{where}/deliveries?limit=1")).json()
    assert [each["id"] for each in first["items"]] == [pinged.json()["id"]]
    second = (await client.get(first["next"])).json()
    assert [each["id"] < pinged.json()["id"] for each in second["items"]] == [True]
    failed = (await client.get(f"{where}/deliveries?state=failed")).json()["items"]
    assert [(each["id"], each["error"]) for each in failed] == [(ours.ids["delivery"], "answered 404")]
    again = (await client.post(f"{where}/deliveries/{ours.ids['delivery']}/redelivery")).json()
    assert (again["state"], again["tries"], again["error"]) == ("queued", 0, "")
    assert (await client.get(f"{where}/deliveries?state=lost")).status_code == 422


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": "ftp://example.org/"}, "url"), ({"url": "https://ana:secret@example.org/"}, "url"),
        ({"url": "https:///x"}, "url"), ({"url": "https://example.org/\u00e4"}, "url"),
        ({"url": URL, "kinds": ["meter.died"]}, "kinds[0]"), ({"url": URL, "secret": "x"}, "secret"),
    ],
)  # fmt: skip
async def test_what_is_no_webhook_is_refused(client: Client, body: dict[str, Any], path: str) -> None:
    answer = await client.post(HOOKS, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)


async def test_who_has_part_of_the_tenant_has_no_webhooks(client: Client, database: Database, ours: Side) -> None:
    """A webhook hears of everything; a person of one group must not."""
    async with database.write() as db:
        for grant in await db.scalars(select(Grant).where(Grant.user_id == ours.admin.id)):
            grant.group_id = ours.ids["group"]
    for method, url in (("GET", HOOKS), ("POST", HOOKS), ("GET", f"{HOOKS}/{ours.ids['webhook']}")):
        sent = {"url": URL} if method == "POST" else None
        assert (await client.request(method, url, json=sent)).status_code == 403
    assert (await client.delete(f"{HOOKS}/{ours.ids['webhook']}")).status_code == 403


async def test_their_number_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.webhooks.service._MOST", 2)
    codes = [(await client.post(HOOKS, json={"url": URL})).status_code for _ in range(2)]
    assert codes == [201, 409]
