"""Sums over a whole tenant, on both databases, against a plain count."""

import time
from array import array
from datetime import date, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import select

from central.accounts.models import Tenant
from central.metering.overview import fleet_days, held_by_day
from central.registry.models import Meter
from central.store.engine import Database
from ext.profile import pack
from shared.intervals import day_range, zone
from shared.quantities import ACTIVE_PROFILE, Quantity
from tests.central.samples import add_day

ZONE = "America/Sao_Paulo"
DAY = date(2026, 3, 10)
NOW = day_range(DAY, zone(ZONE)).start + 6 * 3600 + 1234


DATA = pack(array("q", [0] * 96), array("H", [0] * 96), 900)


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    """Two meters of three days, one without a profile, one not monitored, and another tenant's."""
    async with database.write() as db:
        ours, theirs = (Tenant(key=key, name=key, zone=ZONE) for key in ("ours", "theirs"))
        db.add_all([ours, theirs])
        await db.flush()
        first, second, new, silent = (
            Meter(tenant_id=ours.id, key=key, serial=key, created_at=NOW, multiplier_num=ratio, monitored=key != "m4")
            for key, ratio in (("m1", 1), ("m2", 40), ("m3", 1), ("m4", 1))
        )
        stranger = Meter(tenant_id=theirs.id, key="m1", serial="m1", created_at=NOW)
        db.add_all([first, second, new, silent, stranger])
        await db.flush()
        yesterday = DAY - timedelta(days=1)
        for meter, channel, day, held, total, den in (
            (first, ACTIVE_PROFILE, yesterday, 96, 1_000, 100),
            (first, ACTIVE_PROFILE, DAY, 24, 250, 100),
            (second, ACTIVE_PROFILE, yesterday - timedelta(days=1), 96, 5, 100),
            (second, ACTIVE_PROFILE, yesterday, 48, 7, 1_000),
            (silent, ACTIVE_PROFILE, yesterday, 96, 9_999_999, 100),
            (stranger, ACTIVE_PROFILE, yesterday, 96, 9_999_999, 100),
            (first, Quantity(5, 29), DAY, 24, 10**6, 100),
        ):
            start = day_range(day, zone(ZONE)).start
            await add_day(db, meter, channel, day, start, DATA, held=held, total=total, den=den)
    return ours


async def test_fleet_days(database: Database, tenant: Tenant) -> None:
    async with database.read() as db:
        days = await fleet_days(db, tenant.id, ZONE, DAY - timedelta(days=2), DAY + timedelta(days=1), NOW)
    assert [day.day for day in days] == [DAY + timedelta(days=n) for n in (-2, -1, 0, 1)]
    assert [day.energy for day in days] == [
        Fraction(5 * 40, 100), Fraction(1_000, 100) + Fraction(7 * 40, 1_000), Fraction(250, 100), 0,
    ]  # fmt: skip
    assert [day.held for day in days] == [86_400, 144 * 900, 24 * 900, 0]
    # m2 from the first day on, m1 from the second, m3 has none to tell; six full hours of today are over
    assert [day.expected for day in days] == [86_400, 2 * 86_400, 2 * 6 * 3600, 0]
    assert [day.share for day in days] == [1.0, 0.75, 0.5, None]
    async with database.read() as db:
        (tomorrow,) = await fleet_days(
            db, tenant.id, ZONE, DAY + timedelta(days=1), DAY + timedelta(days=1), NOW + 86400
        )
        one = await fleet_days(db, tenant.id, ZONE, DAY - timedelta(days=1), DAY, NOW, [Meter.key == "m1"])
    assert tomorrow.expected == 2 * 6 * 3600, "entered before the days asked for"
    assert [(day.held, day.expected) for day in one] == [(86_400, 86_400), (24 * 900, 6 * 3600)]


async def test_held_by_day(database: Database, tenant: Tenant) -> None:
    async with database.read() as db:
        meters = (await db.scalars(select(Meter.id).where(Meter.monitored.is_(True)))).all()
        held = await held_by_day(db, tenant.id, meters, DAY - timedelta(days=1), DAY)
    assert sorted(sorted(days.items()) for days in held.values()) == [
        [(DAY - timedelta(days=1), 48 * 900)], [(DAY - timedelta(days=1), 86_400), (DAY, 21_600)],
    ]  # fmt: skip


async def test_nothing_yet(database: Database) -> None:
    async with database.read() as db:
        (day,) = await fleet_days(db, 1, ZONE, DAY, DAY, int(time.time()))
    assert day.energy == 0
    assert day.share is None
