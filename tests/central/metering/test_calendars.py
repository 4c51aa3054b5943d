"""The calendar in force of a meter: own, tariff's or default; holidays and daylight saving on top."""

from datetime import UTC, date, datetime

import msgspec

from central.metering.calendars import calendar_in_force, calendars_in_force
from central.registry import changes
from central.registry.kinds import DAYLIGHT, HOLIDAY, HOLIDAYS, METER, TARIFF
from central.registry.models import Meter
from central.registry.service import get_meter
from central.store.engine import Database
from shared.calendar import TariffCalendar
from shared.calendar_builders import brazil_calendar
from shared.quantities import Post
from tests.central.samples import enter_tenant, person

ZONE = "America/Sao_Paulo"


def local(year: int, month: int, day: int, hour: int) -> int:
    """UTC seconds of a local hour of São Paulo, which has had no summer time since 2019."""
    return int(datetime(year, month, day, hour + 3, tzinfo=UTC).timestamp())


def tariff(**changed: object) -> str:
    return msgspec.json.encode(brazil_calendar("early", peak_minutes=60, **changed)).decode()  # type: ignore[arg-type]


async def in_force(database: Database, tenant: int, key: str = "m1") -> TariffCalendar:
    async with database.read() as db:
        view = await get_meter(db, tenant, key)
        return await calendar_in_force(db, view.meter, view.zone)


async def test_own_before_tariff_before_default(database: Database) -> None:
    tenant = await enter_tenant(database)
    async with database.write() as db:
        await changes.put(db, person(tenant), METER, "m1", {})
    assert (await in_force(database, tenant)).name == "brazil-a4"
    async with database.write() as db:
        await changes.put(db, person(tenant), TARIFF, "t", {"calendar": tariff(zone="America/Manaus")})
        await changes.put(db, person(tenant), METER, "m1", {"tariff": "t"})
    of_tariff = await in_force(database, tenant)
    assert (of_tariff.name, of_tariff.zone) == ("early", ZONE), "a tariff's hours are the meter's local ones"
    assert of_tariff.post_at(local(2026, 4, 13, 18)) == Post.PEAK
    assert of_tariff.post_at(local(2026, 4, 13, 19)) == Post.OFF_PEAK
    own = msgspec.json.encode(brazil_calendar("own")).decode()
    async with database.write() as db:
        await changes.put(db, person(tenant), METER, "m1", {"calendar": own})
    assert (await in_force(database, tenant)).name == "own"


async def test_holidays_of_the_meters_group_have_no_peak(database: Database) -> None:
    tenant = await enter_tenant(database)
    who = person(tenant)
    async with database.write() as db:
        city = await changes.put(db, who, HOLIDAY, None, {"name": "Aniversário", "month": 1, "day": 26, "year": 2026})
        yearly = await changes.put(db, who, HOLIDAY, None, {"name": "Padroeira", "month": 9, "day": 8})
        await changes.put(db, who, HOLIDAYS, "city", {"holidays": [city.id, yearly.id]})
        await changes.put(db, who, METER, "m1", {"holiday_group": "city"})
        await changes.put(db, who, METER, "m2", {})
    with_group, without = await in_force(database, tenant), await in_force(database, tenant, "m2")
    for day in ((2026, 1, 26), (2026, 9, 8), (2027, 9, 8)):
        assert with_group.post_at(local(*day, 19)) == Post.OFF_PEAK, day
        assert without.post_at(local(*day, 19)) == Post.PEAK, day
    assert with_group.post_at(local(2027, 1, 26, 19)) == Post.PEAK, "a holiday of one year"
    assert with_group.holiday_label(date(2026, 9, 7)) == "Independence", "the calendar's own stay"


async def test_daylight_saving_moves_the_posts(database: Database) -> None:
    tenant = await enter_tenant(database)
    who = person(tenant)
    periods = [{"start": "2026-11-01", "end": "2027-02-21"}]
    async with database.write() as db:
        await changes.put(db, who, DAYLIGHT, "summer", {"periods": periods})
        await changes.put(db, who, DAYLIGHT, "never", {"policy": "shift_post"})
        await changes.put(db, who, METER, "m1", {"daylight_saving": "summer"})
        await changes.put(db, who, METER, "m2", {"daylight_saving": "never"})
    summer, never = await in_force(database, tenant), await in_force(database, tenant, "m2")
    assert summer.post_at(local(2026, 12, 7, 17)) == Post.PEAK, "18 o'clock of summer time"
    assert summer.post_at(local(2026, 12, 7, 20)) == Post.OFF_PEAK
    assert never.post_at(local(2026, 12, 7, 17)) == Post.OFF_PEAK
    assert never.post_at(local(2026, 12, 7, 20)) == Post.PEAK


async def test_meters_alike_share_one(database: Database) -> None:
    tenant = await enter_tenant(database)
    async with database.write() as db:
        await changes.put(db, person(tenant), TARIFF, "t", {"calendar": tariff()})
        for key in ("m1", "m2"):
            await changes.put(db, person(tenant), METER, key, {"tariff": "t"})
    async with database.read() as db:
        meters: list[tuple[Meter, str]] = [((await get_meter(db, tenant, key)).meter, ZONE) for key in ("m1", "m2")]
        found = await calendars_in_force(db, meters)
    assert found[meters[0][0].id] is found[meters[1][0].id]
