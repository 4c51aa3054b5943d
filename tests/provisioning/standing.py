"""A site as it stands, with what its tests share: two machines, a meter, playbooks, the API, and the counting."""

import asyncio
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import pytest

from central.store.engine import open_url
from metergate.processes import Child, metergate
from shared.intervals import ceil, floor
from tests.ports import free_port
from tests.postgres import Cluster
from tests.provisioning import releases
from tests.provisioning.image import image, missing
from tests.provisioning.machine import Machine
from tests.provisioning.site import BACKFILL_DAYS, SERIAL, Run, Site, ended
from tests.provisioning.tools import ANSIBLE, WITHOUT_ANSIBLE
from tests.system.accounts import Account, profiles, streams

T = TypeVar("T")
#: Variables per host, on top of the site's.
Overrides = dict[str, dict[str, Any]]
GATEWAY: Final = "gw-0001"
CENTER: Final = "center"


def without() -> str:
    """Why no machine can be tried here; empty when one can."""
    if os.environ.get("METERGATE_VM") == "1":
        return missing() or WITHOUT_ANSIBLE
    return "virtual machines with emulated processors take an hour: METERGATE_VM=1, or make test-provisioning"


#: Of every module that goes over a site: they share a worker, and are passed over with the reason that without() names.
MARKS: Final = [
    pytest.mark.provisioning,
    pytest.mark.xdist_group("site"),
    pytest.mark.timeout(5400),
    pytest.mark.skipif(bool(without()), reason=without()),
]


