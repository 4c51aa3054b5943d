"""Lists with pages and search, entering and changing what exists, commands."""

from typing import Any

from litestar.testing import AsyncTestClient
from sqlalchemy import func, select

from central.fleet.models import FleetCommand, GatewayLive
from central.registry import words
from central.registry.models import Meter
from central.store.engine import Database
from tests.central.world import Side, bearer, person

Client = AsyncTestClient[Any]


async def walk(client: Client, url: str, key: str) -> list[dict[str, Any]]:
    """Follow ``next`` to the end; the Link header says the same."""
    found: list[dict[str, Any]] = []
    following: str | None = url
    while following is not None:
        answer = await client.get(following, headers=bearer(key))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += body["items"]
        following = body["next"]
        assert answer.headers.get("link") == (f'<{following}>; rel="next"' if following else None)
    return found


async def test_the_configuration_in_force_is_what_a_change_starts_from(
    client: Client, ours: Side, database: Database
) -> None:
    url, who = "/api/v1/gateways/gw-1/configuration", person(ours.session)
    untold = (await client.get(url, headers=who)).json()
    assert untold == {"gateway": "gw-1", "hash": "", "toml": ""}
    told = {"config": "[gateway]\nid = 'gw-1'\n", "config_hash": "ab12"}
    async with database.write() as db:
        db.add(GatewayLive(gateway_id=ours.ids["gateway"], online=True, **told))
    found = (await client.get(url, headers=who)).json()
    assert (found["toml"], found["hash"]) == (told["config"], told["config_hash"])
    body = {"kind": "apply_config", "toml": found["toml"] + "# changed\n", "base": found["hash"]}
    assert (await client.post("/api/v1/gateways/gw-1/commands", json=body, headers=who)).status_code == 201


async def test_pages_of_meters(client: Client, ours: Side, database: Database) -> None:
    async with database.write() as db:
        for n in range(25):
            db.add(Meter(tenant_id=ours.tenant.id, key=f"n-{n:02d}", serial=str(n), created_at=0))
        await db.flush()
        await words.rebuild(db, ours.tenant.id)
    meters = await walk(client, "/api/v1/meters?limit=4", ours.read_key)
    assert [m["key"] for m in meters] == ["meter-1", *(f"n-{n:02d}" for n in range(25))]
    some = await walk(client, "/api/v1/meters?limit=3&q=n-1", ours.read_key)
    assert [m["key"] for m in some] == [f"n-{n:02d}" for n in range(10, 20)]


async def test_pages_of_readings(client: Client, ours: Side) -> None:
    for path in ("events", "registers"):
        items = await walk(client, f"/api/v1/meters/meter-1/{path}?limit=1", ours.read_key)
        assert len({item["at"] for item in items}) == 3
        wrong = await client.get(f"/api/v1/meters/meter-1/{path}?cursor=bWV0ZXItMQ", headers=bearer(ours.read_key))
        assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, "cursor")


async def test_search_and_filters(client: Client, ours: Side) -> None:
    async def count(query: str) -> int:
        return len((await client.get(f"/api/v1/meters?{query}", headers=bearer(ours.read_key))).json()["items"])

    hits = ("q=1234", "q=rua", "q=são joão", "q=main 12345", "gateway=gw-1", "customer=c-1", "lot=lot-1",
            f"group={ours.ids['group']}", "registered=true", "gateway=gw-1&lot=lot-1&q=p-1")  # fmt: skip
    for query in hits:
        assert await count(query) == 1, query
    for query in ("q=9999", "q=%25", "q=_", "registered=false", f"group={ours.ids['group'] + 1000}"):
        assert await count(query) == 0, query
    unknown = await client.get("/api/v1/meters?gateway=gw-9", headers=bearer(ours.read_key))
    assert (unknown.status_code, unknown.json()["errors"][0]["path"]) == (422, "gateway")


