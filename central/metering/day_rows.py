"""Rows of stored days and of their series: found, entered and written by the thousand."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import json
from msgspec.structs import asdict
from sqlalchemy import TextClause, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import DAYS, ProfileDay, ProfileSeries, ProfileVersion
from central.metering.stored import day_id, number
from central.store.chunks import chunks
from central.store.lists import is_one_of

#: Rows in one statement, so that a parameter stays some megabytes.
_MOST_ROWS: Final = 20_000


class Kind(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """Of one kind each local date has one row."""

    tenant_id: int
    meter_id: int
    channel: int
    step: int


class Form(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """What a kind's series differ in."""

    num: int
    den: int
    shift: int


class Row(NamedTuple):
    """A row of ``profile_day``."""

    id: int
    held: int
    flags: int
    total: int
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A day as it stands in the database."""

    form: Form
    id: int
    version: int
    data: bytes


Place = tuple[Kind, int]
Series = dict[Kind, dict[Form, int]]


async def series_of_kinds(session: AsyncSession, kinds: Collection[Kind]) -> Series:
    """All series of these kinds. Not remembered between transactions: others may add some."""
    table = ProfileSeries.__table__.c
    found: Series = {kind: {} for kind in kinds}
    query = select(
        table.tenant_id, table.meter_id, table.channel, table.step, table.num, table.den, table.shift, table.id
    ).where(is_one_of(session, table.meter_id, {kind.meter_id for kind in kinds}))
    for row in tuples(await session.execute(query)):
        forms = found.get(Kind(*row[:4]))
        if forms is not None:
            forms[Form(*row[4:7])] = row[7]
    return found


async def enter_series(session: AsyncSession, wanted: Iterable[tuple[Kind, Form]], series: Series) -> None:
    """Enter the series that are not there yet into the database and into ``series``."""
    missing = sorted((kind, form) for kind, form in wanted if form not in series[kind])
    for some in chunks(missing, _MOST_ROWS):
        rows = [asdict(kind) | asdict(form) for kind, form in some]
        await session.execute(insert(ProfileSeries.__table__), rows)  # type: ignore[arg-type]
    if missing:
        series |= await series_of_kinds(session, {kind for kind, _ in missing})


async def load(
    session: AsyncSession, places: Iterable[Place], series: Mapping[Kind, Mapping[Form, int]]
) -> dict[Place, Stored]:
    """The days that are stored already, in whichever series of their kind."""
    wanted = {
        day_id(series_id, number): (kind, number, form)
        for kind, number in places
        for form, series_id in series[kind].items()
    }
    if not wanted:
        return {}
    table = ProfileDay.__table__.c
    query = select(table.id, table.version, table.data).where(is_one_of(session, table.id, wanted))
    found = {}
    for row_id, version, data in tuples(await session.execute(query)):
        kind, number, form = wanted[row_id]
        found[kind, number] = Stored(form, row_id, version, data)
    return found


async def highest_versions(session: AsyncSession, places: Collection[Place]) -> dict[Place, int]:
    """The highest number among the versions kept of each place that has any."""
    table = ProfileVersion.__table__.c
    place = table.tenant_id, table.meter_id, table.channel, table.step, table.day
    query = select(*place, func.max(table.version)).where(
        is_one_of(session, table.tenant_id, {kind.tenant_id for kind, _ in places}),
        is_one_of(session, table.meter_id, {kind.meter_id for kind, _ in places}),
        is_one_of(session, table.day, {number for _, number in places}),
    )
    rows = await session.execute(query.group_by(*place))
    return {(Kind(*row[:4]), row[4]): row[5] for row in rows}


_SET = ", ".join(f"{name} = excluded.{name}" for name in Row._fields[1:])
_INTO = f"INSERT INTO profile_day ({', '.join(Row._fields)})"
_SQLITE = f"{_INTO} VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET {_SET}"
_POSTGRESQL = text(
    f"{_INTO} SELECT * FROM unnest(CAST(:id AS bigint[]), CAST(:held AS int[]), CAST(:flags AS int[]), "  # noqa: S608
    f"CAST(:total AS bigint[]), CAST(:version AS int[]), CAST(:data AS bytea[])) ON CONFLICT (id) DO UPDATE SET {_SET}"
)


async def save(session: AsyncSession, rows: list[Row]) -> None:
    """Insert or replace rows in the order of their key; past the object mapper, for all readings go through here."""
    rows.sort()
    for some in chunks(rows, _MOST_ROWS):
        if session.get_bind().dialect.name == "sqlite":
            await (await session.connection()).exec_driver_sql(_SQLITE, some)
        else:
            columns = dict(zip(Row._fields, map(list, zip(*some, strict=True)), strict=True))
            await session.execute(_POSTGRESQL, columns)


#: Condition that a column is in a list, by dialect; as :func:`_plain` hands it over.
_AMONG: Final = {"sqlite": "IN (SELECT value FROM json_each(:ids))", "postgresql": "= ANY(CAST(:ids AS bigint[]))"}
_KINDS: Final = {
    dialect: text(
        "SELECT id, meter_id, step, shift, num, den FROM profile_series "  # noqa: S608
        f"WHERE tenant_id = :tenant AND channel = :channel AND meter_id {among}"
    )
    for dialect, among in _AMONG.items()
}
_PACKED: Final = {
    dialect: text(
        "SELECT d.id, d.data FROM profile_series s JOIN profile_day d "  # noqa: S608
        f"ON d.id BETWEEN s.id * {DAYS} + :first AND s.id * {DAYS} + :last WHERE s.id {among}"
    )
    for dialect, among in _AMONG.items()
}


async def series_of_meters(
    session: AsyncSession, tenant_id: int, channel: int, meters: Collection[int]
) -> Sequence[tuple[int, int, int, int, int, int]]:
    """``id``, ``meter_id``, ``step``, ``shift``, ``num``, ``den`` of one channel's series of many meters."""
    return await _plain(session, _KINDS, meters, tenant=tenant_id, channel=channel)


async def packed_days(
    session: AsyncSession, series: Collection[int], first: date, last: date
) -> Sequence[tuple[int, bytes]]:
    """``id`` and ``data`` of the days ``first`` to ``last`` that have a key, of many series, in no order."""
    low, high = max(number(first), 0), min(number(last), DAYS - 1)
    return await _plain(session, _PACKED, series, first=low, last=high)


async def _plain(
    session: AsyncSession, statements: Mapping[str, TextClause], ids: Collection[int], **values: int
) -> Sequence[Any]:
    dialect = session.get_bind().dialect.name
    some = json.encode(list(ids)).decode() if dialect == "sqlite" else list(ids)
    return tuples(await session.execute(statements[dialect], values | {"ids": some}))


def tuples(result: Any) -> Sequence[Any]:
    """Rows of integers and octets as the driver made them: SQLAlchemy's would take longer than unpacking a day does."""
    rows: Sequence[Any] = result.cursor.fetchall()
    return rows
