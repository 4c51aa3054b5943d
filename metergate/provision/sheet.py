"""Gateways from a spreadsheet (CSV, XLSX, ODS): a row for each meter, or for a line or gateway that has none yet.

Columns, in any order; ``gateway`` alone is needed. A gateway's ``host`` and ``port`` and a line's ``kind``, ``address``
and ``baud`` stand in one of its rows, or the same in several.

========= ==================================== ==================== =====================================
gateway   id, also the certificate's name      meter                id of a meter
host      name or address for SSH              serial               what it answers with
port      of SSH, 22 unless said               protocol             abnt unless said
line      name of a line                       forward_port         port for the CCEE
kind      tcp or serial                        forward_interface    the only one that is listened on
address   host:port, or the device             forward_allow        networks that may come, blanks between
baud      of a serial line
========= ==================================== ==================== =====================================
"""

import difflib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from central.sheets import SheetError, read
from metergate.provision.checked import faults
from metergate.provision.errors import ProvisionError, SheetProblems
from metergate.provision.inventory import GatewayHost
from shared.ids import IdError, check_id

COLUMNS: Final = (
    "gateway", "host", "port", "line", "kind", "address", "baud", "meter", "serial", "protocol", "forward_port",
    "forward_interface", "forward_allow",
)  # fmt: skip


@dataclass
class _Gateway:
    """A gateway as the rows build it; the row in which each thing was said first."""

    row: int
    host: GatewayHost
    lines: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    meters: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)


class _Reader:
    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self.gateways: dict[str, _Gateway] = {}
        self.owners: dict[str, tuple[str, int]] = {}
        self.problems: list[tuple[int, str]] = []

    def take(self, number: int, cells: Sequence[str]) -> None:
        row = {name: cells[at].strip() for at, name in enumerate(self.columns) if at < len(cells)}
        if not any(row.values()):
            return
        try:
            self._take(number, {name: row.get(name, "") for name in COLUMNS})
        except (IdError, ValueError) as error:
            self.problems.append((number, str(error)))

    def _take(self, number: int, row: dict[str, str]) -> None:
        if not row["gateway"]:
            raise ValueError("gateway is empty: each row names the gateway it belongs to")
        key = check_id(row["gateway"], "gateway")
        found = self.gateways.setdefault(key, _Gateway(number, GatewayHost(key)))
        if row["host"]:
            _agree(found.host.host, row["host"], f"host of {key}")
            found.host.host = row["host"]
        if row["port"]:
            port = _number(row["port"], "port", 1, 65535)
            _agree(found.host.port, port, f"port of {key}")
            found.host.port = port
        if row["line"]:
            self._line(number, found, row)
        elif row["kind"] or row["address"] or row["baud"]:
            raise ValueError("kind, address and baud belong to a line: name it in the column line")
        if row["meter"]:
            self._meter(number, key, found, row)
        elif row["serial"] or row["protocol"] or row["forward_port"]:
            raise ValueError("serial, protocol and forward_port belong to a meter: name it in the column meter")

    def _line(self, number: int, found: _Gateway, row: dict[str, str]) -> None:
        name = check_id(row["line"], "line")
        given: dict[str, Any] = {each: row[each] for each in ("kind", "address") if row[each]}
        if row["baud"]:
            given["baud"] = _number(row["baud"], "baud", 50, 4_000_000)
        _, line = found.lines.setdefault(name, (number, {"name": name}))
        for each, value in given.items():
            _agree(line.get(each), value, f"{each} of line {name}")
            line[each] = value

    def _meter(self, number: int, key: str, found: _Gateway, row: dict[str, str]) -> None:
        name = check_id(row["meter"], "meter")
        if name in self.owners:
            other, first = self.owners[name]
            raise ValueError(f"meter {name} is in row {first} already, at {other}")
        self.owners[name] = key, number
        if not row["serial"]:
            raise ValueError(f"serial of meter {name} is empty: a gateway checks that the right meter answers")
        meter: dict[str, Any] = {"id": name, "serial": row["serial"]}
        meter |= {each: row[each] for each in ("line", "protocol") if row[each]}
        if forward := _forward(row):
            meter["forward"] = forward
        found.meters[name] = number, meter

    def done(self) -> Iterator[GatewayHost]:
        """The gateways, each judged by the gateway's own rules."""
        for key, found in self.gateways.items():
            lines, meters = list(found.lines.values()), list(found.meters.values())
            for number, line in lines:
                if missing := [each for each in ("kind", "address") if each not in line]:
                    self.problems.append((number, f"line {line['name']} has no {' and no '.join(missing)} in any row"))
            variables = {"gateway_lines": [line for _, line in lines], "gateway_meters": [one for _, one in meters]}
            found.host.variables = {name: value for name, value in variables.items() if value}
            if not self.problems:
                rows = {"lines": lines, "meters": meters}
                for table, at, text in faults(key, found.host.variables):
                    self.problems.append((rows[table][at][0] if table else found.row, text))
            yield found.host


def gateways(path: Path) -> list[GatewayHost]:
    """The gateways of a sheet; :class:`SheetProblems` naming every wrong row, :class:`ProvisionError` for the file."""
    try:
        rows = read(path.read_bytes())
    except (OSError, SheetError) as error:
        raise ProvisionError(f"{path}: {error}") from error
    if not rows:
        raise ProvisionError(f"{path} is empty: its first row names the columns {', '.join(COLUMNS)}")
    reader = _Reader(_header(path, rows[0]))
    for number, cells in enumerate(rows[1:], 2):
        reader.take(number, cells)
    found = list(reader.done())
    if reader.problems:
        raise SheetProblems(str(path), reader.problems)
    if not found:
        raise ProvisionError(f"{path} has no row below its header")
    return found


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    while names and not names[-1]:
        names.pop()
    problems = []
    for at, name in enumerate(names, 1):
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1, 0.5)
            problems.append((1, f"column {at}, {name!r}, is not known{f': did you mean {near[0]!r}?' if near else ''}"))
        elif names.count(name) > 1 and names.index(name) == at - 1:
            problems.append((1, f"column {name!r} is there twice"))
    if "gateway" not in names:
        problems.append((1, "the column 'gateway' is missing"))
    if problems:
        raise SheetProblems(str(path), problems)
    return names


def _agree(before: Any, now: Any, what: str) -> None:
    if before and before != now:
        raise ValueError(f"{what} is {now!r} here and {before!r} in a row above")


def _number(text: str, what: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"{what} {text[:32]!r} is no whole number from {least} to {most}")
    return int(text)


def _forward(row: dict[str, str]) -> dict[str, Any]:
    if not row["forward_port"]:
        if row["forward_interface"] or row["forward_allow"]:
            raise ValueError("forward_interface and forward_allow need a forward_port")
        return {}
    networks = row["forward_allow"].replace(",", " ").replace(";", " ").split()
    for each in networks:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise ValueError(f"forward_allow: {error}; write networks such as 10.20.0.0/24") from error
    if not networks:
        raise ValueError("forward_allow is empty: nobody could come to the forwarded port; name the CCEE's networks")
    forward = {"port": _number(row["forward_port"], "forward_port", 1, 65535), "allow": networks}
    return forward | ({"interface": row["forward_interface"]} if row["forward_interface"] else {})