async def test_put_creates_and_replaces_patch_changes(client: Client, ours: Side) -> None:
    url, who = "/api/v1/meters/new", bearer(ours.write_key)
    full = {"serial": "77", "name": "Pump", "model": "m300", "zone": "America/Manaus",
            "multiplier": {"num": 120}, "monitored": False}  # fmt: skip
    made = await client.put(url, json=full, headers=who)
    assert (made.status_code, made.headers["location"]) == (201, url)
    assert made.json()["multiplier"] == {"num": 120, "den": 1}
    patched = (await client.patch(url, json={"name": "Well"}, headers=who)).json()
    assert (patched["name"], patched["serial"], patched["model"]["key"]) == ("Well", "77", "m300")
    replaced = await client.put(url, json={"serial": "78"}, headers=who)
    body = replaced.json()
    assert replaced.status_code == 200
    assert (body["serial"], body["name"], body["model"], body["multiplier"]["num"]) == ("78", "", None, 1)
    assert (await client.get(url, headers=who)).json() == body
    assert (await client.patch("/api/v1/meters/newer", json={}, headers=who)).status_code == 404


async def test_gateway_of_a_meter_stays_unless_given(client: Client, ours: Side) -> None:
    url, who = "/api/v1/meters/meter-1", bearer(ours.write_key)
    assert (await client.put(url, json={"serial": "12345678"}, headers=who)).json()["gateway"]["key"] == "gw-1"
    assert (await client.put(url, json={"gateway": None}, headers=who)).json()["gateway"] is None


async def test_a_utility_enters_everything(client: Client, ours: Side) -> None:
    """From lot to installation, twice: the second time changes nothing."""
    who = bearer(ours.write_key)
    for turn in range(2):
        status = 200 if turn else 201
        group = await client.post("/api/v1/groups", json={"name": "Schools"}, headers=who)
        inner = await client.post("/api/v1/groups", json={"name": "North", "parent": group.json()["id"]}, headers=who)
        assert (group.status_code, inner.status_code) == (status, status)
        steps = [
            ("lots/l-9", {"name": "Ninth", "reading_day": 9}),
            ("customers/c-9", {"name": "School", "group": inner.json()["id"], "lot": "l-9"}),
            ("points/p-9", {"name": "Hall", "customer": "c-9", "address": "Rua B", "latitude": -23.5}),
            ("models/m9", {"name": "M 9", "maker": "X"}),
            ("gateways/gw-9", {"name": "Ninth"}),
            ("modules/mod-9", {"name": "Modem", "gateway": "gw-9"}),
            ("meters/m-9", {"serial": "999", "model": "m9", "gateway": "gw-9"}),
        ]
        for path, body in steps:
            answer = await client.put(f"/api/v1/{path}", json=body, headers=who)
            assert answer.status_code == status, answer.text
        install = {"meter": "m-9", "point": "p-9", "module": "mod-9", "starts_at": "2026-05-01T00:00:00-03:00"}
        answer = await client.post("/api/v1/installations", json=install, headers=who)
        assert answer.status_code == status, answer.text
    meter = (await client.get("/api/v1/meters/m-9", headers=who)).json()
    assert (meter["point"]["key"], meter["customer"]["key"], meter["group"]["name"], meter["lot"]["key"]) == (
        "p-9", "c-9", "North", "l-9")  # fmt: skip
    listed = await walk(client, "/api/v1/installations?meter=m-9&limit=1", ours.read_key)
    assert [(i["starts_at"], i["ends_at"]) for i in listed] == [("2026-05-01T03:00:00Z", None)]
    circle = await client.patch(
        f"/api/v1/groups/{group.json()['id']}", json={"parent": inner.json()["id"]}, headers=who
    )
    assert circle.status_code == 422


async def test_moving_a_meter_ends_what_stood_there(client: Client, ours: Side) -> None:
    who = bearer(ours.write_key)
    await client.put("/api/v1/points/p-2", json={"name": "Other"}, headers=who)
    move = {"meter": "meter-1", "point": "p-2", "starts_at": 1_790_000_000}
    assert (await client.post("/api/v1/installations", json=move, headers=who)).status_code == 201
    rows = await walk(client, "/api/v1/installations?meter=meter-1", ours.read_key)
    assert rows[0]["ends_at"] == rows[1]["starts_at"]
    early = move | {"starts_at": 1_000_000_000}
    assert (await client.post("/api/v1/installations", json=early, headers=who)).status_code == 422


