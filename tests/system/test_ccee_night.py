"""A night of the CCEE over 40 meters behind 4 gateways, in processes of their own, with faults of every verdict.

The CCEE's reader (:mod:`tests.edge.simulators.rawreader`, which shares no code with the product) reads all meters at
once through their forwarded ports, while the gateways go on reading the same meters for us, and central's ingest is
killed and started again. Faults of meters and lines are other simulated meters, or nobody, at the far end of a line for
the length of a session (:class:`Link`); the reader's own are what it does.

One thing is moved instead of waited for: the end of the collection window (I01). The job that looks for it is called
with the clock of the next morning, after health rows of that hour, as gateways send them each minute, were entered by
hand. Not shown here: I06 by a wrong password (the meters refuse by an occurrence), serial lines, other protocols.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute

from central.alarms import service as alarm_service
from central.alarms.service import AlarmView
from central.ccee.days import due, window
from central.ccee.jobs import look
from central.ccee.models import CceeConnection, CceeMeter
from central.fleet.models import GatewayHealth
from central.metering.models import Event
from central.registry.models import Gateway, Meter
from central.settings import CceeSettings
from central.store.engine import Database, open_url
from metergate.processes import Child, metergate
from shared.intervals import ceil, floor, local_date, zone
from shared.wire import GatewayTelemetry, encode
from tests.brokers import Broker
from tests.edge.simulators.rawreader import RawReader
from tests.ports import until
from tests.system import ccee
from tests.system.accounts import Account, profiles
from tests.system.ccee import Link

TENANT: Final = "t1"
GATEWAYS, EACH = 4, 10
FIRST_SERIAL: Final = 42_000_000
STEP: Final = 900
DAYS: Final = 3
#: Own reading is compared for so long before the night, s.
SPAN: Final = 36 * 3600
IDLE_SECONDS: Final = 5
SETTLE_SECONDS: Final = 60.0
#: The whole day on which the test runs, so that it holds whenever that is.
WINDOW: Final = CceeSettings(window_from=0, window_to=24)
ZONE: Final = zone("America/Sao_Paulo")

#: What may stand at the end of a line in a meter's place: options of ``simulate``, by how much the serial differs.
STAND_INS: Final[dict[str, tuple[tuple[str, ...], int]]] = {
    "noise": (("--fault", "noise:1:5"), 0),
    "occurrence": (("--fault", "battery:1:0"), 0),
    "clock": (("--clock-offset", "300"), 0),
    "programmed": (("--interval", "5"), 0),
    "other": ((), 5000),
}


@dataclass(frozen=True)
class Session:
    """One session: what the reader does, who stands in for the meter, all verdicts that hold, who ends it."""

    does: Callable[[RawReader, Link], Awaitable[None]]
    codes: str
    stand_in: str = ""
    reason: str = "client"

    @property
    def verdict(self) -> str:
        return self.codes.split()[0]


GOOD: Final = Session(ccee.daily, "I14")
NOBODY: Final = Session(ccee.nothing, "I02")
MUTE: Final = Session(ccee.mute, "I03")
NOISY: Final = Session(ccee.noisy, "I04", "noise")
OTHER: Final = Session(ccee.daily, "I05", "other")
REFUSED: Final = Session(ccee.refused, "I06", "occurrence")
UNKNOWN: Final = Session(ccee.unknown, "I07")
BROKEN_OFF: Final = Session(ccee.broken_off, "I08")
CLOCK: Final = Session(ccee.daily, "I09 I14", "clock")
PROGRAMMED: Final = Session(ccee.daily, "I10 I14", "programmed")
INSPECTION: Final = Session(ccee.inspection, "I12 I14")
CUT: Final = Session(ccee.left_hanging, "I13 I08", reason="idle")

#: Meter number -> its sessions of the night, one after another; all others are read well, once.
NIGHT: Final[dict[int, tuple[Session, ...]]] = {
    2: (),  # I01
    4: (NOBODY,),
    7: (MUTE,),
    9: (MUTE, GOOD),
    11: (NOISY,),
    13: (OTHER,),
    15: (REFUSED, REFUSED),
    18: (REFUSED,),
    20: (UNKNOWN,),
    22: (BROKEN_OFF,),
    24: (BROKEN_OFF, GOOD),
    26: (CLOCK,),
    28: (GOOD, PROGRAMMED),
    31: (INSPECTION,),
    33: (CUT,),
    35: (MUTE, BROKEN_OFF),
    38: (NOBODY, MUTE, GOOD),
}
#: Failed twice in a row: I11.
REPEATED: Final = {15, 35, 38}


def serial_of(number: int) -> str:
    return str(FIRST_SERIAL + number)


def night_of(number: int) -> tuple[Session, ...]:
    return NIGHT.get(number, (GOOD,))


@dataclass
class Site:
    """All meters with their lines, the gateways, central's ingest; folders are made in ``folder``."""

    folder: Path
    broker: Broker
    url: str
    stack: AsyncExitStack
    links: dict[int, Link] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)  # forwarded
    stand_ins: dict[tuple[str, int], int] = field(default_factory=dict)
    gateways: list[Child] = field(default_factory=list)
    ingest: Child | None = None
    env: dict[str, str] = field(default_factory=dict)  # of central

    async def start(self) -> None:
        self.folder.mkdir()
        self.env = {
            "METERGATE_DATA_DIR": str(self.folder),
            "METERGATE_TENANT": TENANT,
            "METERGATE_DATABASE_URL": self.url,
            "METERGATE_BROKER_PORT": str(self.broker.port),
        }
        migration = Child("migrate", metergate("central", "migrate"), self.folder / "migrate.log", self.env)
        homes = self._simulate("meters", [serial_of(n) for n in range(GATEWAYS * EACH)])
        others = {}
        for kind, (options, shift) in STAND_INS.items():
            numbers = [n for n, night in NIGHT.items() if any(each.stand_in == kind for each in night)]
            others[kind] = numbers, self._simulate(kind, [serial_of(n + shift) for n in numbers], *options)
        await asyncio.to_thread(migration.require_success)
        for kind, (numbers, child) in others.items():
            found = await self._ports(child, len(numbers))
            self.stand_ins |= {(kind, n): port for n, port in zip(numbers, found, strict=True)}
        for number, port in enumerate(await self._ports(homes, GATEWAYS * EACH)):
            self.links[number] = await self.stack.enter_async_context(Link(port))
        self.ports = dict(enumerate(ccee.free_ports(GATEWAYS * EACH)))
        self.start_ingest("evening")
        for g in range(GATEWAYS):
            config = self.folder / f"gw{g}.toml"
            config.write_text(self._config(g))
            self.gateways.append(self._child(f"gw{g}", metergate("edge", "run", str(config))))
        for gateway in self.gateways:  # nobody knocks: that would be a session
            await until(partial(_listening, gateway), 60, f"ten forwards in {gateway.log}")

    def start_ingest(self, name: str) -> None:
        self.ingest = self._child(f"ingest-{name}", metergate("central", "ingest"), self.env)

    async def kill_ingest(self) -> None:
        """In the middle of the night; what it had taken and not acknowledged comes again."""
        await asyncio.sleep(2.5)
        assert self.ingest is not None
        self.ingest.require_running()
        self.ingest.kill()
        self.start_ingest("night")

    def spool(self, gateway: int) -> Path:
        return self.folder / f"gw{gateway}.db"

    def _simulate(self, name: str, serials: list[str], *options: str) -> Child:
        command = metergate("edge", "simulate", "--json", "--days", str(DAYS), *options)
        for serial in serials:
            command += ["--meter", f"{serial}@tcp:0"]
        return self._child(f"sim-{name}", command)

    async def _ports(self, simulator: Child, number: int) -> list[int]:
        lines = await asyncio.to_thread(simulator.wait_for_lines, number + 1)
        return [found["port"] for found in map(json.loads, lines) if "port" in found]

    def _child(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        child = Child(name, command, self.folder / f"{name}.log", env)
        self.stack.push_async_callback(asyncio.to_thread, child.stop)
        return child

    def _config(self, gateway: int) -> str:
        parts = [
            f'gateway = "gw{gateway}"\ntenant = "{TENANT}"\n[log]\nlevel = "info"\nformat = "json"',
            f'[uplink]\nhost = "127.0.0.1"\nport = {self.broker.port}\ntls = false',
            f'[spool]\npath = "{self.spool(gateway)}"',
            "[schedule]\nprofile = 20\nregisters = 30\ninstantaneous = 15\nevents = 60\nclock = 30",
            f'backfill_days = {DAYS - 1}\nccee_window = ""',
        ]
        for number in range(gateway * EACH, (gateway + 1) * EACH):
            serial = serial_of(number)
            idle = IDLE_SECONDS if CUT in night_of(number) else 60
            parts += [
                f'[[lines]]\nname = "l-{serial}"\nkind = "tcp"\naddress = "127.0.0.1:{self.links[number].port}"',
                f'[[meters]]\nid = "{serial}"\nserial = "{serial}"\nline = "l-{serial}"',
                f'[meters.forward]\nport = {self.ports[number]}\nlisten = "127.0.0.1"\nallow = ["127.0.0.0/8"]',
                f'mode = "shared"\nidle_seconds = {idle}\nresume_seconds = 2\nself_test_hours = 0',
            ]
        return "\n".join(parts) + "\n"

    async def collect(self, number: int) -> None:
        """Let the CCEE have its sessions with one meter."""
        link = self.links[number]
        for session in night_of(number):
            async with asyncio.timeout(60), await RawReader.tcp(self.ports[number]) as reader:
                try:
                    assert await reader.octet(30), f"meter {number}: turned away"  # the meter calls: the line is ours
                    if session.stand_in:
                        await link.switch(self.stand_ins[session.stand_in, number])
                    await session.does(reader, link)
                finally:
                    reader.writer.close()  # what is still to be sent is sent
                    await link.switch(link.home)
            await asyncio.sleep(0.5)


def _listening(gateway: Child) -> bool:
    gateway.require_running()
    return gateway.log.read_text().count("forward listens") == EACH


async def expected_everywhere(database: Database, began: int) -> None:
    """Wait until central knows of all forwards; it is to have known them since before the window."""
    start = window(local_date(began, ZONE), ZONE, WINDOW)[0]
    deadline = time.monotonic() + SETTLE_SECONDS
    while await counted(database, CceeMeter.meter_id) < GATEWAYS * EACH:
        assert time.monotonic() < deadline, "gateways do not tell of all their forwards"
        await asyncio.sleep(0.3)
        await look(database, WINDOW, start - 3600)


async def told(database: Database, number: int) -> None:
    """Wait for so many connections in central; a doubled one would come soon after."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while await counted(database, CceeConnection.id) < number:
        if time.monotonic() > deadline:
            return  # the comparison says which
        await asyncio.sleep(0.3)
    await asyncio.sleep(1.0)


async def counted(database: Database, column: InstrumentedAttribute[int]) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count(column))) or 0


async def own_reading(database: Database, start: int) -> Account:
    """Wait until central holds every interval from ``start`` on; at the end of patience, what it holds."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        account = Account()
        end = floor(int(time.time()) - 120, STEP)  # the newest interval may be on its way
        for number in range(GATEWAYS * EACH):
            await profiles(database, serial_of(number), start, end, account)
        if not account.lost or time.monotonic() > deadline:
            return account
        await asyncio.sleep(1.0)


async def morning(database: Database, began: int) -> int:
    """Let the window of the day of ``began`` pass: gateways tell of their health, the job looks. Returns new alarms."""
    limit = due(window(local_date(began, ZONE), ZONE, WINDOW)[1], WINDOW)
    health = GatewayTelemetry(limit + 60, 1, 2, 3, 4, 0.5, 0, 0)
    async with database.write() as session:
        for gateway in await session.scalars(select(Gateway)):
            session.add(
                GatewayHealth(
                    tenant_id=gateway.tenant_id, gateway_id=gateway.id, at=health.at, spool_rows=0, rss_bytes=0,
                    data=encode(health),
                )
            )  # fmt: skip
    return await look(database, WINDOW, limit + 120)


async def connections(database: Database) -> dict[str, list[CceeConnection]]:
    """All sessions in central, by meter, in order."""
    found: dict[str, list[CceeConnection]] = defaultdict(list)
    async with database.read() as session:
        query = select(CceeConnection, Meter.key).join(Meter, Meter.id == CceeConnection.meter_id)
        for row, key in await session.execute(query.order_by(CceeConnection.started_ms)):
            found[key].append(row)
    return found


async def alarms(database: Database) -> list[AlarmView]:
    async with database.read() as session:
        tenant = await session.scalar(select(Gateway.tenant_id).limit(1))
        assert tenant is not None
        return list((await alarm_service.alarms(session, tenant, limit=1000)).items)


def wanted_alarms() -> set[tuple[str, str]]:
    """(meter, code) of all alarms the night must have raised."""
    wanted = {
        (serial_of(number), code)
        for number, night in NIGHT.items()
        for session in night
        for code in session.codes.split()
        if code != "I14"
    }
    wanted |= {(serial_of(number), "I11") for number in REPEATED}
    return wanted | {(serial_of(number), "I01") for number, night in NIGHT.items() if not night}


@pytest.mark.system
@pytest.mark.timeout(240)
async def test_a_night_with_every_fault(tmp_path: Path, broker: Broker) -> None:
    """Each fault is found and named, no healthy meter is accused, our own reading is whole in the morning."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}"
    began = int(time.time())
    marks = {"start": time.monotonic()}
    async with AsyncExitStack() as stack:
        site = Site(tmp_path / "site", broker, url, stack)
        await site.start()
        database = open_url(url)
        stack.push_async_callback(database.close)
        await expected_everywhere(database, began)
        marks["night"] = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(site.kill_ingest())
            for number in range(GATEWAYS * EACH):
                group.create_task(site.collect(number))
        marks["told"] = time.monotonic()
        await told(database, sum(len(night_of(number)) for number in range(GATEWAYS * EACH)))
        marks["own"] = time.monotonic()
        account = await own_reading(database, ceil(began - SPAN, STEP))
        marks["morning"] = time.monotonic()
        late = await morning(database, began)
        for gateway in site.gateways:
            gateway.require_running()
            assert "Traceback" not in gateway.log.read_text()
        found, raised = await connections(database), await alarms(database)
        async with database.read() as session:
            query = (
                select(Meter.key).join(Event, Event.meter_id == Meter.id).where(Event.kind == "ccee_repeated_failure")
            )
            events = list(await session.scalars(query))
    marks["end"] = time.monotonic()
    took = ", ".join(f"{name} +{at - marks['start']:.0f} s" for name, at in marks.items())
    print(f"\n{sum(map(len, found.values()))} sessions, {len(raised)} alarms, {account}; {took}")
    each_session_is_recorded_once_and_named(found)
    assert late == 1
    each_fault_is_an_alarm_and_nobody_else(raised)
    assert sorted(events) == sorted(serial_of(number) for number in REPEATED)
    assert account.intervals >= GATEWAYS * EACH * 3 * (SPAN // STEP - 2)
    assert [*account.lost, *account.changed, *account.doubled] == [], str(account)


def each_session_is_recorded_once_and_named(found: dict[str, list[CceeConnection]]) -> None:
    for number in range(GATEWAYS * EACH):
        rows, night = found.get(serial_of(number), []), night_of(number)
        said = [(row.verdict, set(row.codes.split()), row.close_reason, row.mode) for row in rows]
        assert said == [(each.verdict, set(each.codes.split()), each.reason, "shared") for each in night], number
        for row, session in zip(rows, night, strict=True):
            if session is GOOD:
                assert (row.serial, row.outcome) == (serial_of(number), "ok")
                assert row.range_start is not None
                assert row.delivered_end is not None
                assert row.delivered_end - row.range_start >= SPAN


def each_fault_is_an_alarm_and_nobody_else(raised: list[AlarmView]) -> None:
    healthy = {serial_of(number) for number in range(GATEWAYS * EACH) if number not in NIGHT}
    assert not [alarm for alarm in raised if alarm.meter in healthy]  # of no source
    ours = [alarm for alarm in raised if alarm.source == "ccee" and not alarm.withdrawn]
    assert sorted((alarm.meter, alarm.code) for alarm in ours) == sorted(wanted_alarms())
    for alarm in ours:
        assert alarm.code != "I11" or alarm.severity.word == "critical"
        night = NIGHT[int(alarm.meter) - FIRST_SERIAL]
        assert (alarm.state == "closed") == (night[-1:] == (GOOD,)), alarm
