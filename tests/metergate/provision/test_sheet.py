"""Sheets become inventories whole or not at all, each mistake with its row."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.sheets import csv_lines, xlsx
from metergate.provision import inventory, sheet
from metergate.provision.checked import faults
from metergate.provision.cli import cli
from metergate.provision.errors import ProvisionError, SheetProblems

HEADER = ["Gateway", "host", "line", "kind", "address", "baud", "meter", "serial", "protocol", "forward_port",
          "forward_interface", "forward_allow", "port"]  # fmt: skip
ROWS = [
    HEADER,
    ["gw-0001", "10.66.0.11", "optical", "serial", "/dev/metergate/optical", "9600", "MG-1", "12345678", "", "14001",
     "wg0", "10.20.0.0/24, 10.21.0.0/24", ""],
    ["gw-0001", "", "hall", "tcp", "192.0.2.10:4001", "", "MG-2", "87654321", "", "", "", "", ""],
    ["gw-0001", "", "hall", "", "", "", "MG-3", "00001234", "abnt", "", "", "", ""],
    [""] * 13,
    ["gw.two", "gw2.example.net", "", "", "", "", "", "", "", "", "", "", "2222"],
]  # fmt: skip


def saved(folder: Path, rows: Sequence[Sequence[str]], kind: str = "csv") -> Path:
    path = folder / f"sheet.{kind}"
    path.write_bytes(xlsx(rows, "gateways") if kind == "xlsx" else b"".join(csv_lines(rows)))
    return path


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_sheet_becomes_the_inventory_it_says(tmp_path: Path, kind: str) -> None:
    first, second = sheet.gateways(saved(tmp_path, ROWS, kind))
    assert (first.key, first.host, first.port) == ("gw-0001", "10.66.0.11", 0)
    assert first.variables == {
        "gateway_lines": [
            {"name": "optical", "kind": "serial", "address": "/dev/metergate/optical", "baud": 9600},
            {"name": "hall", "kind": "tcp", "address": "192.0.2.10:4001"},
        ],
        "gateway_meters": [
            {"id": "MG-1", "serial": "12345678", "line": "optical",
             "forward": {"port": 14001, "allow": ["10.20.0.0/24", "10.21.0.0/24"], "interface": "wg0"}},
            {"id": "MG-2", "serial": "87654321", "line": "hall"},
            {"id": "MG-3", "serial": "00001234", "line": "hall", "protocol": "abnt"},
        ],
    }  # fmt: skip
    assert (second.key, second.port, second.variables) == ("gw.two", 2222, {})


def broken(row: int, column: str, value: str) -> list[list[str]]:
    rows = [list(each) for each in ROWS]
    rows[row][[name.lower() for name in HEADER].index(column)] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        (broken(1, "gateway", "gw 1"), 2, "gateway 'gw 1' is not usable"),
        (broken(2, "gateway", ""), 3, "gateway is empty"),
        (broken(2, "host", "10.66.0.12"), 3, "host of gw-0001 is '10.66.0.12' here and '10.66.0.11' in a row above"),
        (broken(5, "port", "99999"), 6, "port '99999' is no whole number from 1 to 65535"),
        (broken(3, "address", "192.0.2.11:4001"), 4, "address of line hall"),
        (broken(2, "address", ""), 3, "line hall has no address in any row"),
        (broken(2, "address", "192.0.2.10"), 3, "address"),
        (broken(2, "kind", "udp"), 3, "udp"),
        (broken(1, "baud", "fast"), 2, "baud 'fast'"),
        (broken(3, "meter", "MG-1"), 4, "meter MG-1 is in row 2 already, at gw-0001"),
        (broken(3, "serial", ""), 4, "serial of meter MG-3 is empty"),
        (broken(3, "serial", "ABC"), 4, "serial"),
        (broken(3, "meter", ""), 4, "belong to a meter"),
        (broken(3, "line", "elsewhere"), 4, "line elsewhere has no kind and no address"),
        (broken(3, "protocol", "abmt"), 4, "abmt"),
        (broken(1, "forward_port", "0"), 2, "forward_port '0'"),
        (broken(1, "forward_allow", "10.20.0.1/24"), 2, "host bits set"),
        (broken(1, "forward_allow", ""), 2, "forward_allow is empty"),
        (broken(2, "forward_interface", "wg0"), 3, "need a forward_port"),
        (broken(0, "serial", "serail"), 1, "did you mean 'serial'"),
        (broken(0, "gateway", "host"), 1, "the column 'gateway' is missing"),
        ([*ROWS, ["gw-0003", "", "", "", "", "", "MG-9", "11112222", "", "", "", "", ""]], 7, "line"),
    ],
)
def test_mistakes_are_named_with_their_row(tmp_path: Path, rows: list[list[str]], row: int, words: str) -> None:
    with pytest.raises(SheetProblems) as error:
        sheet.gateways(saved(tmp_path, rows))
    assert any(number == row and words in text for number, text in error.value.problems), error.value.problems


def test_every_mistake_at_once_and_nothing_written(tmp_path: Path) -> None:
    rows = broken(1, "baud", "fast")
    rows[2][7] = ""
    path = saved(tmp_path, rows)
    done = CliRunner().invoke(cli, ["inventory", "--sheet", str(path), "--output", str(tmp_path / "inventory")])
    assert done.exit_code == 2
    assert "row 2: baud" in done.output
    assert "row 3: serial" in done.output
    assert not (tmp_path / "inventory").exists()


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", b"PK\x03\x04 not a book", b"gateway\n"])
def test_files_that_are_no_sheets(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(data)
    with pytest.raises(ProvisionError):
        sheet.gateways(path)


_CELL = st.text(max_size=12) | st.sampled_from(
    ["gw-1", "a", "tcp", "serial", "127.0.0.1:1", "/dev/x", "1", "10.0.0.0/8"]
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.lists(st.lists(_CELL, min_size=13, max_size=13), max_size=5))
def test_whatever_is_in_the_cells(tmp_path: Path, rows: list[list[str]]) -> None:
    """Refused in words, or an inventory that the gateway's own rules take and YAML gives back as it was."""
    target = io.BytesIO(b"".join(csv_lines([HEADER, *rows])))
    path = tmp_path / "any.csv"
    path.write_bytes(target.getvalue())
    try:
        found = sheet.gateways(path)
        made = inventory.files(found, {})
    except ProvisionError:
        return
    for host in found:
        assert faults(host.key, host.variables) == []
        if host.variables:
            again = yaml.safe_load(made[f"host_vars/{host.key}.yml"])
            again.pop("gateway_id", None)
            assert again == host.variables
