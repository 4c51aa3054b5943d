"""What the gateway itself would say of an inventory's lines and meters: its own rules, before anything is written."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from edge.config.check import relations, unknown_keys
from edge.config.load import driver_problems
from edge.config.model import Config

_PLACE = re.compile(r"(lines|meters)\[(\d+)\]\.?(.*)")


class Fault(NamedTuple):
    """``table`` and ``number`` say which line or meter ("" for the rest)."""

    table: str
    number: int
    text: str


def faults(key: str, variables: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a gateway's variables; empty: ``metergate edge check`` will take them."""
    data = {
        "gateway": key,
        "tenant": "checked",
        "uplink": {"host": "broker.invalid"},
        "spool": {"path": "/var/lib/metergate/spool.db"},
        **{name.removeprefix("gateway_"): value for name, value in variables.items() if name in _TABLES},
    }
    problems = [(each.path, each.text) for each in unknown_keys(data)]
    if not problems:
        try:
            config = msgspec.convert(data, Config)
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `$")
            problems = [(path.rstrip("`").lstrip("."), text)]
        else:
            problems = [(each.path, each.text) for each in relations(config) or driver_problems(config)]
    return [_placed(path, text) for path, text in problems]


_TABLES = (
    "gateway_zone",
    "gateway_schedule",
    "gateway_permissions",
    "gateway_modules",
    "gateway_lines",
    "gateway_meters",
)


def _placed(path: str, text: str) -> Fault:
    member = _PLACE.match(path)
    if member is None:
        return Fault("", 0, f"{path}: {text}" if path else text)
    return Fault(member[1], int(member[2]), f"{member[3]}: {text}" if member[3] else text)
