"""Examples of the documents, run: the program for the API against a real server, the access rule on a real broker."""

import asyncio
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from sqlalchemy import select

from central.accounts import keys
from central.accounts.models import User
from central.accounts.principal import Principal
from central.store.engine import open_url
from central.store.migrate import migrate
from metergate.processes import Child, free_port, metergate
from tests.brokers import Broker
from tests.central.web.seed import LOGIN, seed

ROOT = Path(__file__).parents[2]


async def prepared(url: str, permissions: str = "read") -> str:
    """Fill a database; returns a key, a read-only one unless more is said ("": all that its user may)."""
    database = open_url(url)
    await migrate(database)
    now = int(time.time())
    await seed(database, now)
    async with database.write() as db:
        user = (await db.scalars(select(User).where(User.login == LOGIN))).one()
        who = Principal.of_session(user, "", b"")
        _, key = await keys.create_key(db, who, "reports", permissions=permissions, expires_at=None, now=now)
    await database.close()
    return key


def run_example(tmp_path: Path, name: str, permissions: str) -> str:
    """Run a program of docs/examples against a server of its own; returns what it prints."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}"
    key = asyncio.run(prepared(url, permissions))
    port = free_port()
    settings = {
        "METERGATE_DATABASE_URL": url,
        "METERGATE_WEB_PORT": str(port),
        "METERGATE_BROKER_PORT": str(free_port()),
    }
    server = Child("web", metergate("central", "serve"), tmp_path / "web.log", settings)
    try:
        server.wait_for_port(port)
        done = subprocess.run(
            [sys.executable, str(ROOT / "docs/examples" / name)],
            env={**os.environ, "METERGATE_URL": f"http://127.0.0.1:{port}", "METERGATE_KEY": key},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_client_edits_creates_and_reports(tmp_path: Path) -> None:
    first, second, *posts = run_example(tmp_path, "edit_and_report.py", "").splitlines()
    count, _, name = first.partition(" meters; renamed: ")
    assert (int(count) > 3, name) == (True, "Main intake")  # more than a page
    assert re.fullmatch(r"group \d+ made once: True", second)
    assert any(re.fullmatch(r"\d{4}-\d\d Total [\d.]+ kWh", line) for line in posts), posts


def test_the_client_reports_last_month(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run_example(tmp_path, "monthly_energy.py", "read"))))
    total = next(row for row in rows if row["post"] == "Total" and row["complete"] == "True")
    posts = [row for row in rows if row["meter"] == total["meter"] and row["post"] != "Total"]
    assert len({row["meter"] for row in rows}) > 1
    assert float(total["energy"]) == pytest.approx(sum(float(row["energy"]) for row in posts))
    assert float(total["energy"]) > 0
    assert total["unit"] == "kWh"


def written_rule() -> str:
    """The access rule as it stands in docs/central.md."""
    found = re.search(r"```\n(user central\n.*?)```", (ROOT / "docs/central.md").read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """A broker with the rule of docs/central.md and three users."""
    tool = shutil.which("mosquitto_passwd")
    assert tool, "mosquitto_passwd is not installed: apt-get install mosquitto"
    passwords, rule = tmp_path / "passwords", tmp_path / "acl"
    passwords.touch(mode=0o600)
    for name in ("central", "gw-0001", "gw-0002"):
        subprocess.run([tool, "-b", str(passwords), name, f"secret of {name}"], check=True)
    rule.write_text(written_rule())
    broker = Broker(tmp_path / "b", ("allow_anonymous false", f"password_file {passwords}", f"acl_file {rule}"))
    broker.start()
    yield broker
    broker.kill()


async def test_a_gateway_reaches_its_own_topics_only(guarded: Broker) -> None:

    def login(name: str) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", guarded.port, username=name, password=f"secret of {name}")

    def topic(gateway: str, kind: str) -> str:
        return f"mg/1/example/{gateway}/{kind}"

    async with login("central") as central, login("gw-0001") as one, login("gw-0002") as two:
        await central.subscribe("mg/1/example/#", qos=1)
        await one.subscribe([("#", 1), (topic("gw-0002", "cmd"), 1), (topic("gw-0001", "cmd"), 1)])
        for kind in ("ack", "cmd"):
            await one.publish(topic("gw-0001", kind), b"forged", qos=1)
        for kind in ("up", "res", "state", "conf", "ack", "cmd"):
            await one.publish(topic("gw-0002", kind), b"forged", qos=1)
        for kind in ("up", "res", "state", "conf"):
            await one.publish(topic("gw-0001", kind), b"own", qos=1)
        heard = [await anext(aiter(central.messages)) for _ in range(4)]
        assert [(str(message.topic), message.payload) for message in heard] == [
            (topic("gw-0001", kind), b"own") for kind in ("up", "res", "state", "conf")
        ]
        await two.publish(topic("gw-0002", "up"), b"of the other", qos=1)
        await central.publish(topic("gw-0002", "cmd"), b"for the other", qos=1)
        await central.publish(topic("gw-0001", "cmd"), b"for it", qos=1)
        first = await asyncio.wait_for(anext(aiter(one.messages)), 10)
        assert first.payload == b"for it"
