"""What a laptop keeps: its name, what it learnt, its journal, its traces; the bundle made of it; places and ports."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from edge.config.model import SerialLine, TcpLine
from edge.errors import ConfigError
from edge.field import bundle
from edge.field.folder import KEPT_TRACES, Folder
from edge.field.place import Options, parse, settings_for, with_baud
from edge.field.ports import serial_ports
from edge.field.tap import Tap, TraceFile
from edge.guardian import Expected, Inspector, Side

TOML = """gateway = "gw1"
tenant = "acme"
[uplink]
host = "broker"
password = "s3cret-of-the-broker"
[spool]
path = "/var/lib/metergate/spool.db"
[[lines]]
name = "hall"
kind = "tcp"
address = "10.0.0.7:4001"
[[meters]]
id = "MG-1"
serial = "12345678"
line = "hall"
"""


def test_a_laptop_keeps_its_name(tmp_path: Path) -> None:
    first = Folder(tmp_path)
    assert first.laptop.startswith("field-")
    assert Folder(tmp_path).laptop == first.laptop
    assert Folder(tmp_path, "ana-1").laptop == "ana-1"
    assert Folder(tmp_path).laptop == "ana-1"
    with pytest.raises(ConfigError, match="not usable"):
        Folder(tmp_path, "no/slash")
    (tmp_path / "laptop.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        Folder(tmp_path)


def test_what_was_learnt_and_the_journal(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.learn("/dev/ttyUSB0", baud=9600)
    folder.learn("/dev/ttyUSB0", serial="12345678")
    folder.learn("10.0.0.7:4001", variant="plain")
    assert folder.learnt("/dev/ttyUSB0")["baud"] == 9600
    assert folder.learnt("/dev/ttyUSB0")["serial"] == "12345678"
    assert folder.learnt("elsewhere") == {}
    folder.journal("read", who="ana")
    with folder.journal_path.open("a") as file:
        file.write('{"cut short')
    assert [entry["who"] for entry in folder.entries()] == ["ana"]


def test_old_traces_make_room(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "traces").mkdir()
    for number in range(KEPT_TRACES + 5):
        (tmp_path / "traces" / f"{number:04}-read.txt").write_text("")
    folder.new_trace("audit")
    assert len(folder.traces) == KEPT_TRACES - 1
    assert folder.traces[-1].name == "0006-read.txt"


class _Wire:
    """A transport that answers with what it was given."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    async def read(self, limit: int, timeout: float) -> bytes:
        return self.answers.pop(0) if self.answers else b""

    async def write(self, data: bytes) -> None:
        """Gone."""

    def purge(self) -> int:
        return 0

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_bundle_helps_and_tells_no_secrets(tmp_path: Path) -> None:
    """Password of the broker and a password token on the line: neither is in any file of the bundle."""
    folder = Folder(tmp_path / "field", "field-1")
    folder.journal("read", who="ana")
    token = bytes.fromhex("11000000") + b"TOKEN-KEPT" + bytes(50)
    from ext.checksums import crc16_arc

    tap = Tap(_Wire(b"\x05", b"\x05"), Inspector(Expected(), 0.0), TraceFile(folder.new_trace("read")), lambda: 100.5)
    await tap.read(10, 1.0)
    await tap.write(token + crc16_arc(token).to_bytes(2, "little"))
    await tap.read(10, 1.0)
    tap.trace.close()
    (tmp_path / "gateway.toml").write_text(TOML)
    path = bundle.make(folder, None, [tmp_path / "gateway.toml"])
    assert path.parent == folder.path / "bundles"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert {"environment.json", "ports.json", "places.json", "journal.jsonl", "config/gateway.toml"} <= set(content)
    assert json.loads(content["environment.json"])["laptop"] == "field-1"
    (trace,) = (name for name in content if name.endswith(".txt"))
    assert content[trace].decode().startswith("100.500 < 05\n100.500 > 11 00 00 00 ")
    assert content[trace.replace(".txt", ".pcapng")][:4] == b"\x0a\x0d\x0d\x0a"
    for name, data in content.items():
        assert b"s3cret" not in data, name
        assert b"TOKEN-KEPT" not in data, name
        assert b"TOKEN-KEPT".hex(" ").encode() not in data, name
    assert b"********" in content["config/gateway.toml"]


