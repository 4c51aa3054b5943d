"""Events reach a real HTTP server, signed and at least once; what is refused is repeated and holds up nobody."""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, event, func, insert, select, update

from central.accounts.principal import Principal
from central.alarms.models import Alarm
from central.alarms.service import reconcile
from central.audit.models import AuditEntry
from central.audit.service import record
from central.fleet.live import States
from central.metering.store import store_events
from central.settings import RetentionSettings, WebhookSettings
from central.store.engine import Database
from central.store.jobs import forget
from central.webhooks import outbox, service
from central.webhooks.http import NotTaken, is_local, post, sign
from central.webhooks.kinds import Kind
from central.webhooks.models import Webhook, WebhookDelivery
from central.webhooks.sending import FIRST_PAUSE, LEASE, LONGEST_PAUSE, Sender, claim, pause
from shared.ids import Topic
from shared.wire import GatewayState, MeterEvent, encode
from tests.central.alarms.test_alarms import NOW, condition
from tests.central.alarms.test_notices import Hook, hook
from tests.central.world import Side, make_side

HERE = WebhookSettings(local_targets=True)
DOCUMENT = Path(__file__).parents[3] / "docs/webhooks.md"


@pytest_asyncio.fixture
async def ours(database: Database) -> AsyncIterator[Side]:
    side = await make_side(database, "ours")
    async with database.write() as db:
        await service.remove(db, admin(side), side.ids["webhook"])
        await db.execute(delete(AuditEntry))
    yield side
    outbox.forget()


def admin(side: Side) -> Principal:
    return Principal.of_session(side.admin, "", b"")


async def told(database: Database, side: Side, url: str, *kinds: str) -> Webhook:
    """Enter a webhook."""
    async with database.write() as db:
        return await service.create(db, admin(side), url, kinds)


async def send(database: Database, settings: WebhookSettings = HERE) -> None:
    """Send what is due now, once."""
    sender = Sender(database, settings)
    await asyncio.gather(*await sender.look(int(time.time())))


