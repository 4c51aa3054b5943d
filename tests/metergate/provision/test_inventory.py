"""Inventory folders: the shape Ansible reads, never written over by accident, and read back."""

from pathlib import Path

import pytest
import yaml

from metergate.provision.errors import ProvisionError
from metergate.provision.inventory import GatewayHost, files, read, write

HOSTS = [
    GatewayHost("gw-1", "10.66.0.11", 0, {"gateway_meters": [{"id": "m", "serial": "00123", "line": "l"}]}),
    GatewayHost("gw.two", "", 2222),
]


def test_the_shape_of_the_example(tmp_path: Path) -> None:
    made = files(HOSTS, {"gateway_tenant": "example"})
    hosts = yaml.safe_load(made["hosts.yml"])["all"]["children"]["gateways"]["hosts"]
    assert hosts == {"gw-1": {"ansible_host": "10.66.0.11"}, "gw.two": {"ansible_port": 2222}}
    assert yaml.safe_load(made["host_vars/gw-1.yml"])["gateway_meters"][0]["serial"] == "00123", "zeros stay"
    assert yaml.safe_load(made["host_vars/gw.two.yml"]) == {"gateway_id": "gw.two"}, (
        "the role takes what is before the dot"
    )
    assert yaml.safe_load(made["group_vars/gateways.yml"]) == {"gateway_tenant": "example"}


def test_never_over_others(tmp_path: Path) -> None:
    folder, made = tmp_path / "inventory", files(HOSTS, {})
    assert set(write(folder, made)) == set(made)
    assert write(folder, made) == [], "again changes nothing"
    (folder / "hosts.yml").write_text("# ours\n")
    (folder / "host_vars/gw-1.yml").unlink()
    with pytest.raises(ProvisionError, match=r"hosts\.yml with another content; nothing was written"):
        write(folder, made)
    assert not (folder / "host_vars/gw-1.yml").exists()
    assert set(write(folder, made, force=True)) == {"hosts.yml", "host_vars/gw-1.yml"}
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'id') }}", "a {% if 1 %}", "{# x #}"])
def test_what_ansible_would_run_is_refused(text: str) -> None:
    for variables in ({"gateway_meters": [{"id": text}]}, {text: 1}):
        with pytest.raises(ProvisionError, match="run as a template"):
            files([GatewayHost("gw-1", variables=variables)], {})


def test_reading_an_inventory_with_groups_in_groups(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "hosts.yml").write_text(
        "all:\n  vars: {a: all}\n  children:\n    field:\n      vars: {a: field, b: field}\n      children:\n"
        "        gateways:\n          hosts:\n"
        "            gw-1: {ansible_host: 10.0.0.1, d: inline}\n            gw-2:\n"
    )
    (tmp_path / "group_vars/gateways.yml").write_text("b: group\nc: group\n")
    (tmp_path / "host_vars/gw-1.yml").write_text("c: host\n")
    first, second = read(tmp_path)
    assert first.groups == {"all", "field", "gateways"}
    assert dict(first.variables) == {"a": "field", "b": "group", "c": "host", "d": "inline", "ansible_host": "10.0.0.1"}
    assert second.variables["c"] == "group"


@pytest.mark.parametrize("text", [None, "all: [", "all: [1, 2]", "- x", "all: {children: {gateways: {hosts: [gw-1]}}}"])
def test_folders_that_are_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "hosts.yml").write_text(text)
    with pytest.raises(ProvisionError, match=r"hosts\.yml"):
        read(tmp_path)
