"""A gateway is let in: real central behind TLS, the real command killed on its way, approval, a real mosquitto."""

import asyncio
import random
import shlex
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from metergate.processes import Child, metergate
from tests.brokers import MOSQUITTO, Broker
from tests.pki import OPENSSL, Authority, Pair, openssl
from tests.ports import free_port, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl"),
    pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto"),
]

SCRIPT = Path(__file__).parents[2] / "provisioning/pki/authority.py"
KILLS = 6


@asynccontextmanager
async def front(target: int, pair: Pair) -> AsyncIterator[int]:
    """TLS in front of a port of 127.0.0.1, as nginx would be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Center:
    """Central as a process, an administrator's key, and an authority."""

    def __init__(self, folder: Path, https: int, port: int, authority: Authority, server: Pair, *, signs: bool) -> None:
        self.folder, self.port, self.url = folder, port, f"https://127.0.0.1:{https}"
        self.authority, self.web_ca = authority, authority.cert
        self.env = {
            "METERGATE_DATA_DIR": str(folder / "central"), "METERGATE_TENANT": "t1", "METERGATE_WEB_PORT": str(port),
            "METERGATE_WEB_BASE_URL": self.url, "METERGATE_ENROLMENT_SERVER_CERT": str(server.cert),
        }  # fmt: skip
        if signs:
            self.env["METERGATE_ENROLMENT_ISSUER_CERT"] = str(authority.cert)
            self.env["METERGATE_ENROLMENT_ISSUER_KEY"] = str(authority.folder / "ca.key")
            self.env["METERGATE_ENROLMENT_DAYS"] = "20"  # the authority of the tests ends soon
        self.key_file = folder / "key"
        self.process: Child | None = None

    async def start(self) -> None:
        password = self.folder / "password"
        password.write_text("a long enough word\n")
        await self._do("migrate")
        await self._do("create-admin", "--login", "ana", "--password-file", str(password))
        self.key_file.write_text(await self._do("create-key", "--login", "ana", "--name", "test", "--write"))
        self.serve()
        assert self.process is not None
        await asyncio.to_thread(self.process.wait_for_port, self.port)

    def serve(self) -> None:
        self.process = Child("central", metergate("central", "serve"), self.folder / "serve.log", self.env)

    async def _do(self, *words: str) -> str:
        log = self.folder / f"{words[0]}.log"
        child = Child(words[0], metergate("central", *words), log, self.env)
        await asyncio.to_thread(child.require_success)
        return log.read_text().strip().splitlines()[-1]

    async def api(self, method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key_file.read_text().strip()}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/api/v1", headers=headers) as client:
            answer = await client.request(method, path, json=body or None)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

    async def provision(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = metergate("provision", *words)
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)


@asynccontextmanager
async def center(folder: Path, *, signs: bool) -> AsyncIterator[Center]:
    authority, port = Authority(folder / "ca"), free_port()
    server = authority.issue("web", "IP:127.0.0.1")
    async with front(port, server) as https:
        it = Center(folder, https, port, authority, server, signs=signs)
        await it.start()
        try:
            yield it
        finally:
            if it.process is not None:
                await asyncio.to_thread(it.process.stop)


async def enrolled(it: Center, pki: Path, chance: random.Random) -> dict[str, Any]:
    """From the code to the certificate; the command is killed again and again. Returns the enrolment."""
    made = await it.api("POST", "/enrolments", gateway="gw-1", new=True)
    number = made["about"]["id"]
    words = shlex.split(made["command"])
    assert words[:3] == ["metergate", "edge", "enrol"]
    command = [*metergate(*words[1:]), "--dir", str(pki), "--wait", "2"]
    for turn in range(KILLS):
        child = Child("enrol", command, it.folder / f"enrol-{turn}.log")
        await asyncio.sleep(chance.uniform(0.2, 2.5))
        child.kill()
    child = Child("enrol", command, it.folder / "enrol.log")
    await until(lambda: "Waiting for approval" in child.log.read_text(), 60, "the command waits")
    row = await it.api("GET", f"/enrolments/{number}")
    assert row["state"] == "waiting", "one request, whatever was killed"
    shown = " ".join(row["fingerprint"][at : at + 4] for at in range(0, 16, 4))
    assert shown in child.log.read_text(), "both show the same fingerprint"
    assert not (pki / "gateway.pem").exists()
    child.kill()
    await it.api("POST", f"/enrolments/{number}/approval")
    if not it.env.get("METERGATE_ENROLMENT_ISSUER_CERT"):
        words = ["sign", "--server", it.url, "--ca", str(it.web_ca), "--key-file", str(it.key_file)]
        words += ["--authority", str(it.authority.folder), "--script", str(SCRIPT), "--yes"]
        signed = await it.provision(*words)
        assert "gw-1: signed, until 20" in signed.stdout, signed.stdout + signed.stderr
        assert "nothing waits" in (await it.provision(*words)).stdout
    child = Child("enrol", command, it.folder / "enrol-last.log")
    await asyncio.to_thread(child.require_success)
    await until(lambda: not (pki / "enrolment").exists(), 5, "the work folder is gone")
    return await it.api("GET", f"/enrolments/{number}")  # type: ignore[no-any-return]


