"""Register readings of many meters: the last ones before an instant, the first ones after, each by one index seek."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import RegisterSet
from central.registry.models import Meter
from central.reports.columns import Row
from central.reports.parameters import Filters
from central.reports.selection import Line
from central.store.chunks import chunks
from central.store.lists import is_one_of
from shared.intervals import Range
from shared.wire import RegisterValue

_decoder: Final = msgspec.msgpack.Decoder(list[RegisterValue])
_CHUNK: Final = 1000


class Stored(NamedTuple):
    """A reading as stored."""

    id: int
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ends:
    """First and last reading of a span; the same where there is only one."""

    first: Stored
    last: Stored


def last_of(tenant_id: int, start: Any, end: Any, *columns: Any) -> Any:
    """Scalar of the last running reading of ``Meter`` within [start, end); ``start`` None: however old."""
    return _edge(tenant_id, start, end, columns or (RegisterSet.id,), last=True)


def _edge(tenant_id: int, start: Any, end: Any, columns: Sequence[Any], *, last: bool) -> Any:
    order = (RegisterSet.at, RegisterSet.period, RegisterSet.digest)  # as its unique index stands
    query = select(*columns).where(*_within(tenant_id, start, end))
    return query.order_by(*(each.desc() if last else each for each in order)).limit(1).scalar_subquery()


def _within(tenant_id: int, start: Any, end: Any) -> list[ColumnElement[bool]]:
    found = [RegisterSet.tenant_id == tenant_id, RegisterSet.meter_id == Meter.id, RegisterSet.at < end]
    if start is not None:
        found.append(RegisterSet.at >= start)
    return [*found, RegisterSet.period == 0]


async def last_readings(
    session: AsyncSession, tenant_id: int, spans: Mapping[int, tuple[int | None, int]]
) -> dict[int, Stored]:
    """The last reading of each meter within its span; meters without one are left out."""
    found: dict[int, int] = {}
    for (start, end), meters in _grouped(spans).items():
        last = last_of(tenant_id, start, end)
        for part in chunks(meters, _CHUNK):
            query = select(Meter.id, last).where(is_one_of(session, Meter.id, part))
            found |= {meter: id_ for meter, id_ in (await session.execute(query)).all() if id_ is not None}
    stored = await _stored(session, found.values())
    return {meter: stored[id_] for meter, id_ in found.items()}


async def first_and_last(session: AsyncSession, tenant_id: int, spans: Mapping[int, Range]) -> dict[int, Ends]:
    """First and last reading of each meter within its span; meters without one are left out."""
    found: dict[int, tuple[int, int]] = {}
    for (start, end), meters in _grouped(spans).items():
        edges = [_edge(tenant_id, start, end, (RegisterSet.id,), last=last) for last in (False, True)]
        for part in chunks(meters, _CHUNK):
            query = select(Meter.id, *edges).where(is_one_of(session, Meter.id, part))
            for meter, first, last in (await session.execute(query)).all():
                if last is not None:
                    found[meter] = first, last
    stored = await _stored(session, {id_ for both in found.values() for id_ in both})
    return {meter: Ends(stored[first], stored[last]) for meter, (first, last) in found.items()}


async def last_instants(session: AsyncSession, tenant_id: int, spans: Mapping[int, Range]) -> dict[int, int]:
    """When each meter was last read within its span; meters without a reading are left out."""
    found: dict[int, int] = {}
    for (start, end), meters in _grouped(spans).items():
        last = last_of(tenant_id, start, end, RegisterSet.at)
        for part in chunks(meters, _CHUNK):
            query = select(Meter.id, last).where(is_one_of(session, Meter.id, part))
            found |= {meter: at for meter, at in (await session.execute(query)).all() if at is not None}
    return found


def decoded(reading: Stored, wanted: frozenset[str]) -> dict[str, RegisterValue]:
    """Those registers of a reading that are wanted, by their code."""
    return {value.quantity: value for value in _decoder.decode(reading.data) if value.quantity in wanted}


def figure(value: RegisterValue | None, line: Line, filters: Filters) -> Fraction | None:
    """What a register says: the meter's counts, or its unit, by the meter's constants or with the transformers' ratio.

    A register that the meter does not have says nothing.
    """
    if value is None:
        return None
    if filters.values == "counts":
        return Fraction(value.value)
    num, den = line.ratio if filters.side == "primary" else (1, 1)
    return Fraction(value.value * value.num * num, value.den * den)


def register_cells(reading: Stored | None, line: Line, filters: Filters, codes: frozenset[str]) -> Row:
    """The cells of ``columns.register_columns``, by the registers' codes, for one reading; all empty without one."""
    found = decoded(reading, codes) if reading else {}
    return {code: figure(found.get(code), line, filters) for code in codes}


def spans_of(lines: Sequence[Line], span: Any) -> dict[int, Range]:
    """The span of each meter in its own zone; ``span`` makes it of a zone."""
    known = {zone: span(zone) for zone in {line.zone for line in lines}}
    return {line.id: known[line.zone] for line in lines}


def _grouped(spans: Mapping[int, tuple[int | None, int]]) -> dict[tuple[int | None, int], list[int]]:
    grouped: dict[tuple[int | None, int], list[int]] = {}
    for meter, (start, end) in spans.items():
        grouped.setdefault((start, end), []).append(meter)
    return grouped


async def _stored(session: AsyncSession, ids: Iterable[int]) -> dict[int, Stored]:
    found: dict[int, Stored] = {}
    for part in chunks(sorted(set(ids)), _CHUNK):
        query = select(RegisterSet.id, RegisterSet.at, RegisterSet.data).where(is_one_of(session, RegisterSet.id, part))
        found |= {row[0]: Stored(*row) for row in (await session.execute(query)).all()}
    return found
