"""Every kind in the API: put, patch, list, history, bulk, delete; dated relations; sheets; search."""

from typing import Any

import msgspec
import pytest
from litestar.testing import AsyncTestClient

from central import sheets
from central.registry.kinds import KINDS, TARIFF
from shared.calendar_builders import brazil_calendar
from tests.central.api.test_registry import walk
from tests.central.world import Side, bearer

Client = AsyncTestClient[Any]
KEYED = [kind for kind in KINDS if not kind.numbered]


def body(kind: Any) -> dict[str, Any]:
    """The least that a kind needs."""
    calendar = {"calendar": msgspec.json.encode(brazil_calendar()).decode()} if kind is TARIFF else {}
    return {"serial": "1"} if kind.name == "meter" else {"name": "First", **calendar}


async def test_every_keyed_kind_is_entered_changed_listed_and_deleted(client: Client, ours: Side) -> None:
    who = bearer(ours.write_key)
    for kind in KEYED:
        url = f"/api/v1/{kind.path}/t-1"
        made = await client.put(url, json=body(kind), headers=who)
        assert made.status_code == 201, (kind.name, made.text)
        assert (await client.put(url, json=body(kind), headers=who)).status_code == 200
        patched = await client.patch(url, json={"name": "Second"}, headers=who)
        shown = patched.json().get("gateway", patched.json()) if kind.name == "gateway" else patched.json()
        assert shown["name"] == "Second", patched.text
        listed = await walk(client, f"/api/v1/{kind.path}?q=second&limit=1", ours.read_key)
        assert [item["key"] for item in listed] == ["t-1"], kind.name
        history = (await client.get(f"{url}/history", headers=who)).json()["items"]
        assert [change["action"] for change in history] == ["changed", "created"], kind.name
        assert history[0]["after"] == {"name": "Second"}
        items = [{"key": "t-1", "name": "Second"}, body(kind) | {"key": "t-2"}, {"key": "t-3", "name": 5 * "x" * 50}]
        refused = await client.post(f"/api/v1/{kind.path}/bulk", json={"items": items}, headers=who)
        assert refused.status_code == 422
        some = {"items": items[:2], "all_or_nothing": False}
        taken = (await client.post(f"/api/v1/{kind.path}/bulk", json=some, headers=who)).json()
        assert (taken["same"], taken["new"], taken["refused"]) == (1, 1, 0), taken
        for key in ("t-1", "t-2"):
            assert (await client.delete(f"/api/v1/{kind.path}/{key}", headers=who)).status_code == 204, kind.name
        assert (await client.get(url, headers=who)).status_code == 404


async def test_bulk_answers_row_by_row(client: Client, ours: Side) -> None:
    who, url = bearer(ours.write_key), "/api/v1/customers/bulk"
    items = [{"key": "b-1", "lot": "lot-1"}, {"key": "b-2", "lot": "lot-9"}, {"key": "b-1", "name": "again"}]
    whole = await client.post(url, json={"items": items}, headers=who)
    assert whole.status_code == 422
    assert [error["path"] for error in whole.json()["errors"]] == ["items[1].lot", "items[2].key"]
    assert (await client.get("/api/v1/customers/b-1", headers=who)).status_code == 404
    some = (await client.post(url, json={"items": items, "all_or_nothing": False}, headers=who)).json()
    assert [(row["key"], row["status"]) for row in some["results"]] == [
        ("b-1", "new"), ("b-2", "refused"), ("b-1", "refused"),
    ]  # fmt: skip
    assert some["results"][1]["errors"] == [
        {"field": "lot", "message": "there is no lot 'lot-9': enter it first, or correct the name"}
    ]
    assert (await client.get("/api/v1/customers/b-1", headers=who)).json()["lot"] == "lot-1"


async def test_groups_and_holidays_go_by_their_number(client: Client, ours: Side) -> None:
    who = bearer(ours.write_key)
    day = {"name": "Natal", "month": 12, "day": 25}
    made = await client.post("/api/v1/holidays", json=day, headers=who)
    assert (made.status_code, (await client.post("/api/v1/holidays", json=day, headers=who)).status_code) == (201, 200)
    number = made.json()["id"]
    replaced = await client.put(f"/api/v1/holidays/{number}", json=day | {"year": 2026}, headers=who)
    assert replaced.json() == {"id": number, "name": "Natal", "month": 12, "day": 25, "year": 2026}
    group = await client.put("/api/v1/holiday-groups/sp", json={"holidays": [number]}, headers=who)
    assert group.json()["holidays"] == [number]
    assert (await client.delete(f"/api/v1/holidays/{number}", headers=who)).status_code == 409
    wrong = await client.post("/api/v1/holidays", json=day | {"month": 2, "day": 30}, headers=who)
    assert wrong.status_code == 422
    below = {"items": [{"name": "Below", "parent": ours.ids["group"]}, {"id": ours.ids["group"], "name": "Above"}]}
    taken = (await client.post("/api/v1/groups/bulk", json=below, headers=who)).json()
    assert (taken["new"], taken["changed"]) == (1, 1)
    listed = await walk(client, f"/api/v1/groups?parent={ours.ids['group']}", ours.read_key)
    assert [one["name"] for one in listed] == ["Below"]


async def test_deleting_names_what_hangs_on_it(client: Client, ours: Side) -> None:
    who = bearer(ours.write_key)
    answer = await client.delete("/api/v1/meters/meter-1", headers=who)
    assert answer.status_code == 409
    assert "3 register set" in answer.json()["detail"]
    answer = await client.delete("/api/v1/lots/lot-1", headers=who)
    assert "1 customer hang" in answer.json()["detail"]


