"""Enrolment through the API: codes, tries, requests, approval, certificates; each step in the audit log."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import AsyncTestClient
from sqlalchemy import select, update

from central.audit.models import AuditEntry
from central.enrolment.certificates import Issuer
from central.enrolment.device import MOST_TRIES
from central.enrolment.models import Enrolment
from central.enrolment.states import STATES, after
from central.errors import Conflict
from central.registry.models import Gateway
from central.settings import BrokerSettings, EnrolmentSettings, RetentionSettings
from central.store.engine import Database
from central.store.jobs import forget
from tests.central.enrolment.requests import csr, make_issuer, new_key
from tests.central.world import Side, bearer, person, running

Client = AsyncTestClient[Any]


def secret() -> str:
    return secrets.token_urlsafe(32)


async def make(client: Client, side: Side, gateway: str = "gw-1", **more: Any) -> dict[str, Any]:
    """A code for a gateway, as it was answered."""
    answer = await client.post("/api/v1/enrolments", json={"gateway": gateway, **more}, headers=person(side.session))
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def ask(client: Client, code: str, own: str, request: str) -> Any:
    return await client.post("/api/v1/enrolment", json={"code": code, "secret": own, "csr": request})


async def look(client: Client, number: int, own: str) -> Any:
    return await client.get(f"/api/v1/enrolment/{number}", headers={"X-Enrolment-Secret": own})


async def decide(client: Client, side: Side, number: int, what: str, **body: Any) -> Any:
    url = f"/api/v1/enrolments/{number}/{what}"
    return await client.post(url, json=body if what == "refusal" else None, headers=person(side.session))


async def told(database: Database) -> list[tuple[str, str, str]]:
    async with database.read() as db:
        query = select(AuditEntry.author, AuditEntry.action, AuditEntry.key).where(AuditEntry.kind == "enrolment")
        return [tuple(row) for row in await db.execute(query.order_by(AuditEntry.id))]  # type: ignore[misc]


async def test_no_gateway_gets_the_name_that_central_has_at_the_broker(
    database: Database, database_url: str, ours: Side, tmp_path: Path
) -> None:
    """Whoever has that name in a certificate may order every gateway about."""
    make_issuer(tmp_path, "center-1")
    broker = BrokerSettings(username="center-2", cert_file=str(tmp_path / "issuer.pem"))
    async with running(database_url, broker=broker) as client:
        for name in ("center-1", "center-2"):
            answer = await client.post(
                "/api/v1/enrolments", json={"gateway": name, "new": True}, headers=person(ours.session)
            )
            assert answer.status_code == 422, answer.text
            assert "own name at the broker" in answer.text
        await make(client, ours, "center-3", new=True)
        (tmp_path / "issuer.pem").write_text("damaged")
        answer = await client.post("/api/v1/enrolments", json={"gateway": "gw-1"}, headers=person(ours.session))
        assert answer.status_code == 409, answer.text
        assert "broker.cert_file" in answer.text
    async with database.read() as db:
        keys = set(await db.scalars(select(Gateway.key)))
    assert not keys & {"center-1", "center-2"}


async def test_from_code_to_certificate_with_an_issuer(
    database: Database, database_url: str, ours: Side, tmp_path: Path
) -> None:
    cert, key_file = make_issuer(tmp_path)
    settings = EnrolmentSettings(issuer_cert=str(cert), issuer_key=str(key_file), server_cert=str(cert))
    async with running(database_url, enrolment=settings) as client:
        made = await make(client, ours, "gw-1")
        code, number = made["code"], made["about"]["id"]
        assert made["about"]["code"] == code[:5]
        assert made["command"].startswith(f"metergate edge enrol --server http://testserver.local --code {code} --pin ")
        about = (await client.post("/api/v1/enrolment/code", json={"code": code.lower()})).json()
        assert about == {"gateway": "gw-1", "expires_at": made["about"]["expires_at"]}
        own, key = secret(), new_key()
        first = await ask(client, code, own, csr(key, "gw-1"))
        assert (first.status_code, first.json()["state"], first.json()["id"]) == (201, "waiting", number)
        again = await ask(client, code, own, csr(key, "gw-1"))
        assert again.json() == first.json(), "an answer that was lost is asked for again"
        assert (await ask(client, code, own, csr(new_key(), "gw-1"))).status_code == 409
        assert (await ask(client, code, secret(), csr(key, "gw-1"))).status_code == 422
        assert (await look(client, number, secret())).status_code == 404
        assert (await look(client, number, own)).json()["certificate"] == ""
        approved = await decide(client, ours, number, "approval")
        assert (approved.status_code, approved.json()["state"]) == (200, "issued"), approved.text
        assert (await decide(client, ours, number, "approval")).status_code == 409
        assert (await decide(client, ours, number, "refusal")).status_code == 409
        assert approved.json()["fetched_at"] is None
        got = (await look(client, number, own)).json()
        assert (got["state"], got["chain"]) == ("issued", cert.read_text())
        row = (await client.get(f"/api/v1/enrolments/{number}", headers=bearer(ours.write_key))).json()
        assert row["certificate"] == got["certificate"]
        assert row["fetched_at"]
        assert row["certificate_ends"]
        assert code not in (await client.get("/api/v1/enrolments", headers=bearer(ours.write_key))).text
    steps = [("admin@ours", "created"), ("gateway", "asked"), ("admin@ours", "approved"), ("admin@ours", "issued")]
    assert await told(database) == [(*each, "gw-1") for each in steps]


async def test_the_authority_signs_elsewhere(client: Client, ours: Side, tmp_path: Path) -> None:
    cert, key_file = make_issuer(tmp_path)
    authority = Issuer.load(EnrolmentSettings(issuer_cert=str(cert), issuer_key=str(key_file)))
    assert authority is not None
    made, own, key = await make(client, ours), secret(), new_key()
    number = made["about"]["id"]
    url, headers = f"/api/v1/enrolments/{number}/certificate", bearer(ours.write_key)
    assert (await ask(client, made["code"], own, csr(key, "gw-1"))).status_code == 201
    now = int(time.time())
    good = {"certificate": authority.sign(key.public_key(), "gw-1", now), "chain": authority.chain}
    assert (await client.put(url, json=good, headers=headers)).status_code == 409, "nobody has approved it"
    assert (await decide(client, ours, number, "approval")).json()["state"] == "approved"
    for wrong in (
        {"certificate": authority.sign(new_key().public_key(), "gw-1", now)},
        {"certificate": authority.sign(key.public_key(), "gw-2", now)},
        {"certificate": "x"},
        {"chain": "x"},
    ):
        answer = await client.put(url, json=good | wrong, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, next(iter(wrong)))
    for _ in range(2):
        assert (await client.put(url, json=good, headers=headers)).json()["state"] == "issued"
    other = {"certificate": authority.sign(key.public_key(), "gw-1", now), "chain": authority.chain}
    assert (await client.put(url, json=other, headers=headers)).status_code == 409
    assert (await look(client, number, own)).json()["certificate"] == good["certificate"]


async def test_refused_and_the_reason_told(client: Client, ours: Side) -> None:
    made, own = await make(client, ours), secret()
    number = made["about"]["id"]
    await ask(client, made["code"], own, csr(new_key(), "gw-1"))
    assert (await decide(client, ours, number, "refusal", reason="nobody is there")).json()["state"] == "refused"
    assert (await decide(client, ours, number, "approval")).status_code == 409
    seen = (await look(client, number, own)).json()
    assert (seen["state"], seen["reason"], seen["certificate"]) == ("refused", "nobody is there", "")


async def test_codes_end_by_revocation_time_and_use(client: Client, ours: Side, database: Database) -> None:
    revoked, late, used = [await make(client, ours) for _ in range(3)]
    headers = person(ours.session)
    for _ in range(2):
        gone = await client.delete(f"/api/v1/enrolments/{revoked['about']['id']}", headers=headers)
        assert (gone.status_code, gone.json()["state"]) == (200, "revoked")
    async with database.write() as db:
        await db.execute(update(Enrolment).where(Enrolment.id == late["about"]["id"]).values(expires_at=1))
    assert (await ask(client, used["code"], secret(), csr(new_key(), "gw-1"))).status_code == 201
    refusals = [
        (await ask(client, each["code"], secret(), csr(new_key(), "gw-1"))).json()
        for each in (revoked, late, used, {"code": "AAAAA-AAAAA"}, {"code": "not a code!"})
    ]
    assert len({each["detail"] for each in refusals}) == 1, "nobody learns which of them it was"
    assert refusals[0]["errors"][0]["path"] == "code"
    states = {
        each["id"]: each["state"] for each in (await client.get("/api/v1/enrolments", headers=headers)).json()["items"]
    }
    assert [states[each["about"]["id"]] for each in (revoked, late, used)] == ["revoked", "expired", "waiting"]
    expired = (await client.get("/api/v1/enrolments?state=expired", headers=headers)).json()["items"]
    assert [each["id"] for each in expired] == [late["about"]["id"]]


def wrong(code: str) -> str:
    """The same first half, another second one."""
    return code[:6] + ("00000" if code[6:] != "00000" else "11111")


async def test_few_tries_even_at_once(client: Client, ours: Side, database: Database) -> None:
    made = await make(client, ours)
    answers = await asyncio.gather(
        *(client.post("/api/v1/enrolment/code", json={"code": wrong(made["code"])}) for _ in range(MOST_TRIES + 3))
    )
    assert {answer.status_code for answer in answers} == {422}
    right = await client.post("/api/v1/enrolment/code", json={"code": made["code"]})
    assert right.status_code == 422, "the right code comes too late"
    row = (await client.get(f"/api/v1/enrolments/{made['about']['id']}", headers=person(ours.session))).json()
    assert (row["state"], row["tries"]) == ("locked", MOST_TRIES)
    actions = [action for _, action, _ in await told(database)]
    assert (actions.count("tried"), actions.count("locked")) == (MOST_TRIES, 1)


async def test_right_tries_do_not_count(client: Client, ours: Side) -> None:
    made = await make(client, ours)
    for _ in range(MOST_TRIES + 1):
        assert (await client.post("/api/v1/enrolment/code", json={"code": made["code"]})).status_code == 200
    for name in ("gw-2", ""):
        refused = await ask(client, made["code"], secret(), csr(new_key(), name or "x"))
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "csr")
    assert (await ask(client, made["code"], secret(), csr(new_key(), "gw-1"))).status_code == 201


async def test_an_address_that_guesses_has_to_wait_and_at_the_login_too(client: Client, ours: Side) -> None:
    for _ in range(20):
        assert (await client.post("/api/v1/enrolment/code", json={"code": "AAAAA-AAAAA"})).status_code == 422
    late = await client.post("/api/v1/enrolment/code", json={"code": "AAAAA-AAAAA"})
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)
    made = await make(client, ours)
    assert (await ask(client, made["code"], secret(), csr(new_key(), "gw-1"))).status_code == 429
    login = await client.post("/login", data={"login": "x", "password": "y"}, headers={"Accept-Language": "en"})
    assert "Too many failed attempts" in login.text


async def test_new_gateways_are_entered_by_who_may_everywhere(client: Client, ours: Side, database: Database) -> None:
    headers = person(ours.session)
    missing = await client.post("/api/v1/enrolments", json={"gateway": "gw-77"}, headers=headers)
    assert (missing.status_code, "new" in missing.json()["detail"]) == (422, True)
    for bad in ("a b", "../x", "ü", "x" * 60):
        answer = await client.post("/api/v1/enrolments", json={"gateway": bad, "new": True}, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "gateway"), bad
    await make(client, ours, "gw-77", new=True)
    async with database.read() as db:
        assert await db.scalar(select(Gateway.name).where(Gateway.key == "gw-77")) == "gw-77"
        entered = select(AuditEntry.author).where(AuditEntry.kind == "gateway", AuditEntry.key == "gw-77")
        assert await db.scalar(entered) == "admin@ours"


async def test_operators_without_the_permission(client: Client, ours: Side) -> None:
    body = {"gateway": "gw-1"}
    refused = await client.post("/api/v1/enrolments", json=body, headers=person(ours.viewer_session))
    assert (refused.status_code, "'enrolment'" in refused.json()["detail"]) == (403, True)


async def test_deleting_a_gateway_takes_its_codes_along(client: Client, ours: Side) -> None:
    made = await make(client, ours, "gw-78", new=True)
    gone = await client.delete("/api/v1/gateways/gw-78", headers=person(ours.session))
    assert gone.status_code == 204, gone.text
    url = f"/api/v1/enrolments/{made['about']['id']}"
    assert (await client.get(url, headers=person(ours.session))).status_code == 404
    assert (await client.post("/api/v1/enrolment/code", json={"code": made["code"]})).status_code == 422


async def test_old_ones_are_forgotten(client: Client, ours: Side, database: Database) -> None:
    await make(client, ours)
    now = int(time.time())
    assert (await forget(database, RetentionSettings(), now))["enrolment"] == 0
    assert (await forget(database, RetentionSettings(enrolments=1), now + 2 * 86400))["enrolment"] == 2


def test_states_lead_only_forward() -> None:
    ends = {"issued", "refused", "revoked", "locked"}
    for state in STATES:
        for event in ("ask", "revoke", "lock", "approve", "refuse", "issue"):
            if state in ends:
                with pytest.raises(Conflict, match=state):
                    after(state, event)
    assert after(after(after("open", "ask"), "approve"), "issue") == "issued"
