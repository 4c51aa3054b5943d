"""The dashboard as data (pure): which widgets there are, how a person arranged them, and for which day and gateways."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from central.web.i18n import N_

COLUMNS: Final = 12
#: A dashboard has at most so many widgets, so many rows, so many gateways chosen.
MOST: Final = 40
_LOWEST: Final = 400
MOST_GATEWAYS: Final = 200
PREFERENCE: Final = "dashboard"


@dataclass(frozen=True, slots=True)
class Kind:
    """A widget that can be placed: size at first and at least, seconds between looks, and what can be set of it:
    name -> (words, choices, the first is the default)."""

    title: str
    about: str
    icon: str
    w: int
    h: int
    least: tuple[int, int] = (2, 2)
    every: int = 60
    options: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)


_ROWS: Final = {"rows": (N_("Rows"), (6, 10, 20))}
_DAYS: Final = {"days": (N_("Days"), (30, 7, 14, 90))}
KINDS: Final = {
    "lots": Kind(
        N_("Billing lots in evidence"),
        N_("Last, current and next lots: readings of the day and what is pending."),
        "calendar-stats",
        6,
        4,
        (4, 3),
    ),
    "totals": Kind(N_("Totals"), N_("Groups, customers, points, meters and modules."), "hash", 6, 2, (3, 2), 300),
    "energy": Kind(
        N_("Active energy of the month"),
        N_("Consumption of all customers in the month of the date."),
        "bolt",
        3,
        2,
        (2, 2),
        120,
    ),
    "availability": Kind(
        N_("Reading availability"),
        N_("Meters with a register reading on the date, and the month day by day."),
        "circle-check",
        3,
        2,
        (2, 2),
    ),
    "alarms": Kind(N_("Alarms"), N_("Open alarms, the gravest first."), "bell", 4, 4, (3, 2), 30, _ROWS),
    "gateways": Kind(
        N_("Gateways with trouble"),
        N_("Gateways that are offline or have something to tell."),
        "router",
        4,
        4,
        (3, 2),
        20,
        _ROWS,
    ),
    "silent": Kind(
        N_("Longest without reading"),
        N_("Meters whose last register reading lies longest in the past."),
        "hourglass",
        4,
        4,
        (3, 2),
        120,
        _ROWS,
    ),
    "attention": Kind(
        N_("Meters that need attention"),
        N_("Meters that do not answer, answer wrongly or do not agree."),
        "alert-triangle",
        4,
        4,
        (3, 2),
        30,
        _ROWS,
    ),
    "largest": Kind(
        N_("Largest consumers of the month"),
        N_("Meters that measured most in the month of the date."),
        "sort-descending",
        4,
        4,
        (3, 2),
        300,
        _ROWS,
    ),
    "map": Kind(N_("Map"), N_("Where the metering points are."), "map-2", 6, 5, (3, 3), 0),
    "ccee": Kind("CCEE", N_("The night of the CCEE: read, missed, waiting."), "arrows-exchange", 6, 2, (3, 2), 60),
    "energy-days": Kind(
        N_("Active energy per day"), N_("From the load profiles, day by day."), "chart-bar", 8, 4, (4, 3), 0, _DAYS
    ),
    "profile-days": Kind(
        N_("Profile availability"), N_("Share of the intervals held, day by day."), "chart-line", 4, 4, (3, 3), 0, _DAYS
    ),
    "events": Kind(N_("Latest events"), N_("What meters and gateways told last."), "history", 4, 4, (3, 2), 30, _ROWS),
}

#: Kind, x, y, width, height of the dashboard nobody has arranged yet.
_DEFAULT: Final = (
    ("availability", 0, 0, 3, 2), ("energy", 3, 0, 3, 2), ("totals", 6, 0, 6, 2),
    ("lots", 0, 2, 6, 4), ("gateways", 6, 2, 6, 4),
    ("attention", 0, 6, 4, 4), ("silent", 4, 6, 4, 4), ("alarms", 8, 6, 4, 4),
    ("energy-days", 0, 10, 8, 4), ("profile-days", 8, 10, 4, 4),
    ("largest", 0, 14, 4, 5), ("events", 4, 14, 4, 5), ("map", 8, 14, 4, 5),
)  # fmt: skip


class Widget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A widget in its place, in columns and rows of the grid."""

    id: str
    kind: str
    x: int
    y: int
    w: int
    h: int
    options: dict[str, int] = {}

    def option(self, name: str) -> int:
        """What is set, if it is one of the choices, else the default."""
        choices = KINDS[self.kind].options[name][1]
        value = self.options.get(name, choices[0])
        return value if value in choices else choices[0]


