"""What the roles write for the example inventory is taken by the programs that read it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from central.settings import load as load_central
from edge.config.load import load as load_gateway
from tests.brokers import MOSQUITTO
from tests.provisioning.tools import PROVISIONING, ROLES, ROOT, WITHOUT_ANSIBLE, ansible, program

pytestmark = [
    pytest.mark.skipif(bool(WITHOUT_ANSIBLE), reason=WITHOUT_ANSIBLE),
    pytest.mark.xdist_group("provisioning"),
    pytest.mark.timeout(400),
]
#: Of our units, as systemd-analyze counts; 0 is closed, 10 open.
EXPOSURE = 2.0


def missing(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    done = ansible(
        "ansible-playbook", "-i", str(PROVISIONING / "inventory.example"), str(ROOT / "tests/provisioning/render.yml"),
        "-e", f"out={folder}", "-e", f"roles={ROLES}", "-e", f"ansible_python_interpreter={shutil.which('python3')}",
        folder=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


def test_the_gateways_configuration_is_usable(rendered: Path) -> None:
    first, second = (load_gateway(rendered / name / "gateway.toml").config for name in ("gw-0001", "gw-0002"))
    forward = first.meters[0].forward
    assert forward is not None
    assert (forward.port, forward.interface, forward.allow) == (14001, "wg0", ["10.20.0.0/24"])
    assert first.meters[1].settings == {"expected_constants": [[9, 50], [9, 50], [9, 50]]}
    assert (first.permissions.apply_config, second.permissions.apply_config) == (False, True)
    assert first.uplink.key_file == "/etc/metergate/pki/gateway.key"


def test_the_aggregators_settings_are_usable(rendered: Path) -> None:
    settings = load_central(str(rendered / "center/central.toml"))
    assert (settings.tenant, settings.broker.port, settings.web.secure_cookies) == ("example", 8883, True)
    assert settings.broker.cert_file == "/etc/metergate/pki/central.pem"


@pytest.mark.skipif(missing("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_our_units_are_shut_in(rendered: Path) -> None:
    found = {}
    for unit in sorted(rendered.glob("*/metergate-*.service")):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        level = re.search(r"exposure level for .*: (\d+\.\d)", done.stdout)
        assert level is not None, done.stdout + done.stderr
        found[f"{unit.parent.name}/{unit.stem}"] = float(level[1])
    assert len(found) == 9
    assert {name: level for name, level in found.items() if level > EXPOSURE} == {}


@pytest.mark.skipif(missing("nft") is None, reason="nftables is not installed: apt-get install nftables")
@pytest.mark.parametrize("host", ["center", "gw-0001", "gw-0002"])
def test_the_firewall_is_taken(rendered: Path, tmp_path: Path, host: str) -> None:
    text = (rendered / host / "nftables.conf").read_text()
    rules = [path.read_text() for path in sorted((rendered / host).glob("*.nft"))]
    whole = tmp_path / "all.nft"
    whole.write_text(text.replace('include "/etc/nftables.d/*.nft"', "\n".join(rules)))
    nft = missing("nft")
    assert nft is not None
    done = subprocess.run([nft, "--check", "--file", str(whole)], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("nft needs the right to administer networks (CAP_NET_ADMIN)")
    assert done.returncode == 0, done.stderr
    assert ("dport 14001" in "".join(rules)) == (host == "gw-0001")


@pytest.mark.skipif(missing("sh") is None, reason="no shell")
def test_scripts_are_shell(rendered: Path) -> None:
    scripts = [path for path in rendered.glob("*/metergate-*") if not path.suffix]
    scripts += list(ROLES.glob("*/files/metergate-*"))
    assert len(scripts) == 10
    for script in scripts:
        done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def broker_files(rendered: Path, tmp_path: Path) -> Path:
    """The broker's files with the test's own folder and port, and certificates of the real authority."""
    authority = program("pki/authority.py").Authority(tmp_path / "ca")
    authority.locked(lambda: authority.init("Test", 3650))
    authority.issue("broker", "server", ["127.0.0.1"], 730, 60)
    for name in ("central", "gw-0001", "gw-0002", "gw-0003"):
        authority.issue(name, "client", [], 730, 60)
    authority.revoke("gw-0003", "keyCompromise")
    for name in ("ca.pem", "crl.pem", "certs/broker.pem", "certs/broker.key"):
        shutil.copy(tmp_path / "ca" / name, tmp_path)
    conf = (rendered / "center/mosquitto.conf").read_text()
    acl = (rendered / "center/topics.acl").read_text()
    (tmp_path / "metergate.acl").write_text(acl)
    conf = conf.replace("/etc/mosquitto/pki/", f"{tmp_path}/").replace("/etc/mosquitto/", f"{tmp_path}/")
    (tmp_path / "settings").write_text(re.sub(r"^(listener .*|per_listener.*)$", "", conf, flags=re.MULTILINE))
    return tmp_path


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto")
@pytest.mark.skipif(missing("mosquitto_pub") is None, reason="mosquitto-clients is not installed")
def test_a_gateway_gets_into_its_own_topics_only(broker_files: Path) -> None:
    from tests.brokers import Broker

    lines = tuple(line for line in (broker_files / "settings").read_text().splitlines() if line[:1] not in ("", "#"))
    broker = Broker(broker_files / "broker", lines)
    broker.start()
    try:

        def tries(program: str, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
            certs = broker_files / "ca/certs"
            return subprocess.run(
                [program, "-h", "127.0.0.1", "-p", str(broker.port), "--cafile", str(broker_files / "ca.pem"),
                 "--cert", str(certs / f"{name}.pem"), "--key", str(certs / f"{name}.key"), *arguments],
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip

        def publishes(name: str, topic: str) -> None:
            tries("mosquitto_pub", name, "-q", "1", "-r", "-t", topic, "-m", f"of {name}")

        publishes("gw-0001", "mg/1/example/gw-0001/up")
        publishes("gw-0001", "mg/1/example/gw-0002/up")  # another's: dropped without a word
        publishes("gw-0001", "mg/1/example/gw-0001/cmd")  # its own orders: not its to give
        publishes("gw-0003", "mg/1/example/gw-0003/up")  # revoked
        publishes("central", "mg/1/example/gw-0001/cmd")
        publishes("central", "mg/1/other/gw-0001/cmd")
        seen = tries("mosquitto_sub", "central", "-t", "mg/1/example/#", "-v", "-W", "2")
        assert sorted(seen.stdout.splitlines()) == [
            "mg/1/example/gw-0001/cmd of central", "mg/1/example/gw-0001/up of gw-0001",
        ]  # fmt: skip
        heard = tries("mosquitto_sub", "gw-0002", "-t", "mg/1/example/#", "-v", "-W", "2")
        assert heard.stdout == ""
        assert tries("mosquitto_pub", "gw-0003", "-t", "mg/1/example/gw-0003/up", "-m", "x").returncode != 0
        assert "certificate" in broker.log.read_text()
        stranger = program("pki/authority.py").Authority(broker_files / "stranger")
        stranger.locked(lambda: stranger.init("Test", 3650))
        stranger.issue("central", "client", [], 730, 60)
        for end in ("pem", "key"):
            shutil.copy(broker_files / f"stranger/certs/central.{end}", broker_files / f"ca/certs/strange.{end}")
        assert tries("mosquitto_pub", "strange", "-t", "mg/1/example/gw-0001/cmd", "-m", "x").returncode != 0
    finally:
        broker.kill()
