"""Every operation of the API, by everyone who may come: generated from the OpenAPI document, none is forgotten."""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar.testing import AsyncTestClient

from central.registry.kinds import KINDS
from shared.calendar_builders import brazil_calendar
from tests.central.world import Side, bearer, person

Client = AsyncTestClient[Any]

#: A body that does something for every operation that takes one.
BODIES: dict[str, dict[str, Any]] = {
    "create_key": {"name": "made"},
    "put_meter": {"serial": "87654321", "name": "renamed"},
    "patch_meter": {"name": "patched"},
    "put_gateway": {"name": "renamed"},
    "patch_gateway": {"place": "roof"},
    "put_module": {"name": "renamed"},
    "put_customer": {"name": "renamed"},
    "put_point": {"name": "renamed"},
    "put_lot": {"name": "renamed"},
    "put_model": {"name": "renamed"},
    "create_group": {"name": "made"},
    "patch_group": {"name": "renamed"},
    "create_installation": {"meter": "meter-1", "point": "p-1", "starts_at": "2026-09-01T00:00:00Z"},
    "patch_ccee_meter": {"expected": True},
    "acknowledge_alarm": {"note": "on my way"},
    "create_subscription": {"kind": "email", "target": "ana@example.org"},
    "create_webhook": {"url": "https://example.org/hook"},
    "patch_webhook": {"enabled": True},
    "create_command": {"kind": "read_now", "meter": "meter-1", "kinds": ["registers"]},
    "create_report_job": {"report": "availability"},
    "create_report_schedule": {"report": "availability", "name": "made", "cadence": "daily"},
    "switch_report_schedule": {"enabled": False},
    "save_report_view": {"report": "availability", "name": "made", "view": {}},
    "create_enrolment": {"gateway": "gw-1", "new": True},
    "refuse_enrolment": {"reason": "not ours"},
    "put_certificate": {"certificate": "x", "chain": "x"},
    "create_user": {"login": "new@ours", "password": "a long enough word"},
    "patch_user": {"name": "renamed"},
    "create_grant": {"role": "viewer"},
    "create_role": {"key": "night", "permissions": ["read"]},
    "patch_role": {"name": "renamed"},
}
for _kind in KINDS:
    _plural = _kind.path.replace("-", "_")
    BODIES.setdefault(f"bulk_{_plural}", {"items": []})
    for _verb in ("put", "patch"):
        BODIES.setdefault(f"{_verb}_{_kind.name}", {"name": "renamed"})
BODIES["put_tariff"] = {"calendar": msgspec.json.encode(brazil_calendar()).decode()}
BODIES |= {name: {"name": "Easter", "month": 4, "day": 5} for name in ("put_holiday", "create_holiday")}
BODIES["patch_installation"] = BODIES["patch_supply"] = {"starts_at": 1_700_000_000, "ends_at": 1_750_000_000}
BODIES["create_supply"] = {"point": "p-1", "customer": "c-1", "starts_at": "2100-09-01T00:00:00Z"}
BODIES["apply_import"] = {}
#: Files that were brought are tried in test_registry_kinds.
FILES = ("/api/v1/imports/", "/imports")
#: Who may read may have reports made, and arrange them; not send them, nor have them made regularly.
READING = {"create_report_job", "cancel_report_job", "delete_report_job", "delete_report_schedule",
           "save_report_view", "delete_report_view"}  # fmt: skip
#: The report is not made yet.
UNMADE = {"get_report_file"}
#: What is done to an enrolment one after the other.
STAGED = {"revoke_enrolment", "refuse_enrolment", "put_certificate"}
#: Operations of persons only, closed to API keys.
PERSONS = {"list_keys", "create_key", "revoke_key", "list_sessions", "end_session", "end_other_sessions"}
#: Operations that read what needs more than ``read``.
READ_MORE = {"list_users", "get_user", "list_grants", "list_user_sessions", "list_roles", "list_audit",
             "list_subscriptions", "list_webhooks", "get_webhook", "list_deliveries", "get_delivery", "list_enrolments",
             "get_enrolment"}  # fmt: skip
KEYS = {"meters": "meter-1", "gateways": "gw-1", "modules": "mod-1", "customers": "c-1", "points": "p-1",
        "lots": "lot-1", "models": "m300", "ccee": "meter-1"}  # fmt: skip
KEYS |= {kind.path: "k-1" for kind in KINDS if kind.path not in KEYS}


