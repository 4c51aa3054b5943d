"""Days are found by one integer: none of a series may look like another's, whatever is asked for."""

from array import array
from datetime import date

from central.metering.models import ProfileSeries
from central.metering.stored import DAY, between, date_of, days, ever, number
from central.registry.models import Meter
from central.store.engine import Database
from ext.profile import pack
from shared.quantities import ACTIVE_PROFILE
from tests.central.samples import add_day, enter_tenant

FIRST, LAST = date_of(0), date_of((1 << 16) - 1)


async def test_the_outermost_days_are_not_the_neighbours(database: Database) -> None:
    """The last day of one series and the first of the next stand side by side."""
    data = pack(array("q", [1] * 96), array("H", [0] * 96), 900)
    tenant = await enter_tenant(database)
    async with database.write() as session:
        for key in ("m1", "m2", "m3"):
            meter = Meter(tenant_id=tenant, key=key, serial=key, created_at=0)
            session.add(meter)
            await session.flush()
            for day in (FIRST, LAST):
                await add_day(session, meter, ACTIVE_PROFILE, day, 86400 * number(day), data, held=96, total=96)
    async with database.read() as session:
        for within, wanted in (
            (between(date.min, date.max), {FIRST, LAST}),
            (between(date(1969, 1, 1), date(1970, 1, 1)), {FIRST}),
            (between(LAST, date(3000, 1, 1)), {LAST}),
            (between(date(3000, 1, 1), date(3001, 1, 1)), set()),
            (between(date(1960, 1, 1), date(1961, 1, 1)), set()),
            (ever(), {FIRST, LAST}),
        ):
            rows = (await session.execute(days(ProfileSeries.id, DAY, within=within))).all()
            found: dict[int, set[date]] = {}
            for series, day in rows:
                found.setdefault(series, set()).add(date_of(day))
            assert len(rows) == 3 * len(wanted)
            assert list(found.values()) == ([wanted] * 3 if wanted else [])
