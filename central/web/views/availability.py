"""Availability on screen: colour classes, and the strip of the last days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from central.web.i18n import current
from shared.intervals import day_range

STRIP_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Cell:
    """One day: its colour class, what the tooltip says, and for a calendar how it is reached."""

    css: str
    title: str
    number: int = 0
    iso: str = ""
    known: bool = False
    today: bool = False


def css(share: float | None) -> str:
    """Colour class of a share held: a4 all, a3 from 95 %, a2 from half, a1 something, a0 nothing; an: none told."""
    if share is None:
        return "an"
    for name, limit in (("a4", 1.0), ("a3", 0.95), ("a2", 0.5)):
        if share >= limit:
            return name
    return "a1" if share > 0 else "a0"


def strip(held: Mapping[date, int], today: date, since: date | None, tz: ZoneInfo, now: int) -> list[Cell]:
    """Cells of the last days, today last; days before ``since`` are blank, today counts up to the last full hour."""
    cells = []
    for day in (today - timedelta(days=n) for n in range(STRIP_DAYS - 1, -1, -1)):
        start, end = day_range(day, tz)
        length = min(end, now // 3600 * 3600) - start
        expected = since is not None and day >= since and length > 0
        share = min(1.0, held.get(day, 0) / length) if expected else None
        cells.append(Cell(css(share), f"{current().day(day)}: {current().percent(share)}"))
    return cells
