"""Pages of the enrolment: the code once, the request compared and decided, words for each state."""

import asyncio
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import segno
from litestar.testing import TestClient
from sqlalchemy import delete, select, update

from central.app import create_app
from central.enrolment.models import Enrolment
from central.enrolment.states import STATES
from central.registry.models import Gateway
from central.settings import EnrolmentSettings, Settings
from central.store.engine import open_url
from central.web.views import enrolment as views
from tests.central.enrolment.requests import csr, make_issuer, new_key
from tests.central.web.conftest import HTML, csrf, log_in

Client = TestClient[Any]


def send(client: Client, path: str, **fields: str) -> Any:
    return client.post(path, data={"_csrf": csrf(client), **fields}, headers=HTML, follow_redirects=True)


def made(client: Client, gateway: str = "gw-mooca") -> tuple[int, str]:
    """Number and text of a new code."""
    answer = send(client, "/enrolment", gateway=gateway)
    assert answer.status_code == 200, answer.text
    code = re.search(r'id="code">([0-9A-Z]{5}-[0-9A-Z]{5})<', answer.text)
    number = re.search(r'hx-get="/enrolment/(\d+)/state\?was=open"', answer.text)
    assert code
    assert number
    return int(number[1]), code[1]


def asked(client: Client, code: str, gateway: str = "gw-mooca") -> str:
    """A gateway asks; returns its fingerprint as people read it."""
    body = {"code": code, "secret": secrets.token_urlsafe(32), "csr": csr(new_key(), gateway)}
    found = client.post("/api/v1/enrolment", json=body, headers={"cookie": ""}).json()["fingerprint"]
    return "".join(f"<span>{found[at : at + 4]}</span>" for at in range(0, 16, 4))


def test_the_code_is_shown_once_with_its_command(client: Client) -> None:
    number, code = made(client)
    page = client.get(f"/enrolment/{number}", headers=HTML).text
    assert code not in page
    assert code[:5] in page
    assert code not in client.get("/enrolment", headers=HTML).text
    answer = send(client, "/enrolment", gateway="gw-mooca").text
    command = re.search(r">(metergate edge enrol [^<]+)</textarea>", answer)
    assert command
    drawn = segno.make(command[1], error="m", micro=False).svg_inline(
        scale=5, border=3, dark="#000", light="#fff", omitsize=True
    )
    assert drawn in answer, "the picture says what the command says"


def test_refused_with_the_reason(client: Client) -> None:
    number, code = made(client)
    assert client.get(f"/enrolment/{number}/state?was=open", headers=HTML).status_code == 200
    shown = asked(client, code)
    moved = client.get(f"/enrolment/{number}/state?was=open", headers=HTML)
    assert (moved.status_code, moved.headers["hx-redirect"]) == (204, f"/enrolment/{number}")
    assert shown in client.get(f"/enrolment/{number}", headers=HTML).text
    assert shown in client.get("/enrolment/list", headers=HTML).text
    assert re.search(r"1 waits|\d wait", client.get("/gateways", headers=HTML).text)
    page = send(client, f"/enrolment/{number}/refuse", reason="<nobody> is there").text
    assert "&lt;nobody&gt; is there" in page
    late = send(client, f"/enrolment/{number}/approve")
    assert (late.status_code, "this is how it stands now" in late.text) == (409, True)
    assert "turned down" in client.get("/audit?kind=enrolment", headers=HTML).text


def test_approved_waits_for_the_authority(client: Client) -> None:
    number, code = made(client)
    asked(client, code)
    page = send(client, f"/enrolment/{number}/approve").text
    assert "metergate provision sign --server" in page
    assert "Take the approval back" in page
    assert "No reason was given" in send(client, f"/enrolment/{number}/refuse").text


def test_revoked(client: Client) -> None:
    number, _ = made(client)
    send(client, f"/enrolment/{number}/revoke")
    assert "It opens nothing any more" in client.get(f"/enrolment/{number}", headers=HTML).text


def test_what_is_refused_is_said_in_words(client: Client, settings: Settings) -> None:
    unknown = send(client, "/enrolment", gateway="gw-nowhere")
    assert (unknown.status_code, "There is no gateway gw-nowhere yet" in unknown.text) == (422, True)
    assert 'value="gw-nowhere"' in unknown.text
    odd = send(client, "/enrolment", gateway="a b", new="1")
    assert (odd.status_code, "An id has 1 to 48 letters" in odd.text) == (422, True)
    assert send(client, "/enrolment", gateway="gw-nowhere", new="1").status_code == 200

    async def forget() -> None:
        database = open_url(settings.database_url)
        async with database.write() as db:
            entered = await db.scalar(select(Gateway.id).where(Gateway.key == "gw-nowhere"))
            await db.execute(delete(Enrolment).where(Enrolment.gateway_id == entered))
            await db.execute(delete(Gateway).where(Gateway.id == entered))
        await database.close()

    asyncio.run(forget())  # other tests count gateways


def test_every_state_has_its_page(client: Client, settings: Settings) -> None:
    number, _ = made(client)
    assert set(views.STATES) == {*STATES, "expired"}

    async def put(**values: Any) -> None:
        database = open_url(settings.database_url)
        async with database.write() as db:
            await db.execute(update(Enrolment).where(Enrolment.id == number).values(**values))
        await database.close()

    for state in STATES:
        asyncio.run(put(state=state))
        assert client.get(f"/enrolment/{number}", headers=HTML).status_code == 200, state
        assert client.get("/enrolment", headers=HTML).status_code == 200, state
    asyncio.run(put(state="open", expires_at=int(time.time()) - 5, tries=2))
    assert "2 wrong tries" in client.get(f"/enrolment/{number}", headers=HTML).text
    asyncio.run(put(state="revoked"))


@pytest.fixture
def signing(settings: Settings, tmp_path: Path) -> Iterator[tuple[Client, Path]]:
    """The application with an issuer; its key file may be taken away."""
    cert, key = make_issuer(tmp_path)
    chosen = EnrolmentSettings(issuer_cert=str(cert), issuer_key=str(key), server_cert=str(cert))
    with TestClient(create_app(_with(settings, chosen), follow=False)) as client:
        client.headers["accept-language"] = "en"
        log_in(client)
        yield client, key


def _with(settings: Settings, chosen: EnrolmentSettings) -> Settings:
    return msgspec.structs.replace(settings, enrolment=chosen)


def test_no_code_is_made_that_nobody_would_see(signing: tuple[Client, Path]) -> None:
    client, key = signing
    before = client.get("/enrolment/list", headers=HTML).text.count("not used yet")
    key.with_name("issuer.pem").unlink()
    answer = send(client, "/enrolment", gateway="gw-mooca")
    assert (answer.status_code, "server_cert" in answer.text) == (422, True)
    assert client.get("/enrolment/list", headers=HTML).text.count("not used yet") == before


def test_signed_here_at_approval(signing: tuple[Client, Path]) -> None:
    client, key = signing
    number, code = made(client)
    asked(client, code)
    kept = key.read_bytes()
    key.unlink()
    failed = send(client, f"/enrolment/{number}/approve")
    assert (failed.status_code, "It cannot be signed here" in failed.text) == (409, True)
    assert "It is the same: approve" in failed.text, "it still waits"
    key.write_bytes(kept)
    done = send(client, f"/enrolment/{number}/approve").text
    assert "Certificate issued" in done
    assert "certificate issued" in client.get("/audit?kind=enrolment", headers=HTML).text
