"""Sheets into the registry: exactly the wrong rows are refused, the rest is taken or nothing; lists come back."""

import random
import time
from datetime import date

import msgspec
import pytest
from sqlalchemy import func, select

from central import sheets
from central.audit.models import AuditEntry
from central.registry import changes, combined, imports, records
from central.registry.imports import Checked
from central.registry.kinds import (
    ACTIVITY,
    CUSTOMER,
    DAYLIGHT,
    GATEWAY,
    GROUP,
    HOLIDAY,
    HOLIDAYS,
    KINDS,
    LOT,
    METER,
    MODEL,
    MODULE,
    OPENING,
    POINT,
    TARIFF,
    Kind,
)
from central.registry.models import Customer, Installation, Meter, MeteringPoint, SearchWord, Supply
from central.registry.search import search
from central.registry.service import get_meter
from central.store.engine import Database
from central.web.registry_words import headings
from shared.calendar_builders import brazil_calendar
from tests.central.samples import enter_tenant, person

ROWS = 10_000
#: Ways to spoil a row of a customer: column, what is written there.
SPOILED = (
    ("lot", "no-such-lot"), ("group", "Norte / Lugar nenhum"), ("email", "nobody"), ("key", ""), ("key", "x" * 65),
    ("name", "y" * 201), ("activity", "?"), ("phone", "9" * 65),
)  # fmt: skip


async def bring(database: Database, tenant: int, kind: Kind, table: list[list[str]], *, whole: bool = True) -> Checked:
    """Check a table and carry it out, as the page does."""
    async with database.write() as db:
        checked = await imports.check(db, tenant, kind, table, headings(kind.name))
        await imports.carry_out(db, person(tenant), kind.name, checked, all_or_nothing=whole)
    return checked


async def lists_to_refer_to(database: Database, tenant: int) -> None:
    who = person(tenant)
    async with database.write() as db:
        north = await changes.put(db, who, GROUP, None, {"name": "Norte"})
        await changes.put(db, who, GROUP, None, {"name": "Centro", "parent": north.id})
        await changes.put(db, who, LOT, "10", {"reading_day": 31, "dates": {"2026-04": "2026-04-28"}})
        await changes.put(db, who, ACTIVITY, "a1", {"name": "Padaria"})


def customers() -> tuple[list[list[str]], set[int]]:
    """10,000 rows of which 37 are wrong, each in one of several ways; the numbers of the wrong ones."""
    pick = random.Random(7)
    columns = ["key", "name", "group", "lot", "email", "activity", "phone"]
    table = [["Chave externa", "Nome", "Grupo de clientes", "Lote", "E-mail", "Atividade", "Telefone"]]
    table += [
        [f"UC{number:06}", f"Cliente {number}", "Norte / Centro", "10", f"c{number}@x.example", "a1", ""]
        for number in range(ROWS)
    ]
    wrong = set(pick.sample(range(2, ROWS + 2), 37))
    for turn, row in enumerate(sorted(wrong)):
        column, value = SPOILED[turn % len(SPOILED)]
        table[row - 1][columns.index(column)] = value
    return table, wrong


async def test_exactly_the_planted_errors_are_refused(database: Database) -> None:
    tenant = await enter_tenant(database)
    await lists_to_refer_to(database, tenant)
    table, wrong = customers()
    data = b"".join(sheets.csv_lines(table, ";"))
    nothing = await bring(database, tenant, CUSTOMER, sheets.read(data))
    assert {row.number for row in nothing.refused} == wrong
    assert nothing.counts == {"new": ROWS - 37, "changed": 0, "same": 0, "refused": 37}
    async with database.read() as db:
        assert await db.scalar(select(func.count(Customer.id))) == 0, "everything or nothing"
    began = time.monotonic()
    taken = await bring(database, tenant, CUSTOMER, sheets.read(data), whole=False)
    assert time.monotonic() - began < 60, "in seconds, not row by row"
    assert {row.number for row in taken.refused} == wrong
    async with database.read() as db:
        assert await db.scalar(select(func.count(Customer.id))) == ROWS - 37
        entries = select(func.count(AuditEntry.id)).where(AuditEntry.kind == "customer", AuditEntry.action == "created")
        assert await db.scalar(entries) == ROWS - 37
        spared = next(row for row in range(2, ROWS + 2) if row not in wrong)
        (hit,) = await search(db, tenant, f"uc{spared - 2:06}")
        assert (hit.kind, hit.name) == ("customer", f"Cliente {spared - 2}")
    again = await bring(database, tenant, CUSTOMER, sheets.read(data), whole=False)
    assert again.counts == {"new": 0, "changed": 0, "same": ROWS - 37, "refused": 37}