def config(folder: Path, port: int, ca: Path, own: Pair) -> Path:
    """A gateway's configuration with these certificates."""
    file = folder / f"{own.cert.stem}-{time.monotonic_ns()}.toml"
    file.write_text(
        f'gateway = "gw-1"\ntenant = "t1"\n[uplink]\nhost = "127.0.0.1"\nport = {port}\nca_file = "{ca}"\n'
        f'cert_file = "{own.cert}"\nkey_file = "{own.key}"\n[spool]\npath = "{folder / "spool.db"}"\n'
    )
    return file


async def broker_says(folder: Path, port: int, ca: Path, own: Pair) -> tuple[int, str]:
    """What ``metergate edge check --connect`` finds."""
    command = metergate("edge", "check", str(config(folder, port, ca, own)), "--connect")
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("signs", [True, False], ids=["signed-at-central", "signed-by-the-authority"])
async def test_a_gateway_is_let_in(tmp_path: Path, signs: bool) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    pki = tmp_path / "pki"
    async with center(tmp_path, signs=signs) as it:
        if not signs:
            it.authority = _begun(tmp_path / "offline")
        row = await enrolled(it, pki, random.Random(seed))
        server = it.authority.issue("broker", "IP:127.0.0.1") if signs else None
        assert (row["state"], bool(row["fetched_at"])) == ("issued", True)
        chain, own = pki / "ca.pem", Pair(pki / "gateway.pem", pki / "gateway.key")
        assert row["certificate"] == own.cert.read_text()
        assert b"OK" in openssl("verify", "-purpose", "sslclient", "-CAfile", str(chain), str(own.cert))
        subject = openssl("x509", "-in", str(own.cert), "-noout", "-subject").decode()
        assert subject.strip().replace(" ", "") == "subject=CN=gw-1"
        assert oct(own.key.stat().st_mode & 0o777) == "0o600"
        if server is None:
            server = _server_of(tmp_path / "offline")
        rules = tmp_path / "acl"
        rules.write_text("pattern readwrite mg/1/t1/%u/#\n")
        lines = (f"cafile {chain}", f"certfile {server.cert}", f"keyfile {server.key}", f"acl_file {rules}")
        broker = Broker(tmp_path / "broker", (*lines, "require_certificate true", "use_identity_as_username true"))
        broker.start()
        try:
            code, text = await broker_says(tmp_path, broker.port, chain, own)
            assert (code, "accepts this gateway" in text) == (0, True), text
            other = Authority(tmp_path / "other", "Another").issue("gw-1")
            code, text = await broker_says(tmp_path, broker.port, chain, other)
            assert (code, "accepts this gateway" in text) == (1, False), text
            assert "gw-1" in broker.log.read_text()
        finally:
            broker.kill()
        folder = tmp_path / "inventory"
        words = ("--server", it.url, "--ca", str(it.web_ca), "--key-file", str(it.key_file))
        made = await it.provision("inventory", *words, "--broker", "127.0.0.1", "--output", str(folder))
        assert (made.returncode, "1 gateways" in made.stdout) == (0, True), made.stderr
        assert yaml.safe_load((folder / "group_vars/gateways.yml").read_text())["gateway_tenant"] == "t1"
        assert "no meter is entered" in made.stderr


def _begun(folder: Path) -> Authority:
    """The offline authority itself, begun in ``folder``; only its files are used."""
    subprocess.run([sys.executable, str(SCRIPT), "--dir", str(folder), "init"], check=True, capture_output=True)
    it = Authority.__new__(Authority)
    it.folder, it.cert = folder, folder / "ca.pem"
    return it


def _server_of(folder: Path) -> Pair:
    """A broker's certificate of the offline authority."""
    command = [sys.executable, str(SCRIPT), "--dir", str(folder), "issue", "broker", "--use", "server"]
    subprocess.run([*command, "--host", "127.0.0.1"], check=True, capture_output=True)
    return Pair(folder / "certs/broker.pem", folder / "certs/broker.key")
