"""Ansible inventories as ``provisioning/inventory.example`` has them: written whole, never over others by accident."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from metergate.provision.errors import ProvisionError

_REMARK: Final = "# Written by metergate provision inventory.\n"


@dataclass
class GatewayHost:
    """One gateway: its address for SSH ("" unknown) and the variables of its role."""

    key: str
    host: str = ""
    port: int = 0
    variables: dict[str, Any] = field(default_factory=dict)


def files(gateways: Sequence[GatewayHost], common: Mapping[str, Any]) -> dict[str, str]:
    """The inventory's files by their path within its folder; ``common`` are variables of all gateways.

    :class:`ProvisionError` for a text that Ansible would take for a template.
    """
    hosts: dict[str, Any] = {}
    made: dict[str, str] = {}
    for each in gateways:
        own: dict[str, Any] = {}
        if each.host:
            own["ansible_host"] = each.host
        if each.port:
            own["ansible_port"] = each.port
        hosts[each.key] = own or None
        # the role's default is the name up to the first dot
        variables = {"gateway_id": each.key, **each.variables} if "." in each.key else each.variables
        if variables:
            made[f"host_vars/{each.key}.yml"] = _dump(variables)
    if common:
        made["group_vars/gateways.yml"] = _dump(common)
    made["hosts.yml"] = _dump({"all": {"children": {"gateways": {"hosts": hosts}}}})
    return made


def write(folder: Path, made: Mapping[str, str], *, force: bool = False) -> list[str]:
    """Write what differs and return its paths; refuses whole where files are there that say something else."""
    differing = [name for name in made if (folder / name).exists() and (folder / name).read_text() != made[name]]
    if differing and not force:
        raise ProvisionError(
            f"{folder} has {', '.join(differing[:5])}{' and more' if len(differing) > 5 else ''} with another content; "
            "nothing was written. Take another --output, or --force to write over"
        )
    written = [name for name in made if name in differing or not (folder / name).exists()]
    for name in sorted(written, key=lambda each: each == "hosts.yml"):  # last: with it the inventory is there
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w") as file:
            file.write(made[name])
            os.fchmod(descriptor, 0o644)
        Path(temporary).rename(path)
    return written


def _dump(data: Mapping[str, Any]) -> str:
    for text in _texts(data):
        if "{{" in text or "{%" in text or "{#" in text:
            raise ProvisionError(f"{text[:80]!r} would be run as a template by Ansible: change it where it comes from")
    return _REMARK + str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120, explicit_start=False))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(data, list):
        for each in data:
            yield from _texts(each)
    elif isinstance(data, str):
        yield data


@dataclass(frozen=True)
class Target:
    """A machine of an inventory that is there, its groups, and its variables in Ansible's order."""

    name: str
    groups: frozenset[str]
    variables: Mapping[str, Any]


def read(folder: Path) -> list[Target]:
    """The machines of an inventory folder (``hosts.yml``, ``group_vars``, ``host_vars``), without running templates."""
    try:
        data = yaml.safe_load((folder / "hosts.yml").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ProvisionError(f"{folder / 'hosts.yml'} cannot be read: {error}") from error
    groups: dict[str, set[str]] = {}
    own: dict[str, dict[str, Any]] = {}
    inherited: dict[str, dict[str, Any]] = {}
    try:
        for name, group in (data or {}).items():
            _walk(name, group or {}, (), groups, own, inherited)
    except (AttributeError, TypeError) as error:
        raise ProvisionError(f"{folder / 'hosts.yml'} has not the shape of an inventory: {error}") from error
    found = []
    for host in own:
        # "all" first, then the groups from the outside in, then the machine
        order = sorted(groups[host], key=lambda each: (each != "all", each))
        variables: dict[str, Any] = {}
        for group in order:
            variables |= inherited.get(group, {}) | _variables(folder / "group_vars", group)
        variables |= _variables(folder / "host_vars", host) | own[host]
        found.append(Target(host, frozenset(groups[host]), variables))
    return found


def _walk(
    name: str, group: Mapping[str, Any], above: tuple[str, ...], groups: dict[str, set[str]],
    own: dict[str, dict[str, Any]], inherited: dict[str, dict[str, Any]],
) -> None:  # fmt: skip
    path = (*above, name)
    inherited.setdefault(name, {}).update(group.get("vars") or {})
    for host, variables in (group.get("hosts") or {}).items():
        groups.setdefault(host, {"all"}).update(path)
        own.setdefault(host, {}).update(variables or {})
    for child, inner in (group.get("children") or {}).items():
        _walk(child, inner or {}, path, groups, own, inherited)


def _variables(folder: Path, name: str) -> dict[str, Any]:
    for path in (folder / f"{name}.yml", folder / f"{name}.yaml"):
        if path.exists():
            try:
                data = yaml.safe_load(path.read_text()) or {}
            except (OSError, yaml.YAMLError) as error:
                raise ProvisionError(f"{path} cannot be read: {error}") from error
            if not isinstance(data, dict):
                raise ProvisionError(f"{path} has no variables in it")
            return data
    return {}
