"""A whole site on real systems: playbooks, the chain from meter to page, cut power, updates, and who is kept out.

One machine holds broker and aggregator, one is a gateway with a simulated meter at a (virtual) USB adapter. The tests
go on from each other, in their order. Where a processor can only be emulated they take about an hour, so they run when
METERGATE_VM=1 says so (``make test-provisioning``). METERGATE_VM_FOLDER keeps disks and state, to go on from there.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from metergate import __version__
from shared.intervals import floor
from tests.provisioning import releases
from tests.provisioning.machine import Machine
from tests.provisioning.site import BACKFILL_DAYS, PASSWORD, SERIAL, Run
from tests.provisioning.standing import CENTER, GATEWAY, MARKS, Standing, begun, cut, place, until
from tests.provisioning.tools import program

#: As systemd-analyze counts; 0 is closed, 10 open.
EXPOSURE: Final = 2.0
OURS: Final = {
    CENTER: (
        "metergate-web",
        "metergate-jobs",
        "metergate-ingest@1",
        "metergate-backup",
        "metergate-figures",
        "mosquitto",
    ),
    GATEWAY: ("metergate-edge", "metergate-trial"),
}


pytestmark = MARKS


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with begun(place(tmp_path_factory, "site")) as standing:
        yield standing


@pytest.fixture(scope="module")
def standing(started: Standing) -> Standing:
    """Provisioned from bare, the gateway's power cut in the middle of installing the program."""
    if not started.stage("center"):
        began = time.monotonic()
        started.play("site.yml", "--limit", CENTER)
        started.reached("center", seconds=time.monotonic() - began)
    if not started.stage("provisioned"):
        cut(started, "gateway.yml", "TASK [release : Carry the bundle here, in lots]", 25)
        assert started.gateway.run("test -e /opt/metergate/current").code != 0, "the cut came too late"
        began = time.monotonic()
        started.play("site.yml")
        started.reached("provisioned", again=time.monotonic() - began)
    return started


def test_power_cut_while_provisioning(standing: Standing) -> None:
    """The run that was cut is given again; the gateway runs and the broker accepts it."""
    assert standing.connected()["uplink"]["state"] == "connected"
    assert standing.gateway.must("systemctl is-active metergate-edge nftables chrony").split() == ["active"] * 3


def test_second_run_changes_nothing(standing: Standing) -> None:
    run = standing.play("site.yml")
    assert run.clean, f"{dict(run.changed)}: {[line for line in run.said.splitlines() if line.startswith('changed:')]}"
    run = standing.play("site.yml", "--check", "--diff")
    assert run.clean, f"{dict(run.changed)}: {run.said[-4000:]}"


def test_another_authority_is_refused(standing: Standing) -> None:
    """The medium is not plugged in, or is another: nobody is moved to a new authority unnoticed."""
    certificate = "sudo sha256sum /etc/metergate/pki/gateway.pem /etc/metergate/pki/ca.pem"
    before = standing.gateway.must(certificate)
    folder = standing.folder / "another-authority"
    if not folder.exists():
        run = standing.site.play("gateway.yml", "-e", f"pki_folder={folder}")
        assert run.code != 0
        assert "is its medium plugged in?" in run.said, run.said[-3000:]
    another = program("pki/authority.py").Authority(folder)
    another.locked(lambda: another.init("Another", 3650))
    run = standing.site.play("gateway.yml", "-e", f"pki_folder={folder}")
    assert run.code != 0
    assert "trusts another authority" in run.said, run.said[-3000:]
    assert standing.gateway.must(certificate) == before


def test_readings_come_from_the_meter_to_the_page(standing: Standing) -> None:
    """Meter, serial adapter, gateway, broker with certificates, ingest, nginx: values as the meter has them."""
    standing.connected()
    until(
        lambda: [meter for meter in standing.api("meters")["items"] if meter["key"] == SERIAL], 300, "the meter's entry"
    )
    registers = until(lambda: standing.api(f"meters/{SERIAL}/registers")["items"], 300, "registers at the aggregator")
    assert registers[0]["registers"]
    day = floor(int(time.time()) - 86400, 900)

    def whole() -> bool:
        profile = standing.api(f"meters/{SERIAL}/profile?from={day}&to={day + 72000}")
        return len(profile["values"]) == 80 and None not in profile["values"]

    until(whole, 600, "the profile of a day at the aggregator")
    with httpx.Client(verify=standing.trust(), timeout=60, headers={"Accept": "text/html"}) as client:
        client.post(f"{standing.web}/login", data={"login": "admin", "password": PASSWORD})
        page = client.get(f"{standing.web}/meters/{SERIAL}")
    assert page.status_code == 200
    assert SERIAL in page.text
    assert "kWh" in page.text
    account = standing.account()
    print(f"\nchain: {account}")
    assert account.intervals >= 3 * (96 * (BACKFILL_DAYS - 1) - 3)  # begun ones at both ends, and the last 20 minutes
    assert not account.lost + account.changed + account.doubled, str(account)


