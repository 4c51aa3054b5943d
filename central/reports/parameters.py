"""What a report is asked with. The names are those of the query string, and stay as they are: pages link by them.

    month=YYYY-MM        a local month                   lot=KEY         repeatable
    from=, to=           local days, both included       gateway=KEY     repeatable
    date=YYYY-MM-DD      a local day                     group=ID        repeatable, with all groups below
    serial=TEXT          part of the serial              meter=KEY       repeatable
    customer=TEXT        part of name or external key    model=TEXT      part of maker, name or key
    missing=1            only meters without a reading on the last day of the period
    energy=              active, reactive, inductive, capacitive, ufer; repeatable
    post=post|total|both by post, total, both            reverse=1       the reverse direction (injected) as well
    side=primary|secondary   with the transformers' ratio, or as the meter's constants give it
    values=units|counts  in the unit, or the meter's own counts
    window=DAYS          how many days a billing reading may be older than the day it is due
    kind=                a kind of event

A report refuses what it has no use for. Beside them lists understand ``columns=KEY,KEY`` and ``sort=KEY`` (``-KEY``
the other way round).
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from central.errors import Refused
from shared.wire import EVENT_KINDS

Energy = Literal["active", "reactive", "inductive", "capacitive", "ufer"]
ENERGIES: Final[tuple[Energy, ...]] = ("active", "reactive", "inductive", "capacitive", "ufer")
POSTS: Final = ("both", "post", "total")
SIDES: Final = ("primary", "secondary")
VALUES: Final = ("units", "counts")

#: So many values of one repeatable parameter.
MOST: Final = 500
MAX_WINDOW: Final = 31

PERIOD: Final = frozenset({"month", "from", "to", "date"})
SELECTION: Final = frozenset({"serial", "customer", "model", "lot", "gateway", "group", "meter"})
REGISTERS: Final = frozenset({"energy", "post", "reverse", "side", "values"})

_TEXTS: Final = frozenset({"month", "from", "to", "date", "serial", "customer", "model", "kind"})
_LISTS: Final = frozenset({"lot", "gateway", "group", "meter", "energy"})
_CHOICES: Final[dict[str, Sequence[str]]] = {"post": POSTS, "side": SIDES, "values": VALUES}
_SWITCHES: Final = frozenset({"missing", "reverse"})
NAMES: Final = frozenset({*_TEXTS, *_LISTS, *_CHOICES, *_SWITCHES, "window"})


class Filters(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters as they came, checked in form only: whether a lot exists is found where it is looked for."""

    month: str = ""
    first: str = msgspec.field(default="", name="from")
    last: str = msgspec.field(default="", name="to")
    date: str = ""
    serial: str = ""
    customer: str = ""
    model: str = ""
    lot: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    group: tuple[int, ...] = ()
    meter: tuple[str, ...] = ()
    missing: bool = False
    energy: tuple[Energy, ...] = ("active",)
    post: Literal["both", "post", "total"] = "both"
    reverse: bool = False
    side: Literal["primary", "secondary"] = "primary"
    values: Literal["units", "counts"] = "units"
    window: int = 3
    kind: str = ""

    def replaced(self, **values: Any) -> "Filters":
        """The same with other values."""
        return msgspec.structs.replace(self, **values)

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values for a query string; what is as it is without saying is left out."""
        found: list[tuple[str, str]] = []
        for name, value in msgspec.to_builtins(self).items():
            if name == "energy" and value == ["active"]:
                continue
            several = value if isinstance(value, list | tuple) else [value]
            found += [(name, "1" if each is True else str(each)) for each in several]
        return found


def parse(pairs: Iterable[tuple[str, str]], known: Collection[str]) -> Filters:
    """Read query pairs; raises :class:`Refused` with the parameter that cannot be used. Empty values say nothing."""
    values: dict[str, Any] = {}
    for name, raw in pairs:
        text = raw.strip()
        if name not in known:
            raise Refused(name[:64], f"this report has no such parameter; it has {', '.join(sorted(known))}")
        if not text:
            continue
        if name in _LISTS:
            values.setdefault(name, []).append(_entry(name, text))
        elif name in values:
            raise Refused(name, "is given more than once")
        else:
            values[name] = _value(name, text)
    for name in _LISTS & values.keys():
        values[name] = list(dict.fromkeys(values[name]))
        if len(values[name]) > MOST:
            raise Refused(name, f"has {len(values[name])} values; at most {MOST}")
    return msgspec.convert(values, Filters)


def _entry(name: str, text: str) -> str | int:
    if name == "group":
        return _whole(name, text, 1 << 53)
    if name == "energy" and text not in ENERGIES:
        raise Refused(name, f"{text[:32]!r} is not one of {', '.join(ENERGIES)}")
    return text[:64]


def _value(name: str, text: str) -> Any:
    if name in _SWITCHES:
        if text not in ("1", "0"):
            raise Refused(name, f"{text[:32]!r} is neither 1 nor 0")
        return text == "1"
    if name in _CHOICES:
        if text not in _CHOICES[name]:
            raise Refused(name, f"{text[:32]!r} is not one of {', '.join(_CHOICES[name])}")
        return text
    if name == "window":
        return _whole(name, text, MAX_WINDOW)
    if name == "kind" and text not in EVENT_KINDS:
        raise Refused(name, f"{text[:32]!r} is not one of {', '.join(EVENT_KINDS)}")
    return text[:100]


def _whole(name: str, text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,16}", text) or int(text) > most:
        raise Refused(name, f"{text[:32]!r} is no whole number 0 to {most}")
    return int(text)
