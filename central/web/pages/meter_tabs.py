"""The tabs of a meter's page: each has an address of its own, and comes alone when htmx asks for it."""

import re
import time
from datetime import date, timedelta
from typing import Annotated, Any, Final

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Response

from central.accounts.principal import Principal
from central.alarms import service as alarms
from central.errors import Refused
from central.fleet import service as fleet
from central.metering import bills
from central.metering import service as metering
from central.metering.bill_controllers import ENERGIES
from central.metering.bill_view import PeriodBill
from central.metering.calendar_month import calendar_month
from central.metering.consumption import MonthConsumption
from central.registry import histories
from central.registry import service as registry
from central.registry.service import MeterView
from central.web.forms import Db, Key, Web, Who
from central.web.i18n import gettext
from central.web.pages.ccee import meter_card
from central.web.pages.meter import commands_of, now_of, registers_of, status_of
from central.web.pages.meters import event_groups, event_lines
from central.web.render import page
from central.web.views import bills as bill_words
from central.web.views import meter_calendar, registration
from shared.intervals import day_range, local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_PROFILE, Process, Quantity

_PROFILE_DAYS: Final = 7
_RANGES: Final = (1, 7, 31, 92)
_MODULE_S: Final = 7 * 86400
#: Other meters of the customer that the switch offers; the customer's own page has them all.
_SWITCH: Final = 12
#: What a browser's regular expression takes for more than itself.
_SYNTAX: Final = re.compile(r"[\^$\\.*+?()\[\]{}|/]")

Month = Annotated[str, QueryParameter(name="month", max_length=7)]


@get("/meters/{key:str}")
async def meter(request: Web, db: Db, principal: Who, key: Key, chosen: Month = "") -> Response[str]:
    """Summary: what it is, whose, whether it is read, what it consumes."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    tz, now = zone_of(view.zone), int(time.time())
    channels = await metering.channels(db, view)
    first = _month(chosen, local_date(now, tz))
    calendar = await calendar_month(db, view, first, channels=channels, now=now)
    months = await bills.months(db, view, now=now)
    module = await fleet.module_health(db, principal.tenant_id, view.module.id, now - _MODULE_S, now + 1, 1) \
        if view.module else []  # fmt: skip
    return await _tab(
        request, db, principal, view, "summary",
        calendar=meter_calendar.grid(calendar),
        months=bill_words.lines(months, tz),
        gaps=[(period.first_day, _gaps(bill, calendar.since, view)) for period, bill in months.pairs],
        unit=months.quantity.unit,
        registers_at=months.registers_at,
        profile_last=max((channel.last for channel in channels), default=None),
        told=module[-1] if module else None,
        open_alarms=(
            await alarms.alarms(db, principal.tenant_id, state=alarms.ACTIVE, meter_id=view.meter.id, limit=5)
        ).items,
        places=registration.places(view),
        ccee_card=await meter_card(request, db, view, now),
    )  # fmt: skip


@get("/meters/{key:str}/readings")
async def readings(
    request: Web, db: Db, principal: Who, key: Key,
    wanted: Annotated[str, QueryParameter(name="from", max_length=10)] = "",
    days: Annotated[int, QueryParameter(ge=1, le=366)] = _PROFILE_DAYS,
) -> Response[str]:  # fmt: skip
    """Load profile, instantaneous values, registers, commands and events."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    tz, now = zone_of(view.zone), int(time.time())
    channels = await metering.channels(db, view)
    last = min(max((channel.last for channel in channels), default=date.max), local_date(now, tz))
    months = await metering.consumption_by_post(db, view, months=3, now=now) if channels else []
    found = await metering.events(db, principal.tenant_id, meter_id=view.meter.id, limit=40)
    values = await registers_of(db, view)
    resets = values["registers"].resets if values["registers"] else None
    return await _tab(
        request, db, principal, view, "readings",
        load_factors=[(month.first, factor) for month in months if (factor := _load_factor(month)) is not None],
        channels=[str(channel.quantity) for channel in channels] or [str(ACTIVE_PROFILE)],
        profile_from=(_day(wanted) or last - timedelta(days=days - 1)).isoformat(),
        profile_days=days,
        ranges=sorted({*_RANGES, days}),
        serial_pattern=_SYNTAX.sub(r"\\\g<0>", view.meter.serial),
        events=event_groups(event_lines(found.items, tz)),
        can_close_bill=principal.may("control") and view.gateway is not None and resets is not None,
        **await now_of(db, view), **values,
    )  # fmt: skip


