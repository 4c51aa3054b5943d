"""Each trouble a person meets is said, with thing, value and way out: in the log, on the command line, on the pages.

The product runs in processes of its own: meters, gateways, broker, ingest, web. Pages are read in two languages.
"""

import asyncio
import html
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from central.store.engine import open_url
from central.web import assets
from edge.spool import inspection
from metergate.processes import Child, free_port, metergate
from shared.intervals import ceil, floor
from tests.brokers import Broker
from tests.proxy import Proxy
from tests.system.accounts import Account, profiles, streams

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

TENANT, LOGIN, PASSWORD = "t1", "ana", "a long enough password"
SERIAL, OTHER = "12345601", "12345602"


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def edge(*arguments: str | Path) -> Said:
    """Run ``metergate edge`` to its end; nobody is ever shown a traceback."""
    command = metergate("edge", *map(str, arguments))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


@dataclass
class Site:
    """Broker, aggregator, meters, and a browser that is logged in."""

    folder: Path
    broker: Broker
    web: httpx.Client
    meter: str  # host:port
    children: list[Child] = field(default_factory=list)

    def api(self, path: str) -> Any:
        answer = self.web.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def page(self, path: str, language: str) -> str:
        """The text of a page as a person reads it."""
        headers = {"accept": "text/html", "accept-language": language}
        answer = self.web.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        assert f'<html lang="{language}"' in answer.text
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))

    def send(self, method: str, path: str, what: dict[str, Any]) -> httpx.Response:
        """Change something through the API, as this person."""
        form = self.web.get("/profile", headers={"accept": "text/html"}).text
        token = form.split('name="_csrf" value="')[1].split('"')[0]
        return self.web.request(method, f"/api/v1{path}", json=what, headers={"x-csrf-token": token})

    def command(self, gateway: str, **what: Any) -> dict[str, Any]:
        """Send a command and wait for what becomes of it."""
        answer = self.send("POST", f"/gateways/{gateway}/commands", what)
        assert answer.status_code == 201, answer.text
        path = f"/commands/{answer.json()['id']}"
        wait(lambda: self.api(path)["status"] in ("done", "failed"), "the command's result")
        found: dict[str, Any] = self.api(path)
        return found

    def config(
        self,
        gateway: str,
        serial: str = SERIAL,
        *,
        meter: str = "",
        way: str = "",
        broker: int = 0,
        disk: Path | None = None,
    ) -> Path:
        """Write the configuration of a gateway with one meter; ``way``: its address, ``disk``: the spool's folder."""
        folder = self.folder / gateway
        folder.mkdir()
        path = folder / "gateway.toml"
        path.write_text(
            f'gateway = "{gateway}"\ntenant = "{TENANT}"\n'
            f'[uplink]\nhost = "127.0.0.1"\nport = {broker or self.broker.port}\ntls = false\n'
            "keepalive_seconds = 5\nreconnect_max_seconds = 0.5\nstate_seconds = 1.0\n"
            f'[spool]\npath = "{(disk or folder) / "spool.db"}"\nfree_bytes = 0\n[log]\nformat = "json"\n'
            "[schedule]\nprofile = 5\nregisters = 2\ninstantaneous = 1\nevents = 0\nclock = 0\nbackfill_days = 30\n"
            f'[[lines]]\nname = "line-1"\nkind = "tcp"\naddress = "{way or self.meter}"\n'
            f'[[meters]]\nid = "{meter or gateway + "-m"}"\nserial = "{serial}"\nline = "line-1"\n'
        )
        return path

    def run(self, config: Path) -> "Running":
        """Start a gateway and wait until the aggregator has heard of it."""
        child = Child(config.parent.name, metergate("edge", "run", str(config)), config.with_suffix(".log"))
        self.children.append(child)
        running = Running(self, config.parent.name, child)
        wait(running.known, "the gateway's first word")
        return running


