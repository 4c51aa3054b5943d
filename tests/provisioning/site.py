"""A site of virtual machines and the inventory that describes it: one for broker and aggregator, gateways beside."""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.provisioning.image import ROOT
from tests.provisioning.machine import SSH_OPTIONS, Machine

PROVISIONING: Final = ROOT / "provisioning"
TENANT: Final = "example"
#: Of the first administrator.
PASSWORD: Final = "correct horse battery staple"
#: The one meter, and how far back its memory is read.
SERIAL, BACKFILL_DAYS = "12345678", 2
#: Networks of the site: the machines' own, and one that stands for the CCEE's, on the center's card as well.
SITE, CCEE = "10.80.0.0/24", "10.20.0.0/24"


@dataclass(frozen=True)
class Run:
    """A playbook's end: exit code, what it said, and per host how many tasks changed and failed."""

    code: int
    said: str
    changed: Mapping[str, int]

    @property
    def clean(self) -> bool:
        """Nothing failed, nothing changed."""
        return self.code == 0 and not any(self.changed.values())


@dataclass
class Site:
    """Inventory in ``folder``; playbooks run on it with the ``ansible-playbook`` of ``ansible``."""

    folder: Path
    ansible: Path
    bundles: Path
    center: Machine
    gateways: list[Machine]
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    def write(self) -> None:
        """Write the inventory; ``overrides`` are variables per host, on top."""
        self.inventory.mkdir(parents=True, exist_ok=True)
        (self.folder / "admin-password").write_text(f"{PASSWORD}\n")
        center = {self.center.name: self._center()}
        gateways = {machine.name: self._gateway(machine) for machine in self.gateways}
        monitored: dict[str, Any] = {
            name: {} for name, given in (center | gateways).items() if "monitoring_networks" in given
        }
        hosts: dict[str, Any] = {
            "broker": {"hosts": {self.center.name: {}}},
            "central": {"hosts": center},
            "gateways": {"hosts": gateways},
            "monitored": {"hosts": monitored},
        }
        everything = {"all": {"vars": self._everywhere(), "children": hosts}}
        (self.inventory / "hosts.json").write_text(json.dumps(everything, indent=1))

    def _everywhere(self) -> dict[str, Any]:
        return {
            "ansible_user": "crew",
            "ansible_ssh_private_key_file": str(self.center.image.key),
            "ansible_ssh_common_args": " ".join(map(shlex.quote, SSH_OPTIONS)),
            "host_maintenance_networks": ["10.0.2.0/24"],
            "host_packages_folder": str(self.bundles / "debs"),
            "pki_folder": str(self.folder / "ca"),
        }

    def _center(self) -> dict[str, Any]:
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.center.port,
            "release_bundle": str(self.bundles / "central"),
            "broker_tenant": TENANT,
            "broker_hosts": [self.center.address],
            "broker_networks": [SITE, "127.0.0.0/8"],
            "central_tenant": TENANT,
            "central_hosts": [self.center.address, "127.0.0.1"],
            "central_networks": [SITE, "10.0.2.0/24"],
            "central_broker_host": self.center.address,
            "central_admin_password_file": str(self.folder / "admin-password"),
            "monitoring_networks": [SITE],
            **self.overrides.get(self.center.name, {}),
        }

    def _gateway(self, machine: Machine) -> dict[str, Any]:
        meter = {"id": SERIAL, "serial": SERIAL, "line": "optical"}
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": machine.port,
            "release_bundle": str(self.bundles / "edge"),
            "gateway_tenant": TENANT,
            "gateway_broker_host": self.center.address,
            "gateway_adapters": [{"name": "optical", "match": {"ID_VENDOR_ID": "0403", "ID_MODEL_ID": "6001"}}],
            "gateway_lines": [{"name": "optical", "kind": "serial", "address": "/dev/metergate/optical"}],
            "gateway_meters": [{**meter, "forward": {"port": 14001, "allow": [CCEE]}}],
            "gateway_schedule": {
                "instantaneous": 10,
                "registers": 60,
                "profile": 60,
                "backfill_days": BACKFILL_DAYS,
                "ccee_window": "",
            },
            "gateway_trial_seconds": 120,
            **self.overrides.get(machine.name, {}),
        }

    def play(self, book: str, *options: str) -> Run:
        """Run a playbook to its end."""
        process, said, began = self.begin(book, *options), [], time.monotonic()
        assert process.stdout is not None
        with (self.folder / "ansible.log").open("a") as log:
            for line in process.stdout:  # with seconds, for whoever wants to know what takes how long
                said.append(line)
                log.write(f"{time.monotonic() - began:7.1f} {line}")
                log.flush()
        process.stdout.close()
        return ended(process.wait(), "".join(said))

    def begin(self, book: str, *options: str) -> "subprocess.Popen[str]":
        """Start a playbook, for tests that cut the power meanwhile."""
        command = [str(self.ansible), "-i", str(self.inventory), str(PROVISIONING / book), *options]
        environment = {
            **os.environ, "ANSIBLE_CONFIG": str(PROVISIONING / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder / "ansible"), "PATH": f"{self.ansible.parent}:{os.environ['PATH']}",
        }  # fmt: skip
        with (self.folder / "ansible.log").open("a") as log:
            log.write(f"\n$ ansible-playbook {book} {' '.join(options)}\n")
        return subprocess.Popen(
            command, cwd=PROVISIONING, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


def ended(code: int, said: str) -> Run:
    """What a playbook's last lines say."""
    recap = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", said, re.MULTILINE)
    return Run(code, said, {host: int(changed) for host, changed in recap})