@get("/meters/{key:str}/billing")
async def billing(
    request: Web, db: Db, principal: Who, key: Key,
    of: Annotated[str, QueryParameter(max_length=3)] = "1",
) -> Response[str]:  # fmt: skip
    """The open billing period and the two before it, by post."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    quantity = chosen_quantity(of)
    found = await bills.billing(db, view, quantity=quantity)
    tz = zone_of(view.zone)
    periods = bill_words.lines(found, tz)
    channels = {channel.quantity.c for channel in await metering.channels(db, view)}
    codes = sorted({quantity.c, 1} | ((channels | set(found.measured)) & ENERGIES))
    return await _tab(
        request, db, principal, view, "billing",
        periods=periods,
        open_period=periods[-1],
        due=found.bills[-1].end,
        read_at=found.read_at,
        lot=found.lot,
        of=quantity.c,
        codes=codes,
        unit=quantity.unit,
        demand_unit=quantity.with_process(Process.MAXIMUM_DEMAND).unit,
    )  # fmt: skip


@get("/meters/{key:str}/registration")
async def registration_tab(
    request: Web, db: Db, principal: Who, key: Key,
    part: Annotated[str, QueryParameter(max_length=16)] = "meter",
) -> Response[str]:  # fmt: skip
    """Customer, point, meter and module, edited in place; where the meter was, and who was supplied."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    tenant = principal.tenant_id
    parts = registration.parts(view)
    chosen = part if part in parts else "meter"
    point_id = view.point.id if view.point else None
    return await _tab(
        request, db, principal, view, "registration",
        parts=parts,
        part=parts[chosen],
        editable=principal.may("registry"),
        meter_history=await histories.installations_of_meter(db, tenant, view.meter.id),
        point_history=await histories.installations_of_point(db, tenant, point_id) if point_id else [],
        supplies=await histories.supplies_of_point(db, tenant, point_id) if point_id else [],
    )  # fmt: skip


@get("/meters/{key:str}/reports")
async def reports(request: Web, db: Db, principal: Who, key: Key, chosen: Month = "") -> Response[str]:
    """Reports of this meter and a month."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    today = local_date(int(time.time()), zone_of(view.zone))
    first = _month(chosen, today)
    return await _tab(request, db, principal, view, "reports", month=f"{first:%Y-%m}", last_month=f"{today:%Y-%m}")


def chosen_quantity(text: str) -> Quantity:
    """The cumulative quantity of the number C of its OBIS code; raises :class:`Refused`."""
    if not text.isascii() or not text.isdigit() or int(text) not in ENERGIES:
        raise Refused("of", f"{text!r} is none of {', '.join(map(str, sorted(ENERGIES)))}")
    return Quantity(int(text), Process.CUMULATIVE)


async def _tab(request: Web, db: Db, principal: Principal, view: MeterView, tab: str, **context: Any) -> Response[str]:
    """One tab: alone for htmx, with everything around it for a browser."""
    tz = zone_of(view.zone)
    alone = "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
    if not alone:
        context |= status_of(view)
        context["yesterday"] = (local_date(int(time.time()), tz) - timedelta(days=1)).isoformat()
    return page(
        request, "meter/tab.html" if alone else "meter.html",
        zone=tz,
        alone=alone,
        tab=tab,
        tabs=_tabs(),
        base=f"/meters/{view.meter.key}",
        places_of=await histories.places_of_customer(db, view.customer, limit=_SWITCH + 1)
        if view.customer else [],
        most_places=_SWITCH,
        **{"view": view, **context}, **await commands_of(request, db, principal, view),
    )  # fmt: skip


def _tabs() -> list[tuple[str, str, str]]:
    """Address below the meter's, picture and name."""
    return [
        ("summary", "home-bolt", gettext("Summary")),
        ("readings", "activity", gettext("Readings")),
        ("registration", "edit", gettext("Registration")),
        ("billing", "calendar-stats", gettext("Billing")),
        ("reports", "report-analytics", gettext("Reports")),
    ]


def _month(text: str, today: date) -> date:
    """First day of ``YYYY-MM``; anything else, and the future, is the running month."""
    first = _day(f"{text}-01")
    return min(first, today.replace(day=1)) if first and first.year > 1970 else today.replace(day=1)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _gaps(bill: PeriodBill, since: date, view: MeterView) -> int:
    """Intervals missing in a period, those before the meter's first day left out."""
    start = max(bill.start, day_range(since, zone_of(view.zone)).start)
    return max(0, bill.gaps - (start - bill.start) // 900)


def _load_factor(month: MonthConsumption) -> float | None:
    """Mean demand / maximum demand of all posts; None without either."""
    factor = month.posts[0].load_factor if 0 in month.posts else None
    return None if factor is None else float(factor)
