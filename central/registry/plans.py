"""What entering some things would do, worked out without writing: which are new, changed, the same, refused and why.

One mechanism for a form, a request, a bulk request, a sheet and the registry file; ``central.registry.changes`` carries
plans out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.reach import REACH
from central.registry import faults, records
from central.registry.faults import Fault, Wrong
from central.registry.fields import Members, Reference
from central.registry.kinds import AS_KEY, BY_NAME, GROUP, HOLIDAY, METER, STAYS, Field, Kind
from central.registry.records import SEPARATOR, Record
from central.store.chunks import chunks

Status = Literal["new", "changed", "same", "refused"]
_CHUNK: Final = 1000


@dataclass(slots=True)
class Entry:
    """One thing as somebody gives it: fields by name. ``key`` None: a thing of a kind without keys, found by what it
    says. ``faults``: what was wrong before it came here; ``row``: where it stands."""

    key: Any
    values: dict[str, Any]
    row: int = 1
    faults: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """What becomes of one entry. ``values``: all fields of a new thing, those that change of an old one."""

    number: int
    key: Any
    status: Status = "same"
    values: dict[str, Any] = field(default_factory=dict)
    before: Record | None = None
    faults: list[Fault] = field(default_factory=list)
    id: int = 0
    label: str = ""  # of kinds without keys, once it is known

    def refuse(self, fault: Fault) -> None:
        self.faults.append(fault)
        self.status = "refused"


@dataclass(slots=True)
class Plan:
    kind: Kind
    rows: list[Row]

    def of(self, *wanted: Status) -> list[Row]:
        return [row for row in self.rows if row.status in wanted]

    @property
    def counts(self) -> dict[str, int]:
        found = dict.fromkeys(("new", "changed", "same", "refused"), 0)
        for row in self.rows:
            found[row.status] += 1
        return found


async def plan(
    db: AsyncSession,
    tenant_id: int,
    kind: Kind,
    entries: Sequence[Entry],
    *,
    replace: bool = False,
    also: Mapping[str, Collection[str]] | None = None,
) -> Plan:
    """Work out what entering ``entries`` would do.

    ``replace``: fields that are not given take their defaults. ``also``: keys by kind that will be there by the time
    the plan is carried out. The session's reach bounds what is found and may be referred to.
    """
    rows = [Row(entry.row, entry.key, faults=list(entry.faults)) for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        row.values = _checked(kind, row, entry.values)
    names = await _Names.load(db, tenant_id, kind, rows)
    if kind is GROUP:
        rows.sort(key=lambda row: str(row.values.get("parent") or "").count(SEPARATOR))
    await _find(db, tenant_id, kind, rows, names)
    for row in rows:
        _complete(kind, row, replace)
    await _refer(db, tenant_id, kind, rows, names, also or {})
    if kind is GROUP:
        await _refuse_circles(db, tenant_id, rows)
    for row in rows:
        _judge(kind, row)
    rows.sort(key=lambda row: row.number)
    return Plan(kind, rows)


def _checked(kind: Kind, row: Row, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kind.key is not None:
        try:
            row.key = kind.key.check(row.key)
            if not row.key:
                raise Wrong(faults.NEEDED)
        except Wrong as wrong:
            row.faults.append(wrong.at("key", row.key))
    known = {each.name: each for each in kind.fields}
    for name, value in given.items():
        if name not in known:
            row.faults.append(Fault(name, faults.UNKNOWN_COLUMN))
            continue
        try:
            found[name] = known[name].type.check(value)
        except Wrong as wrong:
            row.faults.append(wrong.at(name, value))
    return found


class _Names:
    """What kinds without keys are called, both ways, of those that the rows speak of so."""

    def __init__(self) -> None:
        self.numbers: dict[str, dict[str, int]] = {}

    @classmethod
    async def load(cls, db: AsyncSession, tenant_id: int, kind: Kind, rows: Iterable[Row]) -> "_Names":
        names = cls()
        wanted = {kind.name} if kind.numbered else set()
        for each in kind.fields:
            if isinstance(each.type, Reference | Members):
                target = BY_NAME[each.type.kind]
                values = (row.values.get(each.name) for row in rows)
                if target.numbered and any(isinstance(v, str) or (isinstance(v, list) and v) for v in values):
                    wanted.add(target.name)
        for name in wanted:
            known = await records.labels(db, tenant_id, BY_NAME[name])
            names.numbers[name] = {label: number for number, label in sorted(known.items(), reverse=True)}
        return names


async def _find(db: AsyncSession, tenant_id: int, kind: Kind, rows: Sequence[Row], names: _Names) -> None:
    """Find what is there already; refuse what stands twice, or where the session may not go."""
    if kind.numbered:
        for row in rows:
            row.label = _label(kind, row, names)
            if row.key is None:
                row.key = names.numbers[kind.name].get(row.label)
    keys = [row.key for row in rows if row.key and (kind.numbered or isinstance(row.key, str))]
    there = await records.by_keys(db, tenant_id, kind, keys)
    hidden = await _hidden(db, tenant_id, kind, set(map(str, keys)) - there.keys())
    seen: dict[str, int] = {}
    for row in rows:
        name = str(row.key or row.label)
        if name and name in seen:
            row.faults.append(Fault("key", faults.TWICE, {"row": seen[name]}, name))
        seen.setdefault(name, row.number)
        row.before = there.get(str(row.key))
        if row.before is not None:
            row.id = row.before.id
        elif name in hidden:
            row.faults.append(Fault("key", faults.ELSEWHERE, {"key": repr(name)}, name))
        elif kind.numbered and row.key is not None:
            row.faults.append(Fault("id", faults.NO_SUCH, {"kind": kind.label, "key": name}, name))


def _label(kind: Kind, row: Row, names: _Names) -> str:
    values = row.values
    if kind is HOLIDAY:
        if values.get("month") is None or values.get("day") is None:
            return ""
        return records.holiday_label(values.get("year"), values["month"], values["day"], values.get("name", ""))
    parent = values.get("parent")
    if isinstance(parent, int):
        parent = next((label for label, number in names.numbers[kind.name].items() if number == parent), "")
    return f"{parent}{SEPARATOR}{values.get('name', '')}" if parent else str(values.get("name", ""))


async def _hidden(db: AsyncSession, tenant_id: int, kind: Kind, missing: Collection[str]) -> set[str]:
    """Keys that exist where the session's reach does not go."""
    reach = db.info.get(REACH)
    if reach is None or reach.everywhere or not missing:
        return set()
    table = kind.model.__table__
    found: set[str] = set()
    for some in chunks(sorted(missing), _CHUNK):
        wanted = [records.number(key) for key in some] if kind.numbered else some
        query = select(table.c[kind.key_column]).where(
            table.c.tenant_id == tenant_id, table.c[kind.key_column].in_(wanted)
        )
        found |= {str(key) for key in await db.scalars(query)}
    return found


