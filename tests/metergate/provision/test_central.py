"""Inventories from the registry, and signing, against a central that says what a test wants."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from edge.config.mask import MASK
from metergate.provision.central_api import CentralApi
from metergate.provision.cli import cli
from metergate.provision.errors import ProvisionError
from tests.edge.enrol.central import FakeCentral
from tests.pki import OPENSSL, Authority

KEY = "mg_0123456789ab_" + "x" * 43
CONFIG = f"""
gateway = "gw-1"
tenant = "acme"
zone = "America/Manaus"
[uplink]
host = "broker.example.net"
password = "{MASK}"
[spool]
path = "/var/lib/metergate/spool.db"
[schedule]
registers = 600
[[lines]]
name = "hall"
kind = "tcp"
address = "192.0.2.10:4001"
[[meters]]
id = "MG-1"
serial = "00001234"
line = "hall"
[meters.settings]
read_password = "{MASK}"
"""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    return file


def registry(_method: str, path: str, _body: dict[str, Any], _secret: str) -> tuple[int, Any]:
    where, _, query = path.removeprefix("/api/v1").partition("?")
    match where:
        case "/me":
            return 200, {"tenant": "acme"}
        case "/gateways" if "cursor" not in query:
            return 200, {"items": [{"key": "gw-1"}], "next": "/api/v1/gateways?limit=500&cursor=x"}
        case "/gateways":
            return 200, {"items": [{"key": "gw 2"}, {"key": "gw-3"}], "next": None}
        case "/gateways/gw-1/configuration":
            return 200, {"toml": CONFIG}
        case "/meters" if "gw+2" in query or "gw%202" in query:
            return 200, {"items": [{"key": "MG-2", "serial": "5"}], "next": None}
        case "/meters":
            return 200, {"items": [], "next": None}
        case _ if where.endswith("/configuration"):
            return 200, {"toml": ""}
    return 404, {"detail": f"There is no {where}."}


def test_an_inventory_of_the_registry(tmp_path: Path, key: Path) -> None:
    with FakeCentral(registry).running() as central:
        words = ["inventory", "--server", central.url, "--key-file", str(key), "--output", str(tmp_path / "inventory")]
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        again = CliRunner().invoke(cli, words)
    assert "nothing to change" in again.output
    assert yaml.safe_load((tmp_path / "inventory/host_vars/gw-1.yml").read_text()) == {
        "gateway_zone": "America/Manaus",
        "gateway_schedule": {"registers": 600},
        "gateway_lines": [{"name": "hall", "kind": "tcp", "address": "192.0.2.10:4001"}],
        "gateway_meters": [{"id": "MG-1", "serial": "00001234", "line": "hall", "settings": {}}],
    }
    assert yaml.safe_load((tmp_path / "inventory/host_vars/gw 2.yml").read_text()) == {
        "gateway_meters": [{"id": "MG-2", "serial": "5"}]
    }
    assert MASK not in "".join(path.read_text() for path in (tmp_path / "inventory").rglob("*.yml"))
    for note in (
        "gw-1: secrets are masked and were left out: gateway_meters.0.settings.read_password",
        "gw 2: no configuration was told yet; gateway_lines",
        "gw-3: no configuration was told yet and no",
    ):
        assert note in done.output


def test_what_central_refuses_is_said(tmp_path: Path, key: Path) -> None:
    answers: list[tuple[int, Any]] = [(403, {"detail": "This needs the permission 'enrolment'."}), (200, b"<html>")]
    with FakeCentral(lambda *_: answers.pop(0)).running() as central, CentralApi(central.url, key) as api:
        with pytest.raises(ProvisionError, match="This needs the permission 'enrolment'"):
            api.get("/enrolments")
        with pytest.raises(ProvisionError, match="something else than central"):
            api.get("/enrolments")
    with CentralApi(central.url, key) as api, pytest.raises(ProvisionError, match="cannot be reached"):
        api.get("/me")


def test_keys_and_addresses_that_are_refused(tmp_path: Path, key: Path) -> None:
    (tmp_path / "wrong").write_text("secret\n")
    for server, file, words in (
        ("http://metergate.example.net", key, "without TLS"),
        ("metergate.example.net", key, "is no address"),
        ("https://metergate.example.net", tmp_path / "wrong", "is no API key"),
        ("https://metergate.example.net", tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(ProvisionError, match=words):
            CentralApi(server, file)


def test_either_a_sheet_or_a_server(tmp_path: Path, key: Path) -> None:
    for words in ([], ["--server", "https://x.example"], ["--sheet", str(key), "--server", "https://x.example"]):
        done = CliRunner().invoke(cli, ["inventory", *words, "--output", str(tmp_path / "x")])
        assert (done.exit_code, "Usage" in done.output) == (2, True)


SCRIPT = """
import json, sys
name = sys.argv[sys.argv.index("--name") + 1]
if name == "gw-2":
    sys.exit("error: the request is for gw-9, not for gw-2")
