"""Hand-made shapes: a meter with all that hangs on it, and dated relations. The rest is made in ``shapes``."""

from typing import Annotated, Any

from msgspec import Meta

from central.api.query import instant_text, optional_text
from central.api.schemas import Input, InstantIn, KeyText, NameText, Output, Scale
from central.registry.history import Change
from central.registry.models import CommunicationModule, Gateway, Installation, Lot, MeteringPoint, MeterModel, Supply
from central.registry.records import Record
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
    starts_on: str | None
    ends_on: str | None
    can_cut: bool
    tariff: str | None
    holiday_group: str | None
    daylight_saving: str | None

    @classmethod
    def of(cls, view: MeterView, record: Record) -> "MeterOut":
        """``record`` has what the view has not."""
        meter, live, more = view.meter, view.live, record.values
        return cls(
            key=meter.key, serial=meter.serial, name=meter.name, label=view.label, model=_ref(view.model),
            gateway=_ref(view.gateway), module=_ref(view.module), point=_ref(view.point),
            customer=Ref(key=view.customer.external_key, name=view.customer.name) if view.customer else None,
            group=GroupRef(id=view.group.id, name=view.group.name) if view.group else None, lot=_ref(view.lot),
            zone=view.zone, multiplier=Scale(meter.multiplier_num, meter.multiplier_den), monitored=meter.monitored,
            registered=meter.registered, calendar=meter.calendar, gateway_online=view.online,
            state=live.state if live else "", error=live.error if live else "",
            last_ok=optional_text(live.last_ok) if live else None, missing=live.missing if live else 0,
            created_at=instant_text(meter.created_at), starts_on=more["starts_on"], ends_on=more["ends_on"],
            can_cut=more["can_cut"], tariff=more["tariff"], holiday_group=more["holiday_group"],
            daylight_saving=more["daylight_saving"],
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


class SupplyIn(Input):
    """Supply ``customer`` at ``point`` from then on; null: nobody. Who was supplied there was so until then."""

    point: KeyText
    customer: KeyText | None
    starts_at: InstantIn
    reason: NameText = ""


class SupplyOut(Output):
    id: int
    point: str
    customer: str
    starts_at: str
    ends_at: str | None
    reason: str

    @classmethod
    def of(cls, row: Supply, point: str, customer: str) -> "SupplyOut":
        return cls(
            id=row.id, point=point, customer=customer, starts_at=instant_text(row.starts_at),
            ends_at=optional_text(row.ends_at), reason=row.reason,
        )  # fmt: skip


class SpanIn(Input):
    """Corrected ends of an installation or a supply; ``ends_at`` null: it still lasts."""

    starts_at: InstantIn
    ends_at: InstantIn | None = None
    reason: Annotated[str, Meta(max_length=300)] = ""


class ChangeOut(Output):
    """One change: ``before`` and ``after`` have the fields that changed."""

    id: int
    at: str
    author: str
    action: str
    before: dict[str, Any]
    after: dict[str, Any]

    @classmethod
    def of(cls, row: Change) -> "ChangeOut":
        return cls(row.id, instant_text(row.at), row.author, row.action, row.before, row.after)


class HitOut(Output):
    """Something that was found; ``key`` is its number where the kind has no keys."""

    kind: str
    key: str
    name: str
    note: str
    exact: bool


def _ref(row: MeterModel | Gateway | CommunicationModule | MeteringPoint | Lot | None) -> Ref | None:
    return Ref(key=row.key, name=row.name) if row is not None else None
