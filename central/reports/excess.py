"""Reactive excess (UFER) of meters that have no register of it: from the load profile, by ``ext.reactive``.

What the dossier leaves open (brazil-billing §6) stands in :class:`Rules`, with the kernel's names; pages show them.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final, Literal

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.calendars import calendar_of
from central.metering.series import Series, SeriesError, common_scale, stitch
from central.metering.stored import between, series_of, stored_days
from ext.reactive import REFERENCE, Counted, Hours, ReactiveError, excess
from shared.calendar import TariffCalendar
from shared.intervals import local_date, utc_offset
from shared.intervals import zone as zone_of
from shared.quality import NOT_BILLABLE
from shared.quantities import Post, Process, Quantity

_HOUR: Final = 3600
_DAY: Final = 86400
#: Length of the window in which capacitive energy counts.
WINDOW: Final = 6 * _HOUR


@dataclass(frozen=True, slots=True)
class Rules:
    """``capacitive_from``: local seconds of the day at which the six hours begin, 23:30 to 00:30."""

    capacitive_from: int = 0
    reference: Fraction = REFERENCE
    zero_active: Literal["limit", "zero"] = "limit"
    reverse: Literal["absolute", "skip"] = "absolute"
    direction: Literal["own", "net"] = "own"


@dataclass(frozen=True, slots=True)
class Excess:
    """Energy by post, 0 all together, in kWh; ``incomplete`` hours could not be judged."""

    energy: dict[int, Fraction]
    incomplete: int


async def profile_excess(
    session: AsyncSession,
    tenant_id: int,
    meter_id: int,
    zone: str,
    calendar: str,
    span: tuple[int, int],
    ratio: Fraction,
    rules: Rules,
) -> Excess | None:
    """The excess of the whole hours within ``span``; None when no hour of the profile can be judged."""
    tz = zone_of(zone)
    start = span[0] + (rules.capacitive_from - span[0] - utc_offset(span[0], tz)) % _HOUR
    end = start + max(0, span[1] - start) // _HOUR * _HOUR
    if start >= end:
        return None
    series = []
    within = between(local_date(max(0, start - _DAY), tz), local_date(end, tz) + timedelta(days=1))
    for c in (1, 5, 8):
        channel = Quantity(c, Process.PROFILE)
        blocks = await stored_days(session, within, *series_of(tenant_id, meter_id, channel.code))
        try:
            series.append(stitch(channel, blocks, start, end, ratio))
        except SeriesError:
            return None
    return judge(series, start, end, zone, calendar_of(calendar, zone), rules)


def judge(
    series: Sequence[Series], start: int, end: int, zone: str, calendar: TariffCalendar, rules: Rules
) -> Excess | None:
    """Active, inductive and capacitive energy of whole hours from ``start`` (pure)."""
    step = series[0].step
    if any(each.step != step for each in series) or _HOUR % step:
        return None
    hours, tz = (end - start) // _HOUR, zone_of(zone)
    posts = calendar.posts_for(start, min(step, _HOUR // 2), hours * _HOUR // min(step, _HOUR // 2))
    slots = array("H", [int(post) for post in posts[:: _HOUR // min(step, _HOUR // 2)]])
    local = [(at + utc_offset(at, tz) - rules.capacitive_from) % _DAY for at in range(start, end, _HOUR)]
    counted = bytes(Counted.CAPACITIVE if each < WINDOW else Counted.INDUCTIVE for each in local)
    scale = common_scale(Fraction(each.num, each.den) for each in series[1:])
    active, inductive, capacitive = (each.part(start, end) for each in series)
    try:
        found = excess(
            _buffers(active, Fraction(active.num, active.den)), _buffers(inductive, scale), _buffers(capacitive, scale),
            Hours(_HOUR // step, slots, counted), int(NOT_BILLABLE), scales=(Fraction(active.num, active.den), scale),
            reference=rules.reference, zero_active=rules.zero_active, reverse=rules.reverse, direction=rules.direction,
        )  # fmt: skip
    except ReactiveError:
        return None
    if not any(row.hours for row in found):
        return None
    energy = {row.slot: row.energy for row in found if row.hours}
    energy[int(Post.TOTAL)] = sum(energy.values(), Fraction(0))
    return Excess(energy, sum(row.incomplete for row in found))


def _buffers(series: Series, scale: Fraction) -> tuple[Any, Any]:
    factor = int(Fraction(series.num, series.den) / scale)
    values: Any = np.ascontiguousarray(series.values * factor if factor != 1 else series.values)
    flags: Any = np.ascontiguousarray(series.flags)
    return values, flags
