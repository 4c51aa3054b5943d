"""The same site in all other ways: PostgreSQL, a closed root file system, enrolment, configuration from the aggregator.

As ``test_site.py``, whose text says when these run. The tests go on from each other, in their order.
"""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from metergate.processes import Child, metergate
from tests.provisioning import releases
from tests.provisioning.site import SERIAL
from tests.provisioning.standing import CENTER, GATEWAY, MARKS, Standing, begun, place, until
from tests.provisioning.tools import PROVISIONING

pytestmark = MARKS
#: A password that the aggregator's settings name.
SECRET: Final = "a mail server's password"
#: The one that the machine has: of its keyboard.
LAMP: Final = "input0::capslock"
WARNS: Final = "waits for its certificate"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = place(tmp_path_factory, "other")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "smtp").write_text(SECRET)
    center = {
        "central_database": "postgresql",
        "central_ingest_processes": 2,
        "central_secrets": {"smtp": str(folder / "smtp")},
        "central_settings": {
            "alarms": {
                "smtp_host": "127.0.0.1", "smtp_username": "metergate", "sender": "metergate@example.net",
                "smtp_password_file": "/etc/metergate/secrets/smtp",
            },
        },
    }  # fmt: skip
    gateway = {
        "host_readonly_root": True,
        "host_data_device": "/dev/vdb",
        "gateway_config_from": "central",
        "gateway_certificate": "enrolment",
        "gateway_led": LAMP,
        "monitoring_networks": ["10.80.0.0/24"],
    }
    with begun(folder, {CENTER: center, GATEWAY: gateway}, data_disk="1G") as it:
        if not it.stage("provisioned"):
            began = time.monotonic()
            run = it.play("site.yml")
            assert WARNS in run.said, run.said[-3000:]
            it.reached("provisioned", seconds=time.monotonic() - began)
        yield it


def test_it_reads_before_it_has_a_certificate(standing: Standing) -> None:
    if not standing.stage("enrolled"):
        status = until(lambda: standing.status() if "uplink" in standing.status() else {}, 300, "the gateway runs")
        assert "/etc/metergate/pki/ca.pem: No such file" in status["uplink"]["error"], status["uplink"]
        until(lambda: standing.status()["state"]["spool_rows"] > 3, 300, "readings in the spool")
    for folder in ("/var/lib/metergate", "/etc/metergate"):
        assert "/dev/vdb" in standing.gateway.must(f"findmnt --noheadings --output SOURCE --mountpoint {folder}")


def test_enrolment(standing: Standing) -> None:
    """Code, command as central prints it, approval, the offline authority; then the gateway connects by itself."""
    if standing.stage("enrolled"):
        return
    made = standing.api("enrolments", "POST", gateway=GATEWAY, new=True)
    words = shlex.split(made["command"])
    assert words[:3] == ["metergate", "edge", "enrol"], words
    assert "--pin" in words, "central does not know the key of nginx's certificate"
    number = made["about"]["id"]
    child = Child("enrol", [*standing.gateway.ssh(), f"sudo {made['command']}"], standing.folder / "enrol.log")
    until(lambda: standing.api(f"enrolments/{number}")["state"] == "waiting", 120, "the request")
    fingerprint = standing.api(f"enrolments/{number}")["fingerprint"]
    shown = " ".join(fingerprint[at : at + 4] for at in range(0, 16, 4))
    until(lambda: shown in child.log.read_text(), 30, "the same fingerprint on both sides")
    standing.api(f"enrolments/{number}/approval", "POST")
    command = [
        "sign", "--server", standing.web, "--ca", str(standing.folder / "ca/ca.pem"), "--key-file", str(standing.key()),
        "--authority", str(standing.folder / "ca"), "--script", str(PROVISIONING / "pki/authority.py"), "--yes",
    ]  # fmt: skip
    done = subprocess.run(metergate("provision", *command), capture_output=True, text=True, check=False)
    assert f"{GATEWAY}: signed, until 20" in done.stdout, done.stdout + done.stderr
    child.require_success(120)
    assert standing.gateway.must("sudo stat -c '%a %G' /etc/metergate/pki/gateway.key").split() == ["640", "metergate"]
    standing.connected(120)
    standing.reached("enrolled")


