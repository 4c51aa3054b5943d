"""Where a meter is reached: a serial port, a TCP address (serial server or forwarded port), a gateway's meter."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config import Config, Meter, driver_settings, load
from edge.config.load import link_of
from edge.config.model import Line, SerialLine, TcpLine
from edge.errors import ConfigError

DEFAULT_BAUD: Final = 9600  # NBR 14522 (dossier §2)
DEFAULT_ZONE: Final = "America/Sao_Paulo"
_TCP: Final = re.compile(r"^(\[[0-9A-Fa-f:.%\w]+\]|[^:\s/]+):(\d{1,5})$")


@dataclass(frozen=True)
class Place:
    """``text`` as the person wrote it. ``config`` and ``meter`` where it is a meter of a gateway's configuration."""

    text: str
    line: Line
    config: Config | None = None
    meter: Meter | None = None

    @property
    def is_serial(self) -> bool:
        return isinstance(self.line, SerialLine)


@dataclass(frozen=True)
class Options:
    """What a person says of the meter; empty: find out. ``name``: the meter's id at the aggregator, else its serial."""

    serial: str = ""
    name: str = ""
    variant: str = "auto"
    baud: int = 0  # 0: what was learnt at this place, else the protocol's
    zone: str = DEFAULT_ZONE
    nibble_order: str = "auto"
    reader_serial: str = "000000"


def parse(text: str, baud: int = 0) -> Place:
    """Read ``/dev/...``, ``host:port``, ``[v6]:port`` or ``gateway.toml#meter``; :class:`ConfigError` for others."""
    file, hash_, meter = text.partition("#")
    if hash_:
        return _of_gateway(text, Path(file), meter)
    if text.startswith("/"):
        line: Line = SerialLine(name="field", address=text, baud=baud or DEFAULT_BAUD)
        return Place(text, line)
    found = _TCP.match(text)
    if found is None or not 0 < int(found[2]) <= 0xFFFF:
        raise ConfigError(
            f"{text!r} is no place: give a serial port (/dev/ttyUSB0), an address (10.0.0.7:4001, also a forwarded "
            "port), or a meter of a gateway (gateway.toml#MG-0001)"
        )
    return Place(text, TcpLine(name="field", address=text))


def _of_gateway(text: str, file: Path, meter: str) -> Place:
    config = load(file).config
    known = {each.id: each for each in config.meters}
    if meter not in known:
        raise ConfigError(f"no meter {meter!r} in {file}; there are: {', '.join(known) or 'none'}")
    found = known[meter]
    way = found.line or (found.forward.target if found.forward is not None else "")
    if ":" in way:  # on the utility's own network: the gateway only forwards to it
        return Place(text, TcpLine(name="field", address=way), config, found)
    return Place(text, next(line for line in config.lines if line.name == way), config, found)


def settings_for(place: Place, options: Options) -> dict[str, Any]:
    """Settings of the driver: a gateway's meter keeps its own, another place takes what the person says."""
    if place.config is not None and place.meter is not None:
        return driver_settings(place.config, place.meter)
    given: dict[str, Any] = {
        "link": link_of(place.line),
        "zone": options.zone,
        "variant": options.variant,
        "nibble_order": options.nibble_order,
        "reader_serial": options.reader_serial,
    }
    return given | ({"serial": options.serial} if options.serial else {})


def with_baud(place: Place, baud: int) -> Place:
    """The same place at another speed; only serial ports have one."""
    if not isinstance(place.line, SerialLine) or place.config is not None:
        return place
    return Place(place.text, msgspec.structs.replace(place.line, baud=baud))
