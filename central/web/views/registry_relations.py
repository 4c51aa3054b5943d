"""Dated relations of one thing, as its page lists them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.registry import entry, relations
from central.registry.kinds import CUSTOMER, METER, MODULE, POINT, Kind
from central.registry.models import Installation, Supply
from central.registry.records import Record

#: Instants that forms take: four-digit years that every zone has.
_EARLIEST, _LATEST = 0, 253_370_764_800


@dataclass(frozen=True, slots=True)
class Tie:
    """One relation: keys of its ends by kind, from when until when (None: still)."""

    table: str
    id: int
    ends: tuple[tuple[str, str], ...]
    starts_at: int
    ends_at: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Relations:
    """Newest first; None where a kind has no such relation."""

    installations: list[Tie] | None = None
    supplies: list[Tie] | None = None


_INSTALLED: Final = {METER: "meter_id", POINT: "point_id", MODULE: "module_id"}
_SUPPLIED: Final = {POINT: "point_id", CUSTOMER: "customer_id"}


async def relations_of(db: AsyncSession, tenant_id: int, kind: Kind, record: Record) -> Relations | None:
    """Where a meter sat, what sat in a point, who was supplied there; None: things of this kind have none."""
    if kind not in _INSTALLED and kind not in _SUPPLIED:
        return None
    installations = supplies = None
    if column := _INSTALLED.get(kind):
        rows: Any = await relations.history(db, tenant_id, Installation, column, record.id)
        shape = await entry.installation_keys(db, tenant_id, rows)
        installations = []
        for row in rows:
            keys = dict(zip(("meter", "point", "module"), shape(row), strict=True))
            ends = tuple((name, key) for name, key in keys.items() if key and name != kind.name)
            installations.append(Tie("installation", row.id, ends, row.starts_at, row.ends_at, row.reason))
    if column := _SUPPLIED.get(kind):
        rows = await relations.history(db, tenant_id, Supply, column, record.id)
        pair = await entry.supply_keys(db, tenant_id, rows)
        supplies = []
        for row in rows:
            both = dict(zip(("point", "customer"), pair(row), strict=True))
            ends = tuple((name, key) for name, key in both.items() if name != kind.name)
            supplies.append(Tie("supply", row.id, ends, row.starts_at, row.ends_at, row.reason))
    return Relations(installations, supplies)


def typed_instant(text: str, zone: ZoneInfo, field: str) -> int:
    """UTC seconds of what a form's date and time say, in the utility's zone; raises :class:`Refused`."""
    try:
        moment = datetime.fromisoformat(text)
        at = int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).timestamp())
        if not _EARLIEST <= at < _LATEST:
            raise ValueError
    except (ValueError, OverflowError):
        raise Refused(field, f"{text[:32]!r} is no date and time") from None
    return at
