"""Labels, read back by a foreign reader of QR codes."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

from metergate.provision.cli import cli
from metergate.provision.errors import ProvisionError
from metergate.provision.label import Label
from tests.qr import decode, from_png, from_terminal

SERVER = "https://metergate.example.net"
PIN = "sha256:" + "0123456789abcdef" * 2
PLAIN = f"{SERVER}/gateways/gw-0001"
COMMAND = f"metergate edge enrol --server {SERVER} --code 7KQ2M-X09VD --pin {PIN}"


@pytest.mark.parametrize(("more", "text"), [((), PLAIN), (("7kq2m-x09vd", PIN), COMMAND)])
def test_png_and_terminal_say_the_same(tmp_path: Path, more: tuple[str, ...], text: str) -> None:
    label = Label("gw-0001", f"{SERVER}/", *more)
    label.save(tmp_path / "label.png")
    assert decode(from_png((tmp_path / "label.png").read_bytes())) == text
    assert decode(from_terminal(label.terminal())) == text
    assert label.terminal().endswith("\n".join(label.lines))


def test_the_svg_holds_the_code_and_what_people_read(tmp_path: Path) -> None:
    Label("gw-0001", SERVER, "7KQ2M-X09VD").save(tmp_path / "label.svg")
    root = ET.fromstring((tmp_path / "label.svg").read_text())
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["gw-0001", "metergate.example.net", "7KQ2M-X09VD"]
    assert decode(_drawn(root)) == f"metergate edge enrol --server {SERVER} --code 7KQ2M-X09VD"


def _drawn(root: ET.Element) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The path of the code as dots: ``M x y h n`` strokes of height 1, as its writer draws them."""
    (path,) = root.iter("{http://www.w3.org/2000/svg}path")
    size = int(float(root.attrib["viewBox"].split()[2]))
    dots = np.full((size, size), 255, np.uint8)
    x = y = 0.0
    for kind, numbers in re.findall(r"([Mmhv])\s*([-\d. ,]+)", path.attrib["d"]):
        values = [float(each) for each in re.findall(r"-?\d*\.?\d+", numbers)]
        if kind in "Mm":
            dx, dy = values
            x, y = (dx, dy) if kind == "M" else (x + dx, y + dy)
        elif kind == "h":
            dots[int(y), int(x) : int(x + values[0])] = 0
            x += values[0]
    return np.kron(dots, np.ones((4, 4), np.uint8))


def test_the_command(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli, ["label", "gw-0001", "--server", SERVER])
    assert decode(from_terminal(shown.output)) == PLAIN
    file = tmp_path / "label.png"
    made = CliRunner().invoke(cli, ["label", "gw-0001", "--server", SERVER, "-o", str(file)])
    assert (made.exit_code, made.output) == (0, f"{file}: {PLAIN}\n")
    wrong = CliRunner().invoke(cli, ["label", "gw-0001", "--server", SERVER, "-o", str(tmp_path / "label.pdf")])
    assert (wrong.exit_code, ".svg" in wrong.output) == (2, True)


@pytest.mark.parametrize(("gateway", "server"), [("gw 1", SERVER), ("../x", SERVER), ("gw-1", "metergate")])
def test_what_cannot_be_a_label(gateway: str, server: str) -> None:
    with pytest.raises(ProvisionError):
        Label(gateway, server)


def test_markup_in_a_server_stays_text() -> None:
    assert "<script" not in Label("gw-1", "https://a.example:443").svg()
    assert "a&amp;b.example" in Label("gw-1", "https://a&b.example").svg()