async def fill(database: Database, tenant: int) -> None:
    """Something of every kind, with every field told."""
    await lists_to_refer_to(database, tenant)
    who = person(tenant)
    async with database.write() as db:
        for kind in KINDS:
            if not kind.numbered and len(kind.fields) == 1:
                await changes.put(db, who, kind, "a1", {"name": f"=não é fórmula {kind.name}"})
        day = await changes.put(db, who, HOLIDAY, None, {"name": "Natal", "month": 12, "day": 25})
        once = await changes.put(db, who, HOLIDAY, None, {"name": "Eleição", "month": 10, "day": 4, "year": 2026})
        week = [[["08:00", "12:00"], ["13:30", "18:00"]], *[[] for _ in range(6)]]
        calendar = msgspec.json.encode(brazil_calendar()).decode()
        for kind, key, values in (
            (OPENING, "o", {"hours": week}), (HOLIDAYS, "h", {"holidays": [day.id, once.id]}),
            (DAYLIGHT, "d", {"periods": [{"start": "2026-11-01", "end": "2027-02-21", "shift": 1800}]}),
            (TARIFF, "t", {"calendar": calendar}), (MODEL, "m", {"maker": "X", "protocol": "abnt"}),
            (GATEWAY, "gw", {"place": "sala, 2º andar", "latitude": -23.5, "longitude": -46.25}),
            (CUSTOMER, "c", {"group": 1, "lot": "10", "contract": "0001", "document": "012", "email": "a@b.c",
                             "activity": "a1", "opening_hours": "o"}),
            (POINT, "p", {"customer": "c", "address": 'Rua "A"; 5', "status": "a1", "starts_on": "2026-01-31"}),
            (MODULE, "md", {"gateway": "gw", "serial": "007", "address": "+55 11 9"}),
            (METER, "mt", {"serial": "00042", "model": "m", "gateway": "gw", "multiplier": {"num": 7, "den": 3},
                           "zone": "America/Manaus", "tariff": "t", "holiday_group": "h", "daylight_saving": "d",
                           "monitored": False, "can_cut": True, "calendar": calendar}),
        ):  # fmt: skip
            await changes.put(db, who, kind, key, values)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_every_list_comes_back_unchanged(database: Database, form: str) -> None:
    tenant, other = await enter_tenant(database), await enter_tenant(database, "other")
    await fill(database, tenant)
    for kind in KINDS:
        async with database.read() as db:
            table = [imports.columns_of(kind)]
            table += [row async for row in imports.exported(db, tenant, kind)]
        assert len(table) > 1, kind.name
        data = sheets.xlsx(table, kind.name) if form == "xlsx" else b"".join(sheets.csv_lines(table))
        read = sheets.read(data)
        here = await bring(database, tenant, kind, read)
        assert here.counts == {"new": 0, "changed": 0, "same": len(table) - 1, "refused": 0}, kind.name
        there = await bring(database, other, kind, read)
        assert there.counts["new"] == len(table) - 1, (kind.name, [row.faults for row in there.refused])
        async with database.read() as db:
            copied = [row async for row in imports.exported(db, other, kind)]
        assert sorted(copied) == sorted(table[1:]), kind.name


async def test_columns_that_are_not_known_are_named(database: Database) -> None:
    tenant = await enter_tenant(database)
    checked = await bring(database, tenant, METER, [["Key", "serail", "Identificação"], ["a", "1", "b"]])
    assert [(fault.given, fault.text) for fault in checked.faults] == [
        ("serail", "is no column of this list; did you mean serial?"),
        ("Identificação", "is there twice: leave one of them out"),
    ]
    missing = await bring(database, tenant, METER, [["serial"], ["1"]])
    assert [fault.field for fault in missing.faults] == ["key"]
    async with database.read() as db:
        assert await db.scalar(select(func.count(Meter.id))) == 0


