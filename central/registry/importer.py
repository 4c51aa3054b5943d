"""Enter the registry from a TOML file: a section for each kind, in which each entry tells its fields.

Entries are found again by their key (groups by their path, such as ``"South / Works"``, holidays by day and name); what
is there is changed only in the fields given, so importing twice changes nothing. Everything is written, or nothing with
the entry named. Sections and fields are those of ``central.registry.kinds``; meters also have ``point``, ``module`` and
``since``, where they sit and from when on.
"""

import time
import tomllib
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import ALL
from central.accounts.principal import Granted, Principal
from central.errors import CentralError, Refused
from central.registry import changes, entry, relations
from central.registry.kinds import KINDS, METER, Kind
from central.registry.models import CommunicationModule, Installation, MeteringPoint
from central.registry.plans import Entry, plan

_PLACE: Final = ("point", "module", "since")
File = dict[str, list[dict[str, Any]]]


def parse(text: str) -> File:
    """Parse the file; raises :class:`Refused` with the place that is wrong."""
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Refused("registry file", str(error)) from error
    known = [section(kind) for kind in KINDS]
    for name, entries in found.items():
        if name not in known:
            raise Refused("registry file", f"there is no section {name!r}; known are {', '.join(known)}")
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise Refused("registry file", f"{name} has to be written as [[{name}]]")
    return found


def section(kind: Kind) -> str:
    """Name of a kind's section."""
    return kind.path.replace("-", "_")


async def import_registry(session: AsyncSession, tenant_id: int, file: File) -> dict[str, int]:
    """Enter all of ``file``; returns how many entries of each kind it has. Raises :class:`Refused` naming the entry."""
    who = program(tenant_id, "import-registry")
    counts = {}
    for kind in KINDS:
        name = section(kind)
        tables = file.get(name, [])
        counts[name] = len(tables)
        entries = [_entry(kind, table, number) for number, table in enumerate(tables, 1)]
        made = await plan(session, tenant_id, kind, entries)
        if wrong := made.of("refused"):
            fault = wrong[0].faults[0]
            raise _refused(name, wrong[0].number, wrong[0].key or wrong[0].label, f"{fault.field}: {fault.text}")
        await changes.apply(session, who, made)
        if kind is METER:
            for row, table in zip(made.rows, tables, strict=True):
                try:
                    await _place(session, who, row.id, table)
                except CentralError as error:
                    raise _refused(name, row.number, row.key, str(error)) from error
    return counts


def program(tenant_id: int, name: str) -> Principal:
    """Who changes something without a person: a command on the server, which may do everything."""
    return Principal(tenant_id, "", "", "UTC", 0, name, name, "", "key", (Granted(ALL),))


def _refused(name: str, number: int, label: Any, words: str) -> Refused:
    return Refused(f"{name}[{number}] {label!r}", words)


def _entry(kind: Kind, table: dict[str, Any], number: int) -> Entry:
    values = {
        name: value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
        for name, value in table.items()
        if not (kind is METER and name in _PLACE)
    }
    if isinstance(ratio := values.get("multiplier"), list) and len(ratio) == 2:
        values["multiplier"] = {"num": ratio[0], "den": ratio[1]}
    key = None if kind.numbered else values.pop("key", "")
    return Entry(key, values, number)


async def _place(session: AsyncSession, who: Principal, meter_id: int, table: dict[str, Any]) -> None:
    point, module, since = (table.get(name) for name in _PLACE)
    starts_at = int(time.time()) if since is None else _seconds(since)
    if point is None and module is None:
        return
    query = select(Installation).where(Installation.meter_id == meter_id, Installation.ends_at.is_(None))
    place = await session.scalar(query)
    point_id = await entry.refer(session, who.tenant_id, MeteringPoint, point, "point")
    module_id = await entry.refer(session, who.tenant_id, CommunicationModule, module, "module")
    point_id = point_id if point else place.point_id if place else None
    module_id = module_id if module else place.module_id if place else None
    if place is not None and place.point_id in (point_id, None) and place.module_id in (module_id, None):
        place.point_id, place.module_id = point_id, module_id
        if since is not None:
            place.starts_at = starts_at
        return
    await relations.install(session, who, meter_id, point_id=point_id, module_id=module_id, starts_at=starts_at)


def _seconds(moment: Any) -> int:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Refused("since", f"{moment} has no offset: write 2026-01-01T00:00:00-03:00")
    return int(moment.timestamp())
