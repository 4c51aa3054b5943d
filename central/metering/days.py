"""Write profiles: the blocks of one transaction into days in force, each kind of row with one statement.

A block that is exactly one local day of which nothing is held yet, as most are, is stored as it came: it is unpacked
once, together with all others of its transaction, for its figures. Everything else is merged day by day.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import asdict
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.blocks import (
    DAY,
    BlockError,
    Cut,
    Day,
    check_announced,
    cut,
    figures,
    frame,
    merge,
    unpack_day,
    whole_day,
)
from central.metering.day_rows import (
    Form,
    Kind,
    Place,
    Row,
    Series,
    Stored,
    enter_series,
    highest_versions,
    load,
    save,
    series_of_kinds,
)
from central.metering.models import ProfileDay, ProfileSeries, ProfileVersion
from central.metering.stored import DAY as DAY_NUMBER
from central.metering.stored import day_id, days, ever, series_of
from central.store.chunks import chunks
from central.store.lists import is_one_of
from ext.profile import ProfileError, header, unpack_into
from shared.quality import Quality
from shared.quantities import Quantity
from shared.wire import ProfileBlock

#: Intervals unpacked at once, so that a large transaction does not hold all of its own so.
_AT_ONCE: Final = 1 << 20
_NOTHING_HELD: Final = 0, int(Quality.MISSING)


class _Part(msgspec.Struct, frozen=True):
    """What one block says about one day: the block where it is the whole day, else what was cut of it."""

    form: Form
    late: bool
    source: str
    zone: str
    block: ProfileBlock | None
    cut: Cut | None

    def intervals(self) -> Cut:
        if self.cut is not None:
            return self.cut
        assert self.block is not None  # noqa: S101 - one of both
        return cut(self.block, self.zone)[0]


@dataclass(slots=True)
class Blocks:
    """Profile blocks of one transaction, cut into days, in the order they were sent."""

    _parts: dict[Place, list[_Part]] = field(default_factory=dict)

    def add(self, tenant_id: int, meter_id: int, zone: str, block: ProfileBlock, late: bool, source: str) -> None:
        """Take a block; raises :class:`central.metering.blocks.BlockError` and takes nothing of it.

        A block that is a whole day is looked into by :meth:`store`, which raises the same.
        """
        channel, step, num, den = frame(block)
        kind = Kind(tenant_id, meter_id, channel, step)
        whole = whole_day(block, zone)
        if whole is not None:
            day, start = whole
            form = Form(num, den, start - day * DAY)
            self._parts.setdefault((kind, day), []).append(_Part(form, late, source, zone, block, None))
            return
        for each in cut(block, zone):
            form = Form(num, den, each.start - each.day * DAY)
            self._parts.setdefault((kind, each.day), []).append(_Part(form, late, source, zone, None, each))

    async def store(self, session: AsyncSession, now: int) -> int:
        """Merge all into the stored days; returns how many days changed.

        The meters concerned are locked by the caller, so that nobody else writes days of theirs meanwhile.
        """
        if not self._parts:
            return 0
        series = await series_of_kinds(session, {kind for kind, _ in self._parts})
        stored = await load(session, self._parts, series)
        fresh, merged, versions = self._sort(stored, now)
        if versions:
            await _number(session, versions, merged)
        forms = {(kind, part.form) for (kind, _), part in fresh.items()}
        forms |= {(kind, _form(day, number)) for (kind, number), day in merged.items()}
        await enter_series(session, forms, series)
        rows = _whole_rows(fresh, series)
        rows += _merged_rows(merged, series)
        moved = {stored[place].id for place in merged if place in stored} - {row.id for row in rows}
        if versions:
            await session.execute(insert(ProfileVersion.__table__), versions)  # type: ignore[arg-type]
        if moved:
            await session.execute(delete(ProfileDay).where(is_one_of(session, ProfileDay.id, moved)))
        await save(session, rows)
        return len(rows)

    def _sort(
        self, stored: Mapping[Place, Stored], now: int
    ) -> tuple[dict[Place, _Part], dict[Place, Day], list[dict[str, Any]]]:
        """Return whole days of which nothing is held, days that merging has changed, and versions to be kept."""
        fresh: dict[Place, _Part] = {}
        merged: dict[Place, Day] = {}
        versions: list[dict[str, Any]] = []
        for place, parts in self._parts.items():
            held = stored.get(place)
            if len(parts) == 1 and parts[0].block is not None:
                if held is None:
                    fresh[place] = parts[0]
                    continue
                if (held.form, held.data) == (parts[0].form, parts[0].block.data):
                    continue  # delivered again
            day, replaced = _merge(place, parts, held, now)
            versions += replaced
            if day is not None:
                merged[place] = day
        return fresh, merged, versions


def _merge(place: Place, parts: Sequence[_Part], held: Stored | None, now: int) -> tuple[Day | None, list[Any]]:
    """Return the day after all parts, None where it is what it was, and the versions it replaces."""
    kind, number = place
    day: Day | None = None
    if held is not None:
        start = number * DAY + held.form.shift
        day = unpack_day(start, held.form.num, held.form.den, held.version, held.data)
    versions = []
    any_change = False
    for part in parts:
        each = part.intervals()
        if day is None:
            day = Day.empty(each)
        if day.start != each.start or len(day.values) != each.count:
            raise BlockError(f"stored day {number} of {kind} begins at {day.start}, the meter's zone says {each.start}")
        outcome = merge(day, each, part.late)
        if outcome.corrected and outcome.before is not None:
            versions.append(_version(kind, number, outcome.before, now, part.source, "a later delivery differs"))
            day.version += 1
        if outcome.contradicted:
            beaten = Day.empty(each)
            merge(beaten, each)
            beaten.version = day.version
            reason = "sent before what is in force, arrived after it"
            versions.append(_version(kind, number, beaten, now, part.source, reason))
            day.version += 1
        any_change |= outcome.changed or outcome.contradicted
    return (day if any_change else None), versions


def _whole_rows(fresh: Mapping[Place, _Part], series: Series) -> list[Row]:
    """Rows of whole days as they came, but of those without a value; their figures are reckoned many at once."""
    by_step: dict[int, list[tuple[Place, _Part, ProfileBlock]]] = {}
    for place, part in fresh.items():
        if part.block is not None:
            by_step.setdefault(place[0].step, []).append((place, part, part.block))
    rows = []
    for step, days_of_step in by_step.items():
        for some in chunks(days_of_step, max(1, _AT_ONCE * step // DAY)):
            found = _figures([block for _, _, block in some], step)
            for ((kind, number), part, block), (held, flags, total) in zip(some, found, strict=True):
                if (held, flags) != _NOTHING_HELD:
                    rows.append(Row(day_id(series[kind][part.form], number), held, flags, total, 1, block.data))
    return rows


def _merged_rows(merged: Mapping[Place, Day], series: Series) -> list[Row]:
    """Rows of days that merging has changed, their figures reckoned many at once."""
    rows = []
    longest = max((len(day.values) for day in merged.values()), default=1)
    for some in chunks(merged.items(), max(1, _AT_ONCE // longest)):
        values = memoryview(b"".join(day.values for _, day in some)).cast("q")
        flags = memoryview(b"".join(day.flags for _, day in some)).cast("H")
        ends = array("q", accumulate(len(day.values) for _, day in some))
        for ((kind, number), day), found in zip(some, figures(values, flags, ends), strict=True):
            rows.append(Row(day_id(series[kind][_form(day, number)], number), *found, day.version, day.packed()))
    return rows


def _figures(blocks: Sequence[ProfileBlock], step: int) -> list[tuple[int, int, int]]:
    room = sum(block.count for block in blocks)
    values: Any = np.empty(room, np.int64)
    flags: Any = np.empty(room, np.uint16)
    try:
        ends = unpack_into([block.data for block in blocks], values, flags, step)
    except ProfileError as error:
        raise BlockError(str(error)) from error
    before = 0
    for block, end in zip(blocks, ends, strict=True):
        check_announced(block, end - before, step)
        before = end
    return figures(values, flags, ends)


def _form(day: Day, number: int) -> Form:
    return Form(day.num, day.den, day.start - number * DAY)


def _version(kind: Kind, number: int, day: Day, now: int, source: str, reason: str) -> dict[str, Any]:
    return asdict(kind) | {
        "day": number, "version": day.version, "start": day.start, "count": len(day.values), "num": day.num,
        "den": day.den, "data": day.packed(), "replaced_at": now, "source": source, "author": "", "reason": reason,
    }  # fmt: skip


async def _number(session: AsyncSession, versions: Sequence[dict[str, Any]], merged: Mapping[Place, Day]) -> None:
    """Have versions go on after those that are kept: a day that another zone moved away and back begins at 1 again."""
    places = [(Kind(*(each[name] for name in Kind.__struct_fields__)), each["day"]) for each in versions]
    kept = await highest_versions(session, set(places))
    first: dict[Place, int] = {}
    for place, each in zip(places, versions, strict=True):
        first.setdefault(place, each["version"])
    further = {place: max(0, kept.get(place, 0) + 1 - number) for place, number in first.items()}
    for place, each in zip(places, versions, strict=True):
        each["version"] += further[place]
    for place, number in further.items():
        merged[place].version += number


async def cut_anew(session: AsyncSession, tenant_id: int, meter_id: int, zone: str, now: int) -> int:
    """Cut a meter's stored days into the local days of another zone; returns how many there are then.

    Values and flags stay what they were. Replaced versions keep the days they were cut into.
    """
    each = ProfileSeries
    columns = each.channel, each.step, each.num, each.den, each.shift, DAY_NUMBER, ProfileDay.id, ProfileDay.data
    query = days(*columns, within=ever()).where(*series_of(tenant_id, meter_id))
    blocks, old = Blocks(), []
    for channel, step, num, den, shift, day, row_id, data in await session.execute(query):
        code, start = str(Quantity.from_code(channel)), day * DAY + shift
        blocks.add(
            tenant_id, meter_id, zone, ProfileBlock("-", code, start, step, header(data)[0], data, num, den), False, ""
        )
        old.append(row_id)
    await session.execute(delete(ProfileDay).where(is_one_of(session, ProfileDay.id, old)))
    return await blocks.store(session, now)
