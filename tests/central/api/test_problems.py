"""Refusals: problem+json with the wrong place and, where a name is misspelt, the nearest one."""

from typing import Any

from litestar.testing import AsyncTestClient

from tests.central.world import Side, bearer, person

Client = AsyncTestClient[Any]


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    return body


async def test_unknown_addresses(client: Client, ours: Side) -> None:
    for url in ("/api/v1/nothing", "/api/v1/meters/meter-1/nothing", "/api/v2", "/api/v1/groups/one"):
        problem(await client.get(url, headers=bearer(ours.read_key)), 404)
    problem(await client.get("/api/v1/meters/meter-9", headers=bearer(ours.read_key)), 404)
    problem(await client.get("/api/v1/groups/99999999999999999999", headers=bearer(ours.read_key)), 404)
    problem(await client.get("/api/v1/meters/a%00b", headers=bearer(ours.read_key)), 404)


async def test_wrong_method_names_the_right_ones(client: Client, ours: Side) -> None:
    answer = await client.post("/api/v1/meters/meter-1", headers=person(ours.session))
    problem(answer, 405)
    assert {"GET", "PUT", "PATCH", "DELETE"} <= set(answer.headers["allow"].split(", "))


async def test_media_types(client: Client, ours: Side) -> None:
    key = bearer(ours.read_key)
    problem(await client.get("/api/v1/meters/meter-1/profile", headers=key | {"Accept": "image/png"}), 406)
    problem(await client.get("/api/v1/meters", headers=key | {"Accept": "text/csv"}), 406)
    problem(await client.get("/api/v1/meters", headers=key | {"Accept": "application/json;q=0"}), 406)
    for accept in ("*/*", "application/*", "text/html,application/xhtml+xml,*/*;q=0.8", ""):
        assert (await client.get("/api/v1/meters", headers=key | {"Accept": accept})).status_code == 200
    liked = await client.get(
        "/api/v1/meters/meter-1/profile", headers=key | {"Accept": "application/json;q=0.2, text/csv;q=0.9, */*;q=0.1"}
    )
    assert liked.headers["content-type"].startswith("text/csv")
    url, who = "/api/v1/meters/new", bearer(ours.write_key)
    problem(await client.put(url, content=b"serial=1", headers=who | {"Content-Type": "text/plain"}), 415)
    problem(await client.put(url, content=b"{}", headers=who), 415)


async def test_unknown_and_repeated_parameters(client: Client, ours: Side) -> None:
    body = problem(await client.get("/api/v1/meters?gatway=gw-1&q=x", headers=bearer(ours.read_key)), 422)
    assert body["errors"] == [
        {"path": "gatway", "message": body["errors"][0]["message"], "nearest": "gateway"}
    ]  # fmt: skip
    body = problem(await client.get("/api/v1/meters?q=x&q=y", headers=bearer(ours.read_key)), 422)
    assert body["errors"][0]["path"] == "q"
    problem(await client.get("/api/v1/me?x=1", headers=bearer(ours.read_key)), 422)
    for query in ("limit=0", "limit=1001", "limit=x", "group=x", "group=0", "registered=perhaps", "cursor=%21"):
        body = problem(await client.get(f"/api/v1/meters?{query}", headers=bearer(ours.read_key)), 422)
        assert body["errors"][0]["path"] == query.split("=")[0]


async def test_bodies_are_checked_strictly(client: Client, ours: Side) -> None:
    url, who = "/api/v1/meters/new", bearer(ours.write_key) | {"Content-Type": "application/json"}
    for content in (b"", b"{", b"\xff\xfe", b'{"name": "\\ud800"}'):
        problem(await client.put(url, content=content, headers=who), 400)
    cases = [
        ({"serail": "1"}, "serail", "serial"),
        ({"monitored": "yes"}, "monitored", ""),
        ({"multiplier": {"num": 0}}, "multiplier.num", ""),
        ({"multiplier": {"num": "5"}}, "multiplier.num", ""),
        ({"multiplier": {"nun": 5}}, "multiplier.nun", ""),
        ({"gateway": "gw-9"}, "gateway", ""),
        ({"zone": "Mars/Base"}, "zone", ""),
        ({"calendar": "{}"}, "calendar", ""),
        ([], "$", ""),
        ({"name": "a\0b"}, "", ""),
    ]
    for content_, path, near in cases:
        answer = await client.put(url, json=content_, headers=bearer(ours.write_key))
        assert answer.status_code == 422, (content_, answer.text)
        body = problem(answer, 422)
        assert not path or body["errors"][0]["path"] == path, body
        if near:
            assert body["errors"][0]["nearest"] == near
    problem(await client.get(url, headers=bearer(ours.read_key)), 404)
    bad_key = await client.put("/api/v1/meters/a%20b", json={}, headers=bearer(ours.write_key))
    assert problem(bad_key, 422)["errors"][0]["path"] == "key"
    huge = await client.put(url, content=b'{"name": "' + b"x" * (9 << 20) + b'"}', headers=who)
    problem(huge, 413)


async def test_instants_in_bodies_need_an_offset(client: Client, ours: Side) -> None:
    url = "/api/v1/gateways/gw-1/commands"
    for start in ("2026-01-01T00:00:00", "2026-01-01", "soon", -5, 1.5):
        body = {"kind": "read_range", "meter": "meter-1", "from": start, "to": "2026-01-02T00:00:00Z"}
        answer = problem(await client.post(url, json=body, headers=bearer(ours.write_key)), 422)
        assert answer["errors"][0]["path"] == "from"


async def test_every_answer_is_protected(client: Client, ours: Side) -> None:
    for url in ("/api/v1/me", "/api/v1/nothing", "/healthz", "/nowhere", "/api/v1/openapi.json"):
        answer = await client.get(url, headers=bearer(ours.read_key))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe-eval" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers


async def test_health_and_metrics(client: Client, ours: Side) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/metrics")).status_code == 401
    await client.get("/api/v1/meters/meter-1", headers=bearer(ours.read_key))
    text = (await client.get("/metrics", headers=bearer(ours.read_key))).text
    assert 'metergate_http_requests_total{method="GET",route="/api/v1/meters/{key}",status="200"}' in text
    assert "meter-1" not in text
