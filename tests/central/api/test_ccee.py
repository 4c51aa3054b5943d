"""What the CCEE did and alarms, as a program asks for them."""

import csv
import io
from typing import Any

from litestar.testing import AsyncTestClient

from tests.central.world import START, Side, bearer, person

Client = AsyncTestClient[Any]


async def test_connections(client: Client, ours: Side) -> None:
    headers = bearer(ours.read_key)
    page = (await client.get("/api/v1/ccee/connections?limit=1&failed=true", headers=headers)).json()
    assert [each["verdict"] for each in page["items"]] == ["I03"]
    assert page["items"][0]["started_at"] == "2026-03-10T05:00:00.000Z"
    assert page["items"][0]["title"] == "No answer from the meter"
    following = (await client.get(page["next"], headers=headers)).json()
    assert following["next"] is None
    assert following["items"][0]["id"] != page["items"][0]["id"]
    one = (await client.get(f"/api/v1/ccee/connections/{ours.ids['connection']}", headers=headers)).json()
    assert one["exchanges"][0] == {
        "at_ms": 120, "command": "52 mass memory", "result": "ok", "asked": 66, "answered": 258, "took_ms": 35,
        "detail": {"blocks": 3},
    }  # fmt: skip
    assert (one["capture"], one["constants"], one["facts"]) == (True, {"ke": "3/250"}, {})
    for wrong in ("verdict=I99", "mode=open", "meter=nobody", "from=20&to=10", "cursor=eHg"):
        answer = await client.get(f"/api/v1/ccee/connections?{wrong}", headers=headers)
        assert answer.status_code == 422, (wrong, answer.text)


async def test_export_has_all_rows(client: Client, ours: Side) -> None:
    headers = bearer(ours.read_key) | {"Accept": "text/csv"}
    answer = await client.get("/api/v1/ccee/connections?meter=meter-1&limit=1", headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["meter"], row["verdict"], row["outcome"]) for row in rows] == [("meter-1", "I03", "failed")] * 2
    rows = list(
        csv.DictReader(
            io.StringIO((await client.get("/api/v1/ccee/weeks?weeks=2&day=2026-03-10", headers=headers)).text)
        )
    )
    assert [(row["week"], row["failed"], row["rate"], row["I03"]) for row in rows] == [
        ("2026-03-02", "0", "", "0"), ("2026-03-09", "2", "0.0000", "2"),
    ]  # fmt: skip
    answer = await client.get("/api/v1/ccee/weeks/meters?day=2026-03-10", headers=headers)
    assert "ccee-week-2026-03-09.csv" in answer.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["meter"], row["failed"]) == ("meter-1", "2")


async def test_captures(client: Client, ours: Side) -> None:
    url, headers = f"/api/v1/ccee/connections/{ours.ids['connection']}/capture", bearer(ours.read_key)
    file = await client.get(url, headers=headers)
    assert file.headers["content-type"] == "application/x-pcapng"
    assert file.content.startswith(b"\x0a\x0d\x0d\x0a")
    plain = await client.get(url, headers=headers | {"Accept": "application/octet-stream"})
    assert plain.content == b"\x14\x00ask\x52answer"
    assert (await client.get(f"{url}?side=meter", headers=headers)).content == b"\x52answer"
    assert (await client.get(f"{url}?side=both", headers=headers)).status_code == 422
    page = (await client.get("/api/v1/ccee/connections", headers=headers)).json()
    other = next(each["id"] for each in page["items"] if each["id"] != ours.ids["connection"])
    gone = await client.get(f"/api/v1/ccee/connections/{other}/capture", headers=headers)
    assert gone.status_code == 404