async def test_supplies_follow_the_point_and_are_corrected(client: Client, ours: Side) -> None:
    who = bearer(ours.write_key)
    await client.put("/api/v1/customers/c-2", json={"name": "Second"}, headers=who)
    await client.put("/api/v1/points/p-7", json={"name": "x", "customer": "c-1"}, headers=who)
    (first,) = await walk(client, "/api/v1/supplies?point=p-7", ours.read_key)
    assert (first["customer"], first["ends_at"]) == ("c-1", None)
    begin = "2026-03-01T00:00:00-03:00"
    url = f"/api/v1/supplies/{first['id']}"
    moved = await client.patch(url, json={"starts_at": begin}, headers=who)
    assert moved.json()["starts_at"] == "2026-03-01T03:00:00Z"
    change = {"point": "p-7", "customer": "c-2", "starts_at": "2026-04-01T00:00:00-03:00", "reason": "sold"}
    for status in (201, 200):
        made = await client.post("/api/v1/supplies", json=change, headers=who)
        assert made.status_code == status, made.text
    assert (await client.get("/api/v1/points/p-7", headers=who)).json()["customer"] == "c-2"
    rows = await walk(client, "/api/v1/supplies?point=p-7&limit=1", ours.read_key)
    assert rows[0]["ends_at"] == rows[1]["starts_at"] == "2026-04-01T03:00:00Z"
    overlap = await client.patch(url, json={"starts_at": begin, "ends_at": None}, headers=who)
    assert overlap.status_code == 422
    assert (await client.delete(f"/api/v1/supplies/{rows[1]['id']}", headers=who)).status_code == 204
    assert (await client.get("/api/v1/points/p-7", headers=who)).json()["customer"] is None


async def test_installations_are_corrected_and_taken_back(client: Client, ours: Side) -> None:
    who, url = bearer(ours.write_key), f"/api/v1/installations/{ours.ids['installation']}"
    ended = await client.patch(url, json={"starts_at": 1_700_000_000, "ends_at": 1_780_000_000}, headers=who)
    assert ended.json()["ends_at"] == "2026-05-28T20:26:40Z"
    wrong = await client.patch(url, json={"starts_at": 1_700_000_000, "ends_at": 1_600_000_000}, headers=who)
    assert wrong.status_code == 422
    assert (await client.delete(url, headers=who)).status_code == 204
    assert (await client.get(url, headers=who)).status_code == 404


async def test_a_sheet_is_brought_looked_at_and_applied(client: Client, ours: Side, tmp_path: Any) -> None:
    client.app.state.settings = msgspec.structs.replace(client.app.state.settings, data_dir=str(tmp_path))
    who = bearer(ours.write_key)
    sheet = b"External key;Name;Lot\ns-1;One;lot-1\ns-2;Two;lot-9\n"
    brought = await client.post("/api/v1/customers/imports?name=list.csv", content=sheet, headers=who)
    assert brought.status_code == 201, brought.text
    seen = brought.json()
    assert (seen["new"], seen["refused"], seen["applied"]) == (1, 1, False)
    assert (seen["errors"][0]["row"], seen["errors"][0]["column"], seen["errors"][0]["value"]) == (3, "lot", "lot-9")
    url = f"/api/v1/imports/{seen['id']}"
    refused = (await client.get(f"{url}/refused", headers=who)).content.decode("utf-8-sig").splitlines()
    assert refused[1].startswith("s-2,Two,lot-9,")
    whole = (await client.post(f"{url}/apply", json={}, headers=who)).json()
    assert whole["applied"] is False
    assert (await client.get("/api/v1/customers/s-1", headers=who)).status_code == 404
    some = (await client.post(f"{url}/apply", json={"all_or_nothing": False}, headers=who)).json()
    assert some["applied"] is True
    assert (await client.get("/api/v1/customers/s-1", headers=who)).json()["name"] == "One"
    assert (await client.get(url, headers=who)).status_code == 404
    assert list((tmp_path / "uploads").iterdir()) == []
    reader = await client.post("/api/v1/customers/imports", content=sheet, headers=bearer(ours.read_key))
    assert reader.status_code == 403
    for content in (b"", b"a", b"PK\x03\x04"):
        answer = await client.post("/api/v1/customers/imports", content=content, headers=who)
        assert answer.status_code == 422, content


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_lists_are_exported(client: Client, ours: Side, form: str) -> None:
    answer = await client.get(f"/api/v1/exports/customer?format={form}", headers=bearer(ours.read_key))
    rows = sheets.read(answer.content)
    assert rows[0][:3] == ["key", "name", "group"]
    assert rows[1][:4] == ["c-1", "Açougue São João", "Industry", "lot-1"]


async def test_search_finds_by_beginnings_whatever_the_accents(client: Client, ours: Side, theirs: Side) -> None:
    async def found(query: str, key: str = ours.read_key) -> list[tuple[str, str]]:
        answer = await client.get(f"/api/v1/search?{query}", headers=bearer(key))
        return [(hit["kind"], hit["key"]) for hit in answer.json()["items"]]

    assert await found("q=acougue joao") == [("customer", "c-1")]
    assert await found("q=12345") == [("meter", "meter-1")]
    assert ("point", "p-1") in await found("q=rua")
    assert await found("q=c-1&kind=meter") == []
    assert await found("q=%25") == []
    assert await found("q=acougue", theirs.read_key) == []
