"""Billing on screen: the consolidated table, the periods behind it, and what the charts of both draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from central.metering.bill_view import Maximum, PeriodBill
from central.metering.bills import Billing
from central.registry.lots import Period
from central.web import labels
from central.web.i18n import N_, NOTHING, current, gettext
from shared.quantities import POSTS, Post, Process

#: What energies and maxima come from.
SOURCES: Final = {
    "registers": N_("difference of the meter's registers"),
    "profile": N_("load profile, by the meter's calendar"),
    "": N_("nothing to count from"),
}
DEMAND_SOURCES: Final = {**SOURCES, "registers": N_("the meter's maximum registers")}


@dataclass(frozen=True, slots=True)
class Line:
    """One post: texts without unit, and the instant of the maximum; ``counts``: it consumed something."""

    post: int
    words: str
    energy: str
    maximum: str
    at: str
    projected: str
    counts: bool


@dataclass(frozen=True, slots=True)
class PeriodLines:
    """A period: its name and days, what it came to by post and together, and what it is made from."""

    name: str
    short: str
    days: str
    open: bool
    lines: Sequence[Line]
    total: Line
    source: str
    demand_source: str
    gaps: int
    bill: PeriodBill


def name(billing: Billing, period: Period, *, short: bool = False) -> str:
    """The month a period is billed as; of a calendar month that month."""
    return current().month(billing.month(period), short=short)


def span(period: Period) -> str:
    """First and last day of a period."""
    return f"{current().day(period.first_day, 'short')} – {current().day(period.last_day, 'short')}"


def lines(billing: Billing, tz: ZoneInfo) -> list[PeriodLines]:
    """All periods, oldest first; posts that none of them has stay out."""
    posts = present(billing)
    found = []
    for period, bill in billing.pairs:
        texts = [_line(bill, post, tz) for post in (*posts, Post.TOTAL)]
        found.append(
            PeriodLines(
                name(billing, period), name(billing, period, short=True), span(period), bill.open,
                texts[:-1], texts[-1],
                gettext(SOURCES[bill.source]), gettext(DEMAND_SOURCES[bill.demand_source]), bill.gaps, bill,
            )
        )  # fmt: skip
    return found


def present(billing: Billing) -> list[Post]:
    """Posts that occur in any period, in the order of screens."""
    return [post for post in POSTS if any(post in bill.posts for bill in billing.bills)]


def history(billing: Billing) -> dict[str, Any]:
    """Energies by post and period, and what is still to come in the open one."""
    if not any(bill.source for bill in billing.bills):
        return {"empty": gettext("No consumption yet: it appears with the second register reading or the profile.")}
    posts = present(billing)
    shown: Sequence[Post] = [p for p in posts if any(_energy(bill, p) is not None for bill in billing.bills)]
    return {
        **_periods(billing),
        "unit": billing.quantity.unit,
        "totalLabel": gettext("Total"),
        "soFar": gettext("so far"),
        "projected": gettext("projected"),
        "series": [
            {
                "name": labels.post(post),
                "colour": f"post-{int(post)}",
                "values": [_number(_energy(bill, post)) for bill in billing.bills],
                "rest": [_rest(bill, post) for bill in billing.bills],
            }
            for post in shown or [Post.TOTAL]
        ],
    }


def demands(billing: Billing, tz: ZoneInfo) -> dict[str, Any]:
    """Maximum demand by post and period, with its instant."""
    posts = [post for post in present(billing) if any(_maximum(bill, post) for bill in billing.bills)]
    if not posts and not any(_maximum(bill, Post.TOTAL) for bill in billing.bills):
        return {"empty": gettext("No demand yet: it appears with the demand registers or the load profile.")}
    series = []
    for post in posts or [Post.TOTAL]:
        found = [_maximum(bill, post) for bill in billing.bills]
        series.append(
            {
                "name": labels.post(post),
                "colour": f"post-{int(post)}",
                "values": [_number(each.value) if each else None for each in found],
                "when": [current().instant(each.at, tz) if each and each.at is not None else "" for each in found],
            }
        )
    unit = billing.quantity.with_process(Process.MAXIMUM_DEMAND).unit
    return {**_periods(billing), "unit": unit, "toDate": gettext("up to now"), "series": series}


def _periods(billing: Billing) -> dict[str, Any]:
    return {
        "labels": [name(billing, period, short=True) for period in billing.periods],
        "tips": [f"{name(billing, period)} · {span(period)}" for period in billing.periods],
        "open": [bill.open for bill in billing.bills],
    }


def _line(bill: PeriodBill, post: Post, tz: ZoneInfo) -> Line:
    found = bill.posts.get(post)
    maximum = found.maximum if found else None
    return Line(
        int(post), labels.post(post), _text(found.energy if found else None), _text(maximum.value if maximum else None),
        current().instant(maximum.at, tz) if maximum and maximum.at is not None else "",
        _text(found.projected if found else None), bool(found and found.energy),
    )  # fmt: skip


def _text(value: Fraction | None) -> str:
    return NOTHING if value is None else current().number(float(value), 3)


def _energy(bill: PeriodBill, post: int) -> Fraction | None:
    return bill.posts[post].energy if post in bill.posts else None


def _maximum(bill: PeriodBill, post: int) -> Maximum | None:
    return bill.posts[post].maximum if post in bill.posts else None


def _rest(bill: PeriodBill, post: int) -> float | None:
    found = bill.posts.get(post)
    if found is None or found.projected is None or found.energy is None:
        return None
    return float(found.projected - found.energy)


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
