"""Three nights of the CCEE over 40 meters behind 4 gateways, every fault among them, told in any order and twice."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from central.alarms import service as alarm_service
from central.alarms.service import AlarmView
from central.ccee import overview
from central.ccee.days import due, window
from central.ccee.jobs import look
from central.fleet.live import States
from central.ingest.commit import Committer
from central.settings import CceeSettings
from central.store.engine import Database
from shared.ids import Topic
from shared.intervals import zone
from shared.wire import ForwardState, GatewayState, GatewayTelemetry, Item, MeterState, encode
from tests.central.ccee.samples import DAY, connection
from tests.central.samples import MIDNIGHT, delivery, enter_tenant

TODAY = date(2026, 3, 2)
SETTINGS = CceeSettings()
DUE = due(window(TODAY, zone("America/Sao_Paulo"), SETTINGS)[1], SETTINGS)
METERS = [f"m{n:02}" for n in range(40)]
#: Meter -> what its nights come to; all others are read well every night.
FAULTS = {
    "m03": ["I14", "I01", "I14"],
    "m07": ["I02", "I14", "I14"],
    "m11": ["I03", "I03", "I14"],
    "m13": ["I04", "I14", "I04"],
    "m17": ["I14", "I05", "I05"],
    "m19": ["I06", "I06", "I06"],
    "m23": ["I14", "I07", "I14"],
    "m25": ["I08", "I14", "I13"],
    "m29": ["I09", "I09", "I14"],
    "m31": ["I14", "I10", "I14"],
    "m33": ["I14", "I12", "I14"],
    "m37": ["I13", "I08", "I14"],
    "m39": ["I00", "I14", "I00"],
}
#: Meters whose second failure in a row fell into a night, by its number.
REPEATED = {"m11": 1, "m17": 2, "m19": 1, "m37": 1}


@dataclass
class Gateway:
    """Its rows, in the order it kept them."""

    topic: Topic
    spool: bytes
    items: list[Item] = field(default_factory=list)
    nights: list[int] = field(default_factory=list)  # rows up to the end of each

    def batches(self, rng: random.Random, first: int, last: int) -> list[tuple[int, list[Item]]]:
        """Cut rows [first, last) into batches, some of it twice, in any order."""
        found = []
        at = first
        while at < last:
            count = rng.randint(1, 4)
            found.append((at + 1, self.items[at : min(last, at + count)]))
            at += count if rng.random() < 0.7 else rng.randint(1, count)
        rng.shuffle(found)
        return found


def fleet() -> list[Gateway]:
    made = [Gateway(Topic("default", f"gw{n}", "up"), bytes([n]) * 16) for n in range(4)]
    for night in range(3):
        for n, meter in enumerate(METERS):
            code = FAULTS.get(meter, ["I14"] * 3)[night]
            if code != "I01":
                item = connection(meter, MIDNIGHT + night * DAY + 600 + 300 * n, code, seconds=120)
                made[n % 4].items.append(item)
        for each in made:
            each.items.append(GatewayTelemetry(DUE + night * DAY, 1, 2, 3, 4, 0.5, 0, 0))
            each.nights.append(len(each.items))
    return made


async def listed(database: Database, tenant: int) -> list[AlarmView]:
    async with database.read() as session:
        return list((await alarm_service.alarms(session, tenant, limit=1000)).items)


@pytest.mark.parametrize("seed", range(2))
async def test_every_fault_is_named_and_nobody_else(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    tenant = await enter_tenant(database)
    gateways = fleet()
    for n, each in enumerate(gateways):
        keys = METERS[n::4]
        state = GatewayState(
            MIDNIGHT, True, meters=[MeterState(key, "a", "ok", "abnt") for key in keys],
            forwards=[ForwardState(key, "10.1.0.1:4059", "shared", "listening") for key in keys],
        )  # fmt: skip
        await States(database).store({each.topic._replace(kind="state"): encode(state)})
    await look(database, SETTINGS, MIDNIGHT - 3600)
    committer = Committer(database)
    for night in range(3):
        work = []
        for each in gateways:
            first = each.nights[night - 1] if night else 0
            work += [(each, batch) for batch in each.batches(rng, first, each.nights[night])]
        rng.shuffle(work)
        for gateway, (first, items) in work:
            await committer.commit([delivery(items, first, gateway.topic, gateway.spool)])
        await look(database, SETTINGS, DUE + night * DAY + 60)
        top = {a.meter: a for a in await listed(database, tenant) if a.code == "I11" and not a.withdrawn}
        assert set(top) == {meter for meter, second in REPEATED.items() if second <= night}
    for each in gateways:  # a restart: everything comes once more
        await committer.commit([delivery(each.items, 1, each.topic, bytes([99]) + each.spool[1:])])
    await look(database, SETTINGS, DUE + 2 * DAY + 120)
    alarms = [each for each in await listed(database, tenant) if not each.withdrawn]
    silent = {"I14", "I00"}
    wanted = {(meter, code) for meter, codes in FAULTS.items() for code in codes if code not in silent}
    wanted |= {(meter, "I11") for meter in REPEATED}
    assert {(each.meter, each.code) for each in alarms} == wanted
    again = [("m13", "I04")] * 2
    assert sorted((each.meter, each.code) for each in alarms) == sorted([*(wanted - {again[0]}), *again])
    still = {(each.meter, each.code) for each in alarms if each.state == "open"}
    assert still == {
        ("m13", "I04"), ("m17", "I05"), ("m17", "I11"), ("m19", "I06"), ("m19", "I11"), ("m25", "I13"),
    }  # fmt: skip
    for alarm in alarms:
        if alarm.code == "I11":
            started = MIDNIGHT + REPEATED[alarm.meter] * DAY + 600 + 300 * METERS.index(alarm.meter)
            assert (alarm.opened_at, alarm.severity.word) == (started + 120, "critical")
    await days_say_the_same(database, tenant)


async def days_say_the_same(database: Database, tenant: int) -> None:
    """The board of each day names the verdict of each meter; whoever was read well is complete."""
    for night in range(3):
        async with database.read() as session:
            page = await overview.board(
                session, tenant, TODAY + timedelta(days=night), SETTINGS, DUE + 2 * DAY + 60, limit=100
            )
        found = {line.meter: line.day for line in page.items}
        assert list(found) == METERS
        for meter, day in found.items():
            code = FAULTS.get(meter, ["I14"] * 3)[night]
            assert day.verdict == code, meter
            good = code in ("I09", "I10", "I12", "I14")
            assert (str(day.status) == "complete") == good, meter