def test_power_cut_while_reading(standing: Standing) -> None:
    """Twice, at moments of a working gateway: what was taken before and after is at the aggregator, once."""
    for pause in (7, 19):
        standing.connected()
        standing.gateway.must(
            "sudo metergate edge read /etc/metergate/gateway.toml 12345678 --kind instantaneous", timeout=240
        )
        time.sleep(pause)
        standing.gateway.cut_power()
        standing.gateway.start()
    state = standing.connected()
    assert state["state"]["meters"], state
    account = standing.account()
    print(f"\nafter the cuts: {account}")
    assert not account.lost + account.changed + account.doubled, str(account)


@pytest.mark.parametrize("name", [CENTER, GATEWAY])
def test_our_units_are_shut_in(standing: Standing, name: str) -> None:
    """As the running systemd sees them."""
    machine = standing.center if name == CENTER else standing.gateway
    found = {}
    for unit in OURS[name]:
        said = machine.must(f"systemd-analyze security --no-pager {unit}.service")
        level = re.search(r"exposure level for .*: (\d+\.\d)", said)
        assert level is not None, said
        found[unit] = float(level[1])
    print(f"\nexposure on {name}: {found}")
    assert {unit: level for unit, level in found.items() if level > EXPOSURE} == {}


#: Tries ports given as arguments from inside a machine and prints those that accept.
SCAN: Final = """
import asyncio, sys
async def one(port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port, local_addr=local), 5)
        writer.close()
        return port
    except (OSError, asyncio.TimeoutError):
        return None
local = (sys.argv[2], 0) if sys.argv[2] else None
async def main():
    print(*filter(None, await asyncio.gather(*(one(int(port)) for port in sys.argv[3:]))))
asyncio.run(main())
"""


def open_ports(origin: Machine, target: Machine, address: str, local: str = "") -> set[int]:
    """Which ports of ``target`` accept from ``origin``: those it listens on, tried one by one, and some it does not."""
    listening = {int(port) for port in re.findall(r":(\d+)\s+\S+:\*", target.must("sudo ss -tlnH"))}
    tried = " ".join(map(str, sorted(listening | {21, 22, 23, 80, 111, 443, 1883, 5432, 8010, 8883, 9100, 14001})))
    said = origin.must(f"python3 - {address} '{local}' {tried}", stdin=SCAN.encode())
    return set(map(int, said.split()))


def test_only_what_the_inventory_says_is_open(standing: Standing) -> None:
    center, gateway = standing.center, standing.gateway
    assert open_ports(gateway, center, center.address) == {80, 443, 8883, 9100}
    assert open_ports(center, gateway, gateway.address) == set()
    assert "DPT=14001" in gateway.must("sudo journalctl -k --no-pager -g 'metergate refused'")
    # the CCEE's network, on the same card: there the meter's port is open, and nothing else
    center.must("sudo ip addr replace 10.20.0.5/24 dev eth1")
    gateway.must("sudo ip addr replace 10.20.0.2/24 dev eth1")
    try:
        assert open_ports(center, gateway, "10.20.0.2", "10.20.0.5") == {14001}
    finally:
        gateway.must("sudo ip addr del 10.20.0.2/24 dev eth1")
        center.must("sudo ip addr del 10.20.0.5/24 dev eth1")
    for machine in (center, gateway):
        sockets = {int(port) for port in re.findall(r"(?:0\.0\.0\.0|\*|\[::\]):(\d+)\s", machine.must("sudo ss -ulnH"))}
        assert not sockets, f"{machine.name} listens on UDP {sockets}"


