"""Shapes of what exists. References are keys, as utility systems know them; groups, which have none, go by their id.

In ``...In`` shapes every field may be left out: PUT then takes its default, PATCH leaves it as it is.
"""

from msgspec import UNSET, UnsetType

from central.api.query import instant_text, optional_text
from central.api.schemas import (
    Input,
    InstantIn,
    KeyText,
    Latitude,
    Longitude,
    NameText,
    NoteText,
    Output,
    Scale,
)
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    MeteringPoint,
    MeterModel,
)
from central.registry.service import MeterView


class Ref(Output):
    """Something that is pointed to."""

    key: str
    name: str


class GroupRef(Output):
    id: int
    name: str


class MeterOut(Output):
    """A meter, where it sits now, and what its gateway last said of it."""

    key: str
    serial: str
    name: str
    label: str
    model: Ref | None
    gateway: Ref | None
    module: Ref | None
    point: Ref | None
    customer: Ref | None
    group: GroupRef | None
    lot: Ref | None
    zone: str
    multiplier: Scale
    monitored: bool
    registered: bool
    calendar: str
    gateway_online: bool
    state: str
    error: str
    last_ok: str | None
    missing: int
    created_at: str

    @classmethod
    def of(cls, view: MeterView) -> "MeterOut":
        meter, live = view.meter, view.live
        return cls(
            key=meter.key, serial=meter.serial, name=meter.name, label=view.label, model=_ref(view.model),
            gateway=_ref(view.gateway), module=_ref(view.module), point=_ref(view.point),
            customer=Ref(key=view.customer.external_key, name=view.customer.name) if view.customer else None,
            group=GroupRef(id=view.group.id, name=view.group.name) if view.group else None, lot=_ref(view.lot),
            zone=view.zone, multiplier=Scale(meter.multiplier_num, meter.multiplier_den), monitored=meter.monitored,
            registered=meter.registered, calendar=meter.calendar, gateway_online=view.online,
            state=live.state if live else "", error=live.error if live else "",
            last_ok=optional_text(live.last_ok) if live else None, missing=live.missing if live else 0,
            created_at=instant_text(meter.created_at),
        )  # fmt: skip


class MeterIn(Input):
    """``serial`` is the key unless given; ``gateway`` is filled by the gateway itself and stays when left out."""

    serial: KeyText | UnsetType = UNSET
    name: NameText | UnsetType = UNSET
    model: KeyText | UnsetType | None = UNSET
    gateway: KeyText | UnsetType | None = UNSET
    zone: KeyText | UnsetType = UNSET
    multiplier: Scale | UnsetType = UNSET
    monitored: bool | UnsetType = UNSET
    calendar: NoteText | UnsetType = UNSET


class GatewayIn(Input):
    name: NameText | UnsetType = UNSET
    place: NoteText | UnsetType = UNSET
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET


class ModuleIn(Input):
    name: NameText | UnsetType = UNSET
    gateway: KeyText | UnsetType | None = UNSET


class ModuleOut(Output):
    """A communication module; what it last told stands under its gateway's health."""

    key: str
    name: str
    gateway: str | None
    created_at: str

    @classmethod
    def of(cls, row: CommunicationModule, gateway: str | None) -> "ModuleOut":
        return cls(key=row.key, name=row.name, gateway=gateway, created_at=instant_text(row.created_at))


class ModelIn(Input):
    maker: NameText | UnsetType = UNSET
    name: NameText | UnsetType = UNSET
    protocol: KeyText | UnsetType = UNSET
    resource: KeyText | UnsetType = UNSET


class ModelOut(Output):
    key: str
    maker: str
    name: str
    protocol: str
    resource: str

    @classmethod
    def of(cls, row: MeterModel) -> "ModelOut":
        return cls(key=row.key, maker=row.maker, name=row.name, protocol=row.protocol, resource=row.resource)


class LotIn(Input):
    name: NameText | UnsetType = UNSET
    reading_day: int | UnsetType = UNSET


class LotOut(Output):
    key: str
    name: str
    reading_day: int

    @classmethod
    def of(cls, row: Lot) -> "LotOut":
        return cls(key=row.key, name=row.name, reading_day=row.reading_day)


class GroupIn(Input):
    name: NameText | UnsetType = UNSET
    parent: int | UnsetType | None = UNSET


class GroupOut(Output):
    id: int
    name: str
    parent: int | None

    @classmethod
    def of(cls, row: CustomerGroup) -> "GroupOut":
        return cls(id=row.id, name=row.name, parent=row.parent_id)


class CustomerIn(Input):
    name: NameText | UnsetType = UNSET
    group: int | UnsetType | None = UNSET
    lot: KeyText | UnsetType | None = UNSET


class CustomerOut(Output):
    key: str
    name: str
    group: int | None
    lot: str | None
    created_at: str

    @classmethod
    def of(cls, row: Customer, lot: str | None) -> "CustomerOut":
        return cls(
            key=row.external_key, name=row.name, group=row.group_id, lot=lot, created_at=instant_text(row.created_at)
        )


class PointIn(Input):
    name: NameText | UnsetType = UNSET
    customer: KeyText | UnsetType | None = UNSET
    address: NoteText | UnsetType = UNSET
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET


class PointOut(Output):
    key: str
    name: str
    customer: str | None
    address: str
    latitude: float | None
    longitude: float | None
    created_at: str

    @classmethod
    def of(cls, row: MeteringPoint, customer: str | None) -> "PointOut":
        return cls(
            key=row.key, name=row.name, customer=customer, address=row.address, latitude=row.latitude,
            longitude=row.longitude, created_at=instant_text(row.created_at),
        )  # fmt: skip


class InstallationIn(Input):
    """Put ``meter`` into ``point``, reached through ``module``; what stood open at either ends then."""

    meter: KeyText
    starts_at: InstantIn
    point: KeyText | None = None
    module: KeyText | None = None
    reason: NameText = ""


class InstallationOut(Output):
    id: int
    meter: str
    point: str | None
    module: str | None
    starts_at: str
    ends_at: str | None
    reason: str

    @classmethod
    def of(cls, row: Installation, meter: str, point: str | None, module: str | None) -> "InstallationOut":
        return cls(
            id=row.id, meter=meter, point=point, module=module, starts_at=instant_text(row.starts_at),
            ends_at=optional_text(row.ends_at), reason=row.reason,
        )  # fmt: skip


def _ref(row: MeterModel | Gateway | CommunicationModule | MeteringPoint | Lot | None) -> Ref | None:
    return Ref(key=row.key, name=row.name) if row is not None else None