print(json.dumps({"pem": f"certificate of {name} for {sys.stdin.read()}"}) if name != "gw-3" else "no JSON")
"""


class Desk:
    """Three approved requests, newest first; what is brought."""

    def __init__(self) -> None:
        self.brought: dict[str, dict[str, Any]] = {}

    def __call__(self, method: str, path: str, body: dict[str, Any], _secret: str) -> tuple[int, Any]:
        if method == "PUT":
            self.brought[path] = body
            return 200, {"certificate_ends": "2028-11-25T00:00:00Z"}
        waiting = [n for n in (3, 2, 1) if f"/api/v1/enrolments/{n}/certificate" not in self.brought]
        rows = [
            {"id": n, "gateway": f"gw-{n}", "csr": f"request {n}", "fingerprint": f"{n}" * 64, "decided_by": "ana",
             "decided_at": "2026-11-26T00:00:00Z", "address": "192.0.2.7"}
            for n in waiting
        ]  # fmt: skip
        return 200, {"items": rows, "next": None}


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")
def test_one_that_fails_does_not_hold_up_the_others(tmp_path: Path, key: Path) -> None:
    authority, script, desk = Authority(tmp_path / "ca"), tmp_path / "authority.py", Desk()
    script.write_text(SCRIPT)

    def sign(*more: str, given: str = "") -> Result:
        words = ["sign", "--server", central.url, "--key-file", str(key), "--authority", str(authority.folder)]
        return CliRunner().invoke(cli, [*words, "--script", str(script), *more], input=given)

    with FakeCentral(desk).running() as central:
        asked = sign(given="n\n")
        assert (asked.exit_code, desk.brought) == (1, {}), "a person who says no signs nothing"
        assert "1111 1111 1111 1111" in asked.output
        done = sign("--yes")
    assert done.exit_code == 1
    assert "gw-1: signed, until 2028-11-25" in done.output
    assert "gw-2: the request is for gw-9, not for gw-2" in done.output
    assert "gw-3" in done.output
    (path,) = desk.brought
    assert path == "/api/v1/enrolments/1/certificate"
    assert desk.brought[path] == {
        "certificate": "certificate of gw-1 for request 1",
        "chain": authority.cert.read_text(),
    }


def test_sign_says_what_is_missing(tmp_path: Path, key: Path) -> None:
    words = ["sign", "--server", "https://x.example", "--key-file", str(key), "--authority", str(tmp_path)]
    script = CliRunner().invoke(cli, [*words, "--script", str(tmp_path / "none")])
    assert (script.exit_code, "--script names provisioning/pki/authority.py" in script.output) == (2, True)
    folder = CliRunner().invoke(cli, [*words, "--script", str(key)])
    assert (folder.exit_code, "is its medium plugged in?" in folder.output) == (2, True)
