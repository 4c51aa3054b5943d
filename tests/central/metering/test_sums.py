"""Sums of many meters against sums made interval by interval of what was sent."""

import random
from collections.abc import Iterable, Sequence
from fractions import Fraction

import pytest
from sqlalchemy import update

from central.errors import Refused
from central.ingest.commit import Committer
from central.metering import sums
from central.metering.sums import Sum, sum_of
from central.registry.models import Meter
from central.registry.service import MeterView, get_meter
from central.store.engine import Database
from shared.quality import Quality
from shared.quantities import Quantity
from shared.wire import Item
from tests.central.samples import MIDNIGHT, block, delivery, enter_tenant, tenant_id

ACTIVE = Quantity(1, 29)
DAY = 86400


async def store(database: Database, items: Sequence[Item], zone: str = "America/Sao_Paulo") -> None:
    await enter_tenant(database, zone=zone)
    await Committer(database).commit([delivery(items)])


async def ask(database: Database, keys: Iterable[str], start: int, end: int, without: Quality = Quality.MISSING) -> Sum:
    async with database.read() as session:
        tenant = await tenant_id(session)
        views: list[MeterView] = [await get_meter(session, tenant, key) for key in keys]
        return await sum_of(session, views, ACTIVE, start, end, without)


def expected(
    meters: Sequence[tuple[Fraction, int, dict[int, int]]], start: int, end: int, step: int
) -> list[tuple[Fraction, int]]:
    """(sum in the unit, coverage) of each interval; a meter is (scale, step, {instant: count})."""
    found = []
    for at in range(start, end, step):
        total, coverage = Fraction(0), 0
        for scale, own, counts in meters:
            parts = [counts.get(each) for each in range(at, at + step, own)]
            if None not in parts:
                total += sum(part for part in parts if part is not None) * scale
                coverage += 1
        found.append((total, coverage))
    return found


def assert_is(found: Sum, wanted: Sequence[tuple[Fraction, int]]) -> None:
    scale = Fraction(found.num, found.den)
    assert [(int(v) * scale, int(c)) for v, c in zip(found.values, found.coverage, strict=True)] == wanted


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Europe/Madrid"])
@pytest.mark.parametrize("steps", [(900,), (300, 900, 3600), (1800, 3600)])
async def test_sum_is_that_of_all_intervals(
    database: Database, zone: str, steps: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meters of several steps and scales, with holes of intervals and of days, over a change of the clock."""
    monkeypatch.setattr(sums, "_BLOCKS", 5)  # so that a meter's days are cut between two
    monkeypatch.setattr(sums, "_ROWS", 20)
    rng = random.Random(f"{zone}{steps}")
    first = MIDNIGHT + 24 * DAY  # 2026-03-26; Madrid's clocks go forward on the 29th
    items: list[Item] = []
    meters = []
    for i in range(9):
        step, den = rng.choice(steps), rng.choice((4, 10, 100))
        counts: dict[int, int] = {}
        for day in range(7):
            if rng.random() < 0.2:
                continue
            start = first + day * DAY + 3600 * rng.randrange(6)
            values: list[int | None] = [
                None if rng.random() < 0.1 else rng.randrange(-50, 5000) for _ in range(DAY // step - 6 * 3600 // step)
            ]
            items.append(block(f"m{i}", start, values, step=step, den=den))
            counts |= {start + k * step: value for k, value in enumerate(values) if value is not None}
        if counts:
            meters.append((Fraction(1, den), step, counts))
    assert len(meters) == 9
    await store(database, items, zone)
    step = max(own for _, own, _ in meters)
    low, high = first + DAY // 2 + 3600, first + 6 * DAY + 7200
    found = await ask(database, (f"m{i}" for i in range(9)), low, high)
    assert (found.start, found.step, found.end, found.meters) == (low, step, high, 9)
    assert_is(found, expected(meters, low, high, step))
    assert found.coverage.min() < 9
    assert found.complete.tolist() == [c == 9 for c in found.coverage.tolist()]


async def test_multipliers_and_a_meter_that_changed_its_scale(database: Database) -> None:
    items = [
        block("a", MIDNIGHT, [1] * 96, den=10),
        block("a", MIDNIGHT + DAY, [1] * 96, den=1000),
        block("b", MIDNIGHT, [3] * 192, den=10),
    ]
    await store(database, items)
    async with database.write() as session:
        await session.execute(update(Meter).where(Meter.key == "b").values(multiplier_num=7, multiplier_den=2))
    found = await ask(database, "ab", MIDNIGHT, MIDNIGHT + 2 * DAY)
    first, second = Fraction(1, 10) + Fraction(21, 20), Fraction(1, 1000) + Fraction(21, 20)
    assert_is(found, [(first, 2)] * 96 + [(second, 2)] * 96)
    assert found.units()[0] == pytest.approx(1.15)


async def test_what_may_not_be_billed_is_left_out_unless_asked_for(database: Database) -> None:
    await store(database, [block("a", MIDNIGHT, [5] * 96, flags=Quality.OVERFLOW), block("b", MIDNIGHT, [2] * 96)])
    async with database.read() as session:
        tenant = await tenant_id(session)
        views = [await get_meter(session, tenant, key) for key in "ab"]
        billable = await sum_of(session, views, ACTIVE, MIDNIGHT, MIDNIGHT + DAY)
        all_held = await sum_of(session, views, ACTIVE, MIDNIGHT, MIDNIGHT + DAY, Quality.GOOD)
    assert (set(billable.values.tolist()), set(billable.coverage.tolist())) == ({2}, {1})
    assert (set(all_held.values.tolist()), set(all_held.coverage.tolist())) == ({7}, {2})


async def test_nothing_held_is_covered_by_nobody(database: Database) -> None:
    await store(database, [block("a", MIDNIGHT, [5] * 96), block("b", MIDNIGHT, [5] * 4, channel="5.29.0")])
    for keys in ("", "b"):
        found = await ask(database, keys, MIDNIGHT + 1, MIDNIGHT + 3601)
        assert (found.start, found.end, found.step) == (MIDNIGHT, MIDNIGHT + 4500, 900)
        assert not found.coverage.any()
        assert not found.values.any()
        assert found.complete.all() == (keys == "")


async def test_refusals(database: Database) -> None:
    await store(
        database,
        [
            block("a", MIDNIGHT, [5] * 96),
            block("large", MIDNIGHT, [1 << 50] * 96),
            block("fine", MIDNIGHT, [1 << 41] * 96, den=1),
        ],
    )
    end = MIDNIGHT + DAY
    for keys, start, stop, field, words in (
        ("a", end, end, "start", "before end"),
        ("aa", MIDNIGHT, end, "meters", "once"),
        ("a", 0, 900 * 1_100_001, "range", "too many"),
        (["a", "large"], MIDNIGHT, end, "meters", "exact up to"),
        (["a", "fine"], MIDNIGHT, end, "meters", "counts times 100"),
    ):
        with pytest.raises(Refused, match=words) as caught:
            await ask(database, keys, start, stop)
        assert caught.value.field == field
