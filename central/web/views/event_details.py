"""Details of events in the reader's words; what only a programmer can use is left out."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from central.web import labels
from central.web.i18n import N_, current, gettext
from central.web.told import told

#: Kind of event -> keys that say nothing to an operator.
_QUIET: Final[Mapping[str, frozenset[str]]] = {
    "reconciled": frozenset({"order", "intervals", "reason", "misses"}),
    "unreconciled": frozenset({"order", "intervals", "misses"}),
    "battery": frozenset({"source", "code", "sub_code", "name"}),
    "profile_lost": frozenset({"first_seq", "last_seq", "stream_kept"}),
    "spool_damaged": frozenset({"first_seq", "last_seq", "stream_kept"}),
    "clock_set": frozenset({"code", "name"}),
    "field_reading": frozenset({"tool"}),
    "forward_trouble": frozenset({"self_test"}),
}
_WORDS: Final = {
    "expected": N_("Expected serial"),
    "found": N_("Answered"),
    "reason": N_("Reason"),
    "since": N_("Since"),
    "drift": N_("Clock off by"),
    "shift_s": N_("Clock off by"),
    "before": N_("Before"),
    "after": N_("Afterwards"),
    "reader": N_("Reader"),
    "resets": N_("Resets so far"),
    "count": N_("Resets so far"),
    "code": N_("Code"),
    "sub_code": N_("Subcode"),
    "name": N_("What"),
    "file": N_("File put aside"),
    "rows": N_("Rows"),
    "used": N_("Used"),
    "limit": N_("Limit"),
    "free": N_("Free on the disk"),
    "level": N_("Level"),
    "dropped": N_("Dropped rows"),
    "seconds": N_("Difference"),
    "who": N_("Who"),
    "why": N_("Why"),
    "place": N_("Where"),
    "kinds": N_("What was read"),
    "verdict": N_("Verdict"),
    "source": N_("Source"),
    "failures": N_("Failures in a row"),
    "refused": N_("Refused connections"),
}
_LEVELS: Final = {
    "free": N_("room again"), "pressure": N_("nearly full"), "full": N_("full"),
}  # fmt: skip
#: What answers 40 and change logs of ABNT meters name, as the drivers write it.
_NAMES: Final = {
    "program integrity": N_("program integrity"),
    "clock": N_("clock"),
    "watchdog": N_("watchdog"),
    "invalid password": N_("invalid password"),
    "wrong password": N_("wrong password"),
    "password session needed, or parameters incomplete": N_("password session needed, or parameters incomplete"),
    "blocked, or billing close inside the protection period": N_("blocked, or billing closed again too soon"),
    "invalid parameter": N_("invalid parameter"),
    "parameters and demand reset (closes the bill)": N_("demand reset"),
    "set demand interval": N_("demand interval set"),
    "set holidays": N_("holidays set"),
    "set multiplication constants": N_("multiplication constants set"),
    "set time-of-use starts": N_("starts of the posts set"),
    "set condition of the reserved slot": N_("condition of the reserved post set"),
    "clear occurrence": N_("occurrence cleared"),
    "initialise meter": N_("meter initialised"),
    "set form of demand calculation": N_("demand calculation set"),
    "set display options": N_("display options set"),
    "set automatic demand reset": N_("automatic demand reset set"),
    "daylight saving": N_("daylight saving set"),
    "set second time-of-use set": N_("second set of posts set"),
    "set channel quantities": N_("quantities of the channels set"),
    "set reactive tariff": N_("reactive tariff set"),
    "set profile interval": N_("interval of the load profile set"),
    "set tariff options": N_("tariff options set"),
    "set user output type": N_("user output set"),
    "installation code": N_("installation code set"),
    "set universal time of use": N_("universal posts set"),
    "set constants and mode": N_("constants and mode set"),
    "maker dependent setting": N_("setting of the maker"),
}
_ITEMS: Final = {
    "profile": N_("Load profile"), "registers": N_("Registers"), "instant": N_("Instantaneous values"),
    "telemetry": N_("Telemetry"), "evidence": N_("Evidence"),
}  # fmt: skip


def detail(kind: str, given: Mapping[str, Any], tz: ZoneInfo) -> str:
    """The details of one event as ``label: value`` pairs, unknown keys as they came; "" for nothing worth saying."""
    if kind == "meter_back" and isinstance(given.get("after"), str) and "since" in given:
        state, since = labels.state(labels.METER_STATES, given["after"])[0], _value(kind, "since", given["since"], tz)
        return (gettext("%(state)s since %(since)s") % {"state": state, "since": since})[:300]
    quiet = _QUIET.get(kind, frozenset())
    parts = []
    for key, value in given.items():
        if key not in quiet and value not in (None, "", {}, []) and (text := _value(kind, key, value, tz)):
            parts.append(f"{labels.word(_WORDS, key)}: {text}")
    return ", ".join(parts)[:300]


def _value(kind: str, key: str, value: Any, tz: ZoneInfo) -> str:
    show = _instant if kind == "clock_jump" and key in ("before", "after") else _SHOW.get(key)
    try:
        return str(value) if show is None else show(value, tz)
    except (
        ArithmeticError,
        TypeError,
        ValueError,
        AttributeError,
        OSError,
    ):  # a gateway of another version says it otherwise
        return str(value)


def _instant(value: Any, tz: ZoneInfo) -> str:
    return current().instant(value, tz, seconds=True)


def _seconds(value: Any, _: ZoneInfo) -> str:
    number = current().number(value, 0 if value == int(value) else 1)
    return f"{'+' if value > 0 else ''}{number}\N{NO-BREAK SPACE}{current().unit('s')}"


def _bytes(value: Any, _: ZoneInfo) -> str:
    size, unit = (value / 2**30, "GiB") if value >= 2**30 else (value / 2**20, "MiB")
    return current().amount(size, unit, 1)


def _dropped(value: Any, _: ZoneInfo) -> str:
    return ", ".join(f"{labels.word(_ITEMS, kind)} {current().number(rows)}" for kind, rows in value.items())


_SHOW: Final[Mapping[str, Callable[[Any, ZoneInfo], str]]] = {
    "since": lambda value, tz: current().instant(value, tz),
    "drift": _seconds,
    "shift_s": _seconds,
    "before": _seconds,
    "after": _seconds,
    "seconds": _seconds,
    "used": _bytes,
    "limit": _bytes,
    "free": _bytes,
    "level": lambda value, _: labels.word(_LEVELS, value),
    "dropped": _dropped,
    "rows": lambda value, _: current().number(value),
    "name": lambda value, _: labels.word(_NAMES, value),
    "reason": lambda value, _: told(str(value)),
}
