"""What can be reached: listeners on 127.0.0.1, a real mosquitto that wants certificates, verdicts, exit codes."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from metergate.provision import reach
from metergate.provision.cli import cli
from metergate.provision.inventory import Target
from tests.brokers import MOSQUITTO, Broker
from tests.edge.enrol.central import FakeCentral
from tests.pki import OPENSSL, Authority
from tests.ports import free_port

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")


@contextmanager
def listener(banner: bytes) -> Iterator[int]:
    """A port that says something to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.sendall(banner)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def found(target: Target, ca: Path | None = None) -> dict[str, tuple[str, str]]:
    findings = reach.run(reach.checks([target], ca))
    return {each.what.partition(" ")[0]: (each.verdict, each.text) for each in findings}


def host(port: int, **more: object) -> Target:
    return Target("gw-1", frozenset({"all", "gateways"}), {"ansible_host": "127.0.0.1", "ansible_port": port, **more})


def test_ssh_and_what_is_not() -> None:
    with listener(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n") as port:
        assert found(host(port)) == {"name": ("ok", "127.0.0.1"), "SSH": ("ok", "SSH-2.0-OpenSSH_9.2p1 Debian")}
    with listener(b"220 mail.example.net\r\n") as port:
        verdict, text = found(host(port))["SSH"]
    assert (verdict, "something else than SSH" in text) == ("wrong", True)
    assert found(host(free_port()))["SSH"] == ("wrong", "refused: nothing listens there")
    unknown = Target("gw-1.invalid", frozenset({"gateways"}), {})
    assert found(unknown)["name"] == ("wrong", "this name is not known to DNS")


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto")
@pytest.mark.parametrize("tls", ["tlsv1.2", "tlsv1.3"])
def test_a_broker_that_wants_certificates(tmp_path: Path, authority: Authority, tls: str) -> None:
    server = authority.issue("broker", "IP:127.0.0.1", days=100)
    broker = Broker(
        tmp_path / "broker",
        (
            f"cafile {authority.cert}", f"certfile {server.cert}", f"keyfile {server.key}", "require_certificate true",
            f"tls_version {tls}",
        ),
    )  # fmt: skip
    broker.start()
    try:
        target = host(1, gateway_broker_host="127.0.0.1", gateway_broker_port=broker.port)
        verdict, text = found(target, authority.cert)["broker"]
        assert (verdict, "(99 days)" in text) == ("ok", True), text
        verdict, text = found(target)["broker"]
        assert (verdict, "not trusted" in text, "(99 days)" in text) == ("wrong", True, True), text
    finally:
        broker.kill()


def test_ends_that_come_near_and_are_past(authority: Authority) -> None:
    for days, wanted in ((200, "ok"), (10, "soon"), (-1, "wrong")):
        pair = authority.issue(f"central{days}", "IP:127.0.0.1", days=days)
        with FakeCentral(lambda *_: (200, {}), pair).running() as central:
            port = int(central.url.rpartition(":")[2])
            target = host(1, gateway_broker_host="127.0.0.1", gateway_broker_port=port)
            assert found(target, authority.cert)["broker"][0] == wanted


def test_each_broker_and_central_once_and_templates_passed_over() -> None:
    gateways = [
        Target(f"gw-{n}", frozenset({"gateways"}), {"gateway_broker_host": "b.example", "ansible_connection": "local"})
        for n in (1, 2)
    ]
    central = Target("center", frozenset({"central"}), {"central_hosts": ["c.example"], "ansible_connection": "local"})
    templated = Target("x", frozenset({"gateways"}), {"gateway_broker_host": "{{ y }}", "ansible_connection": "local"})
    whats = [check.what for check in reach.checks([*gateways, central, templated], None)]
    assert whats == ["broker b.example:8883", "central c.example:443"]


def test_the_command_its_table_and_exit_codes(tmp_path: Path) -> None:
    def invoke(port: int, *more: str) -> tuple[int, str]:
        text = (
            f"all: {{children: {{gateways: {{hosts: {{gw-1: {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}}}}}\n"
        )
        (tmp_path / "hosts.yml").write_text(text)
        done = CliRunner().invoke(cli, ["reach", "--inventory", str(tmp_path), *more])
        return done.exit_code, done.stdout

    with listener(b"SSH-2.0-x\r\n") as port:
        code, shown = invoke(port)
        assert (code, "SSH-2.0-x" in shown) == (0, True)
        code, text = invoke(port, "--json")
    assert (code, [each["verdict"] for each in json.loads(text)]) == (0, ["ok", "ok"])
    code, shown = invoke(free_port())
    assert (code, "wrong" in shown) == (1, True)
    (tmp_path / "hosts.yml").write_text("all: {}\n")
    assert CliRunner().invoke(cli, ["reach", "--inventory", str(tmp_path)]).exit_code == 2
