"""Serial ports of this machine and what is plugged into them, from sysfs and /dev; nothing is opened."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Drivers of adapters that optical probes and converters are built on.
KNOWN: Final = {
    "ftdi_sio": "FTDI converter (most optical probes)",
    "cp210x": "Silicon Labs converter (many optical probes)",
    "pl2303": "Prolific converter",
    "ch341": "WCH converter",
    "cdc_acm": "modem or board with its own USB",
}


@dataclass(frozen=True)
class Port:
    """``usable``: this user may open it. ``what``: adapter as it calls itself, "" for a built-in port."""

    device: str
    what: str
    usable: bool
    stable: str = ""  # a name that does not change with the socket: /dev/serial/by-id/...

    @property
    def words(self) -> str:
        """What to do about it, "" when nothing is wrong."""
        return "" if self.usable else "may not be opened: join the group that owns it (dialout), log in again"


def serial_ports(sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> list[Port]:
    """Ports with a device behind them, USB adapters first."""
    names = {link.resolve().name: str(link) for link in sorted((dev / "serial/by-id").glob("*"))}
    found = []
    for entry in sorted((sys / "class/tty").glob("*")):
        if not (entry / "device").exists():
            continue
        driver = (entry / "device/driver").resolve().name if (entry / "device/driver").exists() else ""
        if driver == "serial8250" and not _real_uart(entry):
            continue
        device = dev / entry.name
        if device.exists():
            usable = os.access(device, os.R_OK | os.W_OK)
            found.append(Port(str(device), _what(entry, driver), usable, names.get(entry.name, "")))
    return sorted(found, key=lambda port: (not port.what, port.device))


def _real_uart(entry: Path) -> bool:
    """Linux offers four ports of the 8250 whether they are there or not: type 0 is none."""
    return _text(entry / "type") not in ("", "0")


def _what(entry: Path, driver: str) -> str:
    for folder in (entry / "device").resolve().parents:
        product = _text(folder / "product")
        if product:
            maker = _text(folder / "manufacturer")
            return f"{maker} {product}".strip() + (f" ({KNOWN[driver]})" if driver in KNOWN else "")
    return KNOWN.get(driver, "")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""
