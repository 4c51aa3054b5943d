"""Enter the registry from a TOML file: lots, groups, gateways, modules, models, customers, points, meters.

Entries are found again by their key (groups by their path, such as ``"South / Works"``); what is there is changed only
in the fields given, so importing twice changes nothing. Everything is written, or nothing with the entry named.

    [[lots]]       key name reading_day
    [[groups]]     name parent                    (parent: a path)
    [[gateways]]   key name place latitude longitude
    [[modules]]    key name gateway
    [[models]]     key maker name protocol resource
    [[customers]]  key name group lot             (group: a path)
    [[points]]     key name customer address latitude longitude
    [[meters]]     key serial name model gateway zone multiplier monitored point module since
"""

import time
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import CentralError, Refused
from central.registry.changes import create, install, update
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
)

Text = str | UnsetType
Number = float | UnsetType


class Entry(Struct, forbid_unknown_fields=True):
    """Base of the file's entries."""


class LotEntry(Entry):
    key: str
    name: Text = UNSET
    reading_day: int | UnsetType = UNSET


class GroupEntry(Entry):
    name: str
    parent: str = ""


class GatewayEntry(Entry):
    key: str
    name: Text = UNSET
    place: Text = UNSET
    latitude: Number = UNSET
    longitude: Number = UNSET


class ModuleEntry(Entry):
    key: str
    name: Text = UNSET
    gateway: Text = UNSET


class ModelEntry(Entry):
    key: str
    maker: Text = UNSET
    name: Text = UNSET
    protocol: Text = UNSET
    resource: Text = UNSET


class CustomerEntry(Entry):
    key: str
    name: Text = UNSET
    group: Text = UNSET
    lot: Text = UNSET


class PointEntry(Entry):
    key: str
    name: Text = UNSET
    customer: Text = UNSET
    address: Text = UNSET
    latitude: Number = UNSET
    longitude: Number = UNSET


class MeterEntry(Entry):
    key: str
    serial: Text = UNSET
    name: Text = UNSET
    model: Text = UNSET
    gateway: Text = UNSET
    zone: Text = UNSET
    multiplier: tuple[int, int] | UnsetType = UNSET
    monitored: bool | UnsetType = UNSET
    point: Text = UNSET
    module: Text = UNSET
    since: datetime | UnsetType = UNSET  # of the installation; default now


class RegistryFile(Entry):
    """The whole file."""

    lots: list[LotEntry] = []
    groups: list[GroupEntry] = []
    gateways: list[GatewayEntry] = []
    modules: list[ModuleEntry] = []
    models: list[ModelEntry] = []
    customers: list[CustomerEntry] = []
    points: list[PointEntry] = []
    meters: list[MeterEntry] = []


_SEPARATOR: Final = " / "
#: Fields that name another entry: its kind, and the column that holds its id.
_REFERENCES: Final[dict[str, tuple[type[Any], str]]] = {
    "gateway": (Gateway, "gateway_id"),
    "model": (MeterModel, "model_id"),
    "customer": (Customer, "customer_id"),
    "lot": (Lot, "lot_id"),
}


def parse(text: str) -> RegistryFile:
    """Parse the file; raises :class:`Refused` with the place that is wrong."""
    try:
        return msgspec.toml.decode(text, type=RegistryFile)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Refused("registry file", str(error)) from error


async def import_registry(session: AsyncSession, tenant_id: int, file: RegistryFile) -> dict[str, int]:
    """Enter all of ``file``; returns how many entries of each kind it has. Raises :class:`Refused` naming the entry."""
    importer = _Importer(session, tenant_id)
    counts = {}
    for name, work in (
        ("lots", importer.plain(Lot)),
        ("groups", importer.group),
        ("gateways", importer.plain(Gateway)),
        ("modules", importer.plain(CommunicationModule)),
        ("models", importer.plain(MeterModel)),
        ("customers", importer.plain(Customer)),
        ("points", importer.plain(MeteringPoint)),
        ("meters", importer.meter),
    ):
        entries = getattr(file, name)
        for number, entry in enumerate(entries, 1):
            try:
                await work(entry)
            except CentralError as error:
                label = getattr(entry, "key", None) or getattr(entry, "name", "")
                raise Refused(f"{name}[{number}] {label!r}", str(error)) from error
        counts[name] = len(entries)
    return counts


