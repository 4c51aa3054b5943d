"""Due days of lots and the billing periods between them."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from central.accounts.service import TenantOf, ensure_tenant
from central.registry.lots import Period, billing_periods, lot_due, month_of, month_start, periods
from central.registry.models import Lot, LotDate
from central.store.engine import Database

APRIL = 2026 * 12 + 3


def test_a_reading_day_beyond_the_month_is_its_last_day() -> None:
    assert lot_due({}, 31, 2026 * 12 + 1) == date(2026, 2, 28)
    assert lot_due({}, 31, 2028 * 12 + 1) == date(2028, 2, 29)
    assert lot_due({APRIL: date(2026, 5, 2)}, 31, APRIL) == date(2026, 5, 2)


def test_periods_go_from_due_day_to_due_day_and_the_open_one_is_last() -> None:
    found = billing_periods({APRIL: date(2026, 4, 28)}, 6, date(2026, 4, 20), 3)
    assert found == [
        Period(APRIL - 2, date(2026, 1, 6), date(2026, 2, 5)),
        Period(APRIL - 1, date(2026, 2, 6), date(2026, 3, 5)),
        Period(APRIL, date(2026, 3, 6), date(2026, 4, 27)),
    ]
    assert found[-1].due_on == date(2026, 4, 28)


def test_the_due_day_itself_begins_the_next_period() -> None:
    assert billing_periods({}, 6, date(2026, 4, 6), 1) == [Period(APRIL + 1, date(2026, 4, 6), date(2026, 5, 5))]
    assert billing_periods({}, 6, date(2026, 4, 5), 1) == [Period(APRIL, date(2026, 3, 6), date(2026, 4, 5))]


@given(
    st.integers(1, 31),
    st.dates(date(2000, 1, 1), date(2050, 1, 1)),
    st.integers(1, 24),
    st.dictionaries(st.integers(-26, 3), st.integers(-20, 50), max_size=8),
)
def test_periods_join_without_gap_or_overlap_and_hold_today(
    reading_day: int, today: date, count: int, moved: dict[int, int]
) -> None:
    dates = {}
    for offset, days in moved.items():
        month = month_of(today) + offset
        dates[month] = month_start(month) + timedelta(days=days)
    found = billing_periods(dates, reading_day, today, count)
    assert len(found) == count or moved
    assert 1 <= len(found) <= count
    assert found[-1].first_day <= today <= found[-1].last_day
    for before, after in pairwise(found):
        assert before.due_on == after.first_day
        assert before.month < after.month


async def test_periods_of_a_lot_and_of_none(database: Database) -> None:
    async with database.write() as db:
        tenant = await ensure_tenant(db, TenantOf("demo", "Demo", "America/Sao_Paulo"))
        lot = Lot(tenant_id=tenant.id, key="10", name="Lote 10", reading_day=6)
        db.add(lot)
        await db.flush()
        db.add(LotDate(lot_id=lot.id, month=APRIL, due_on=(date(2026, 4, 28) - date(1970, 1, 1)).days))
    async with database.read() as db:
        assert (await periods(db, lot.id, date(2026, 4, 20), 1))[0].due_on == date(2026, 4, 28)
        assert await periods(db, None, date(2026, 4, 20), 1) == [
            Period(APRIL + 1, date(2026, 4, 1), date(2026, 4, 30)),
        ]
