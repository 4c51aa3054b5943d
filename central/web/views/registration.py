"""What the registry says of a meter, its point, customer and module: facts to read where there is no form to edit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from central.metering.stored import date_of
from central.registry.service import MeterView
from central.web.i18n import NOTHING, current, gettext


@dataclass(frozen=True, slots=True)
class Part:
    """One thing: its kind and key in the registry (no key: there is none), and what is known of it."""

    kind: str
    name: str
    icon: str
    key: str
    facts: Sequence[tuple[str, str]]


def parts(view: MeterView) -> dict[str, Part]:
    """Customer, point, meter and module by kind, in the order of the screen."""
    customer, point, module = view.customer, view.point, view.module
    found = (
        Part("customer", gettext("Customer"), "user", customer.external_key if customer else "", _customer(view)),
        Part("point", gettext("Metering point"), "map-pin", point.key if point else "", _point(view)),
        Part("meter", gettext("Meter"), "gauge", view.meter.key, _meter(view)),
        Part("module", gettext("Communication module"), "antenna", module.key if module else "", _module(view)),
    )
    return {part.kind: part for part in found}


def places(view: MeterView) -> list[dict[str, Any]]:
    """The point for a map; empty where its position is not known."""
    point = view.point
    if point is None or point.latitude is None or point.longitude is None:
        return []
    return [{"lat": point.latitude, "lon": point.longitude, "title": point.name or point.key, "note": point.address}]


def position(latitude: float | None, longitude: float | None) -> str:
    """Coordinates in degrees, five decimals: a metre."""
    if latitude is None or longitude is None:
        return NOTHING
    return f"{current().number(latitude, 5)}; {current().number(longitude, 5)}"


def _customer(view: MeterView) -> list[tuple[str, str]]:
    customer = view.customer
    if customer is None:
        return []
    return [
        (gettext("Name"), customer.name),
        (gettext("External key"), customer.external_key),
        (gettext("Contract"), customer.contract),
        (gettext("Tax number"), customer.document),
        (gettext("Group"), view.group.name if view.group else ""),
        (gettext("Lot"), view.lot.name or view.lot.key if view.lot else ""),
        (gettext("E-mail"), customer.email),
        (gettext("Telephone"), customer.phone),
    ]


def _point(view: MeterView) -> list[tuple[str, str]]:
    point = view.point
    if point is None:
        return []
    return [
        (gettext("Name"), point.name),
        (gettext("Key"), point.key),
        (gettext("Address"), point.address),
        (gettext("Position"), position(point.latitude, point.longitude)),
        (gettext("First day"), _day(point.starts_on)),
        (gettext("Last day"), _day(point.ends_on)),
    ]


def _meter(view: MeterView) -> list[tuple[str, str]]:
    meter, model = view.meter, view.model
    ratio = f"{current().number(meter.multiplier_num)} / {current().number(meter.multiplier_den)}"
    return [
        (gettext("Serial"), meter.serial),
        (gettext("Key"), meter.key),
        (gettext("Name"), meter.name),
        (gettext("Model"), f"{model.maker} {model.name}".strip() if model else ""),
        (gettext("Gateway"), view.gateway.name or view.gateway.key if view.gateway else ""),
        (gettext("Monitoring"), _yes(meter.monitored)),
        (gettext("Cut and reconnection"), gettext("allowed") if meter.can_cut else gettext("not allowed")),
        (gettext("Constant (multiplier)"), ratio),
        (gettext("Time zone"), view.zone),
        (gettext("First day"), _day(meter.starts_on)),
        (gettext("Last day"), _day(meter.ends_on)),
    ]


def _module(view: MeterView) -> list[tuple[str, str]]:
    module = view.module
    if module is None:
        return []
    return [
        (gettext("Name"), module.name),
        (gettext("Key"), module.key),
        (gettext("Serial"), module.serial),
        (gettext("Model"), module.model),
        (gettext("Address"), module.address),
    ]


def _yes(on: bool) -> str:
    return gettext("switched on") if on else gettext("switched off")


def _day(number: int | None) -> str:
    return "" if number is None else current().day(date_of(number))