def test_a_bundle_refuses_what_it_cannot_mask(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "field")
    config = tmp_path / "g.toml"
    config.write_text('[uplink]\npassword = """\nx"""\n')
    with pytest.raises(ConfigError, match="cannot be masked"):
        bundle.make(folder, tmp_path / "b.zip", [config])
    assert not (tmp_path / "b.zip").exists()
    with pytest.raises(ConfigError, match="cannot be read"):
        bundle.make(folder, tmp_path / "b.zip", [tmp_path / "none.toml"])


def test_a_trace_cut_short_is_read_as_far_as_it_goes() -> None:
    text = "1.5 > 21 00\n1.6 < 05\nnonsense\n1.7 < 0"
    assert [(c.at, c.side, c.data) for c in bundle.chunks_of(text)] == [
        (1.5, Side.CLIENT, b"\x21\x00"),
        (1.6, Side.METER, b"\x05"),
    ]


def test_places(tmp_path: Path) -> None:
    serial = parse("/dev/ttyUSB0", 19200)
    assert isinstance(serial.line, SerialLine)
    assert (serial.line.baud, serial.is_serial) == (19200, True)
    assert settings_for(serial, Options())["link"] == "usb"
    again = with_baud(serial, 300).line
    assert isinstance(again, SerialLine)
    assert again.baud == 300
    assert isinstance(parse("[::1]:4001").line, TcpLine)
    assert settings_for(parse("meter.example:4001"), Options(serial="12345678"))["serial"] == "12345678"
    (tmp_path / "gateway.toml").write_text(TOML)
    place = parse(f"{tmp_path}/gateway.toml#MG-1")
    assert place.meter is not None
    assert settings_for(place, Options(serial="99999999"))["serial"] == "12345678"
    alone = '[[meters]]\nid = "MG-9"\nserial = "1"\n[meters.forward]\nport = 7009\ntarget = "10.0.0.9:4001"\n'
    (tmp_path / "alone.toml").write_text(TOML + alone.replace('"1"', '"87654321"'))
    line = parse(f"{tmp_path}/alone.toml#MG-9").line
    assert isinstance(line, TcpLine)
    assert line.address == "10.0.0.9:4001"
    for text, words in (
        ("ttyUSB0", "is no place"),
        ("host:0", "is no place"),
        ("host:70000", "is no place"),
        (f"{tmp_path}/gateway.toml#MG-2", "there are: MG-1"),
        (f"{tmp_path}/none.toml#MG-1", "does not exist"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse(text)


def test_ports_are_found_with_what_is_behind_them(tmp_path: Path) -> None:
    """A tree as the kernel shows it: an FTDI probe, a built-in port that is there, one that is not, a console."""
    sys, dev = tmp_path / "sys", tmp_path / "dev"
    usb = sys / "devices/usb1/1-1"
    (usb / "1-1:1.0/ttyUSB0").mkdir(parents=True)
    (usb / "product").write_text("USB Optical Probe\n")
    (usb / "manufacturer").write_text("Maker\n")
    (sys / "drivers/ftdi_sio").mkdir(parents=True)
    (usb / "1-1:1.0/ttyUSB0/driver").symlink_to(sys / "drivers/ftdi_sio")
    (sys / "drivers/serial8250").mkdir(parents=True)
    dev.mkdir()
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0")):
        (sys / "class/tty" / name / "device").mkdir(parents=True)
        (sys / "class/tty" / name / "device/driver").symlink_to(sys / "drivers/serial8250")
        (sys / "class/tty" / name / "type").write_text(kind)
        (dev / name).write_text("")
    (sys / "class/tty/ttyUSB0").mkdir()
    (sys / "class/tty/ttyUSB0/device").symlink_to(usb / "1-1:1.0/ttyUSB0")
    (sys / "class/tty/tty0").mkdir()
    (dev / "ttyUSB0").write_text("")
    (dev / "serial/by-id").mkdir(parents=True)
    (dev / "serial/by-id/usb-Maker-if00").symlink_to(dev / "ttyUSB0")
    found = serial_ports(sys, dev)
    assert [Path(port.device).name for port in found] == ["ttyUSB0", "ttyS0"]
    assert found[0].what == "Maker USB Optical Probe (FTDI converter (most optical probes))"
    assert found[0].stable.endswith("usb-Maker-if00")
    assert all(port.usable and not port.words for port in found)