def _complete(kind: Kind, row: Row, replace: bool) -> None:
    """Fill in defaults, and keep of an old thing's fields those that change."""
    for each in kind.fields:
        default = {} if each.default is STAYS and row.before else {each.name: _default(each.default, row)}
        if row.before is None or replace:
            row.values = default | row.values
        if each.required and each.name in row.values and row.values[each.name] in ("", None):
            if each.default is AS_KEY and row.before is None:
                row.values[each.name] = row.key
            else:
                row.faults.append(Fault(each.name, faults.NEEDED))


def _default(default: Any, row: Row) -> Any:
    return None if default is STAYS else str(row.key or "") if default is AS_KEY else default


async def _refer(
    db: AsyncSession,
    tenant_id: int,
    kind: Kind,
    rows: Sequence[Row],
    names: _Names,
    also: Mapping[str, Collection[str]],
) -> None:
    """Check that what rows point to is there; labels of files become numbers."""
    for each in kind.fields:
        if not isinstance(each.type, Reference | Members):
            continue
        target = BY_NAME[each.type.kind]
        known = names.numbers.get(target.name, {})
        coming = set(also.get(target.name, ()))
        if kind is GROUP:
            coming |= {row.label for row in rows if not row.faults}
        asked: dict[Any, list[Row]] = {}
        for row in rows:
            for part in _asked(each, row, known):
                if part not in coming:
                    asked.setdefault(part, []).append(row)
        there = await _there(db, tenant_id, target, asked)
        for part, askers in asked.items():
            if str(part) not in there:
                words = faults.MARKED if isinstance(each.type, Members) and isinstance(part, str) else faults.NO_SUCH
                values = {"value": repr(part)} if words is faults.MARKED else {"kind": target.label, "key": repr(part)}
                for row in askers:
                    row.faults.append(Fault(each.name, words, values, str(part)))