async def test_values_as_people_write_them(database: Database) -> None:
    tenant = await enter_tenant(database)
    table = [["key", "Primeiro dia", "Monitoração", "multiplier", "serial"],
             ["a", "31/03/2026", "não", "3,5", ""], ["b", "31.03.2026", "да", "350:1", "9"]]  # fmt: skip
    checked = await bring(database, tenant, METER, table)
    assert checked.counts["new"] == 2, [row.faults for row in checked.refused]
    async with database.read() as db:
        found = await records.by_keys(db, tenant, METER, ["a", "b"])
    names = "starts_on", "monitored", "multiplier"
    assert {key: tuple(row.values[name] for name in names) for key, row in found.items()} == {
        "a": ("2026-03-31", False, {"num": 7, "den": 2}), "b": ("2026-03-31", True, {"num": 350, "den": 1}),
    }  # fmt: skip
    assert found["a"].values["serial"] == "a"


COMBINED = [
    "customer",
    "customer_name",
    "group",
    "lot",
    "point",
    "address",
    "module",
    "gateway",
    "meter",
    "serial",
    "since",
]


async def bring_combined(database: Database, tenant: int, rows: list[list[str]]) -> Checked:
    async with database.write() as db:
        who = person(tenant)
        checked = await combined.check(db, who, [COMBINED, *rows], headings(combined.NAME))
        await imports.carry_out(db, who, combined.NAME, checked, all_or_nothing=False)
    return checked


async def test_a_combined_sheet_enters_customers_with_their_meters(database: Database) -> None:
    tenant = await enter_tenant(database)
    await lists_to_refer_to(database, tenant)
    async with database.write() as db:
        await changes.put(db, person(tenant), GATEWAY, "gw", {})
    good = ["c1", "Ana", "Norte / Centro", "10", "p1", "Rua A", "md1", "gw", "m1", "0001", "2026-01-15"]
    second = ["c1", "Ana", "Norte / Centro", "10", "p2", "Rua B", "md1", "gw", "m2", "0002", "2026-01-15"]
    bad = ["c2", "Rui", "Sul", "10", "p3", "Rua C", "", "gw", "m3", "0003", ""]
    repeated = ["c3", "Eva", "", "", "p4", "", "", "gw", "m1", "", ""]
    checked = await bring_combined(database, tenant, [good, second, bad, repeated])
    assert checked.counts == {"new": 2, "changed": 0, "same": 0, "refused": 2}
    assert [fault.field for fault in checked.rows[2].faults] == ["group"]
    async with database.read() as db:
        view = await get_meter(db, tenant, "m2")
        assert (view.customer and view.customer.name, view.point and view.point.key) == ("Ana", "p2")
        assert (view.module and view.module.key, view.lot and view.lot.key) == ("md1", "10")
        counts = {
            t: await db.scalar(select(func.count()).select_from(t)) for t in (Customer, MeteringPoint, Installation)
        }
        assert counts == {Customer: 1, MeteringPoint: 2, Installation: 2}, "rows are refused whole"
        assert await db.scalar(select(func.count(Supply.id)).where(Supply.ends_at.is_(None))) == 2
        assert await db.scalar(select(func.count()).select_from(SearchWord).where(SearchWord.word == "0002")) == 1
    again = await bring_combined(database, tenant, [good, second])
    assert again.counts["same"] == 2
    swap = [*good[:8], "m9", "0009", date(2026, 3, 1).isoformat()]
    assert (await bring_combined(database, tenant, [swap])).counts["new"] == 1
    async with database.read() as db:
        rows = (await db.scalars(select(Installation).order_by(Installation.id))).all()
        assert rows[0].ends_at == rows[-1].starts_at
    early = [*good[:8], "m8", "0008", "2025-01-01"]
    refused = await bring_combined(database, tenant, [early])
    assert [fault.field for fault in refused.rows[0].faults] == ["since"]
