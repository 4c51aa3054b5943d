"""The whole product in processes of its own, with everything between them breakable: what faults are tried on."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.spool import inspection
from metergate.processes import Child, metergate
from tests.brokers import Broker
from tests.postgres import Cluster
from tests.proxy import Proxy

TENANT: Final = "t1"
DAYS: Final = 90
METERS_PER_GATEWAY: Final = 6


@dataclass
class GatewayUnderTest:
    """One gateway: its meters behind proxies (TCP) and terminals, its own proxy to the broker."""

    id: str
    folder: Path
    first_serial: int
    uplink: Proxy
    serials: list[str] = field(default_factory=list)
    links: dict[str, Proxy] = field(default_factory=dict)
    simulator: Child | None = None
    process: Child | None = None
    starts: int = 0

    @property
    def spool(self) -> Path:
        return self.folder / "spool.db"

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    async def prepare(self) -> None:
        """Start the meters and write the configuration."""
        self.folder.mkdir(parents=True)
        await self.uplink.mend()
        self.serials = [str(self.first_serial + i) for i in range(METERS_PER_GATEWAY)]
        command = metergate("edge", "simulate", "--json", "--days", str(DAYS))
        for i, serial in enumerate(self.serials):
            command += ["--meter", f"{serial}@tcp:0" if i < 4 else f"{serial}@pty:{self.folder / serial}"]
        self.simulator = Child(f"meters-{self.id}", command, self.folder / "meters.log")
        lines = await asyncio.to_thread(self.simulator.wait_for_lines, METERS_PER_GATEWAY + 1)
        parts = [
            f'gateway = "{self.id}"\ntenant = "{TENANT}"\n[log]\nlevel = "info"\nformat = "json"',
            f'[uplink]\nhost = "127.0.0.1"\nport = {self.uplink.port}\ntls = false',
            "keepalive_seconds = 5\nreconnect_max_seconds = 2.0\nack_seconds = 2.0",
            f'[spool]\npath = "{self.spool}"',
            "[permissions]\nclose_bill = true",
            "[schedule]\nprofile = 20\nregisters = 7\ninstantaneous = 2\nevents = 15\nclock = 30\nbackfill_days = 89",
        ]
        for found in map(json.loads, lines):
            if "serial" not in found:
                continue
            serial, kind, address = found["serial"], "serial", found.get("link")
            if found["kind"] == "tcp":
                link = self.links[serial] = Proxy(found["port"])
                await link.mend()
                kind, address = "tcp", f"127.0.0.1:{link.port}"
            parts.append(f'[[lines]]\nname = "l-{serial}"\nkind = "{kind}"\naddress = "{address}"')
            parts.append(f'[[meters]]\nid = "{serial}"\nserial = "{serial}"\nline = "l-{serial}"')
            parts.append("[meters.settings]\npermit_close_bill = true")
        self.config.write_text("\n".join(parts) + "\n")

    def start(self) -> None:
        self.starts += 1
        log = self.folder / f"gateway-{self.starts}.log"
        self.process = Child(self.id, metergate("edge", "run", str(self.config)), log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.require_running()  # a gateway that ended by itself is a finding, not a fault of ours
        self.process.kill()

    async def stop(self) -> None:
        """End the gateway in order; it must still be running."""
        assert self.process is not None
        self.process.require_running()
        await asyncio.to_thread(self.process.stop)

    async def silence(self) -> None:
        """End the meters."""
        assert self.simulator is not None
        await asyncio.to_thread(self.simulator.stop)

    async def end(self) -> None:
        for child in (self.process, self.simulator):
            if child is not None:
                await asyncio.to_thread(child.stop)
        for proxy in (self.uplink, *self.links.values()):
            await proxy.__aexit__(None, None, None)


class World:
    """Broker, database, ``workers`` ingest processes and two gateways. ``cluster`` None: SQLite."""

    def __init__(self, folder: Path, broker: Broker, url: str, cluster: Cluster | None, workers: int) -> None:
        self.folder, self.broker, self.url, self.cluster = folder, broker, url, cluster
        self.workers: list[Child | None] = [None] * workers
        self.starts = 0
        self.gateways = [
            GatewayUnderTest(f"gw{n}", folder / f"gw{n}", 31_000_000 + 100 * n, Proxy(broker.port)) for n in (1, 2)
        ]
        self.env = {
            "METERGATE_DATA_DIR": str(folder / "central"),
            "METERGATE_TENANT": TENANT,
            "METERGATE_DATABASE_URL": url,
            "METERGATE_BROKER_PORT": str(broker.port),
            "METERGATE_INGEST_RESEND_SECONDS": "1",  # a command without answer
            **({"METERGATE_INGEST_SHARE": "ingest"} if workers > 1 else {}),
        }

    async def start(self) -> None:
        (self.folder / "central").mkdir(parents=True)
        migration = Child("migrate", metergate("central", "migrate"), self.folder / "migrate.log", self.env)
        await asyncio.to_thread(migration.require_success)
        for gateway in self.gateways:
            await gateway.prepare()
        for place in range(len(self.workers)):
            self.start_worker(place)
        for gateway in self.gateways:
            gateway.start()

    async def end(self) -> None:
        for gateway in self.gateways:
            await gateway.end()
        for worker in self.workers:
            if worker is not None:
                await asyncio.to_thread(worker.stop)

    def start_worker(self, place: int) -> None:
        self.starts += 1
        log = self.folder / f"ingest-{self.starts}.log"
        self.workers[place] = Child(f"ingest {place}", metergate("central", "ingest"), log, self.env)

    def pending(self) -> dict[str, int]:
        """Rows of each spool that no cursor covers yet."""
        return {gateway.id: inspection.overview(gateway.spool).pending for gateway in self.gateways}


Fault = Callable[[World, random.Random], Awaitable[str]]


async def kill_gateway(world: World, chance: random.Random) -> str:
    gateway = chance.choice(world.gateways)
    gateway.kill()
    await asyncio.sleep(chance.choice((0.0, 0.3)))
    gateway.start()
    return f"SIGKILL of gateway {gateway.id}"


async def kill_worker(world: World, chance: random.Random) -> str:
    place = chance.randrange(len(world.workers))
    worker = world.workers[place]
    assert worker is not None
    worker.require_running()
    worker.kill()
    await asyncio.sleep(chance.choice((0.0, 0.5)))
    world.start_worker(place)
    return f"SIGKILL of ingest worker {place}"


async def lose_broker(world: World, chance: random.Random) -> str:
    world.broker.kill(lose_queues=True)
    await asyncio.sleep(chance.choice((0.0, 0.7)))
    await asyncio.to_thread(world.broker.start)
    return "SIGKILL of the broker, queues lost"


async def crash_database(world: World, chance: random.Random) -> str:
    assert world.cluster is not None
    await asyncio.to_thread(world.cluster.stop, immediate=True)
    await asyncio.sleep(chance.choice((0.0, 0.5)))
    await asyncio.to_thread(world.cluster.start)
    return "crash of the database"


async def cut_uplink(world: World, chance: random.Random) -> str:
    gateway = chance.choice(world.gateways)
    await gateway.uplink.cut()
    await asyncio.sleep(chance.uniform(0.0, 0.6))
    await gateway.uplink.mend()
    return f"uplink of {gateway.id} cut"


async def freeze_uplink(world: World, chance: random.Random) -> str:
    gateway = chance.choice(world.gateways)
    gateway.uplink.freeze()
    await asyncio.sleep(chance.uniform(0.2, 1.0))
    if chance.random() < 0.5:
        await gateway.uplink.cut()  # what was on its way is gone
        await gateway.uplink.mend()
    gateway.uplink.thaw()
    return f"uplink of {gateway.id} frozen"


async def cut_meter(world: World, chance: random.Random) -> str:
    gateway = chance.choice(world.gateways)
    serial, link = chance.choice(sorted(gateway.links.items()))
    await link.cut()
    await asyncio.sleep(chance.uniform(0.0, 0.3))
    await link.mend()
    return f"line to meter {serial} cut"


FAULTS: Final[tuple[Fault, ...]] = (kill_gateway, kill_worker, lose_broker, cut_uplink, freeze_uplink, cut_meter)
POSTGRES_FAULTS: Final[tuple[Fault, ...]] = (*FAULTS, crash_database)
