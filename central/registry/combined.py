"""One sheet as utilities have it: each row a customer, its metering point, the meter in it and how that is reached.

A row is taken whole or refused whole. The same customer, point or module may stand in several rows, saying the same.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.audit.service import record
from central.registry import changes, faults
from central.registry.faults import Fault, Wrong
from central.registry.fields import parse_day
from central.registry.imports import Checked, Headings, SheetRow, data_rows, overlong, parse_row, understand
from central.registry.kinds import CUSTOMER, METER, MODULE, POINT, Kind
from central.registry.models import CommunicationModule, Installation, Meter, MeteringPoint
from central.registry.plans import Entry, Plan, plan
from central.store.chunks import chunks
from central.store.lists import is_one_of

NAME: Final = "combined"
#: Column -> kind and field ("key": which one it is).
COLUMNS: Final[dict[str, tuple[Kind, str]]] = {
    "customer": (CUSTOMER, "key"), "customer_name": (CUSTOMER, "name"), "group": (CUSTOMER, "group"),
    "lot": (CUSTOMER, "lot"), "contract": (CUSTOMER, "contract"), "document": (CUSTOMER, "document"),
    "point": (POINT, "key"), "point_name": (POINT, "name"), "address": (POINT, "address"),
    "latitude": (POINT, "latitude"), "longitude": (POINT, "longitude"), "status": (POINT, "status"),
    "module": (MODULE, "key"), "module_name": (MODULE, "name"), "module_address": (MODULE, "address"),
    "meter": (METER, "key"), "serial": (METER, "serial"), "model": (METER, "model"), "gateway": (METER, "gateway"),
    "multiplier": (METER, "multiplier"), "tariff": (METER, "tariff"), "holiday_group": (METER, "holiday_group"),
}  # fmt: skip
SINCE: Final = "since"
_KINDS: Final = (CUSTOMER, POINT, MODULE, METER)
_CHUNK: Final = 2000


@dataclass(slots=True)
class _Line:
    """One row taken apart."""

    number: int
    cells: Sequence[str]
    keys: dict[str, str] = field(default_factory=dict)
    since: int | None = None
    faults: list[Fault] = field(default_factory=list)
    moves: bool = False


async def check(db: AsyncSession, who: Principal, table: Sequence[Sequence[str]], headings: Headings) -> Checked:
    """Work out what the sheet would do; nothing is written."""
    checked = understand(table, headings, needed=["meter"])
    if checked.faults:
        return checked
    lines, entries = _take_apart(table, checked, who.zone)
    also = {kind.name: set(entries[kind]) for kind in _KINDS}
    plans = {}
    for kind in _KINDS:
        plans[kind] = await plan(db, who.tenant_id, kind, list(entries[kind].values()), also=also)
    by_key = {kind.name: {str(row.key): row for row in made.rows} for kind, made in plans.items()}
    for line in lines:
        for kind in _KINDS:
            row = by_key[kind.name].get(line.keys.get(kind.name, ""))
            if row is not None:
                line.faults += [fault._replace(field=_column(kind, fault.field)) for fault in row.faults]
    await _check_places(db, who, lines)
    for line in lines:
        statuses = {by_key[name][key].status for name, key in line.keys.items() if key in by_key[name]}
        status: Any = (
            "refused" if line.faults else "new" if "new" in statuses
            else "changed" if "changed" in statuses or line.moves else "same"
        )  # fmt: skip
        checked.rows.append(SheetRow(line.number, line.cells, status, line.keys.get("meter", ""), line.faults))
    good = [line for line in lines if not line.faults]

    async def apply(session: AsyncSession, principal: Principal) -> None:
        for kind in _KINDS:
            wanted = {line.keys.get(kind.name) for line in good}
            rows = [row for row in plans[kind].rows if str(row.key) in wanted]
            await changes.apply(session, principal, Plan(kind, rows))
        await _install(session, principal, [line for line in good if line.moves])

    checked.apply = apply
    return checked


def _take_apart(
    table: Sequence[Sequence[str]], checked: Checked, zone: str
) -> tuple[list[_Line], dict[Kind, dict[str, Entry]]]:
    lines: list[_Line] = []
    entries: dict[Kind, dict[str, Entry]] = {kind: {} for kind in _KINDS}
    for number, cells in data_rows(table):
        line = _Line(number, cells, faults=overlong(cells, checked))
        named = dict(zip(checked.columns, cells, strict=False))
        _read_since(line, named.get(SINCE, ""), zone)
        for kind in _KINDS:
            part = {
                COLUMNS[column][1]: cell
                for column, cell in named.items()
                if column in COLUMNS and COLUMNS[column][0] is kind
            }
            values, wrong = parse_row(kind, part)
            line.faults += [fault._replace(field=_column(kind, fault.field)) for fault in wrong]
            key = str(values.pop("key", ""))
            if key:
                line.keys[kind.name] = key
                if kind is POINT and line.keys.get("customer"):
                    values["customer"] = line.keys["customer"]
                _merge(line, entries[kind], kind, Entry(key, values, number))
            elif any(part.values()) or kind is METER:
                line.faults.append(Fault(_column(kind, "key"), faults.NEEDED))
        lines.append(line)
    _refuse_repeated(lines)
    return lines, entries


def _merge(line: _Line, entries: dict[str, Entry], kind: Kind, entry: Entry) -> None:
    """The same thing in several rows has to be the same."""
    first = entries.setdefault(str(entry.key), entry)
    if first is not entry and first.values != entry.values:
        line.faults.append(Fault(_column(kind, "key"), faults.TWICE, {"row": first.row}, str(entry.key)))


def _refuse_repeated(lines: Iterable[_Line]) -> None:
    """A meter sits in one place, and a point has one meter."""
    for name in ("meter", "point"):
        seen: dict[str, int] = {}
        for line in lines:
            key = line.keys.get(name)
            if key and seen.setdefault(key, line.number) != line.number:
                line.faults.append(Fault(name, faults.TWICE, {"row": seen[key]}, key))


def _read_since(line: _Line, cell: str, zone: str) -> None:
    if cell:
        try:
            day: date = parse_day(cell)
        except Wrong as wrong:
            line.faults.append(wrong.at(SINCE, cell))
        else:
            line.since = int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp())


def _column(kind: Kind, name: str) -> str:
    return next((column for column, place in COLUMNS.items() if place == (kind, name)), f"{kind.name}.{name}")


async def _check_places(db: AsyncSession, who: Principal, lines: Sequence[_Line]) -> None:
    """Find out which meters move, and refuse what would begin before what it ends."""
    now = int(time.time())
    ids = await _ids(db, who.tenant_id, lines)
    standing = await _standing(db, ids)
    for line in lines:
        if not line.keys.get("point") and not line.keys.get("module"):
            continue
        meter, point, module = _placed(line, ids)
        here = standing.get(("meter", meter)) if meter else None
        if here is not None and here[1:3] == (point, module) and line.since in (None, here[0]):
            continue
        line.moves = True
        begins = now if line.since is None else line.since
        for at in {here, standing.get(("point", point)) if point else None} - {None}:
            assert at is not None  # noqa: S101 - taken out above
            if begins < at[3]:
                until = datetime.fromtimestamp(at[3], ZoneInfo(who.zone)).strftime("%Y-%m-%d %H:%M")
                line.faults.append(Fault(SINCE, faults.INSTALLED, {"meter": line.keys["meter"], "until": until}))


def _placed(line: _Line, ids: Mapping[str, Mapping[str, int]]) -> tuple[int | None, int | None, int | None]:
    found = [ids[name].get(line.keys.get(name, "")) for name in ("meter", "point", "module")]
    return found[0], found[1], found[2]


async def _ids(db: AsyncSession, tenant_id: int, lines: Iterable[_Line]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    models: dict[str, Any] = {"meter": Meter, "point": MeteringPoint, "module": CommunicationModule}
    for name, model in models.items():
        table = model.__table__
        keys = sorted({line.keys[name] for line in lines if name in line.keys})
        found[name] = {}
        for some in chunks(keys, 1000):
            query = select(table.c.key, table.c.id).where(table.c.tenant_id == tenant_id, table.c.key.in_(some))
            found[name] |= {row[0]: row[1] for row in await db.execute(query)}
    return found


async def _standing(
    db: AsyncSession, ids: Mapping[str, Mapping[str, int]]
) -> dict[tuple[str, int], tuple[int, int | None, int | None, int]]:
    """The last installation of each meter and point: start, point, module, and the earliest instant after it.

    What is open may end from the second after its start on; what is past blocks until its end.
    """
    table = Installation.__table__
    found: dict[tuple[str, int], tuple[int, int | None, int | None, int]] = {}
    for name in ("meter", "point"):
        column = table.c[f"{name}_id"]
        for some in chunks(sorted(ids[name].values()), _CHUNK):
            query = select(column, table.c.starts_at, table.c.point_id, table.c.module_id, table.c.ends_at)
            for place, starts, point, module, ends in await db.execute(
                query.where(is_one_of(db, column, some)).order_by(table.c.starts_at)
            ):
                blocked = starts + 1 if ends is None else ends
                before = found.get((name, place))
                current = (starts, point, module) if ends is None else (-1, None, None)
                found[(name, place)] = (*current, max(blocked, before[3] if before else 0))
    return found


async def _install(db: AsyncSession, who: Principal, lines: Sequence[_Line]) -> None:
    """End what stands at the meters and points, and begin what the rows say, in few statements."""
    if not lines:
        return
    now = int(time.time())
    ids = await _ids(db, who.tenant_id, lines)
    table: Any = Installation.__table__
    rows = []
    begins: dict[tuple[str, int], int] = {}
    for line in lines:
        meter, point, module = _placed(line, ids)
        at = now if line.since is None else line.since
        assert meter is not None  # noqa: S101 - entered just now
        begins[("meter", meter)] = at
        if point is not None:
            begins[("point", point)] = at
        rows.append({
            "tenant_id": who.tenant_id, "meter_id": meter, "point_id": point, "module_id": module, "starts_at": at,
            "ends_at": None, "reason": "",
        })  # fmt: skip
        said = {"point": line.keys.get("point"), "module": line.keys.get("module"), "starts_at": at}
        record(db, who, "installed", METER.table, line.keys["meter"], object_id=meter, after=said)
    ending: dict[int, int] = {}
    for name in ("meter", "point"):
        column = table.c[f"{name}_id"]
        for some in chunks([place for kind, place in begins if kind == name], _CHUNK):
            query = select(table.c.id, column).where(is_one_of(db, column, some), table.c.ends_at.is_(None))
            for row_id, place in await db.execute(query):
                at = begins[(name, place)]
                ending[row_id] = min(ending.get(row_id, at), at)
    if ending:
        statement = update(table).where(table.c.id == bindparam("row_id")).values(ends_at=bindparam("at"))
        await db.execute(statement, [{"row_id": row_id, "at": at} for row_id, at in ending.items()])
    for batch in chunks(rows, _CHUNK):
        await db.execute(insert(table), batch)
