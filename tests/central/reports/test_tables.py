"""Every report's rows are what the readings say; filters, sorting, paging and reach hold on both databases."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.reach import REACH, Reach
from central.errors import Refused
from central.metering.models import Event
from central.registry.models import Installation, Meter, Supply
from central.reports import table as tables
from central.reports.catalogue import REPORTS, report_of
from central.reports.columns import Row
from central.reports.excess import Rules
from central.reports.parameters import parse
from central.reports.table import Scope, Table
from central.store.engine import Database
from shared.intervals import day_start
from shared.wire import RegisterValue
from tests.central.reports.fleet import HOUR, NOW, RATIO, TODAY, ZONE, Fleet, kwh, make_fleet, read_on, total
from tests.central.samples import enter_tenant

FIRST = TODAY - timedelta(days=44)


@pytest_asyncio.fixture
async def fleet(database: Database) -> Fleet:
    tenant = await enter_tenant(database)
    async with database.write() as db:
        return await make_fleet(db, tenant)


@pytest_asyncio.fixture
async def db(database: Database, fleet: Fleet) -> AsyncIterator[AsyncSession]:
    async with database.read() as session:
        yield session


async def opened(db: AsyncSession, fleet: Fleet, key: str, query: str = "", now: int = NOW) -> Table:
    report = report_of(key)
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    asked = report.ask(Scope(fleet.tenant_id, ZONE.key, now, Rules()), parse(pairs, report.parameters))
    return await report.open(db, asked)


async def rows(db: AsyncSession, fleet: Fleet, key: str, query: str = "", sort: str = "") -> list[Row]:
    table = await opened(db, fleet, key, query)
    found = await table.page(db, sort, 0, 1000)
    for row in found:
        assert set(row) - {"meter", "model", "resets"} <= {column.key for column in table.columns}
    return found


def by_meter(found: list[Row]) -> dict[str, Row]:
    return {row["meter"]: row for row in found}


async def test_last_registers_of_many_meters(db: AsyncSession, fleet: Fleet) -> None:
    found = by_meter(await rows(db, fleet, "registers-last", "date=2026-06-10"))
    assert len(found) == 12
    day = date(2026, 6, 10)
    for number in (1, 9, 12):
        row = found[f"r-{number:04d}"]
        assert row["read_at"] == day_start(day, ZONE) + HOUR
        for post in (1, 4, 2, 3, 0):
            assert row[f"1.8.{post}"] == kwh(total(number, day, post, FIRST))
    assert found["r-0002"]["1.8.0"] == RATIO * kwh(total(2, day, 0, FIRST))
    never = found["r-0004"]
    assert never["read_at"] is never["1.8.0"] is never["1.8.1"] is None
    assert found["r-0001"]["1.8.3"] == 0
    fifth = max(each for each in fleet.days["r-0005"] if each <= day)
    assert fifth < day
    assert found["r-0005"]["1.8.0"] == kwh(total(5, fifth, 0, FIRST))
    assert found["r-0008"]["lot"] is None


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("side=secondary", kwh(total(2, TODAY, 0, FIRST))),
        ("side=primary", RATIO * kwh(total(2, TODAY, 0, FIRST))),
        ("values=counts", total(2, TODAY, 0, FIRST)),
    ],
)
async def test_sides_and_counts(db: AsyncSession, fleet: Fleet, query: str, value: Any) -> None:
    (row,) = await rows(db, fleet, "registers-last", f"meter=r-0002&{query}")
    assert row["1.8.0"] == value


async def test_registers_a_meter_does_not_have_are_empty(db: AsyncSession, fleet: Fleet) -> None:
    found = by_meter(await rows(db, fleet, "registers-last", "energy=active&energy=reactive&reverse=1&post=total"))
    assert found["r-0001"]["2.8.0"] is None
    assert found["r-0009"]["2.8.0"] == kwh(total(9, TODAY, 0, FIRST) // 10)
    assert {row["3.8.0"] for row in found.values()} == {None}


async def test_registers_of_one_meter(db: AsyncSession, fleet: Fleet) -> None:
    table = await opened(db, fleet, "registers-meter", "meter=r-0002&from=2026-06-14&to=2026-06-15&side=secondary")
    assert await table.count(db) == 2
    found = await table.page(db, "", 0, 10)
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)
    newest = {(row["measured"], row["post"]): row for row in found if row["at"] == day_start(TODAY, ZONE) + HOUR}
    assert list(newest)[:5] == [("1.8.0", post) for post in (1, 4, 2, 3, 0)]
    peak = newest["1.8.0", 1]
    assert (peak["maximum"], peak["accumulated"]) == (kwh(201), kwh(1801))
    assert peak["maximum_at"] == day_start(TODAY, ZONE) - 8 * 3600
    assert peak["last"] is None
    assert newest["1.8.0", 0]["last"] == kwh(14)
    assert newest["1.8.0", 3]["maximum"] is None
    assert newest["5.8.0", 0]["total"] == kwh(total(2, TODAY, 0, FIRST) // 4)
    with pytest.raises(Refused, match="one meter"):
        await opened(db, fleet, "registers-meter", "meter=r-0002&meter=r-0003")


async def test_consumption(db: AsyncSession, fleet: Fleet, database: Database) -> None:
    async with database.write() as writing:  # meter 10 is exchanged: its register begins again
        restarted = {date(2026, 6, 16): [RegisterValue("1.8.0", 5, 1, 1000)]}
        await read_on(writing, fleet.tenant_id, fleet.meters["r-0010"], restarted)
    found = by_meter(await rows(db, fleet, "consumption", "from=2026-06-01&to=2026-06-16"))
    day = timedelta(days=1)
    row = found["r-0001"]
    assert row["first_at"] == day_start(date(2026, 6, 1), ZONE) + HOUR
    assert row["last_at"] == day_start(TODAY, ZONE) + HOUR
    assert row["1.8.0"] == kwh(total(1, TODAY, 0, FIRST) - total(1, date(2026, 6, 1), 0, FIRST)) > 0
    assert row["1.8.2"] == kwh(14 * 4000)
    assert row["availability"] == 1  # 15 days have begun, tomorrow has not
    read = [each for each in fleet.days["r-0007"] if date(2026, 6, 1) <= each <= TODAY]
    assert found["r-0007"]["availability"] == Fraction(len(read), 15)
    assert found["r-0007"]["1.8.0"] == kwh(7 * 4800 * ((read[-1] - read[0]) // day))
    never = found["r-0004"]
    assert (never["1.8.0"], never["availability"], never["notes"]) == (None, 0, ["unread"])
    assert (found["r-0010"]["1.8.0"], found["r-0010"]["notes"]) == (None, ["backwards"])
    single = by_meter(await rows(db, fleet, "consumption", "from=2026-06-15&to=2026-06-15"))["r-0001"]
    assert (single["1.8.0"], single["notes"], single["availability"]) == (None, ["single"], 1)
    assert single["first_at"] == single["last_at"]


async def test_billing(db: AsyncSession, fleet: Fleet) -> None:
    found = by_meter(await rows(db, fleet, "billing", "month=2026-06"))
    assert "r-0008" not in found  # it has no lot
    due = {row["lot"]: row["due_on"] for row in found.values()}
    assert due == {"Lote 10": date(2026, 6, 5), "Lote 11": date(2026, 6, 9), "Lote 13": date(2026, 6, 30)}
    row = found["r-0001"]
    assert row["read_at"] == day_start(date(2026, 6, 9), ZONE) + HOUR
    assert row["1.8.0"] == kwh(total(1, date(2026, 6, 9), 0, FIRST))
    assert row["notes"] is None
    assert (found["r-0004"]["1.8.0"], found["r-0004"]["notes"]) == (None, ["unread"])
    assert found["r-0002"]["notes"] == ["awaited"]
    assert found["r-0003"]["notes"] == (None if date(2026, 6, 5) in fleet.days["r-0003"] else ["earlier"])
    table = await opened(db, fleet, "billing", "month=2026-06")
    lot13 = sum(1 for each in found.values() if each["lot"] == "Lote 13")
    assert {each.key: each.value for each in await table.totals(db)} == {
        "meters": 11, "lots": 3, "without": lot13 + 1,
    }  # fmt: skip
    narrow = await opened(db, fleet, "billing", "month=2026-06&lot=10&window=0")
    figures = {each.key: each.value for each in await narrow.totals(db)}
    mine = by_meter(await narrow.page(db, "", 0, 50))
    assert figures["lots"] == 1
    assert figures["without"] == sum(1 for each in mine.values() if each["read_at"] is None)
    assert set(mine) == {"r-0003", "r-0006", "r-0009", "r-0012"}


async def test_availability(db: AsyncSession, fleet: Fleet) -> None:
    query = "from=2026-05-20&to=2026-06-20"
    found = by_meter(await rows(db, fleet, "availability", query))
    begun = 27
    for key, row in found.items():
        read = [day for day in fleet.days[key] if date(2026, 5, 20) <= day <= TODAY]
        assert row["days_read"] == len(read)
        assert row["availability"] == Fraction(len(read), begun)
        assert row["last_at"] == (day_start(read[-1], ZONE) + HOUR if read else None)
    totals = {each.key: each.value for each in await (await opened(db, fleet, "availability", query)).totals(db)}
    assert totals == {
        "meters": 12, "without": 1,
        "availability": Fraction(sum(row["days_read"] for row in found.values()), 12 * begun),
    }  # fmt: skip
    missing = by_meter(await rows(db, fleet, "availability", f"{query}&missing=1"))
    assert set(missing) == {key for key in found if TODAY not in fleet.days[key]}
    assert {"r-0004", "r-0006"} <= set(missing)


async def test_availability_day_by_day(db: AsyncSession, fleet: Fleet) -> None:
    found = by_meter(await rows(db, fleet, "availability-days", "month=2026-06"))
    for key, row in found.items():
        days = [date(2026, 6, n) for n in range(1, 31)]
        assert row["days"] == [None if day > TODAY else day in fleet.days[key] for day in days]


async def test_modules(db: AsyncSession, fleet: Fleet) -> None:
    found = by_meter(await rows(db, fleet, "temperature", "from=2026-06-12&to=2026-06-15"))
    row = found["r-0002"]
    assert (row["temperature_least"], row["temperature_greatest"], row["temperature_last"]) == (32, 43, 32)
    assert (row["temperature_mean"], row["samples"]) == (37.5, 72)
    assert (found["r-0005"]["samples"], found["r-0005"]["temperature_mean"]) == (0, None)
    one = await opened(db, fleet, "signal", "from=2026-06-12&to=2026-06-15&meter=r-0002")
    assert await one.count(db) == 72
    newest = (await one.page(db, "", 0, 1))[0]
    assert newest == {"meter": "r-0002", "at": newest["at"], "signal_dbm": -72.0, "signal_percent": None}
    assert (await one.page(db, "at", 71, 5)) == [newest]


async def test_events(db: AsyncSession, fleet: Fleet, database: Database) -> None:
    async with database.write() as writing:
        writing.add(Event(
            tenant_id=fleet.tenant_id, meter_id=None, gateway_id=fleet.gateways["rgw-0"], at=NOW - 60,
            kind="spool_pressure", detail="{}", received_at=NOW,
        ))  # fmt: skip
    table = await opened(db, fleet, "events")
    assert await table.count(db) == 25
    found = await table.page(db, "", 0, 100)
    assert found[0]["kind"] == "spool_pressure"
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)
    mine = await rows(db, fleet, "events", "meter=r-0003&kind=outage")
    assert [(row["kind"], row["customer"], row["lasted"]) for row in mine] == [("outage", "Customer 003", 897)]
    at_gateway = await rows(db, fleet, "events", "gateway=rgw-0")
    assert len(at_gateway) == 2 * 4 + 1
    assert len(await rows(db, fleet, "events", "group=" + str(fleet.groups["b1"]))) == 8


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("serial=7000037", {1}),
        ("customer=customer%20011".replace("%20", " "), {11}),
        ("customer=uc4012", {12}),
        ("model=b", {1, 3, 5, 7, 9, 11}),
        ("lot=10&lot=11", {1, 3, 4, 6, 7, 9, 10, 12}),
        ("gateway=rgw-2", {2, 5, 8, 11}),
        ("meter=r-0001&meter=r-0009", {1, 9}),
        ("lot=10&gateway=rgw-0&serial=1", {3, 6, 9, 12}),
    ],
)
async def test_filters(db: AsyncSession, fleet: Fleet, query: str, numbers: set[int]) -> None:
    serials = {f"r-{number:04d}": str(7_000_000 + number * 37) for number in range(1, 13)}
    expected = {f"r-{number:04d}" for number in numbers}
    if "serial=1" in query:
        expected = {key for key in expected if "1" in serials[key]}
    table = await opened(db, fleet, "availability", query)
    assert set(by_meter(await table.page(db, "", 0, 100))) == expected
    assert await table.count(db) == len(expected)


async def test_groups_are_filtered_with_all_below(db: AsyncSession, fleet: Fleet) -> None:
    whole = await opened(db, fleet, "availability", f"group={fleet.groups['south']}")
    part = await opened(db, fleet, "availability", f"group={fleet.groups['b0']}")
    assert (await whole.count(db), await part.count(db)) == (12, 4)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("lot=99", "lot"), ("gateway=nobody", "gateway"), ("meter=nobody", "meter"), ("group=4711", "group"),
        ("month=2026-13", "month"), ("month=2026-06&from=2026-06-01", "month"),
        ("from=2026-06-09&to=2026-06-01", "from"),
        ("from=2020-01-01&to=2026-01-01", "from"), ("missing=yes", "missing"), ("window=3", "window"),
        ("date=2026-06-01&month=2026-06", "date"),
        ("month=2026-06&month=2026-05", "month"), ("from=0001-01-01", "from"),
    ],
)  # fmt: skip
async def test_refusals_name_the_parameter(db: AsyncSession, fleet: Fleet, query: str, field: str) -> None:
    with pytest.raises(Refused) as found:
        await opened(db, fleet, "availability", query)
    assert found.value.field == field


async def test_sorting(db: AsyncSession, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "from=2026-06-01&to=2026-06-15"
    for sort in ("serial", "customer", "external_key", "lot", "model", "gateway", "availability", "1.8.0"):
        table = await opened(db, fleet, "consumption", query)
        up = await table.page(db, sort, 0, 100)
        down = await table.page(db, f"-{sort}", 0, 100)
        held = [row[sort] for row in up if row[sort] is not None]
        assert held == sorted(held), sort
        assert [row[sort] for row in down if row[sort] is not None] == held[::-1], sort
        assert all(row[sort] is None for row in up[len(held) :])
        assert all(row[sort] is None for row in down[len(held) :])
        pages = [row for at in range(0, 12, 5) for row in await table.page(db, sort, at, 5)]
        assert pages == up
        walked = [row async for piece in table.walk(db, sort) for row in piece]
        assert walked == up
    monkeypatch.setattr(tables, "MOST_BY_VALUE", 11)
    with pytest.raises(Refused, match="12 meters are too many to sort by 1\\.8\\.0"):
        await table.page(db, "1.8.0", 0, 10)
    for sort in ("read_at", "-read_at"):
        last = await rows(db, fleet, "registers-last", "", sort)
        held = [row["read_at"] for row in last if row["read_at"] is not None]
        assert held == sorted(held, reverse=sort.startswith("-"))
    with pytest.raises(Refused, match="cannot sort"):
        await table.page(db, "notes", 0, 10)


@pytest.mark.parametrize("key", list(REPORTS))
async def test_cursors_walk_through_all(db: AsyncSession, fleet: Fleet, key: str) -> None:
    query = "meter=r-0002" if REPORTS[key].one else "meter=r-0002" if key == "temperature" else ""
    table = await opened(db, fleet, key, query)
    found: list[Row] = []
    after = None
    while True:
        page = await table.after(db, after, 5)
        found += page.items
        after = page.next
        if after is None:
            break
    whole = [row async for piece in table.walk(db, "") for row in piece]
    assert len(found) == len(whole)
    assert sorted(map(str, found)) == sorted(map(str, whole))


async def test_exchanged_meters_and_customers_of_then(db: AsyncSession, fleet: Fleet, database: Database) -> None:
    """A month that is over shows who was supplied, and which meters hung there, at its end."""
    then, meter = day_start(date(2026, 6, 3), ZONE), fleet.meters["r-0001"]
    async with database.write() as writing:
        mine = Installation.meter_id == meter
        point = (await writing.execute(Installation.__table__.select().where(mine))).one().point_id
        await writing.execute(update(Installation).where(mine).values(ends_at=then))
        heir = Meter(tenant_id=fleet.tenant_id, key="r-new", serial="1", created_at=then)
        writing.add(heir)
        await writing.flush()
        writing.add(Installation(tenant_id=fleet.tenant_id, meter_id=heir.id, point_id=point, starts_at=then))
        writing.add(Supply(tenant_id=fleet.tenant_id, point_id=point, customer_id=2, starts_at=0, ends_at=then))
        writing.add(Supply(tenant_id=fleet.tenant_id, point_id=point, customer_id=1, starts_at=then))
    before = by_meter(await rows(db, fleet, "availability", "month=2026-05"))
    now = by_meter(await rows(db, fleet, "availability", "month=2026-06"))
    assert (before["r-0001"]["customer"], before["r-new"]["customer"]) == ("Customer 002", None)
    assert (now["r-0001"]["customer"], now["r-new"]["customer"]) == (None, "Customer 001")
    assert "r-new" in by_meter(await rows(db, fleet, "availability", "month=2026-06&lot=11"))
    assert "r-0001" in by_meter(await rows(db, fleet, "availability", "month=2026-05&lot=13"))


@pytest.mark.parametrize("key", list(REPORTS))
async def test_what_is_out_of_reach_is_not_there(database: Database, fleet: Fleet, key: str) -> None:
    reach = Reach(groups=frozenset({fleet.groups["b1"]}))
    near, far = "r-0001", "r-0002"
    async with database.read(**{REACH: reach}) as db:
        if REPORTS[key].one:
            await opened(db, fleet, key, f"meter={near}")
            with pytest.raises(Refused, match="no meter"):
                await opened(db, fleet, key, f"meter={far}")
            return
        table = await opened(db, fleet, key)
        found = [row async for piece in table.walk(db, "") for row in piece]
        assert {row.get("meter") for row in found} == {"r-0001", "r-0004", "r-0007", "r-0010"}
        assert await table.count(db) == len(found)
        if totals := await table.totals(db):
            assert totals[0].value == 4


async def test_another_tenant_sees_nothing(db: AsyncSession, fleet: Fleet, database: Database) -> None:
    other = Fleet(await enter_tenant(database, "other"))
    for key, report in REPORTS.items():
        if report.one:
            with pytest.raises(Refused):
                await opened(db, other, key, "meter=r-0001")
        else:
            table = await opened(db, other, key)
            assert await table.count(db) == 0
            assert await table.page(db, "", 0, 10) == []
    for query in ("lot=10", "gateway=rgw-0", f"group={fleet.groups['south']}", "meter=r-0001"):
        with pytest.raises(Refused):
            await opened(db, other, "availability", query)


async def test_a_date_is_one_day_or_its_month(db: AsyncSession, fleet: Fleet) -> None:
    found = by_meter(await rows(db, fleet, "availability", "date=2026-06-14&lot=10&gateway=rgw-0"))
    assert {key: row["availability"] for key, row in found.items()} == {
        key: int(date(2026, 6, 14) in fleet.days[key]) for key in ("r-0003", "r-0006", "r-0009", "r-0012")
    }
    assert await rows(db, fleet, "billing", "date=2026-06-14") == await rows(db, fleet, "billing", "month=2026-06")
