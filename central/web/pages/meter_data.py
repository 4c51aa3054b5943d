"""Data of a meter's charts, as JSON with their words translated."""

import time
from datetime import date, timedelta
from typing import Annotated, Any, Final

import numpy as np
from litestar import get
from litestar.params import QueryParameter

from central.errors import Refused
from central.fleet import service as fleet
from central.metering import bills
from central.metering import service as metering
from central.metering.calendars import calendar_in_force
from central.registry import service as registry
from central.web import labels
from central.web.forms import Db, Key, Search, Who
from central.web.i18n import current, gettext, ngettext
from central.web.pages.meter_tabs import chosen_quantity
from central.web.views import bills as bill_words
from shared.intervals import day_range, utc_offset
from shared.intervals import zone as zone_of
from shared.quantities import POSTS, Post, Process, Quantity, QuantityError

_LONGEST: Final = 366
_MODULE_DAYS: Final = 7


@get("/data/meters/{key:str}/profile")
async def profile_data(
    db: Db, principal: Who, key: Key,
    first: Annotated[date, QueryParameter(name="from")],
    days: Annotated[int, QueryParameter(ge=1, le=_LONGEST)] = 7,
    channel: Search = "1.29.0",
) -> dict[str, Any]:  # fmt: skip
    """One channel over whole local days: values in the unit (None: missing), flags and posts of every interval."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    try:
        quantity = Quantity.parse(channel)
    except QuantityError as error:
        raise Refused("channel", str(error)) from error
    tz = zone_of(view.zone)
    try:
        start, end = day_range(first, tz).start, day_range(first + timedelta(days=days - 1), tz).end
    except (OverflowError, ValueError) as error:
        raise Refused("from", f"{first} is no day that can be shown") from error
    series = (await metering.profile(db, view, quantity, start, end)).part(start, end)
    count = min(len(series.values), max(0, (int(time.time()) - series.start) // series.step))
    values, flags = series.units()[:count], series.flags[:count]
    calendar = await calendar_in_force(db, view.meter, view.zone)
    posts = calendar.posts_for(series.start, series.step, count)
    if not count or not series.held[:count].any():
        return {"empty": gettext("No load profile in this range. Choose another one, or “Re-read range”.")}
    present = set(posts)
    bits = int(np.bitwise_or.reduce(flags))
    return {
        "unit": series.unit,
        "demandUnit": quantity.with_process(Process.MAXIMUM_DEMAND).unit,
        "offset": utc_offset(start, tz),
        "from": start,
        "to": end,
        "blocks": [
            {
                "start": series.start,
                "step": series.step,
                "values": [None if value != value else round(value, 6) for value in values.tolist()],
                "flags": flags.tolist(),
                "posts": list(posts),
            }
        ],
        "posts": [{"post": int(post), "name": labels.post(post)} for post in POSTS if post in present],
        "flags": [{"flag": int(flag), "name": gettext(words)} for flag, words in labels.FLAGS.items() if bits & flag],
        "missing": gettext("Missing"),
    }


@get("/data/meters/{key:str}/consumption")
async def consumption_data(db: Db, principal: Who, key: Key) -> dict[str, Any]:
    """Active energy by post, stacked per calendar month, three months."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    months = await bills.months(db, view)
    data = bill_words.history(months)
    if "empty" in data:
        return data
    return {**data, "stacked": True, "partial": data["open"], "notes": [_missing(bill.gaps) for bill in months.bills]}


@get("/data/meters/{key:str}/billing/consumption")
async def billing_consumption(db: Db, principal: Who, key: Key, of: Search = "1") -> dict[str, Any]:
    """Energy by post and billing period, the open one with what is still to come."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    return bill_words.history(await bills.billing(db, view, quantity=chosen_quantity(of)))


@get("/data/meters/{key:str}/billing/demand")
async def billing_demand(db: Db, principal: Who, key: Key, of: Search = "1") -> dict[str, Any]:
    """Maximum demand by post and billing period."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    return bill_words.demands(await bills.billing(db, view, quantity=chosen_quantity(of)), zone_of(view.zone))


@get("/data/meters/{key:str}/demand")
async def demand_data(db: Db, principal: Who, key: Key) -> dict[str, Any]:
    """Maximum demand by post and month, with its instant."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    months = await metering.consumption_by_post(db, view, months=3)
    tz = zone_of(view.zone)
    series = []
    for post in _present(months):
        found = [month.posts[post].maximum if post in month.posts else None for month in months]
        series.append(
            {
                "name": labels.post(post),
                "colour": f"post-{int(post)}",
                "values": [float(demand.value) if demand else None for demand in found],
                "when": [current().instant(demand.at, tz) if demand else "" for demand in found],
            }
        )
    if not any(value is not None for one in series for value in one["values"]):
        return {"empty": gettext("No demand yet: it appears with the first load profile.")}
    return {**_months(months), "unit": months[0].demand_unit, "stacked": False, "series": series}


@get("/data/meters/{key:str}/module")
async def module_data(db: Db, principal: Who, key: Key, what: Search = "") -> dict[str, Any]:
    """Temperature and signal of the communication module, last seven days; ``what`` names one of them."""
    view = await registry.get_meter(db, principal.tenant_id, key)
    now = int(time.time())
    rows = (
        await fleet.module_health(db, principal.tenant_id, view.module.id, now - _MODULE_DAYS * 86400, now + 1)
        if view.module
        else []
    )
    series = (
        ("temperature", gettext("Temperature"), "line-2", "°C", [row.temperature for row in rows]),
        ("signal", gettext("Signal"), "line-1", "dBm", [row.signal_dbm for row in rows]),
        ("signal", gettext("Signal strength"), "line-3", "%", [row.signal_percent for row in rows]),
    )
    wanted = [one[1:] for one in series if what in ("", one[0]) and any(value is not None for value in one[4])]
    if not wanted:
        return {"empty": gettext("The module has told nothing in the last seven days.")}
    return {
        "offset": utc_offset(rows[0].at, zone_of(view.zone)),
        "series": [
            {
                "name": name,
                "colour": colour,
                "unit": unit,
                "points": [[row.at * 1000, value] for row, value in zip(rows, values, strict=True)],
            }
            for name, colour, unit, values in wanted[: 1 if what else 2]
        ],
    }


def _present(months: Any) -> list[Post]:
    return [post for post in POSTS if any(post in month.posts for month in months)]


def _months(months: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "labels": [current().month(month.first, short=True) for month in months],
        "tips": [current().month(month.first) for month in months],
        "partial": [month.end > now for month in months],
    }


def _missing(gaps: int) -> str:
    return ngettext("%(num)d interval missing", "%(num)d intervals missing", gaps) % {"num": gaps} if gaps else ""
