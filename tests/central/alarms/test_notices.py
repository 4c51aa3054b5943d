"""Messages reach a real SMTP server and a real HTTP server, once; failures are repeated, bounded, and lose nothing."""

import asyncio
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from msgspec import structs
from sqlalchemy import select

from central.alarms.jobs import senders, tell
from central.alarms.models import AlarmNotice
from central.alarms.notices import FIRST_PAUSE, LEASE, LONGEST_PAUSE, Notice, NotSent, claim, deliver, pause
from central.alarms.severity import Severity
from central.alarms.subscriptions import subscribe
from central.audit.service import Program
from central.settings import AlarmSettings, WebhookSettings
from central.store.engine import Database
from central.web.alarm_mail import render
from tests.central.alarms.test_alarms import NOW, condition, enter_meter, reconcile
from tests.pki import OPENSSL, Authority


class Inbox:
    """What an SMTP server took; it refuses the first ``refuse`` messages."""

    def __init__(self, refuse: int = 0) -> None:
        self.messages: list[Any] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.refuse = refuse

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse:
            self.refuse -= 1
            return "451 try again"
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"hush")


@asynccontextmanager
async def smtp(inbox: Inbox, ssl_context: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[int]:
    """A running server; yields its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, **options), "127.0.0.1", 0, ssl=ssl_context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


class Hook(ThreadingHTTPServer):
    """What an HTTP server was sent; it answers with ``statuses`` in turn, then 204."""

    def __init__(self, statuses: list[int] | None = None) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses = statuses or []
        self.came = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?a=1"


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        if status == 204:
            self.server.received.append((self.path, dict(self.headers), body))
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.came.set()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def hook(statuses: list[int] | None = None) -> Iterator[Hook]:
    server = Hook(statuses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


#: Tests listen on this machine.
HERE = WebhookSettings(local_targets=True)
english = partial(render, language="en", base_url="https://m.example")


async def states(database: Database) -> list[tuple[str, int, str]]:
    async with database.read() as session:
        rows = await session.execute(
            select(AlarmNotice.state, AlarmNotice.tries, AlarmNotice.error).order_by(AlarmNotice.id)
        )
        return [(row[0], row[1], row[2]) for row in rows]


async def alarm(database: Database, kind: str, target: str) -> tuple[int, int, str]:
    """Enter a subscriber and raise an alarm; returns tenant, meter, secret."""
    tenant, meter = await enter_meter(database)
    async with database.write() as session:
        row = await subscribe(session, Program(tenant, "x"), kind, target, Severity.NOTICE, now=1)
    await reconcile(database, tenant, meter, condition(10, "I11", Severity.CRITICAL))
    return tenant, meter, row.secret


async def test_an_email_arrives_once(database: Database) -> None:
    tenant, meter, _ = await alarm(database, "email", "ana@example.org")
    inbox = Inbox(refuse=1)
    async with smtp(inbox) as port:
        settings = AlarmSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", sender="m@example.org")
        ways = senders(settings, HERE, english)
        assert await deliver(database, ways, 3, NOW) == 0
        (failed,) = await states(database)
        assert failed[:2] == ("queued", 1)
        assert "451 try again" in failed[2]
        assert await deliver(database, ways, 3, NOW + FIRST_PAUSE - 1) == 0
        assert await deliver(database, ways, 3, NOW + FIRST_PAUSE) == 1
        await reconcile(database, tenant, meter, condition(10, "I11", Severity.CRITICAL, closed=NOW))
        assert await deliver(database, ways, 3, NOW + 10 * LONGEST_PAUSE) == 1
        assert await deliver(database, ways, 3, NOW + 10 * LONGEST_PAUSE) == 0
    opened, closed = inbox.messages
    assert (opened["To"], opened["From"]) == ("ana@example.org", "m@example.org")
    assert opened["Subject"] == "[Critical] I11 Two failures in a row: 1"
    text = opened.get_content()
    assert "A third in a row counts as an inspection infraction." in text
    assert "https://m.example" in text
    assert closed["Subject"].startswith("[Over] I11")
    assert opened["Message-ID"] != closed["Message-ID"]


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_login_over_tls(database: Database, tmp_path: Path, security: str) -> None:
    await alarm(database, "email", "ana@example.org")
    (tmp_path / "secret").write_text("hush\n")
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("server", "DNS:localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    inbox = Inbox()
    options: dict[str, Any] = (
        {"ssl_context": context, "auth_require_tls": False}  # it does not see that it is behind TLS already
        if security == "tls"
        else {"tls_context": context, "require_starttls": True, "auth_required": True}
    )
    async with smtp(inbox, authenticator=inbox.authenticate, **options) as port:
        settings = AlarmSettings(
            smtp_host="localhost", smtp_port=port, smtp_username="metergate",
            smtp_security=security, smtp_password_file=str(tmp_path / "secret"),  # type: ignore[arg-type]
        )  # fmt: skip
        assert await deliver(database, senders(settings, HERE, english), 3, NOW) == 0
        assert "certificate" in (await states(database))[0][2].lower(), "an unknown authority is not trusted"
        settings = structs.replace(settings, smtp_ca_file=str(authority.cert))
        assert await deliver(database, senders(settings, HERE, english), 3, NOW + 60) == 1
    assert inbox.logins == [(b"metergate", b"hush")]


async def test_a_webhook_is_signed(database: Database) -> None:
    with hook([500, 302]) as server:
        _, _, secret = await alarm(database, "webhook", server.url)
        ways = senders(AlarmSettings(), HERE, english)
        assert set(ways) == {"webhook"}
        now = NOW
        for wanted in (0, 0, 1, 0):
            assert await deliver(database, ways, 5, now) == wanted
            now += LONGEST_PAUSE
        ((path, headers, body),) = server.received
    assert path == "/hook?a=1"
    at, mac = headers["Metergate-Signature"].removeprefix("t=").split(",sha256=")
    assert mac == hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert (told["event"], told["code"], told["severity"], told["meter"]) == ("opened", "I11", "critical", "m1")
    assert headers["Metergate-Delivery"] == str(told["delivery"])


async def test_given_up_in_the_end(database: Database) -> None:
    with hook() as server:
        url = server.url
    await alarm(database, "webhook", url)
    ways = senders(AlarmSettings(), HERE, english)
    for n in range(5):
        assert await deliver(database, ways, 3, NOW + n * LONGEST_PAUSE) == 0
    ((state, tries, error),) = await states(database)
    assert (state, tries) == ("failed", 3)
    assert "refused" in error


async def test_a_password_that_is_not_there_is_said(database: Database, tmp_path: Path) -> None:
    await alarm(database, "email", "ana@example.org")
    async with smtp(Inbox()) as port:
        settings = AlarmSettings(
            smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", smtp_username="x",
            smtp_password_file=str(tmp_path / "none"),
        )  # fmt: skip
        assert await deliver(database, senders(settings, HERE, english), 3, NOW) == 0
    assert "alarms.smtp_password_file" in (await states(database))[0][2]


async def test_a_process_that_died_loses_none(database: Database) -> None:
    """Claimed and never marked: it comes again after the lease, with the same number, and only then."""
    await alarm(database, "webhook", "http://127.0.0.1:9/")
    (first,) = await claim(database, ["webhook"], NOW)
    assert await claim(database, ["webhook"], NOW + LEASE - 1) == []
    (again,) = await claim(database, ["webhook"], NOW + LEASE)
    assert (again.id, again.tries) == (first.id, 2)


async def test_two_processes_never_get_the_same(database: Database) -> None:
    await alarm(database, "webhook", "http://127.0.0.1:9/")
    found = await asyncio.gather(*(claim(database, ["webhook"], NOW) for _ in range(4)))
    assert sum(len(each) for each in found) == 1


async def test_one_that_is_down_does_not_hold_up_others(database: Database) -> None:
    tenant, meter, _ = await alarm(database, "webhook", "http://127.0.0.1:9/")
    async with database.write() as session:
        await subscribe(session, Program(tenant, "x"), "webhook", "http://127.0.0.1:8/", Severity.NOTICE, now=1)
    await reconcile(database, tenant, meter, condition(10, "I11"), condition(500), condition(900))
    asked: list[tuple[str, int]] = []

    async def send(notice: Notice) -> None:
        asked.append((notice.target, notice.alarm_id))
        if notice.target.endswith(":9/"):
            raise NotSent("down")

    assert await deliver(database, {"webhook": send}, 3, NOW) == 2
    assert [target for target, _ in asked].count("http://127.0.0.1:9/") == 1
    assert sorted(await states(database)) == [("queued", 1, "down")] * 3 + [("sent", 1, "")] * 2


async def test_the_loop_ends_when_told(database: Database) -> None:
    with hook() as server:
        await alarm(database, "webhook", server.url)
        async with database.write() as session:
            await session.execute(AlarmNotice.__table__.update().values(next_at=0))  # type: ignore[attr-defined]
        stop = asyncio.Event()
        task = asyncio.create_task(tell(database, senders(AlarmSettings(), HERE, english), 12, stop))
        assert await asyncio.to_thread(server.came.wait, 10)
        stop.set()
        await asyncio.wait_for(task, 10)
    assert (await states(database))[0][:2] == ("sent", 1)


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause(n) for n in range(1, 40)]
    assert pauses[:3] == [30, 60, 120]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("language", ["pt_BR", "es", "ru"])
def test_emails_in_other_languages(language: str) -> None:
    notice = Notice(
        1, 1, "opened", "email", "a@b.c", "", "Energia", "America/Sao_Paulo", 1, "ccee", "I11", Severity.CRITICAL, "",
        "m1", "Feeder 4", NOW, None,
    )  # fmt: skip
    subject, text = render(notice, language, "")
    assert "Two failures" not in subject
    assert "inspection infraction" not in text
    assert "Feeder 4" in subject
