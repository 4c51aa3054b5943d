"""Forwarded ports: the tables of a gateway's configuration, and a form that makes one."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from central.ccee.forwards import ForwardLine
from central.registry.service import GatewayView, MeterView
from central.web.forms import field
from central.web.i18n import gettext

#: What the gateway takes where a table says nothing.
DEFAULTS: Final[Mapping[str, Any]] = {
    "listen": "0.0.0.0", "interface": "", "allow": [], "mode": "shared", "target": "", "idle_seconds": 120,  # noqa: S104
    "total_seconds": 3600, "capture": True, "self_test_hours": 6,
}  # fmt: skip
#: Whole numbers of the form and their bounds; the gateway checks everything once more.
_NUMBERS: Final = {
    "port": (1, 65535), "idle_seconds": (5, 86400), "total_seconds": (10, 86400), "self_test_hours": (0, 168),
}  # fmt: skip
_TEXTS: Final = {"listen": 64, "interface": 15, "target": 260}
_MOST_NETWORKS: Final = 64


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A row of the plan: the forward in the configuration, with defaults, and what its gateway tells (None: nothing).

    ``allow`` is None where the configuration is not known.
    """

    meter: str
    name: str
    table: Mapping[str, Any]
    told: ForwardLine | None
    state: str
    mode: str
    listen: str
    allow: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All forwards of one gateway."""

    view: GatewayView
    lines: Sequence[PlanLine]


class FormProblem(ValueError):
    """What was filled in cannot be a forward; the text says why."""


def tables(config: str) -> dict[str, dict[str, Any]]:
    """Forward of each meter in a gateway's configuration; nothing for a text that is none."""
    try:
        meters = tomllib.loads(config).get("meters", [])
    except tomllib.TOMLDecodeError:
        return {}
    return {
        str(each.get("id")): each["forward"]
        for each in (meters if isinstance(meters, list) else [])
        if isinstance(each, dict) and isinstance(each.get("forward"), dict)
    }


def plan(view: GatewayView, told: Sequence[ForwardLine]) -> Plan:
    """Put together what a gateway's configuration says and what it tells."""
    known = {line.meter: line for line in told if line.gateway == view.gateway.key}
    set_up = tables(view.live.config if view.live else "")
    lines = []
    for meter in sorted({*known, *set_up}):
        table, line = {**DEFAULTS, **set_up.get(meter, {})}, known.get(meter)
        listen = line.state.listen if line else f"{table['listen']}:{table.get('port', '')}"
        lines.append(
            PlanLine(
                meter, line.meter_name if line else meter, table, line,
                line.state.state if line and view.online else "untold",
                line.state.mode if line else table["mode"], listen,
                table["allow"] if meter in set_up else None,
            )
        )  # fmt: skip
    return Plan(view, lines)


def of_meter(view: MeterView, config: str) -> dict[str, Any]:
    """The table of a meter's forward with defaults; without ``port`` where there is none."""
    return {**DEFAULTS, **tables(config).get(view.meter.key, {})}


def table_of(form: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The table that a form asks for; keys that the form does not show stay. Raises :class:`FormProblem`."""
    made = {key: value for key, value in before.items() if key not in DEFAULTS and key != "port"}
    for key, (low, high) in _NUMBERS.items():
        text = field(form, key, 8)
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise FormProblem(
                gettext("“%(value)s” is not a whole number from %(low)s to %(high)s.")
                % {"value": text, "low": low, "high": high}
            )
        made[key] = int(text)
    for key, longest in _TEXTS.items():
        made[key] = field(form, key, longest)
    made["listen"] = made["listen"] or DEFAULTS["listen"]
    made["mode"] = "exclusive" if field(form, "mode") == "exclusive" else "shared"
    made["capture"] = field(form, "capture") == "1"
    made["allow"] = networks(field(form, "allow", 10_000))
    return made


def networks(text: str) -> list[str]:
    """Networks as written, one a line or parted by commas or spaces; raises :class:`FormProblem`."""
    found = text.replace(",", " ").split()
    if len(found) > _MOST_NETWORKS:
        raise FormProblem(gettext("More than %(most)s networks.") % {"most": _MOST_NETWORKS})
    for each in found:
        try:
            ip_network(each)
        except ValueError as error:
            raise FormProblem(
                gettext("“%(value)s” is not a network such as 10.20.0.0/24.") % {"value": each[:64]}
            ) from error
    return found


def toml(table: Mapping[str, Any]) -> str:
    """The lines of a table; what is as by default is left out."""
    return "".join(
        f"{key} = {msgspec.json.encode(value).decode()}\n"
        for key, value in table.items()
        if key not in DEFAULTS or DEFAULTS[key] != value
    )