@dataclass
class Running:
    """A gateway under way."""

    site: Site
    id: str
    child: Child

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log lines that are of its own."""
        return [json.loads(line) for line in self.child.log.read_text().splitlines() if line.startswith("{")]

    def logged(self, *parts: str) -> bool:
        """Whether one line of the log holds all of this."""
        return any(all(part in json.dumps(line, ensure_ascii=False) for part in parts) for line in self.log)

    def known(self) -> bool:
        self.child.require_running()
        answer = self.site.web.get(f"/api/v1/gateways/{self.id}")
        return answer.status_code == 200 and answer.json()["gateway"]["online"]

    def state(self) -> Any:
        return self.site.api(f"/gateways/{self.id}")

    def alarms(self) -> list[str]:
        found: list[str] = self.state()["gateway"]["alarms"]
        return found


def wait(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not assets.is_current():
        pytest.skip("the web libraries are not built: python -m central.web.assets")
    folder = tmp_path_factory.mktemp("messages")
    broker = Broker(folder / "broker")
    broker.start()
    children = []

    def start(name: str, *command: str) -> Child:
        children.append(Child(name, metergate(*command), folder / f"{name}.log", env))
        return children[-1]

    port = free_port()
    env = {
        "METERGATE_DATA_DIR": str(folder), "METERGATE_TENANT": TENANT, "METERGATE_BROKER_PORT": str(broker.port),
        "METERGATE_WEB_PORT": str(port),
    }  # fmt: skip
    try:
        meters = start("meters", "edge", "simulate", "--json", "--days", "10", "--meter", f"{SERIAL}@tcp:0")
        (folder / "password").write_text(PASSWORD)
        start("migrate", "central", "migrate").require_success()
        admin = ("--login", LOGIN, "--password-file", str(folder / "password"))
        start("admin", "central", "create-admin", *admin).require_success()
        start("ingest", "central", "ingest")
        start("web", "central", "serve").wait_for_port(port)
        found = json.loads(meters.wait_for_lines(2)[0])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as web:
            assert web.post("/login", data={"login": LOGIN, "password": PASSWORD}).status_code == 303
            it = Site(folder, broker, web, f"127.0.0.1:{found['port']}")
            yield it
    finally:
        for child in reversed(children):
            child.stop()
        broker.kill()


@pytest.fixture(autouse=True)
def gateways_end(site: Site) -> Iterator[None]:
    """The meter serves one connection at a time."""
    yield
    while site.children:
        site.children.pop().stop()


# -- a wrong configuration -----------------------------------------------------------------------------------------


def test_wrong_configuration_before_the_start(site: Site) -> None:
    config = site.config("gw-typo")
    config.write_text(config.read_text().replace("keepalive_seconds", "keepalive_secnds"))
    for command in ("check", "run", "status"):
        said = edge(command, config)
        assert said.code == 2
        assert f"{config} is not a usable configuration" in said.err
        assert "line 7, uplink.keepalive_secnds: unknown key 'keepalive_secnds'; did you mean 'keepalive_seconds'?" in (
            said.err
        )
    said = edge("read", config, "gw-typo-m")
    assert (said.code, said.out) == (2, "")


def test_wrong_configuration_of_a_running_gateway(site: Site) -> None:
    config = site.config("gw-conf")
    running = site.run(config)
    good = config.read_text()
    config.write_text(good.replace('line = "line-1"', 'line = "lin-1"'))
    running.child._process.send_signal(1)  # SIGHUP
    wrong = "no line is called 'lin-1'; did you mean 'line-1'?"
    wait(lambda: running.logged("configuration not usable, the previous one stays in force", wrong), "the log")
    assert edge("check", config).code == 2
    wait(running.alarms, "the alarm")
    assert running.alarms()[0].startswith("config_refused: ")
    assert wrong in running.alarms()[0]
    for language in ("en", "pt-BR"):
        page = site.page("/gateways/gw-conf", language)
        assert wrong in page
        assert str(config) in page
    config.write_text(good)
    running.child._process.send_signal(1)
    wait(lambda: not running.alarms(), "the end of the alarm")

    # the same from afar: refused, nothing changed
    result = site.command("gw-conf", kind="apply_config", toml=good.replace('line = "line-1"', 'line = "lin-1"'))
    assert result["status"] == "failed"
    assert wrong in result["message"]
    assert running.logged("command ended", wrong)
    for language in ("en", "pt-BR"):
        assert "lin-1" in site.page("/gateways/gw-conf", language)
    assert config.read_text() == good


# -- an unknown meter ----------------------------------------------------------------------------------------------


def test_unknown_meter(site: Site) -> None:
    config = site.config("gw-meter")
    said = edge("read", config, "nosuchmeter")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: no meter 'nosuchmeter' in this configuration; there are: gw-meter-m\n"
    running = site.run(config)
    assert edge("read", config, "nosuchmeter").err == said.err
    answer = site.send("POST", "/gateways/gw-meter/commands", {"kind": "read_now", "meter": "nosuchmeter"})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no meter 'nosuchmeter'."

    # entered here, and never in the gateway's configuration
    shed = {"serial": "70000007", "gateway": "gw-meter"}
    assert site.send("PUT", "/meters/shed-7", shed).status_code == 201
    result = site.command("gw-meter", kind="read_now", meter="shed-7", kinds=["registers"])
    assert (result["status"], result["code"]) == ("failed", "unknown_meter")
    assert result["message"] == "no meter shed-7 here; there are: gw-meter-m"
    assert running.logged("command ended", '"code": "unknown_meter"', "no meter shed-7 here")
    for language in ("en", "pt-BR"):
        page = site.page("/gateways/gw-meter", language)
        assert "shed-7" in page
        assert "gw-meter-m" in page


# -- a meter with a wrong serial -----------------------------------------------------------------------------------


def test_wrong_serial(site: Site) -> None:
    config = site.config("gw-serial", OTHER)
    wrong = (
        f"meter {SERIAL} answers where meter {OTHER} is configured: check the wiring, or correct the serial in the "
        "gateway's configuration"
    )
    said = edge("check", config, "--connect")
    assert said.code == 1
    assert f"wrong meter gw-serial-m: {wrong}" in said.out
    said = edge("read", config, "gw-serial-m")
    assert (said.code, said.err) == (1, f"error: {wrong}\n")
    running = site.run(config)
    wait(lambda: running.logged("reading failed", wrong), "the log")
    wait(lambda: [m["state"] for m in running.state()["meters"]] == ["wrong_serial"], "the state")
    assert running.state()["meters"][0]["error"] == wrong
    said = edge("status", config)
    assert said.code == 0
    assert "wrong_serial" in said.out
    assert f"meter {SERIAL} answers" in said.out
    wait(lambda: site.web.get("/api/v1/meters/gw-serial-m").status_code == 200, "the meter")
    for language, words in (("en", "Another meter answers at this place"), ("pt-BR", "Outro medidor")):
        page = site.page("/meters/gw-serial-m", language)
        assert words in page
        assert SERIAL in page
        assert OTHER in page
    assert not any(row.item and row.kind in ("profile", "registers") for row in stored(config)), "nothing of it is kept"


# -- an unreachable broker -----------------------------------------------------------------------------------------


async def test_unreachable_broker(site: Site) -> None:
    async with Proxy(site.broker.port) as way:
        config = site.config("gw-broker", broker=way.port)
        running = await asyncio.to_thread(site.run, config)
        await way.cut()
        address = f"127.0.0.1:{way.port}"
        refused = "connection refused, nothing listens there: check uplink.host and port, and that the broker runs"

        def cut_off() -> None:
            wait(lambda: running.logged("not connected", address), "the log")
            wait(
                lambda: f"alarm uplink_unreachable: broker {address} out of reach" in edge("status", config).out,
                "alarm",
            )
            assert refused in edge("status", config).out
            wait(lambda: not running.state()["gateway"]["online"], "the last will")
            for language, words in (("en", "Offline since"), ("pt-BR", "Offline desde")):
                page = site.page("/gateways/gw-broker", language)
                assert words in page

        await asyncio.to_thread(cut_off)
        alone = site.config("gw-alone", broker=way.port)
        said = await asyncio.to_thread(edge, "check", alone, "--connect")
        assert said.code == 1
        assert f"wrong broker {address}: {refused}" in said.out
        await way.mend()
        await asyncio.to_thread(wait, running.known, "the gateway's return")


# -- a full disk ---------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of ``size`` bytes: a tmpfs, which gives SQLite a real ENOSPC."""
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() or mount is None or umount is None:
        pytest.skip("mounting a tmpfs needs root")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting a tmpfs needs CAP_SYS_ADMIN: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "--lazy", folder], check=True)