async def operations(client: Client, side: Side) -> list[tuple[str, str, str, bool]]:
    """Name, method, address, and whether the address names an object; what removes comes last."""
    document = (await client.get("/api/v1/openapi.json")).json()
    # what ends things comes last, one thing before all of them
    return sorted(_operations(document, side), key=lambda each: (each[1] == "DELETE", not each[3]))


def _operations(document: dict[str, Any], side: Side) -> Iterator[tuple[str, str, str, bool]]:
    ids = {"group_id": side.ids["group"], "installation_id": side.ids["installation"], "key_id": side.ids["key"],
           "command_id": side.ids["command"], "module": "mod-1", "connection_id": side.ids["connection"],
           "alarm_id": side.ids["alarm"], "subscription_id": side.ids["subscription"],
           "webhook_id": side.ids["webhook"], "delivery_id": side.ids["delivery"],
           "user_id": side.viewer.id, "grant_id": side.ids["grant"], "role": "spare",
           "session_id": side.ids["session"], "supply_id": side.ids["supply"], "import_id": "0" * 32,
           "kind": "customer",
           "report": "availability", "job_id": side.ids["job"], "schedule_id": side.ids["schedule"],
           "view_id": side.ids["view"], "enrolment_id": side.ids["enrolment"]}  # fmt: skip
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation.get("security") == [{}]:
                continue  # for gateways without a login: tests of the enrolment
            filled = path
            number = side.ids["holiday" if path.startswith("/api/v1/holidays") else "group"]
            for name, value in {**ids, "key": KEYS.get(path.split("/")[3], ""), "number": number}.items():
                filled = filled.replace(f"{{{name}}}", str(value))
            assert "{" not in filled, f"the test does not know how to fill {path}"
            named = filled != path and "{kind}" not in path and "{report}" not in path
            yield operation["operationId"], method.upper(), filled, named


async def send(client: Client, operation: str, method: str, url: str, headers: dict[str, str]) -> Any:
    return await client.request(method, url, headers=headers, json=BODIES.get(operation))


async def test_strangers_get_in_nowhere(client: Client, ours: Side) -> None:
    for operation, method, url, _ in await operations(client, ours):
        for headers in ({}, bearer("mg_0123456789ab_" + "x" * 43), bearer("junk"), {"Authorization": "Basic eDp5"}):
            answer = await send(client, operation, method, url, headers)
            assert answer.status_code == 401, (operation, headers)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_read_only_keys_read_and_nothing_else(client: Client, ours: Side) -> None:
    for operation, method, url, _ in await operations(client, ours):
        answer = await send(client, operation, method, url, bearer(ours.read_key))
        if operation in READING:
            assert answer.status_code in (200, 201, 204), (operation, answer.text)
            continue
        open_to_all = operation not in PERSONS | READ_MORE and FILES[0] not in url
        expected = 404 if operation in UNMADE else 200 if method == "GET" and open_to_all else 403
        assert answer.status_code == expected, (operation, answer.text)


async def test_read_only_keys_send_no_reports(client: Client, ours: Side) -> None:
    order = {"report": "availability", "recipients": ["ana@example.org"]}
    refused = await client.post("/api/v1/reports/jobs", headers=bearer(ours.read_key), json=order)
    assert refused.status_code == 403
    assert "'mail'" in refused.json()["detail"]
    jobs = (await client.get("/api/v1/reports/jobs", headers=bearer(ours.read_key))).json()["items"]
    assert [job for job in jobs if job["recipients"]] == []
    taken = await client.post("/api/v1/reports/jobs", headers=person(ours.session), json=order)
    assert taken.status_code == 201


async def test_another_tenant_sees_nothing(client: Client, ours: Side, theirs: Side) -> None:
    """An object of another tenant does not exist; lists are empty; what PUT makes is one's own."""
    made: list[str] = []
    for operation, method, url, named in await operations(client, ours):
        headers = person(theirs.session)
        answer = await send(client, operation, method, url, headers)
        if method == "PUT" and answer.status_code != 404:
            assert answer.status_code == (200 if operation in READING else 201), (operation, answer.text)
            made.append(url)
        elif named:
            own = operation in _OWN_BY_NOW or any(url.startswith(each) for each in made)
            assert answer.status_code == 404 or own, (operation, answer.text)
        elif method == "GET" and operation not in ("me", "list_keys", "list_users", "list_sessions", "list_audit"):
            known = {"meter-1", "gw-1"}
            text = answer.text
            assert answer.status_code == 200
            assert not any(serial in text for serial in ("12345678", "Industry", "Rua A")), (operation, known)
    mine = (await client.get("/api/v1/meters/meter-1", headers=bearer(ours.read_key))).json()
    assert (mine["name"], mine["customer"]["name"]) == ("", "Açougue São João")