#: Connects to the broker with the certificate given and publishes one retained message; prints what became of it.
PUBLISH: Final = """
import sys, paho.mqtt.client as mqtt
folder, name, topic = sys.argv[1:4]
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="test-" + name)
client.tls_set(f"{folder}/ca.pem", f"{folder}/{name}.pem", f"{folder}/{name}.key")
client.on_connect = lambda client, data, flags, reason, properties: print("connected", reason)
try:
    client.connect("10.80.0.1", 8883)
    client.loop_start()
    sent = client.publish(topic, b"of " + name.encode(), qos=1, retain=True)
    sent.wait_for_publish(15)
    print("published" if sent.is_published() else "not published")
except Exception as error:
    print("refused:", error)
"""
#: Prints every retained message that the broker has, with the aggregator's certificate.
LISTEN: Final = """
import sys, time, paho.mqtt.client as mqtt
folder, name = sys.argv[1:3]
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="test-listener")
client.tls_set(f"{folder}/ca.pem", f"{folder}/{name}.pem", f"{folder}/{name}.key")
client.on_connect = lambda client, *rest: client.subscribe("mg/1/#", 1)
client.on_message = lambda client, data, message: print(message.topic, message.payload)
client.connect("10.80.0.1", 8883)
client.loop_start()
time.sleep(8)
"""


def test_strangers_are_refused_and_logged(standing: Standing) -> None:
    """A certificate of another authority, one that was revoked, another gateway's topic."""
    folder, work = standing.folder, standing.folder / "strangers"
    own = program("pki/authority.py").Authority(folder / "ca")
    other = program("pki/authority.py").Authority(work / "other")
    if not (work / "other/ca.pem").exists():
        other.locked(lambda: other.init("Other", 3650))
    for authority, name in ((other, "stranger"), (own, "gw-0666")):
        authority.issue(name, "client", [], 730, 60)
        for end in ("pem", "key"):
            shutil.copy(authority.folder / f"certs/{name}.{end}", work / f"{name}.{end}")
    shutil.copy(folder / "ca/ca.pem", work / "ca.pem")
    packed = subprocess.run(["tar", "-c", "-C", str(work), "."], capture_output=True, check=True).stdout
    standing.gateway.must("rm -rf strangers && mkdir strangers && tar -x -C strangers", stdin=packed)

    def publish(name: str, topic: str, where: str = "strangers", prefix: str = "") -> str:
        python = "/opt/metergate/current/bin/python"
        return standing.gateway.must(f"{prefix} {python} - {where} {name} {topic}", stdin=PUBLISH.encode(), timeout=180)

    # one that is good, so that the other answers mean something
    assert "published" in publish("gw-0666", "mg/1/example/gw-0666/state").splitlines()
    assert "published" not in publish("stranger", "mg/1/example/gw-0666/state").splitlines()
    publish("gateway", "mg/1/example/gw-0666/up", "/etc/metergate/pki", "sudo -u metergate")
    publish("gateway", "mg/1/other/gw-0001/up", "/etc/metergate/pki", "sudo -u metergate")
    held = standing.center.must(
        "cd / && sudo -u metergate /opt/metergate/current/bin/python - /etc/metergate/pki central",
        stdin=LISTEN.encode(),
    )
    assert "of gw-0666" in held
    own.revoke("gw-0666", "keyCompromise")
    standing.play("revoked.yml")
    assert "published" not in publish("gw-0666", "mg/1/example/gw-0666/state").splitlines()
    log = standing.center.must("sudo journalctl -u mosquitto --no-pager -n 300")
    assert "of gateway" not in held
    assert log.count("certificate verify failed") >= 2, log[-3000:]  # the stranger's and the revoked one
    standing.connected()


def update(standing: Standing, bundle: str, *, cut_after: float | None = None) -> Run:
    given = {
        "release_bundle": standing.site.bundles / bundle,
        "update_api": standing.web,
        "update_api_ca": standing.folder / "ca/ca.pem",
        "update_api_key_file": standing.key(),
    }
    options = [part for name, value in given.items() for part in ("-e", f"{name}={value}")]
    if cut_after is not None:
        began = standing.site.begin("update.yml", *options)
        assert began.stdout is not None
        for line in began.stdout:
            if "TASK [Switch]" in line:
                time.sleep(cut_after)
                standing.gateway.cut_power()
                began.terminate()
        began.stdout.close()
        began.wait(300)
        assert not standing.gateway.running
        standing.gateway.start()
        return Run(1, "", {})
    return standing.site.play("update.yml", *options)