def fill(file: Path) -> None:
    """Take all room that is left on the file's disk."""
    with file.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    assert shutil.disk_usage(file.parent).free == 0


async def test_full_disk(site: Site) -> None:
    with small_disk(site.folder / "disk", 4 << 20) as disk:
        host, _, port = site.meter.partition(":")
        async with Proxy(int(port)) as way:
            await way.cut()
            config = site.config("gw-disk", meter=SERIAL, way=f"{host}:{way.port}", disk=disk)
            running = await asyncio.to_thread(site.run, config)
            fill(disk / "ballast")
            await way.mend()
            await asyncio.to_thread(full, site, running, config, disk)
            (disk / "ballast").unlink()
            await asyncio.to_thread(wait, lambda: not running.alarms(), "the end of the alarm")
            now = int(time.time())
            start, end = ceil(now - 9 * 86400, 900), floor(now - 120, 900)
            database = open_url(f"sqlite+aiosqlite:///{site.folder / 'metergate.sqlite'}")
            try:
                account = Account(lost=["everything"])
                until = time.monotonic() + 20
                while account.lost and time.monotonic() < until:
                    await asyncio.sleep(0.5)
                    account = Account()
                    await profiles(database, SERIAL, start, end, account)
                await way.cut()  # no more rows
                await asyncio.to_thread(wait, lambda: not inspection.overview(disk / "spool.db").pending, "delivery")
                await asyncio.to_thread(running.child.stop)
                assert inspection.overview(disk / "spool.db").pending == 0
                await streams(database, {"gw-disk": disk / "spool.db"}, account)
            finally:
                await database.close()
        assert account.intervals > 9 * 3 * 90
        assert account.lost + account.doubled + account.changed == [], str(account)


def full(site: Site, running: Running, config: Path, disk: Path) -> None:
    """What is said while nothing can be written."""
    spool = f"spool {disk / 'spool.db'} is full"
    wait(lambda: running.logged("reading failed", spool, "bytes free on its disk", "free space on the disk"), "the log")
    wait(running.alarms, "the alarm")
    assert running.alarms()[0].startswith(f"spool_full: the {spool}: readings pause and stay in the meters; ")
    said = edge("status", config)
    assert said.code == 0
    assert f"alarm spool_full: the {spool}" in said.out
    assert "free space on the disk" in said.out
    said = edge("read", config, SERIAL)
    assert said.code == 1
    assert spool in said.err
    for language in ("en", "pt-BR"):
        page = site.page("/gateways/gw-disk", language)
        assert "spool.limit_bytes" in page


def stored(config: Path) -> list[inspection.StoredItem]:
    return list(inspection.stored_items(config.parent / "spool.db"))