class Standing:
    """The site as it stands, with what its tests share."""

    def __init__(self, folder: Path, overrides: Overrides, data_disk: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.meter_port = free_port()
        base, bundles = image(), folder.parent / "bundles"
        releases.build(bundles, base)
        switch = folder / "s"
        self.center = Machine(base, folder, CENTER, 1, switch=switch, memory=1024, web=free_port())
        self.gateway = Machine(base, folder, GATEWAY, 2, switch=switch, meter_port=self.meter_port, data_disk=data_disk)
        play = ANSIBLE / "ansible-playbook"
        self.site = Site(folder, play, bundles, self.center, [self.gateway], overrides)
        self.site.write()
        command = metergate("edge", "simulate", "--meter", f"{SERIAL}@tcp:{self.meter_port}", "--days", "35")
        self.meter = Child("meter", command, folder / "meter.log")

    def begin(self) -> None:
        self.center.start(wait=False)
        self.gateway.start()
        self.center.wait()
        if self.stage("center"):  # in a folder of an earlier run: what was provisioned comes up by itself
            until(self._serves, 300, "the aggregator's pages after its start")

    def _serves(self) -> bool:
        with httpx.Client(verify=self.trust(), timeout=60) as client:
            try:
                return client.get(f"{self.web}/healthz").is_success
            except httpx.TransportError:
                return False

    def end(self) -> None:
        for machine in (self.gateway, self.center):
            machine.cut_power()
        self.meter.stop()

    def stage(self, name: str) -> bool:
        """Was it reached in this folder? (the folder may be an earlier run's)"""
        return (self.folder / f"stage-{name}").exists()

    def reached(self, name: str, **figures: float) -> None:
        (self.folder / f"stage-{name}").write_text(json.dumps(figures))
        print(f"\n{name}: {figures}")

    def play(self, book: str, *options: str) -> Run:
        """A playbook to its end; it must end well."""
        began = time.monotonic()
        run = self.site.play(book, *options)
        (self.folder / f"{book}.log").write_text(run.said)
        assert run.code == 0, run.said[-6000:]
        print(f"\n{book} {' '.join(options)}: {time.monotonic() - began:.0f} s, changed {dict(run.changed)}")
        return run

    def status(self) -> dict[str, Any]:
        """What the gateway says of itself; empty when it does not run."""
        done = self.gateway.run("sudo metergate edge status /etc/metergate/gateway.toml --json")
        return json.loads(done.out) if done.code == 0 else {}

    def connected(self, seconds: float = 300) -> dict[str, Any]:
        """Wait until the broker has accepted the gateway."""
        until(
            lambda: self.status().get("uplink", {}).get("state") == "connected",
            seconds,
            "the broker accepts the gateway",
        )
        return self.status()

    def trust(self) -> ssl.SSLContext:
        """Our own authority, and no other."""
        return ssl.create_default_context(cafile=str(self.folder / "ca/ca.pem"))

    @property
    def web(self) -> str:
        """The aggregator's address from here."""
        return f"https://127.0.0.1:{self.center.web}"

    def key(self) -> Path:
        """File with an API key, made on the aggregator's machine."""
        file = self.folder / "api-key"
        if not file.exists():
            said = self.center.must(central("create-key --login admin --name tests --days 30 --write"))
            file.write_text(next(word for word in said.split() if word.startswith("mg_")))
        return file

    def api(self, address: str, method: str = "GET", **body: Any) -> Any:
        """What the aggregator answers over HTTPS."""
        headers = {"Authorization": f"Bearer {self.key().read_text()}"}
        with httpx.Client(verify=self.trust(), timeout=60, headers=headers) as client:
            answer = client.request(method, f"{self.web}/api/v1/{address}", json=body or None)
        assert answer.is_success, f"{method} {address}: {answer.status_code} {answer.text}"
        return answer.json()

    def copy(self, machine: Machine, source: str, target: Path) -> None:
        """A file of a machine, read as root."""
        with target.open("wb") as out:
            subprocess.run([*machine.ssh(), f"sudo cat {source}"], stdout=out, check=True, timeout=300)

    def account(self) -> Account:
        """Everything the meter holds and the spool ever took against what the aggregator has, value for value."""
        try:
            self._rest()
            now = int(time.time())
            self._copy_database()
            for end in ("", "-wal"):
                (self.folder / f"spool.db{end}").unlink(missing_ok=True)
                if self.gateway.run(f"sudo test -s /var/lib/metergate/spool.db{end}").code == 0:
                    self.copy(self.gateway, f"/var/lib/metergate/spool.db{end}", self.folder / f"spool.db{end}")
        finally:
            self.gateway.must("sudo systemctl start metergate-edge", timeout=240)
        first, last = ceil(now - (BACKFILL_DAYS - 1) * 86400, 900), floor(now - 1200, 900)
        with self._database() as url:
            return asyncio.run(self._count(url, first, last))

    def _rest(self) -> None:
        """Stop the gateway at a moment when all that it took is confirmed."""
        for _ in range(10):
            until(lambda: self.status().get("state", {}).get("spool_rows") == 0, 300, "everything is delivered")
            self.gateway.must("sudo systemctl stop metergate-edge", timeout=240)
            said = self.gateway.run("sudo metergate edge status /etc/metergate/gateway.toml --json").out
            if json.loads(said)["spool"]["pending"] == 0:
                return
            self.gateway.must("sudo systemctl start metergate-edge", timeout=240)
        raise AssertionError("something was read between the last confirmation and the stop, ten times")

    @property
    def _postgresql(self) -> bool:
        return bool(self.site.overrides.get(CENTER, {}).get("central_database") == "postgresql")

    def _copy_database(self) -> None:
        """What the aggregator has, into ``central.sqlite`` or, as statements, ``central.sql``."""
        if self._postgresql:
            with (self.folder / "central.sql").open("wb") as out:
                dump = "cd / && sudo -u postgres pg_dump --no-owner metergate"
                subprocess.run([*self.center.ssh(), dump], stdout=out, check=True, timeout=600)
            return
        backup = self.center.must("sudo /opt/metergate/metergate-backup").strip().splitlines()[-1]
        self.copy(self.center, f"/var/backups/metergate/{backup}.sqlite", self.folder / "central.sqlite")

    @contextmanager
    def _database(self) -> Iterator[str]:
        """The URL of that copy."""
        if not self._postgresql:
            yield f"sqlite+aiosqlite:///{self.folder / 'central.sqlite'}"
            return
        cluster = Cluster()
        try:
            url = cluster.new_database()
            plain = url.replace("+asyncpg", "")
            subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(self.folder / "central.sql"), plain],
                           check=True, stdout=subprocess.DEVNULL, timeout=600)  # fmt: skip
            yield url
        finally:
            cluster.remove()

    async def _count(self, url: str, start: int, end: int) -> Account:
        account = Account()
        database = open_url(url)
        try:
            await profiles(database, SERIAL, start, end, account)
            await streams(database, {GATEWAY: self.folder / "spool.db"}, account)
        finally:
            await database.close()
        return account


def central(command: str) -> str:
    return f"cd / && sudo -u metergate metergate central --settings /etc/metergate/central.toml {command}"


def until(ask: Callable[[], T], seconds: float, what: str) -> T:
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(2)
    return answer


def place(factory: pytest.TempPathFactory, name: str) -> Path:
    """The folder of a site: in METERGATE_VM_FOLDER, where it lasts, or a temporary one."""
    kept = os.environ.get("METERGATE_VM_FOLDER")
    return Path(kept) / name if kept else factory.mktemp(name, numbered=False)


@contextmanager
def begun(folder: Path, overrides: Overrides | None = None, data_disk: str = "") -> Iterator[Standing]:
    """Machines switched on in ``folder`` until the block ends; disks that it has already are used."""
    standing = Standing(folder, overrides or {}, data_disk)
    try:
        standing.begin()
        yield standing
    finally:
        standing.end()


def cut(standing: Standing, book: str, at: str, after: float) -> Run:
    """Run a playbook, cut the gateway's power ``after`` seconds from the task ``at`` on; the machine starts again."""
    process = standing.site.begin(book)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if at in line and standing.gateway.running:
            time.sleep(after)
            standing.gateway.cut_power()
            process.terminate()
    process.stdout.close()
    process.wait(300)
    run = ended(process.returncode, "".join(said))
    assert not standing.gateway.running, f"the task {at!r} never came: {run.said[-3000:]}"
    standing.gateway.start()
    return run
