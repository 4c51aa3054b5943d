"""UFER of a meter without such registers: the dossier's hours (brazil-billing §6), the rules, what is not judged."""

from array import array
from fractions import Fraction

import pytest

from central.registry.models import Meter
from central.reports.catalogue import report_of
from central.reports.day_masks import masks
from central.reports.excess import Rules
from central.reports.parameters import parse
from central.reports.periods import Period, month_number
from central.reports.table import Scope
from central.store.engine import Database
from ext.profile import pack
from shared.intervals import day_range
from shared.quality import Quality
from shared.quantities import Quantity
from tests.central.reports.fleet import NOW, TODAY, ZONE, Fleet, make_fleet
from tests.central.samples import add_day, enter_tenant

#: Local hour -> (active, inductive, capacitive) in kWh and kvarh.
HOURS = {14: (200, 120, 0), 3: (20, 0, 25)}
TOTAL = 14.5790 + 9.4544


async def row(database: Database, fleet: Fleet, query: str = "", rules: Rules | None = None) -> dict[str, object]:
    report = report_of("consumption")
    pairs = [("meter", "r-0001"), ("energy", "ufer"), ("from", "2026-06-13"), ("to", "2026-06-15")]
    pairs += [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    asked = report.ask(Scope(fleet.tenant_id, ZONE.key, NOW, rules or Rules()), parse(pairs, report.parameters))
    async with database.read() as db:
        table = await report.open(db, asked)
        (found,) = await table.page(db, "", 0, 10)
        return found


@pytest.fixture
async def fleet(database: Database) -> Fleet:
    """Meter 1 has a profile of the 14th: two hours with excess, the others without reactive energy."""
    tenant = await enter_tenant(database)
    async with database.write() as db:
        fleet = await make_fleet(db, tenant, 2)
        meter = await db.get_one(Meter, fleet.meters["r-0001"])
        for day in (13, 14, 15):
            date = TODAY.replace(day=day)
            start = day_range(date, ZONE).start
            for place, c in enumerate((1, 5, 8)):
                values = array("q", [100] * 96 if c == 1 else [0] * 96)
                if day == 14:
                    for hour, amounts in HOURS.items():
                        for quarter in range(4):
                            values[4 * hour + quarter] = amounts[place] * 100 // 4
                flags = array("H", [0] * 96)
                if day == 13:
                    flags[4 * 20] = int(Quality.MISSING)
                held = 95 if day == 13 else 96
                await add_day(
                    db, meter, Quantity(c, 29), date, start, pack(values, flags, 900), held=held, total=sum(values),
                    flags=flags[80], den=100,
                )  # fmt: skip
        return fleet


async def test_the_dossiers_hours(database: Database, fleet: Fleet) -> None:
    found = await row(database, fleet)
    value = found["130.8.0"]
    assert isinstance(value, Fraction)
    assert float(value) == pytest.approx(TOTAL, abs=1e-3)
    assert float(found["130.8.2"]) == pytest.approx(TOTAL, abs=1e-3)  # type: ignore[arg-type]
    assert found["notes"] == ["computed", "incomplete"]  # an hour of the 13th has a gap
    secondary = await row(database, fleet, "side=secondary")
    assert secondary["130.8.0"] == value
    assert (await row(database, fleet, "values=counts"))["130.8.0"] is None


async def test_the_window_is_a_rule(database: Database, fleet: Fleet) -> None:
    """From 23:30 on the six hours end at 05:30: what was read in whole hours falls into two of them."""
    found = await row(database, fleet, rules=Rules(capacitive_from=84_600))
    value = found["130.8.0"]
    assert isinstance(value, Fraction)
    assert value > 0
    assert float(value) != pytest.approx(TOTAL, abs=1e-3)


async def test_without_a_profile_there_is_none(database: Database, fleet: Fleet) -> None:
    report = report_of("consumption")
    pairs = [("meter", "r-0002"), ("energy", "ufer"), ("from", "2026-06-13")]
    asked = report.ask(Scope(fleet.tenant_id, ZONE.key, NOW, Rules()), parse(pairs, report.parameters))
    async with database.read() as db:
        (found,) = await (await report.open(db, asked)).page(db, "", 0, 10)
    assert (found["130.8.0"], found["notes"]) == (None, None)


def test_masks_are_of_the_periods_days() -> None:
    period = Period(TODAY.replace(month=5, day=30), TODAY.replace(day=3))
    may, june = month_number(period.first), month_number(period.last)
    assert masks(period) == {may: 0b11 << 29, june: 0b111}
    assert sum(bits.bit_count() for bits in masks(period).values()) == period.days