def root(standing: Standing) -> set[str]:
    return set(standing.gateway.must("findmnt --noheadings --output OPTIONS /").strip().split(","))


def test_root_is_closed_after_a_restart_and_a_second_run_changes_nothing(standing: Standing) -> None:
    standing.gateway.must("sudo sync; sudo systemctl stop metergate-edge", timeout=240)
    standing.gateway.cut_power()
    standing.gateway.start()
    assert {"ro", "noatime"} <= root(standing)
    standing.connected()
    run = standing.play("site.yml")
    assert run.clean, f"{dict(run.changed)}: {[line for line in run.said.splitlines() if line.startswith('changed:')]}"
    assert WARNS not in run.said
    assert "ro" in root(standing), "the run left the root file system open"
    run = standing.play("site.yml", "--check", "--diff")
    assert run.clean, f"{dict(run.changed)}: {run.said[-4000:]}"


def test_nothing_fails_with_a_closed_root(standing: Standing) -> None:
    failed = standing.gateway.must("systemctl --failed --no-legend --plain").strip()
    assert failed == ""
    # what installs updates opens the root file system for itself, and closes it
    standing.gateway.must("sudo systemctl start apt-daily.service", timeout=600)
    assert "ro" in root(standing)
    figures = standing.center.must("python3 - 10.80.0.2", stdin=FETCH.encode())
    assert 'metergate_certificate_end_seconds{file="/etc/metergate/pki/gateway.pem"}' in figures
    assert 'node_systemd_unit_state{name="metergate-edge.service",state="active",type="notify"} 1' in figures


#: Prints the figures of a machine's node exporter.
FETCH: Final = """
import sys, urllib.request
print(urllib.request.urlopen(f"http://{sys.argv[1]}:9100/metrics", timeout=60).read().decode())
"""


def test_the_lamp_flashes(standing: Standing) -> None:
    """Within the service's sandbox; in five seconds it was lit and dark."""
    look = f"for i in $(seq 50); do cat /sys/class/leds/{LAMP}/brightness; sleep 0.1; done"
    assert set(standing.gateway.must(look).split()) == {"0", "1"}


def test_central_changes_the_configuration(standing: Standing) -> None:
    """On a closed root file system; it outlasts a cut of the power and another run of the playbook."""
    before = standing.api(f"gateways/{GATEWAY}/configuration")
    changed = before["toml"].replace("instantaneous = 10", "instantaneous = 15")
    if changed != before["toml"]:
        order = standing.api(
            f"gateways/{GATEWAY}/commands", "POST", kind="apply_config", toml=changed, base=before["hash"]
        )

        def result() -> dict[str, Any]:
            found: dict[str, Any] = standing.api(f"commands/{order['id']}")
            return found if found["status"] in ("done", "failed") else {}

        done = until(result, 400, "the configuration is tried")
        assert done["status"] == "done", done
    standing.gateway.cut_power()
    standing.gateway.start()
    standing.connected()
    assert "instantaneous = 15" in standing.gateway.must("sudo cat /etc/metergate/gateway.toml")
    run = standing.play("gateway.yml")
    assert run.clean, dict(run.changed)
    assert "instantaneous = 15" in standing.gateway.must("sudo cat /etc/metergate/gateway.toml")


def test_secrets_reach_the_program_and_nobody_else(standing: Standing) -> None:
    secret = "/etc/metergate/secrets/smtp"
    assert standing.center.must(f"sudo stat -c '%a %U %G' {secret}").split() == ["640", "root", "metergate"]
    assert standing.center.must(f"sudo -u metergate cat {secret}") == SECRET
    assert standing.center.run(f"cat {secret}").code != 0
    assert SECRET not in (standing.folder / "ansible.log").read_text()


def test_two_workers_lose_nothing_when_the_power_goes(standing: Standing) -> None:
    """The aggregator's power, then the gateway's: everything is there once."""
    standing.connected()
    units = standing.center.must("systemctl is-active metergate-ingest@1 metergate-ingest@2 postgresql@15-main").split()
    assert units == ["active"] * 3
    standing.center.cut_power()
    standing.center.start()
    standing.gateway.cut_power()
    standing.gateway.start()
    standing.connected(600)
    account = standing.account()
    print(f"\nafter the cuts: {account}")
    assert not account.lost + account.changed + account.doubled, str(account)


