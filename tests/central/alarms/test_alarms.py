"""Alarms: acknowledged once, found by what they are, told to whom it concerns."""

import pytest
from sqlalchemy import select

from central.accounts.models import Tenant
from central.alarms import service
from central.alarms.models import AlarmNotice
from central.alarms.service import Condition
from central.alarms.severity import Severity
from central.alarms.subscriptions import subscribe, subscriptions, unsubscribe
from central.audit.service import Program
from central.errors import Conflict, NotFound, Refused
from central.registry.models import Meter
from central.store.engine import Database
from tests.central.samples import enter_tenant

NOW = 1_800_000_000


async def enter_meter(database: Database) -> tuple[int, int]:
    """(tenant, meter)."""
    tenant = await enter_tenant(database)
    async with database.write() as session:
        meter = Meter(tenant_id=tenant, key="m1", serial="1", created_at=0)
        session.add(meter)
        await session.flush()
        return tenant, meter.id


def condition(
    key: int, code: str = "I03", severity: Severity = Severity.SERIOUS, closed: int | None = None
) -> Condition:
    return Condition(code, severity, key, key, key + 100, key, closed, f"{code} {key}")


async def reconcile(database: Database, tenant: int, meter: int, *conditions: Condition, now: int = NOW) -> None:
    async with database.write() as session:
        await service.reconcile(
            session, tenant, "ccee", meter, conditions, codes={"I03", "I11"}, since=0, now=now
        )  # fmt: skip


async def listed(database: Database, tenant: int, state: str | None = None) -> list[service.AlarmView]:
    async with database.read() as session:
        return list((await service.alarms(session, tenant, state=state)).items)


async def test_acknowledged_once(database: Database) -> None:
    tenant, meter = await enter_meter(database)
    await reconcile(database, tenant, meter, condition(10), condition(500, closed=600))
    (old, new) = sorted(await listed(database, tenant), key=lambda each: each.opened_at)
    assert (old.state, new.state, new.closed_at) == ("open", "closed", 600)
    async with database.write() as session:
        view = await service.acknowledge(session, Program(tenant, "ana"), old.id, note="Line down", now=NOW)
    assert (view.state, view.acknowledged_by, view.acknowledged_at, view.note) == (
        "acknowledged", "ana", NOW, "Line down",
    )  # fmt: skip
    async with database.write() as session:
        with pytest.raises(Conflict, match="ana has acknowledged it"):
            await service.acknowledge(session, Program(tenant, "rui"), old.id, note="", now=NOW)
        with pytest.raises(Refused, match="closed"):
            await service.acknowledge(session, Program(tenant, "rui"), new.id, note="", now=NOW)
        with pytest.raises(NotFound):
            await service.acknowledge(session, Program(tenant + 1, "rui"), old.id, note="", now=NOW)
    await reconcile(database, tenant, meter, condition(10, closed=90), condition(500, closed=600))
    closed = await listed(database, tenant, "closed")
    assert [(each.acknowledged_by, each.closed_at) for each in closed] == [("", 600), ("ana", 90)]
    assert await listed(database, tenant, service.ACTIVE) == []


async def test_told_by_severity_and_never_twice(database: Database) -> None:
    tenant, meter = await enter_meter(database)
    async with database.write() as session:
        everything = await subscribe(session, Program(tenant, "x"), "email", "a@example.org", Severity.NOTICE, now=1)
        worst = await subscribe(
            session, Program(tenant, "x"), "webhook", "https://b.example/x", Severity.CRITICAL, now=1
        )
        other = Tenant(key="other", name="o", zone="UTC")
        session.add(other)
        await session.flush()
        await subscribe(session, Program(other.id, "x"), "email", "a@example.org", Severity.NOTICE, now=1)
    assert len(worst.secret) == 64
    assert everything.secret == ""
    top = condition(20, "I11", Severity.CRITICAL)
    over = condition(300, closed=350)
    for _ in range(3):
        await reconcile(database, tenant, meter, condition(10), top, over)
    await reconcile(database, tenant, meter, condition(10, closed=90), top, over)

    async def told() -> set[tuple[int, str]]:
        async with database.read() as session:
            rows = await session.execute(select(AlarmNotice.subscription_id, AlarmNotice.what, AlarmNotice.id))
            found = [(row[0], row[1]) for row in rows]
        assert len(found) == 4, "what was over when it became known wakes nobody"
        return set(found)

    assert await told() == {(everything.id, "opened"), (everything.id, "closed"), (worst.id, "opened")}
    async with database.write() as session:
        await unsubscribe(session, Program(tenant, "x"), worst.id)
        with pytest.raises(NotFound):
            await unsubscribe(session, Program(other.id, "x"), everything.id)
        assert [row.target for row in await subscriptions(session, tenant)] == ["a@example.org"]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("email", "ana"), ("email", "a@b@c"), ("email", "a@example.org\nBcc: b@example.org"), ("email", "a b@c.org"),
        ("webhook", "ftp://x/y"), ("webhook", "https://u:p@x/y"), ("webhook", "https://"), ("webhook", "http://x/a b"),
        ("webhook", "http://x:99999/"), ("sms", "1"), ("email", "a@" + "b" * 600),
    ],
)  # fmt: skip
async def test_targets_that_cannot_be_reached(database: Database, kind: str, target: str) -> None:
    tenant = await enter_tenant(database)
    async with database.write() as session:
        with pytest.raises(Refused):
            await subscribe(session, Program(tenant, "x"), kind, target, Severity.NOTICE, now=1)


async def test_one_subscription_for_one_target(database: Database) -> None:
    tenant = await enter_tenant(database)
    async with database.write() as session:
        await subscribe(session, Program(tenant, "x"), "email", "a@example.org", Severity.NOTICE, now=1)
        with pytest.raises(Conflict):
            await subscribe(session, Program(tenant, "x"), "email", "a@example.org", Severity.CRITICAL, now=1)
        await subscribe(session, Program(tenant, "x"), "webhook", "http://127.0.0.1:1/", Severity.CRITICAL, now=1)
    async with database.read() as session:
        assert len(await subscriptions(session, tenant)) == 2
