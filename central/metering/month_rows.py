"""Keep ``MeterMonth`` in step with register readings: whatever order they come in, a month ends up the same.

A month is a sum over its readings that can be taken in any order and any number of times: an OR of days, a latest
instant, an earliest and a latest total. Each reading that is stored is added to it within the same transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import MeterMonth, RegisterSet
from central.metering.registers import decode_values
from central.store.chunks import chunks
from shared.intervals import local_date, zone
from shared.quantities import ACTIVE_DELIVERED
from shared.wire import RegisterReading, RegisterValue

#: Rows in one statement, so that a parameter stays some megabytes.
_MOST_ROWS: Final = 20_000
_TOTAL: Final = str(ACTIVE_DELIVERED)
_LARGEST: Final = (1 << 63) - 1


class Month(msgspec.Struct, gc=False):
    """What is known of one month of a meter; ``first`` and ``last`` are (instant, total)."""

    days: int = 0
    read_at: int = 0
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None

    def add(self, day: int, at: int, total: int | None) -> None:
        """Add a reading of the ``day``-th (1..31) at ``at``; ``total`` None: it has no total register."""
        self.days |= 1 << (day - 1)
        self.read_at = max(self.read_at, at)
        if total is not None:
            reading = at, total
            self.first = min(self.first or reading, reading)
            self.last = max(self.last or reading, reading)


Place = tuple[int, int, int]  # tenant, month, meter


def month_number(day: date) -> int:
    """The month a day lies in: year x 12 + month - 1."""
    return day.year * 12 + day.month - 1


def energy_total(values: Iterable[RegisterValue]) -> int | None:
    """Millionths of the total register of active energy, rounded down; None where it is missing or beyond 64 bits."""
    for each in values:
        if each.quantity == _TOTAL:
            total = each.value * 1_000_000 * each.num // each.den
            return total if abs(total) <= _LARGEST else None
    return None


async def keep_months(session: AsyncSession, readings: Sequence[tuple[int, int, str, RegisterReading]]) -> None:
    """Add readings, as (tenant, meter, zone of the meter's local days, reading), to the months they lie in."""
    months: dict[Place, Month] = {}
    for tenant_id, meter_id, zone_name, reading in readings:
        day = local_date(reading.at, zone(zone_name))
        month = months.setdefault((tenant_id, month_number(day), meter_id), Month())
        month.add(day.day, reading.at, energy_total(reading.values))
    await save_months(session, months)


async def months_anew(session: AsyncSession, tenant_id: int, meter_id: int, zone_name: str) -> None:
    """Work out all months of a meter from its stored readings, in the local days of ``zone_name``.

    The meter is locked by the caller, so that nobody adds to them meanwhile.
    """
    tz = zone(zone_name)
    of_meter = RegisterSet.tenant_id == tenant_id, RegisterSet.meter_id == meter_id
    months: dict[Place, Month] = {}
    for at, data in await session.execute(select(RegisterSet.at, RegisterSet.data).where(*of_meter)):
        day = local_date(at, tz)
        month = months.setdefault((tenant_id, month_number(day), meter_id), Month())
        month.add(day.day, at, energy_total(decode_values(data)))
    await session.execute(delete(MeterMonth).where(MeterMonth.meter_id == meter_id))
    await save_months(session, months)


_COLUMNS: Final = {
    "tenant_id": "int", "month": "int", "meter_id": "bigint", "days": "bigint", "read_at": "bigint",
    "first_at": "bigint", "first_total": "bigint", "last_at": "bigint", "last_total": "bigint",
}  # fmt: skip
_INTO: Final = f"INSERT INTO meter_month ({', '.join(_COLUMNS)})"


def _kept(sign: str, which: str) -> str:
    """SET of a first or last reading: the new one where ``sign`` holds between it and what is there."""
    at, total = f"{which}_at", f"{which}_total"
    new = (
        f"meter_month.{at} IS NULL OR (excluded.{at}, excluded.{total}) {sign} (meter_month.{at}, meter_month.{total})"
    )
    return ", ".join(
        f"{name} = CASE WHEN {new} THEN excluded.{name} ELSE meter_month.{name} END" for name in (at, total)
    )


_MERGE: Final = (
    "ON CONFLICT (tenant_id, month, meter_id) DO UPDATE SET days = meter_month.days | excluded.days, "
    "read_at = CASE WHEN excluded.read_at > meter_month.read_at THEN excluded.read_at ELSE meter_month.read_at END, "
    f"{_kept('<', 'first')}, {_kept('>', 'last')}"
)
_SQLITE: Final = f"{_INTO} VALUES ({', '.join('?' for _ in _COLUMNS)}) {_MERGE}"
_ARRAYS: Final = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())
_POSTGRESQL: Final = text(
    f"{_INTO} SELECT * FROM unnest({_ARRAYS}) "  # noqa: S608 - of our own words
    f"{_MERGE}"
)


async def save_months(session: AsyncSession, months: dict[Place, Month]) -> None:
    """Merge months into the table with one statement, in the order of their key."""
    rows: list[tuple[Any, ...]] = sorted(
        (*place, month.days, month.read_at, *(month.first or (None, None)), *(month.last or (None, None)))
        for place, month in months.items()
    )
    for some in chunks(rows, _MOST_ROWS):
        if session.get_bind().dialect.name == "sqlite":
            await (await session.connection()).exec_driver_sql(_SQLITE, some)
        else:
            columns = zip(_COLUMNS, map(list, zip(*some, strict=True)), strict=True)
            await session.execute(_POSTGRESQL, dict(columns))
