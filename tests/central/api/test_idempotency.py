"""Idempotency keys: done once, answered twice."""

import asyncio
import time
from typing import Any

import pytest
from httpx import AsyncClient
from litestar.testing import AsyncTestClient
from sqlalchemy import func, select, update

from central.accounts.models import ApiKey
from central.alarms.models import AlarmSubscription
from central.api.idempotency import KEPT
from central.api.models import IdempotencyKey
from central.fleet.models import FleetCommand
from central.registry.models import CustomerGroup
from central.settings import RetentionSettings
from central.store.engine import Database
from central.store.jobs import forget
from tests.central.application import application
from tests.central.world import Side, bearer, person

Client = AsyncTestClient[Any]
GROUPS = "/api/v1/groups"


def under(key: str, side: Side) -> dict[str, str]:
    return bearer(side.write_key) | {"Idempotency-Key": key}


async def count(database: Database, table: Any) -> int:
    async with database.read() as db:
        return await db.scalar(select(func.count()).select_from(table)) or 0


async def test_the_same_request_again_has_the_same_answer(client: Client, ours: Side) -> None:
    first = await client.post(GROUPS, json={"name": "made"}, headers=under("k1", ours))
    assert first.status_code == 201
    await client.patch(first.headers["location"], json={"name": "renamed"}, headers=bearer(ours.write_key))
    again = await client.post(GROUPS, json={"name": "made"}, headers=under("k1", ours))
    assert (again.status_code, again.content, again.headers["location"]) == (
        201, first.content, first.headers["location"],
    )  # fmt: skip
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    other = await client.post(GROUPS, json={"name": "made"}, headers=under("k2", ours))
    assert other.json()["id"] != first.json()["id"]


async def test_another_request_under_the_key_is_refused(client: Client, ours: Side, database: Database) -> None:
    await client.post(GROUPS, json={"name": "made"}, headers=under("k1", ours))
    before = await count(database, CustomerGroup)
    for url, body in ((GROUPS, {"name": "another"}), (f"{GROUPS}?", {"name": "made "})):
        answer = await client.post(url, json=body, headers=under("k1", ours))
        assert (answer.status_code, "another request" in answer.json()["detail"]) == (422, True)
    assert await count(database, CustomerGroup) == before


async def test_a_key_is_its_users_own(client: Client, ours: Side, theirs: Side) -> None:
    mine = await client.post(GROUPS, json={"name": "made"}, headers=under("k1", ours))
    answer = await client.post(GROUPS, json={"name": "made"}, headers=under("k1", theirs))
    assert answer.status_code == 201
    assert answer.json()["id"] != mine.json()["id"]


async def test_a_refused_request_leaves_its_key_free(client: Client, ours: Side) -> None:
    body = {"meter": "nobody", "kind": "read_now", "kinds": ["registers"]}
    url = "/api/v1/gateways/gw-1/commands"
    for _ in range(2):
        assert (await client.post(url, json=body, headers=under("k1", ours))).status_code == 404
    mended = await client.post(url, json={**body, "meter": "meter-1"}, headers=under("k1", ours))
    assert mended.status_code == 201


@pytest.mark.parametrize("key", ["", " ", "with blank", "ü", "x" * 201])
async def test_a_strange_key_is_refused(client: Client, ours: Side, key: str) -> None:
    headers = [(b"Authorization", f"Bearer {ours.write_key}".encode()), (b"Idempotency-Key", key.encode("latin-1"))]
    answer = await client.post(GROUPS, json={"name": "made"}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "Idempotency-Key")


async def test_duplicates_at_once_are_done_once(program: AsyncClient, ours: Side, database: Database) -> None:
    url = "/api/v1/gateways/gw-1/commands"
    body = {"meter": "meter-1", "kind": "read_now", "kinds": ["registers"]}
    before = await count(database, FleetCommand)
    answers = await asyncio.gather(*(program.post(url, json=body, headers=under("k1", ours)) for _ in range(6)))
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["id"] for each in answers}) == 1
    assert sum("idempotency-replayed" in each.headers for each in answers) == 5
    assert await count(database, FleetCommand) == before + 1


async def test_a_crash_before_the_commit_makes_neither(
    client: Client, ours: Side, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made and the key are one transaction: when it dies at its end, both are gone."""
    before = await count(database, CustomerGroup)

    async def die(*_: Any) -> None:
        raise RuntimeError("power is out")

    with monkeypatch.context() as patched:
        patched.setattr("central.api.idempotency.keep", die)
        answer = await client.post(GROUPS, json={"name": "made"}, headers=under("k1", ours))
        assert answer.status_code == 500
    assert (await count(database, CustomerGroup), await count(database, IdempotencyKey)) == (before, 0)
    assert (await client.post(GROUPS, json={"name": "made"}, headers=under("k1", ours))).status_code == 201
    assert await count(database, CustomerGroup) == before + 1


async def test_secrets_are_not_kept(client: Client, ours: Side, database: Database) -> None:
    cases: list[tuple[str, dict[str, Any], Any]] = [
        ("/api/v1/keys", {"name": "made"}, ApiKey),
        ("/api/v1/alarms/subscriptions", {"kind": "webhook", "target": "https://example.org/"}, AlarmSubscription),
    ]
    for url, body, table in cases:
        before = await count(database, table)
        headers = person(ours.session) | {"Idempotency-Key": url}
        assert (await client.post(url, json=body, headers=headers)).status_code == 201
        again = await client.post(url, json=body, headers=headers)
        assert again.status_code == 409
        assert "only once" in again.json()["detail"]
        assert await count(database, table) == before + 1
    async with database.read() as db:
        rows = (await db.execute(select(IdempotencyKey.__table__))).all()
    assert [(row.body, row.headers) for row in rows] == [(b"", "{}")] * len(cases)


def test_whatever_answers_a_secret_says_so(database_url: str) -> None:
    """By the convention of names: what is shown once is in a shape called New...; its handler must be marked."""
    from central.settings import DatabaseSettings, Settings

    app = application(Settings(database=DatabaseSettings(url=database_url)))
    found = 0
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if route.path.startswith("/api/v1") and "New" in str(handler.parsed_fn_signature.return_type.annotation):
                assert handler.opt.get("secret"), handler.handler_name
                found += 1
    assert found >= 2


async def test_keys_are_forgotten_after_two_days(client: Client, ours: Side, database: Database) -> None:
    now = int(time.time())
    await client.post(GROUPS, json={"name": "one"}, headers=under("old", ours))
    await client.post(GROUPS, json={"name": "two"}, headers=under("new", ours))
    async with database.write() as db:
        await db.execute(update(IdempotencyKey).where(IdempotencyKey.key == "old").values(created_at=now - KEPT - 1))
    assert (await forget(database, RetentionSettings(), now))["idempotency_key"] == 1
    async with database.read() as db:
        assert list(await db.scalars(select(IdempotencyKey.key))) == ["new"]