def _asked(each: Field, row: Row, known: Mapping[str, int]) -> list[Any]:
    """What a row newly refers to by this field; labels that are known become numbers."""
    value = row.values.get(each.name)
    if isinstance(value, list):
        value = row.values[each.name] = [known.get(part, part) for part in value]
    elif isinstance(value, str) and value in known:
        value = row.values[each.name] = known[value]
    if row.before is not None and value == row.before.values.get(each.name):
        return []
    return [part for part in (value if isinstance(value, list) else [value]) if part is not None]


async def _there(db: AsyncSession, tenant_id: int, target: Kind, keys: Iterable[Any]) -> set[str]:
    """Which keys or numbers of a kind are there, within reach."""
    wanted = [key for key in keys if not (target.numbered and isinstance(key, str))]
    found: set[str] = set()
    for some in chunks(wanted, _CHUNK):
        query = select(target.key_attribute).where(
            target.model.tenant_id == tenant_id, records.one_of(db, target, some)
        )
        found |= {str(key) for key in await db.scalars(query)}
    return found


async def _refuse_circles(db: AsyncSession, tenant_id: int, rows: Sequence[Row]) -> None:
    table = GROUP.model.__table__
    parents: dict[int, Any] = {
        row[0]: row[1]
        for row in await db.execute(select(table.c.id, table.c.parent_id).where(table.c.tenant_id == tenant_id))
    }
    parents |= {row.id: row.values["parent"] for row in rows if row.id and "parent" in row.values}
    for row in rows:
        seen, at = set(), row.id
        while at in parents and at not in seen:
            seen.add(at)
            at = parents[at]
        if row.id and at in seen:
            row.faults.append(Fault("parent", faults.CIRCLE))


def _judge(kind: Kind, row: Row) -> None:
    """Say what becomes of a row, once all of it is known."""
    whole = (row.before.values if row.before else {}) | row.values
    row.faults += _cross(kind, whole)
    if row.before is not None:
        before = row.before.values
        row.values = {name: value for name, value in row.values.items() if value != before.get(name)}
    if row.faults:
        row.status = "refused"
    elif row.before is None:
        row.status = "new"
    else:
        unseen = kind is METER and not row.before.registered
        row.status = "changed" if row.values or unseen else "same"


def _cross(kind: Kind, values: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with fields taken together."""
    found = []
    if values.get("starts_on") and values.get("ends_on") and values["ends_on"] < values["starts_on"]:
        found.append(Fault("ends_on", faults.ENDS))
    if kind is HOLIDAY and values.get("month") and values.get("day"):
        try:
            date(values.get("year") or 2000, values["month"], values["day"])
        except ValueError:
            found.append(Fault("day", faults.MONTH_DAY, {"month": values["month"], "day": values["day"]}))
    if kind is GROUP and SEPARATOR in str(values.get("name", "")):
        found.append(Fault("name", faults.SEPARATOR))
    return found