async def test_commands(client: Client, ours: Side, database: Database) -> None:
    url, who = "/api/v1/gateways/gw-1/commands", bearer(ours.write_key)
    body = {"kind": "read_range", "meter": "meter-1", "from": "2026-03-10T00:00:00-03:00", "to": 1773284400}
    made = await client.post(url, json=body, headers=who)
    command = made.json()
    assert made.status_code == 201
    assert (command["kind"], command["status"], command["meter"]) == ("read_range", "queued", "meter-1")
    assert command["by"].startswith("admin@ours (key ")
    assert (await client.get(made.headers["location"], headers=who)).json() == command
    listed = await walk(client, "/api/v1/commands?gateway=gw-1&status=queued&limit=1", ours.read_key)
    assert command["id"] in [c["id"] for c in listed]
    cancelled = await client.delete(made.headers["location"], headers=who)
    assert (cancelled.json()["status"], cancelled.json()["code"]) == ("failed", "cancelled")
    assert (await client.delete(made.headers["location"], headers=who)).status_code == 422
    refused = [
        {"kind": "explode", "meter": "meter-1"},
        {"kind": "read_now", "meter": "meter-1", "kinds": ["tea"]},
        {"kind": "read_now", "meter": "meter-1", "kinds": []},
        {"kind": "set_clock", "meter": "meter-1", "max_shift": 0},
        body | {"to": body["from"]},
        body | {"lifetime": 10**9},
    ]
    for wrong in refused:
        assert (await client.post(url, json=wrong, headers=who)).status_code == 422, wrong
    elsewhere = {"kind": "read_now", "meter": "meter-9"}
    assert (await client.post(url, json=elsewhere, headers=who)).status_code == 404
    async with database.read() as db:
        assert await db.scalar(select(func.count()).select_from(FleetCommand)) == 2


async def test_the_same_idempotency_key_is_one_command(client: Client, ours: Side, theirs: Side) -> None:
    url = "/api/v1/gateways/gw-1/commands"
    body = {"kind": "read_now", "meter": "meter-1", "kinds": ["registers"]}
    who = bearer(ours.write_key) | {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first, second = [await client.post(url, json=body, headers=who) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = await client.post(url, json=body | {"kinds": ["events"]}, headers=who)
    assert other.status_code == 422
    mine = await client.post(url, json=body, headers=person(ours.viewer_session) | {"Idempotency-Key": "8e03978e"})
    assert mine.status_code == 201
    for bad in ("", "x" * 201, "a b"):
        wrong = await client.post(url, json=body, headers=bearer(ours.write_key) | {"Idempotency-Key": bad})
        assert wrong.status_code == 422, bad


async def test_gateway_health(client: Client, ours: Side) -> None:
    body = (await client.get("/api/v1/gateways/gw-1/health", headers=bearer(ours.read_key))).json()
    assert [item["spool_rows"] for item in body["items"]] == [2, 1, 0]
    modules = (await client.get("/api/v1/gateways/gw-1/modules", headers=bearer(ours.read_key))).json()
    assert [module["key"] for module in modules["items"]] == ["mod-1"]
    series = (await client.get("/api/v1/gateways/gw-1/modules/mod-1/health", headers=bearer(ours.read_key))).json()
    assert series["items"][0]["temperature"] == 41.5
    assert series["items"][0]["signal_percent"] is None
    gateway = (await client.get("/api/v1/gateways/gw-1", headers=bearer(ours.read_key))).json()
    assert (gateway["gateway"]["meters"], gateway["gateway"]["online"], gateway["lines"]) == (1, False, [])


async def test_keys_may_have_any_letters(client: Client, ours: Side) -> None:
    who = bearer(ours.write_key)
    made = await client.put("/api/v1/lots/S%C3%A3o%20Jo%C3%A3o%20%231", json={"name": "x"}, headers=who)
    assert made.status_code == 201
    assert made.json()["key"] == "São João #1"
    assert (await client.get(made.headers["location"], headers=who)).json() == made.json()
    for key in ("a%0D%0AX: y", "%20a", "%C2%91"):
        assert (await client.put(f"/api/v1/lots/{key}", json={"name": "x"}, headers=who)).status_code == 422, key