class _Importer:
    def __init__(self, session: AsyncSession, tenant_id: int) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def plain(self, kind: type[Any]) -> Any:
        """The function that enters one entry of ``kind``."""

        async def enter(entry: Entry) -> Any:
            return await self._enter(kind, await self._values(entry))

        return enter

    async def group(self, entry: GroupEntry) -> None:
        parent_id = await self._group_id(entry.parent) if entry.parent else None
        if _SEPARATOR in entry.name:
            raise Refused("name", f"a group's name cannot hold {_SEPARATOR!r}, which joins paths")
        if await self._find_group(entry.name, parent_id) is None:
            await create(self._session, self._tenant_id, CustomerGroup, name=entry.name, parent_id=parent_id)

    async def meter(self, entry: MeterEntry) -> None:
        values = await self._values(entry)
        point, module, since = (values.pop(name, UNSET) for name in ("point", "module", "since"))
        multiplier = values.pop("multiplier", UNSET)
        if multiplier is not UNSET:
            values["multiplier_num"], values["multiplier_den"] = multiplier
        meter = await self._enter(Meter, values | {"registered": True})
        if point is UNSET and module is UNSET:
            return
        query = select(Installation).where(Installation.meter_id == meter.id, Installation.ends_at.is_(None))
        place = await self._session.scalar(query)
        point_id = (await self._find(MeteringPoint, point)).id if point else place.point_id if place else None
        module_id = (await self._find(CommunicationModule, module)).id if module else place.module_id if place else None
        if place is not None and place.point_id in (point_id, None) and place.module_id in (module_id, None):
            place.point_id, place.module_id = point_id, module_id
            if since is not UNSET:
                place.starts_at = _seconds(since)
            return
        starts_at = int(time.time()) if since is UNSET else _seconds(since)
        await install(
            self._session, self._tenant_id, meter.id, point_id=point_id, module_id=module_id, starts_at=starts_at
        )

    async def _values(self, entry: Entry) -> dict[str, Any]:
        """The given fields with references turned into ids."""
        values = {}
        for field in entry.__struct_fields__:
            value = getattr(entry, field)
            if value is UNSET:
                continue
            if field == "group":
                values["group_id"] = await self._group_id(value)
            elif field in _REFERENCES:
                kind, column = _REFERENCES[field]
                values[column] = (await self._find(kind, value)).id
            else:
                values[field] = value
        return values

    async def _enter(self, kind: type[Any], values: dict[str, Any]) -> Any:
        column = _key_column(kind)
        if "key" in values:
            values[column] = values.pop("key")
        query = select(kind).where(kind.tenant_id == self._tenant_id, getattr(kind, column) == values[column])
        row = await self._session.scalar(query)
        if row is None:
            values.setdefault("name", values[column] if kind is not Meter else "")
            return await create(self._session, self._tenant_id, kind, **values)
        return await update(self._session, self._tenant_id, kind, row.id, **values)

    async def _find(self, kind: type[Any], key: str) -> Any:
        query = select(kind).where(kind.tenant_id == self._tenant_id, getattr(kind, _key_column(kind)) == key)
        row = await self._session.scalar(query)
        if row is None:
            raise Refused(kind.__tablename__, f"there is none with the key {key!r}; enter it above in the file")
        return row

    async def _find_group(self, name: str, parent_id: int | None) -> int | None:
        return await self._session.scalar(
            select(CustomerGroup.id).where(
                CustomerGroup.tenant_id == self._tenant_id,
                CustomerGroup.name == name,
                CustomerGroup.parent_id.is_(None) if parent_id is None else CustomerGroup.parent_id == parent_id,
            )
        )

    async def _group_id(self, path: str) -> int:
        found: int | None = None
        for name in path.split(_SEPARATOR):
            found = await self._find_group(name, found)
            if found is None:
                raise Refused("group", f"there is no group {path!r}; enter it under [[groups]]")
        assert found is not None  # noqa: S101 - a path has at least one name
        return found


def _key_column(kind: type[Any]) -> str:
    return "external_key" if kind is Customer else "key"


def _seconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise Refused("since", f"{moment} has no offset: write 2026-01-01T00:00:00-03:00")
    return int(moment.timestamp())