async def test_days_and_expectation(client: Client, ours: Side) -> None:
    headers = bearer(ours.write_key)
    page = (await client.get("/api/v1/ccee/days?day=2026-03-10", headers=headers)).json()
    (line,) = page["items"]
    assert (line["meter"], line["point"], line["gateway"]) == ("meter-1", "p-1", "gw-1")
    assert (line["day"]["status"], line["day"]["verdict"], len(line["day"]["sessions"])) == ("failed", "I03", 2)
    assert line["day"]["window"] == {"from": "2026-03-10T03:00:00Z", "to": "2026-03-10T13:00:00Z"}
    days = (await client.get("/api/v1/ccee/meters/meter-1/days?last=2026-03-10", headers=headers)).json()
    assert [each["day"] for each in days["items"]][-1] == "2026-03-10"
    assert len(days["items"]) == 7
    assert (await client.get("/api/v1/ccee/days?day=10-03-2026", headers=headers)).status_code == 422
    answer = await client.patch("/api/v1/ccee/meters/meter-1", json={"expected": True}, headers=headers)
    assert (answer.json()["expected"], answer.json()["said_by"][:10]) == (True, "admin@ours")
    again = (await client.get("/api/v1/ccee/meters/meter-1", headers=headers)).json()
    assert again["expected"] is True
    cleared = await client.patch("/api/v1/ccee/meters/meter-1", json={"expected": None}, headers=headers)
    assert cleared.json()["expected"] is None
    verdicts = (await client.get("/api/v1/ccee/verdicts", headers=headers)).json()["items"]
    assert next(each for each in verdicts if each["code"] == "I11")["severity"] == "critical"


async def test_alarms(client: Client, ours: Side) -> None:
    headers = bearer(ours.write_key)
    page = (await client.get("/api/v1/alarms?state=active&severity=critical", headers=headers)).json()
    (alarm,) = page["items"]
    assert (alarm["code"], alarm["opened_at"], alarm["state"]) == ("I11", "2026-03-10T05:01:00Z", "open")
    assert START + 7200 + 60 == 1773118860
    both = (await client.get("/api/v1/alarms?meter=meter-1", headers=headers)).json()["items"]
    assert {each["code"] for each in both} == {"I03", "I11"}
    url = f"/api/v1/alarms/{alarm['id']}/acknowledgement"
    taken = (await client.post(url, json={"note": "Crew sent"}, headers=headers)).json()
    assert (taken["state"], taken["note"], taken["acknowledged_by"][:10]) == ("acknowledged", "Crew sent", "admin@ours")
    assert (await client.post(url, json={}, headers=headers)).status_code == 409
    assert (await client.get("/api/v1/alarms?severity=loud", headers=headers)).status_code == 422


async def test_only_administrators_say_who_is_told(client: Client, ours: Side) -> None:
    body = {"kind": "webhook", "target": "https://example.org/hook", "least": "critical"}
    refused = await client.post("/api/v1/alarms/subscriptions", json=body, headers=person(ours.viewer_session))
    assert refused.status_code == 403
    made = await client.post("/api/v1/alarms/subscriptions", json=body, headers=person(ours.session))
    secret = made.json()["secret"]
    assert len(secret) == 64
    assert (await client.get("/api/v1/alarms/subscriptions", headers=bearer(ours.read_key))).status_code == 403
    listed = await client.get("/api/v1/alarms/subscriptions", headers=person(ours.session))
    assert secret not in listed.text
    assert [each["least"] for each in listed.json()["items"]] == ["notice", "critical"]
    again = await client.post("/api/v1/alarms/subscriptions", json=body, headers=person(ours.session))
    assert again.status_code == 409


async def test_forwards_are_changed_by_command(client: Client, ours: Side) -> None:
    url = "/api/v1/gateways/gw-1/commands"
    change = {"kind": "set_forward", "meter": "meter-1", "toml": 'port = 4059\nallow = ["10.0.0.0/8"]'}
    assert (await client.post(url, json=change, headers=person(ours.viewer_session))).status_code == 403
    made = await client.post(url, json=change, headers=person(ours.session))
    assert (made.status_code, made.json()["by"], made.json()["kind"]) == (201, "admin@ours", "set_forward")
    broken = await client.post(url, json=change | {"toml": "port = "}, headers=person(ours.session))
    assert (broken.status_code, broken.json()["errors"][0]["path"]) == (422, "toml")
    closing = {"kind": "set_forward", "meter": "meter-1"}
    assert (await client.post(url, json=closing, headers=person(ours.session))).status_code == 201
    tried = await client.post(url, json={"kind": "test_forward", "meter": "meter-1"}, headers=bearer(ours.write_key))
    assert (tried.status_code, tried.json()["kind"]) == (201, "test_forward")