def names(standing: Standing) -> set[str]:
    return {row["login"] for row in standing.api("users")["items"]}


def enter(standing: Standing, login: str) -> None:
    password = "/tmp/password"
    standing.center.must(
        f"echo 'a long enough word' >{password} && cd / && sudo -u metergate metergate central "
        f"--settings /etc/metergate/central.toml create-admin --login {login} --password-file {password} --if-missing"
    )


def test_backup_and_log_of_changes(standing: Standing) -> None:
    """A base, something after it, a damaged database: with the log all is back, alone only what the base has."""
    enter(standing, "before")
    standing.center.must("sudo systemctl start metergate-backup.service", timeout=400)
    backup = standing.center.must("sudo /opt/metergate/metergate-restore").split()[-1]
    enter(standing, "after")
    assert {"before", "after"} <= names(standing)
    standing.center.must(
        "sudo systemctl stop metergate-web metergate-jobs metergate-ingest@1 metergate-ingest@2 && "
        "sudo systemctl kill -s KILL postgresql@15-main; sleep 3; sudo systemctl stop postgresql@15-main; "
        "sudo sh -c 'rm -rf /var/lib/postgresql/15/main/base/*'"
    )
    said = standing.center.must(f"sudo /opt/metergate/metergate-restore {backup}", timeout=600)
    assert "restored" in said
    serving(standing)
    assert {"before", "after"} <= names(standing)
    account = standing.account()
    assert not account.lost + account.changed + account.doubled, str(account)
    standing.center.must(f"sudo /opt/metergate/metergate-restore {backup} alone", timeout=600)
    serving(standing)
    assert "before" in names(standing)
    assert "after" not in names(standing)
    account = standing.account()
    print(f"\nafter restoring an older state: {account}")
    assert not account.lost + account.changed + account.doubled, str(account)


def serving(standing: Standing) -> None:
    def answers() -> bool:
        try:
            with httpx.Client(verify=standing.trust(), timeout=30) as client:
                return client.get(f"{standing.web}/healthz").is_success
        except httpx.HTTPError:
            return False

    until(answers, 300, "the pages")


def center_with(standing: Standing, bundle: str) -> Any:
    option = f"release_bundle={standing.site.bundles / bundle}"
    return standing.site.play("site.yml", "--limit", CENTER, "-e", option)


def version(standing: Standing) -> str:
    return Path(standing.center.must("readlink /opt/metergate/current").strip()).name


def test_another_version_of_the_aggregator(standing: Standing) -> None:
    """A good one takes over; one whose schema cannot be made leaves all as it was."""
    run = center_with(standing, "central-newer")
    assert run.code == 0, run.said[-4000:]
    assert version(standing) == releases.NEWER
    serving(standing)
    run = center_with(standing, "central-broken")
    assert run.code != 0
    assert f"back to version {releases.NEWER}" in run.said, run.said[-4000:]
    assert version(standing) == releases.NEWER
    serving(standing)
    assert "before" in names(standing)
    tenant = standing.center.must("cd / && sudo -u postgres psql -tAc 'SELECT name FROM tenant' metergate")
    assert tenant.split("\n")[0] == "example", "what the step had changed was not taken back"
    standing.connected()
    account = standing.account()
    assert not account.lost + account.changed + account.doubled, str(account)


def test_an_enrolled_gateway_leaves(standing: Standing) -> None:
    standing.play("decommission.yml", "-e", f"decommission={GATEWAY}")
    left = "sudo find /etc/metergate /var/lib/metergate /opt/metergate -type f 2>/dev/null || true"
    assert standing.gateway.must(left) == ""
    index = json.loads((standing.folder / "ca/index.json").read_text())
    assert [row for row in index if row["name"] == GATEWAY and "revoked" not in row] == []
    assert SERIAL in {row["key"] for row in standing.api("meters")["items"]}