def verdict(standing: Standing) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(standing.gateway.must("sudo /opt/metergate/metergate-switch verdict"))
    return said


def test_update_is_judged_by_the_aggregator(standing: Standing) -> None:
    run = update(standing, "edge-newer")
    assert run.code == 0, run.said[-4000:]
    assert standing.api(f"gateways/{GATEWAY}")["gateway"]["version"] == releases.NEWER


def test_power_cut_while_updating(standing: Standing) -> None:
    """The power goes just after the switch: the next start judges the version by itself, and the run is given again."""
    update(standing, "edge", cut_after=3)
    until(lambda: not verdict(standing)["trial"], 400, "a verdict")
    assert verdict(standing)["current"] == __version__, verdict(standing)
    assert standing.connected()["state"]["version"] == __version__
    run = update(standing, "edge")
    assert run.code == 0, run.said[-4000:]


def test_broken_version_goes_back_by_itself(standing: Standing) -> None:
    run = update(standing, "edge-broken")
    assert run.code != 0
    assert "back on the version before" in run.said, run.said[-4000:]
    found = verdict(standing)
    assert (found["current"], found["trial"]) == (__version__, False), found
    assert standing.connected()["state"]["version"] == __version__
    account = standing.account()
    assert not account.lost + account.changed + account.doubled, str(account)


def test_backup_is_restored(standing: Standing) -> None:
    """What stood in the backup is back, and what came after it is asked for again from the gateway."""
    backup = standing.center.must("sudo /opt/metergate/metergate-backup").strip().splitlines()[-1]
    standing.center.must("sudo systemctl stop metergate-web metergate-jobs metergate-ingest@1")
    standing.center.must(
        "sudo sh -c 'echo damaged >/var/lib/metergate/metergate.sqlite; rm -f /var/lib/metergate/*-wal'"
    )
    said = standing.center.must(f"sudo /opt/metergate/metergate-restore {backup}.sqlite", timeout=400)
    assert "restored" in said
    until(lambda: standing.center.run("curl -s localhost:8010/healthz || true").code == 0, 200, "the pages")
    account = standing.account()
    assert not account.lost + account.changed + account.doubled, str(account)


def test_renewal(standing: Standing) -> None:
    """With more days to renew than are left, the gateway gets another certificate and uses it."""
    serial = "sudo openssl x509 -in /etc/metergate/pki/gateway.pem -noout -serial"
    before = standing.gateway.must(serial)
    run = standing.play("renew.yml", "-e", "pki_renew_days=735", "-e", "pki_days=760")
    assert standing.gateway.must(serial) != before
    assert run.changed[GATEWAY]
    standing.connected()


def test_replacement_takes_over(standing: Standing) -> None:
    """New hardware: a bare disk under the same name. The old one's certificate is refused from then on."""
    began = time.monotonic()
    if not standing.stage("replaced"):
        serial = standing.gateway.must("sudo openssl x509 -in /etc/metergate/pki/gateway.pem -noout -serial")
        standing.gateway.cut_power()
        (standing.folder / f"{GATEWAY}-disk.qcow2").unlink()
        standing.gateway.start()
        began = time.monotonic()
        standing.play("gateway.yml")
        standing.reached("bare", gateway_seconds=time.monotonic() - began)
        standing.play("replace.yml")
        standing.reached("replaced", seconds=time.monotonic() - began)
        revoked = subprocess.run(["openssl", "crl", "-in", str(standing.folder / "ca/crl.pem"), "-noout", "-text"],
                                 capture_output=True, text=True, check=True).stdout  # fmt: skip
        assert serial.strip().removeprefix("serial=").lstrip("0") in revoked.upper().replace(":", "")
    standing.connected()


def test_gateway_leaves(standing: Standing) -> None:
    """Nothing of it is left on the machine, its certificate is revoked and the broker knows."""
    standing.play("decommission.yml", "-e", f"decommission={GATEWAY}")
    assert (
        standing.gateway.must("sudo find /etc/metergate /var/lib/metergate /opt/metergate -type f 2>/dev/null || true")
        == ""
    )
    assert standing.gateway.run("systemctl is-active metergate-edge").code != 0
    index = json.loads((standing.folder / "ca/index.json").read_text())
    assert [row for row in index if row["name"] == GATEWAY and "revoked" not in row] == []