async def rows(database: Database) -> list[WebhookDelivery]:
    async with database.read() as db:
        return list(await db.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


async def publish(database: Database, side: Side, kind: Kind = Kind.REPORT_FINISHED, **data: Any) -> None:
    async with database.write() as db:
        await outbox.publish(db, side.tenant.id, kind, data)


def received(server: Hook) -> list[dict[str, Any]]:
    return [json.loads(body) for _, _, body in server.received]


async def test_a_program_verifies_what_it_gets_with_the_lines_of_the_document(database: Database, ours: Side) -> None:
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code
    names: dict[str, Any] = {}
    exec(code[1], names)
    genuine = names["genuine"]
    with hook() as server:
        row = await told(database, ours, server.url)
        await publish(database, ours, report="x", rows=3)
        await send(database)
    ((path, headers, body),) = server.received
    assert path == "/hook?a=1"
    assert headers["Content-Type"] == "application/json"
    message = json.loads(body)
    assert (message["kind"], message["data"]) == ("report.finished", {"report": "x", "rows": 3})
    assert re.fullmatch(r"[0-9a-f]{32}", message["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", message["at"])
    signature = headers["Metergate-Signature"]
    assert genuine(row.secret, signature, body)
    assert not genuine(row.secret, signature, body + b" ")
    assert not genuine("another secret", signature, body)
    old = sign(row.secret, body, int(time.time()) - 3600)
    assert not genuine(row.secret, old, body), "an old message played again"
    at, mac = re.fullmatch(r"t=(\d+),sha256=(\w+)", signature).groups()  # type: ignore[union-attr]
    assert mac == hmac.new(row.secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    (kept,) = await rows(database)
    assert (kept.state, kept.tries, kept.status, str(kept.id)) == ("sent", 1, 204, headers["Metergate-Delivery"])
    assert kept.sent_at


async def test_a_refused_message_comes_again_and_is_given_up_in_the_end(database: Database, ours: Side) -> None:
    settings = WebhookSettings(local_targets=True, tries=3)
    with hook([500, 302, 404, 204]) as server:
        await told(database, ours, server.url)
        await publish(database, ours)
        for n, status in enumerate((500, 302, 404), 1):
            await send(database, settings)
            (row,) = await rows(database)
            assert (row.state, row.tries, row.status) == ("failed" if n == 3 else "queued", n, status)
            assert row.error == f"answered {status}"
            assert row.next_at - time.time() > FIRST_PAUSE * 0.7
            await send(database, settings)  # too early
            assert len(server.statuses) == 4 - n
            async with database.write() as db:
                await db.execute(update(WebhookDelivery).values(next_at=0))
        await send(database, settings)
        assert not server.received, "given up"
        async with database.write() as db:
            await service.redeliver(db, admin(ours), row.webhook_id, row.id)
        await send(database, settings)
        assert len(server.received) == 1, "sent again by hand, though it was redirected before"
    assert [(row.state, row.tries, row.error) for row in await rows(database)] == [("sent", 1, "")]


async def test_who_does_not_answer_holds_up_nobody(database: Database, ours: Side) -> None:
    with hook() as server:
        await told(database, ours, "http://127.0.0.1:1/")
        await told(database, ours, server.url)
        for number in range(3):
            await publish(database, ours, number=number)
        await send(database)
        assert [each["data"]["number"] for each in received(server)] == [0, 1, 2]
    assert sorted(row.state for row in await rows(database)) == ["queued"] * 3 + ["sent"] * 3


async def test_a_claimed_message_of_a_dead_process_is_sent_again(database: Database, ours: Side) -> None:
    with hook() as server:
        row = await told(database, ours, server.url)
        await publish(database, ours)
        now = int(time.time())
        first = await claim(database, row.id, now)
        assert len(first) == 1
        assert await claim(database, row.id, now) == []
        again = await claim(database, row.id, now + LEASE)
        assert [each.id for each in again] == [each.id for each in first]


async def test_two_processes_never_claim_the_same(database: Database, ours: Side) -> None:
    row = await told(database, ours, "https://example.org/")
    for _ in range(5):
        await publish(database, ours)
    now = int(time.time())
    found = await asyncio.gather(*(claim(database, row.id, now) for _ in range(4)))
    claimed = [each.id for some in found for each in some]
    assert len(claimed) == len(set(claimed)) == 5


async def test_run_stops_and_leaves_nothing_behind(database: Database, ours: Side) -> None:
    stop = asyncio.Event()
    with hook() as server:
        await told(database, ours, server.url)
        await publish(database, ours)
        task = asyncio.create_task(Sender(database, HERE).run(stop))
        await asyncio.to_thread(server.came.wait, 10)
        stop.set()
        await task
    assert len(server.received) == 1


def test_pauses_grow_and_end() -> None:
    assert 0.8 * FIRST_PAUSE <= pause(1) <= 1.2 * FIRST_PAUSE
    assert pause(5) > pause(1)
    assert 0.8 * LONGEST_PAUSE <= pause(100) <= 1.2 * LONGEST_PAUSE


# -- where messages do not go ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("169.254.169.254", True),
        ("fe80::1%eth0", True), ("0.0.0.0", True), ("::", True), ("224.0.0.1", True), ("240.0.0.1", True),
        ("10.1.2.3", False), ("192.168.1.1", False), ("192.0.2.1", False), ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_link(address: str, local: bool) -> None:
    assert is_local(address) is local


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0", "2130706433", "0x7f.1"])
async def test_this_machine_is_refused_unless_the_settings_allow_it(host: str) -> None:
    with hook() as server:
        port = server.server_address[1]
        with pytest.raises(NotTaken, match="local_targets"):
            await post(f"http://{host}:{port}/", "s", 1, b"{}", local=False)
        assert not server.received
        assert await post(server.url, "s", 1, b"{}", local=True) == 204
        assert len(server.received) == 1


async def test_the_name_is_looked_at_where_the_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere is connected to at the address that was looked at, not resolved again."""
    with hook() as server:
        port = server.server_address[1]
        names = iter(["192.0.2.1", "127.0.0.1"])
        asked: list[Any] = []
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (next(names), port))])
        monkeypatch.setattr("socket.create_connection", lambda place, *_: asked.append(place))
        with pytest.raises(Exception):  # noqa: B017 - there is no socket
            await post(f"http://rebinding.example:{port}/", "s", 1, b"{}", local=False)
        assert asked == [("192.0.2.1", port)]


# -- where events come from ------------------------------------------------------------------------------------------


async def test_each_webhook_gets_the_kinds_it_wants_of_its_tenant(database: Database, ours: Side) -> None:
    theirs = await make_side(database, "theirs", filled=False)
    everything = await told(database, ours, "https://example.org/all")
    alarms = await told(database, ours, "https://example.org/alarms", "alarm.closed", "alarm.opened")
    foreign = await told(database, theirs, "https://example.org/foreign")
    off = await told(database, ours, "https://example.org/off")
    async with database.write() as db:
        await service.change(db, admin(ours), off.id, enabled=False)
    await publish(database, ours, Kind.REPORT_FINISHED)
    await publish(database, ours, Kind.ALARM_OPENED)
    found = {(row.webhook_id, row.kind) for row in await rows(database)}
    assert found == {
        (everything.id, "report.finished"), (everything.id, "alarm.opened"), (alarms.id, "alarm.opened"),
    }  # fmt: skip
    assert foreign.id not in {row.webhook_id for row in await rows(database)}
    bodies = [json.loads(row.body) for row in await rows(database) if row.kind == "alarm.opened"]
    assert bodies[0]["id"] == bodies[1]["id"], "one event"


async def test_an_event_is_undone_with_its_change(database: Database, ours: Side) -> None:
    await told(database, ours, "https://example.org/")

    async def fail() -> None:
        async with database.write() as db:
            await outbox.publish(db, ours.tenant.id, Kind.REPORT_FINISHED, {})
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError, match="the change failed"):
        await fail()
    assert await rows(database) == []


async def test_without_webhooks_nothing_is_asked_of_the_database(database: Database, ours: Side) -> None:
    asked: list[str] = []
    await publish(database, ours)
    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    for _ in range(5):
        await publish(database, ours)
    assert [each for each in asked if "webhook" in each] == []


async def test_gateways_come_and_go(database: Database, ours: Side) -> None:
    await told(database, ours, "https://example.org/")
    states, topic = States(database), Topic("ours", "gw-1", "state")
    for online in (False, True, True, False, False, True):
        await states.store({topic: encode(GatewayState(NOW, online))})
    assert [row.kind for row in await rows(database)] == ["gateway.online", "gateway.offline", "gateway.online"]
    assert json.loads((await rows(database))[0].body)["data"]["gateway"] == "gw-1"


async def test_events_of_meters_are_told_once(database: Database, ours: Side) -> None:
    await told(database, ours, "https://example.org/")
    outage = MeterEvent("meter-1", NOW, "outage", until=None, detail={"phase": "B"})
    own = MeterEvent("gw-1", NOW, "restart", until=None, detail={})
    ended = MeterEvent("meter-1", NOW, "outage", until=NOW + 60, detail={"phase": "B"})
    tenant, meter, gateway = ours.tenant.id, ours.ids["meter"], ours.ids["gateway"]
    for told_now in ([outage, own], [outage, ended, own]):
        async with database.write() as db:
            batch = [(tenant, meter if each.meter == "meter-1" else None, gateway, each) for each in told_now]
            await store_events(db, batch, NOW)
    data = [json.loads(row.body)["data"] for row in await rows(database)]
    assert [(each["meter"], each["gateway"], each["event"], each["detail"]) for each in data] == [
        ("meter-1", "gw-1", "outage", {"phase": "B"}), (None, "gw-1", "restart", {}),
    ]  # fmt: skip


async def test_alarms_open_and_close(database: Database, ours: Side) -> None:
    await told(database, ours, "https://example.org/")
    async with database.read() as db:
        meter = await db.scalar(select(Alarm.meter_id).where(Alarm.tenant_id == ours.tenant.id))
    assert meter
    for condition_now in (condition(NOW), condition(NOW, closed=NOW + 60), condition(NOW, closed=NOW + 60)):
        async with database.write() as db:
            await reconcile(
                db, ours.tenant.id, "test", meter, [condition_now], codes={"I03"}, since=0, now=NOW
            )  # fmt: skip
    found = await rows(database)
    assert [row.kind for row in found] == ["alarm.opened", "alarm.closed"]
    data = [json.loads(row.body)["data"] for row in found]
    assert [(each["meter"], each["state"]) for each in data] == [("meter-1", "open"), ("meter-1", "closed")]


async def test_what_the_audit_log_says_of_the_registry(database: Database, ours: Side) -> None:
    await told(database, ours, "https://example.org/")
    async with database.write() as db:
        record(db, admin(ours), "changed", "customer", "c-1", before={"name": "a", "x": 1}, after={"name": "b", "x": 1})
        record(db, admin(ours), "deleted", "metering_point", "p-1", before={"name": "p"})
        record(db, admin(ours), "created", "role", "r-1")
        record(db, admin(ours), "logged-in", "customer", "c-1")
        await db.flush()
        many = [
            {"tenant_id": ours.tenant.id, "at": NOW, "author": "ana", "action": "created", "kind": kind, "key": "m",
             "before": "{}", "after": '{"serial":"1"}'}
            for kind in ("meter", "api_key")
        ]  # fmt: skip
        await db.execute(insert(AuditEntry), many)
    bodies = [json.loads(row.body) for row in await rows(database)]
    assert [(each["kind"], each["data"]) for each in bodies] == [
        ("registry.changed", {"object": "customer", "key": "c-1", "by": "admin@ours", "before": {"name": "a"},
                              "after": {"name": "b"}}),
        ("registry.deleted", {"object": "metering_point", "key": "p-1", "by": "admin@ours", "before": {"name": "p"},
                              "after": {}}),
        ("registry.created", {"object": "meter", "key": "m", "by": "ana", "before": {}, "after": {"serial": "1"}}),
    ]  # fmt: skip


async def test_old_deliveries_are_forgotten(database: Database, ours: Side) -> None:
    await told(database, ours, "https://example.org/")
    await publish(database, ours)
    await publish(database, ours)
    now = int(time.time())
    first = (await rows(database))[0].id
    async with database.write() as db:
        old = now - 31 * 86400
        await db.execute(update(WebhookDelivery).where(WebhookDelivery.id == first).values(next_at=old, state="sent"))
    await forget(database, RetentionSettings(), now)
    async with database.read() as db:
        assert await db.scalar(select(func.count()).select_from(WebhookDelivery)) == 1