#: Addressed by a key that PUT has just given them a thing of the same name for.
_OWN_BY_NOW = {"get_meter", "patch_meter", "get_gateway", "patch_gateway", "create_command", "list_channels",
               "list_registers", "get_instantaneous", "list_events", "get_availability", "get_consumption",
               "get_demand", "get_profile", "get_health", "list_gateway_modules", "get_module_health", "get_module",
               "get_customer", "get_point", "get_lot", "get_model", "get_configuration", "get_ccee_meter",
               "patch_ccee_meter", "list_meter_days", "get_billing", "get_calendar"}  # fmt: skip


async def test_foreign_objects_before_anything_is_made(client: Client, ours: Side, theirs: Side) -> None:
    for operation, method, url, named in await operations(client, ours):
        if named and method != "PUT":
            answer = await send(client, operation, method, url, person(theirs.session))
            assert answer.status_code == 404, (operation, answer.text)
            assert answer.json()["detail"].startswith("There is no ")


async def test_administrators_may_do_everything(client: Client, ours: Side) -> None:
    found = await operations(client, ours)
    for operation, method, url, _ in sorted(found, key=lambda each: each[1] == "DELETE"):
        if FILES[0] in url or url.endswith(FILES[1]):
            continue
        answer = await send(client, operation, method, url, person(ours.session))
        occupied = method == "DELETE" and answer.status_code == 409 and "hang on it" in answer.text
        good = answer.status_code in ((404,) if operation in UNMADE else (200, 201, 204))
        staged = operation in STAGED and answer.status_code in (409, 422)
        assert good or occupied or staged, (operation, answer.text)


async def test_sessions_need_their_token_for_unsafe_requests(client: Client, ours: Side) -> None:
    for operation, method, url, _ in await operations(client, ours):
        if method == "GET":
            continue
        for headers in (
            {"Cookie": f"mg_session={ours.session.token}"},
            person(ours.session) | {"X-CSRF-Token": ours.viewer_session.csrf},
            person(ours.session) | {"Sec-Fetch-Site": "cross-site"},
            person(ours.session) | {"Origin": "https://elsewhere.example"},
        ):
            answer = await send(client, operation, method, url, headers)
            assert answer.status_code == 403, (operation, headers)


async def test_only_administrators_close_bills_and_configure(client: Client, ours: Side) -> None:
    url = "/api/v1/gateways/gw-1/commands"
    for body in ({"kind": "close_bill", "meter": "meter-1", "confirm": "12345678"},
                 {"kind": "apply_config", "toml": "x = 1"}):  # fmt: skip
        refused = await client.post(url, json=body, headers=person(ours.viewer_session))
        assert refused.status_code == 403
        assert (await client.post(url, json=body, headers=person(ours.session))).status_code == 201
    wrong = {"kind": "close_bill", "meter": "meter-1", "confirm": "1234"}
    answer = await client.post(url, json=wrong, headers=person(ours.session))
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "confirm")
    missing = await client.post(url, json={"kind": "close_bill", "meter": "meter-1"}, headers=person(ours.session))
    assert missing.status_code == 422


async def test_viewers_see_their_own_keys_only(client: Client, ours: Side) -> None:
    assert (await client.get("/api/v1/keys", headers=person(ours.viewer_session))).json()["items"] == []
    url = f"/api/v1/keys/{ours.ids['key']}"
    assert (await client.delete(url, headers=person(ours.viewer_session))).status_code == 404
    assert (await client.delete(url, headers=person(ours.session))).status_code == 204


async def test_revoked_and_expired_keys(client: Client, ours: Side) -> None:
    made = await client.post(
        "/api/v1/keys", json={"name": "x", "expires_at": "2999-01-01T00:00:00Z"}, headers=person(ours.session)
    )
    key, about = made.json()["key"], made.json()["about"]
    assert key.startswith(about["prefix"] + "_")
    assert (await client.get("/api/v1/me", headers=bearer(key))).json()["kind"] == "key"
    assert (await client.get("/api/v1/me", headers=bearer(key[:-1] + "~"))).status_code == 401
    assert key not in (await client.get("/api/v1/keys", headers=person(ours.session))).text
    await client.delete(f"/api/v1/keys/{about['id']}", headers=person(ours.session))
    assert (await client.get("/api/v1/me", headers=bearer(key))).status_code == 401
    past = {"name": "x", "expires_at": 1}
    assert (await client.post("/api/v1/keys", json=past, headers=person(ours.session))).status_code == 422