class Board(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a person's dashboard; ``widgets`` None: the default. Gateways are keys; none: all."""

    widgets: list[Widget] | None = None
    gateways: list[str] = []


@dataclass(frozen=True, slots=True)
class Scope:
    """The reference date and the gateways (keys) that all widgets go by."""

    day: date
    today: date
    gateways: tuple[str, ...] = ()

    def query(self, **more: Any) -> str:
        """The same for a link: ``date=...&gateway=...``; today is left out."""
        pairs = [] if self.day == self.today else [("date", self.day.isoformat())]
        pairs += [("gateway", key) for key in self.gateways]
        return urlencode([*pairs, *more.items()])

    def at(self, day: date) -> "Scope":
        """The same gateways on another day."""
        return replace(self, day=day)

    def link(self, path: str, **more: str) -> str:
        """A report's address for the same gateways, with what else it is asked."""
        return f"{path}?{urlencode([*(('gateway', key) for key in self.gateways), *more.items()])}"


def default(*, ccee: bool) -> list[Widget]:
    """The dashboard at first; the CCEE stands above everything else where it is present."""
    placed = [Widget(kind, kind, x, y + (2 if ccee else 0), w, h) for kind, x, y, w, h in _DEFAULT]
    return [Widget("ccee", "ccee", 0, 0, COLUMNS, 2), *placed] if ccee else placed


def read(data: str | None) -> Board:
    """A kept dashboard; what cannot be understood any more, or names what there is no more, is left out."""
    if data is None:
        return Board()
    try:
        board = msgspec.json.decode(data, type=Board)
    except msgspec.DecodeError:
        return Board()
    return Board(settle(board.widgets) if board.widgets is not None else None, board.gateways[:MOST_GATEWAYS])


def write(board: Board) -> str:
    return msgspec.json.encode(board).decode()


def settle(widgets: Iterable[Widget]) -> list[Widget]:
    """Widgets of known kinds within the grid and not over each other: one that would be moves down."""
    taken: set[tuple[int, int]] = set()
    names: set[str] = set()
    settled: list[Widget] = []
    for each in sorted(widgets, key=lambda widget: (widget.y, widget.x))[:MOST]:
        kind = KINDS.get(each.kind)
        if kind is None or each.id in names or not _plain(each.id):
            continue
        w, h = min(max(each.w, kind.least[0]), COLUMNS), min(max(each.h, kind.least[1]), 20)
        x, y = min(max(each.x, 0), COLUMNS - w), min(max(each.y, 0), _LOWEST)
        while cells := {(x + i, y + j) for i in range(w) for j in range(h)} & taken:
            y = max(row for _, row in cells) + 1
        taken |= {(x + i, y + j) for i in range(w) for j in range(h)}
        names.add(each.id)
        options = {name: each.option(name) for name in kind.options if name in each.options}
        settled.append(Widget(each.id, each.kind, x, y, w, h, options))
    return sorted(settled, key=lambda widget: (widget.y, widget.x))


def _plain(name: str) -> bool:
    return 0 < len(name) <= 32 and all(letter.isalnum() or letter == "-" for letter in name)


def free_name(kind: str, widgets: Iterable[Widget]) -> str:
    """A name for one more widget of a kind."""
    names = {each.id for each in widgets}
    return next(name for n in range(1, MOST + 2) if (name := kind if n == 1 else f"{kind}-{n}") not in names)


def below(widgets: Sequence[Widget]) -> int:
    """The first row under all of them."""
    return max((each.y + each.h for each in widgets), default=0)
