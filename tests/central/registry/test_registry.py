"""Find, enter and change what exists; the import file; nothing of another tenant is ever seen."""

import pytest
from sqlalchemy import func, select

from central.errors import NotFound, Refused
from central.registry import changes, importer
from central.registry.kinds import CUSTOMER, GATEWAY, GROUP, LOT, METER, Kind
from central.registry.models import Customer, CustomerGroup, Gateway, Installation, Lot, Meter, MeteringPoint
from central.registry.service import (
    MeterFilter,
    count_meters,
    find_gateways,
    find_meters,
    get_gateway,
    get_meter,
)
from central.store.engine import Database
from tests.central.samples import enter_tenant, person

FILE = """
[[lots]]
key = "10"
name = "Lote 10"
reading_day = 10

[[groups]]
name = "Norte"

[[groups]]
name = "Indústria"
parent = "Norte"

[[gateways]]
key = "gw-norte"
name = "Distrito Industrial Norte"
place = "Subestação Norte"
latitude = -26.25
longitude = -48.86

[[modules]]
key = "gw-norte-lte"
gateway = "gw-norte"

[[models]]
key = "E750"
maker = "Maker"
name = "E750"
protocol = "abnt"

[[customers]]
key = "c1"
name = "Metalúrgica Aurora"
group = "Norte / Indústria"
lot = "10"

[[points]]
key = "p1"
name = "Entrada"
customer = "c1"
address = "Rua Dona Francisca, 8300"
latitude = -26.2380
longitude = -48.8790

[[meters]]
key = "MG-1"
serial = "12345601"
model = "E750"
gateway = "gw-norte"
multiplier = [350, 1]
point = "p1"
module = "gw-norte-lte"
since = 2026-01-01T00:00:00-03:00

[[meters]]
key = "MG-2"
"""


async def enter(database: Database, text: str = FILE, tenant: int = 1) -> dict[str, int]:
    async with database.write() as session:
        return await importer.import_registry(session, tenant, importer.parse(text))


async def test_import_twice_changes_nothing(database: Database) -> None:
    tenant = await enter_tenant(database)
    counts = await enter(database, tenant=tenant)
    assert counts["meters"] == 2
    for _ in range(2):
        async with database.read() as session:
            view = await get_meter(session, tenant, "MG-1")
            assert view.point is not None
            assert view.customer is not None
            assert view.group is not None
            assert view.lot is not None
            assert view.module is not None
            assert (view.label, view.customer.name, view.group.name) == ("Entrada", "Metalúrgica Aurora", "Indústria")
            assert (view.lot.reading_day, view.module.key, view.meter.multiplier_num) == (10, "gw-norte-lte", 350)
            assert (view.installation.starts_at if view.installation else 0) == 1_767_236_400
            for table in (Lot, CustomerGroup, Gateway, Customer, MeteringPoint, Meter, Installation):
                count = await session.scalar(select(func.count()).select_from(table))
                assert count == (2 if table in (CustomerGroup, Meter) else 1), table
        await enter(database, tenant=tenant)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[meters]]\nkey = "a b"', r"meters\[1\] 'a b'.*not usable"),
        ('[[meters]]\nkey = "a"\npoint = "nowhere"', r"meters\[1\] 'a'.*'nowhere'"),
        ('[[meters]]\nkey = "a"\nserail = "1"', "serail"),
        ('[[customers]]\nkey = "a"\ngroup = "x / y"', "no customer group 'x / y'"),
        ("[[lots]]\nkey = 5", "text of at most"),
        ('[[gateways]]\nkey = "g"\nlatitude = 91.0', "outside -90 to 90"),
        ('[[meters]]\nkey = "a"\nmodule = "m"\nsince = 2026-01-01', "since"),
        ("[[lots", "registry file"),
    ],
)
async def test_wrong_file_is_refused_whole(database: Database, text: str, words: str) -> None:
    tenant = await enter_tenant(database)
    with pytest.raises(Refused, match=words):
        await enter(database, '[[lots]]\nkey = "1"\n' + text, tenant)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Lot)) == 0


async def test_search_and_pages(database: Database) -> None:
    tenant, other = await enter_tenant(database), await enter_tenant(database, "other")
    await enter(database, tenant=tenant)
    async with database.write() as session:
        for number in range(30):
            name = "100%_real" if number == 7 else ""
            await changes.put(session, person(tenant), METER, f"x{number:02}", {"name": name})
        await changes.put(session, person(other), METER, "MG-1", {})
        await changes.put(session, person(other), GATEWAY, "gw-norte", {})
    async with database.read() as session:
        for words, wanted in (
            ("dona 8300", ["MG-1"]),
            ("auro", ["MG-1"]),
            ("100%_r", ["x07"]),
            ("0%_r", []),
            ("12345601 x", []),
            ("x2", 10),
        ):
            page = await find_meters(session, tenant, MeterFilter(search=words))
            found = [view.meter.key for view in page.items]
            assert wanted in (found, len(found))
            assert await count_meters(session, tenant, MeterFilter(search=words)) == len(found)
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await find_meters(session, tenant, after=after, limit=10)
            seen += [view.meter.key for view in page.items]
            after = page.next
            if after is None:
                break
        assert len(seen) == len(set(seen)) == 32
        gateway = await get_gateway(session, tenant, "gw-norte")
        assert (gateway.meters, gateway.online, gateway.state) == (1, False, None)
        assert len((await find_gateways(session, tenant, "substacao norte")).items) == 0
        assert len((await find_gateways(session, tenant, "industrial gw-n")).items) == 1
        with pytest.raises(NotFound):
            await get_meter(session, other, "MG-2")


async def test_changes_stay_within_the_tenant(database: Database) -> None:
    tenant, other = await enter_tenant(database), await enter_tenant(database, "other")
    us, them = person(tenant), person(other)
    async with database.write() as session:
        await changes.put(session, them, LOT, "1", {"name": "x"})
        group = await changes.put(session, us, GROUP, None, {"name": "a"})
        inner = await changes.put(session, us, GROUP, None, {"name": "b", "parent": group.id})
        await changes.put(session, us, CUSTOMER, "c", {"name": "c"})
    refused: list[tuple[str, Kind, str, dict[str, object]]] = [
        ("no lot '1'", CUSTOMER, "d", {"name": "d", "lot": "1"}),
        ("no column", CUSTOMER, "e", {"name": "e", "colour": "red"}),
        ("no time zone", METER, "m", {"zone": "Mars/Olympus"}),
        ("whole number", METER, "m", {"multiplier": {"num": 0}}),
        ("true or false", METER, "m", {"monitored": 1}),
        ("not usable", METER, "a b", {}),
        ("ends before", METER, "m", {"starts_on": "2026-04-02", "ends_on": "2026-04-01"}),
    ]
    for words, kind, key, values in refused:
        async with database.write() as session:
            with pytest.raises(Refused, match=words):
                await changes.put(session, us, kind, key, values)
    async with database.write() as session:
        with pytest.raises(Refused, match="inside itself"):
            await changes.patch(session, us, GROUP, group.id, {"parent": inner.id})
        with pytest.raises(NotFound):
            await changes.patch(session, us, LOT, "1", {"name": "mine"})
