"""Checks of a parsed file: unknown and renamed keys, and relations between its tables. No I/O."""

from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from edge.config.model import (
    RENAMED,
    Config,
    Forward,
    Light,
    LineBase,
    Log,
    Meter,
    MeterSchedule,
    Module,
    Permissions,
    Remote,
    Schedule,
    SerialLine,
    Spool,
    TcpLine,
    Uplink,
)

#: Table -> its struct, for the walk over keys; lists of tables carry the key that names their members.
TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "uplink": Uplink, "spool": Spool, "log": Log, "light": Light, "permissions": Permissions, "remote": Remote,
    "schedule": Schedule,
}  # fmt: skip
LISTS: Final[dict[str, tuple[str, type[msgspec.Struct] | None]]] = {
    "modules": ("name", Module),
    "lines": ("name", None),  # by kind
    "meters": ("id", Meter),
}
LINE_KINDS: Final[dict[str, type[LineBase]]] = {"tcp": TcpLine, "serial": SerialLine}


class Problem(NamedTuple):
    """One thing wrong with the file: where (``meters[2].serial``), and what to do about it."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def rename_keys(data: dict[str, Any]) -> list[Problem]:
    """Give keys by another name (``RENAMED``) the name they have here, in place; returns a warning for each."""
    warnings: list[Problem] = []
    for path, kind, table, _ in _tables(data):  # the top level comes first, so a renamed table is looked into as well
        for old in [key for key in table if (kind, key) in RENAMED]:
            new = RENAMED[kind, old]
            where = _join(path, old)
            if new in table:
                warnings.append(Problem(where, f"is called {new!r} here, which is given too: the other is ignored"))
                del table[old]
            else:
                warnings.append(Problem(where, f"is called {new!r} here: please rename it"))
                table[new] = table.pop(old)
    return warnings


def unknown_keys(data: dict[str, Any]) -> list[Problem]:
    """Every key that no table declares, with the nearest name that one does."""
    problems: list[Problem] = []
    for path, _, table, struct in _tables(data):
        if struct is None:
            continue
        known = _keys(struct)
        problems += [Problem(_join(path, key), unknown(key, known)) for key in table if key not in known]
    return problems


def unknown(key: str, known: list[str]) -> str:
    """The sentence for an unknown key."""
    near = get_close_matches(key, known, 1, 0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"


def relations(config: Config) -> list[Problem]:
    """What single fields cannot tell: names that must exist, must be unique, must fit together."""
    problems = [
        *_duplicates("modules", [module.name for module in config.modules], "name"),
        *_duplicates("lines", [line.name for line in config.lines], "name"),
        *_duplicates("lines", [line.address for line in config.lines], "address"),
        *_duplicates("meters", [meter.id for meter in config.meters], "id"),
        *_duplicates("meters", [f"{meter.protocol} {meter.serial}" for meter in config.meters], "protocol and serial"),
        *_uplink(config.uplink),
    ]
    try:
        ZoneInfo(config.zone)
    except (OSError, ValueError, KeyError):  # a folder's name, a path, a name that nobody knows
        problems.append(Problem("zone", f"{config.zone!r} is not a time zone; one is 'America/Sao_Paulo'"))
    for number, line in enumerate(config.lines):
        if isinstance(line, TcpLine) and not 1 <= line.host_port[1] <= 65535:
            problems.append(Problem(f"lines[{number}].address", f"port of {line.address!r} is not within 1 to 65535"))
    for number, module in enumerate(config.modules):
        if module.kind == "at" and not module.device.startswith("/"):
            problems.append(
                Problem(f"modules[{number}].device", "a module of kind 'at' needs its port, like /dev/ttyUSB2")
            )
    lines = [line.name for line in config.lines]
    modules = [module.name for module in config.modules]
    for number, meter in enumerate(config.meters):
        if not meter.line and not (meter.forward and meter.forward.target):
            problems.append(Problem(f"meters[{number}]", "has no 'line', and no [meters.forward] with a 'target'"))
        elif meter.line and meter.line not in lines:
            problems.append(Problem(f"meters[{number}].line", _absent("line", meter.line, lines)))
        if meter.module and meter.module not in modules:
            problems.append(Problem(f"meters[{number}].module", _absent("module", meter.module, modules)))
    return [*problems, *_forwards(config)]


def _forwards(config: Config) -> Iterator[Problem]:
    """Ports must differ, networks be networks, targets exist."""
    lines = {line.name: line for line in config.lines}
    ports: dict[int, list[tuple[str, str]]] = {}
    for number, meter in enumerate(config.meters):
        forward, where = meter.forward, f"meters[{number}].forward"
        if forward is None:
            continue
        for network in forward.allow:
            try:
                ip_network(network)
            except ValueError as error:
                yield Problem(f"{where}.allow", f"{error}; a network is '10.20.0.0/24', one host '10.20.0.5'")
        try:
            host = ip_address(forward.listen)
        except ValueError:
            yield Problem(f"{where}.listen", f"{forward.listen!r} is not an address of this machine, like '10.20.0.1'")
            continue
        taken = [
            at for at, other in ports.setdefault(forward.port, [])
            if other == forward.listen or host.is_unspecified or ip_address(other).is_unspecified
        ]  # fmt: skip
        if taken:
            yield Problem(f"{where}.port", f"port {forward.port} is taken already by {taken[0]}")
        ports[forward.port].append((where, forward.listen))
        if forward.target and ":" not in forward.target and forward.target not in lines:
            yield Problem(f"{where}.target", _absent("line", forward.target, list(lines)))
        if forward.mode == "exclusive" and forward.target in ("", meter.line):
            yield Problem(f"{where}.target", "is needed in mode 'exclusive': a path of its own, 'host:port' or a line")


def _uplink(uplink: Uplink) -> Iterator[Problem]:
    if bool(uplink.cert_file) != bool(uplink.key_file):
        yield Problem("uplink", "'cert_file' and 'key_file' are only useful together: give both or none")
    if uplink.password and uplink.password_file:
        yield Problem("uplink", "'password' and 'password_file' are both given: keep one")
    if not uplink.tls and (uplink.ca_file or uplink.cert_file):
        yield Problem("uplink.tls", "is false, yet certificates are given: set it true or remove them")


def _absent(what: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
    return f"no {what} is called {name!r}; {hint}"


def _duplicates(table: str, values: list[str], what: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, value in enumerate(values):
        if value in first:
            yield Problem(f"{table}[{number}]", f"{what} {value!r} is taken already by {table}[{first[value]}]")
        first.setdefault(value, number)


def _tables(
    data: dict[str, Any],
) -> Iterator[tuple[str, str, dict[str, Any], type[msgspec.Struct] | None]]:
    """(path, table's name, table, its struct) of all that are tables; the rest msgspec refuses."""
    yield "", "", data, Config
    for name, struct in TABLES.items():
        if isinstance(data.get(name), dict):
            yield name, name, data[name], struct
    for name, (_, member) in LISTS.items():
        members = data.get(name)
        for number, table in enumerate(members if isinstance(members, list) else ()):
            if isinstance(table, dict):
                kind = table.get("kind")
                yield f"{name}[{number}]", name, table, member or LINE_KINDS.get(kind if isinstance(kind, str) else "")
                for inner, struct in (("schedule", MeterSchedule), ("forward", Forward)) if name == "meters" else ():
                    if isinstance(table.get(inner), dict):
                        yield f"{name}[{number}].{inner}", inner, table[inner], struct


def _keys(struct: type[msgspec.Struct]) -> list[str]:
    keys = [field.encode_name for field in msgspec.structs.fields(struct)]
    return ["kind", *keys] if issubclass(struct, LineBase) else keys


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
