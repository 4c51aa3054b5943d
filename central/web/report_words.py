"""Words of reports: titles, headings, cells, filters, the way the reader's language writes them."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from babel.dates import get_day_names
from babel.numbers import get_decimal_symbol, get_group_symbol

from central.reports.columns import Column, Kind
from central.reports.parameters import Filters
from central.reports.table import Asked, Total
from central.web import labels
from central.web.i18n import N_, Language, activate, current, gettext, language
from central.web.views.event_details import detail
from shared.intervals import zone as zone_of
from shared.quantities import POST_LABELS, Process, Quantity

#: Report -> (title, what it is for, icon).
REPORTS: Final = {
    "registers-last": (
        N_("Register readings of many meters"),
        N_("The last reading of each meter by post, as of a date."), "gauge",
    ),
    "registers-meter": (
        N_("Register readings of one meter"),
        N_("Energy, maximum, accumulated and last demand by post, reading after reading."), "list-check",
    ),
    "consumption": (
        N_("Consumption"),
        N_("What the registers counted between the first and the last reading of a period, by post."), "bolt",
    ),
    "billing": (
        N_("Billing readings"),
        N_("The registers of each meter on the day its lot is read, and who has none."), "calendar-event",
    ),
    "availability": (
        N_("Reading availability"),
        N_("On how many days of a period each meter was read, and when last."), "percentage",
    ),
    "availability-days": (
        N_("Reading availability day by day"),
        N_("One cell per meter and day: read, not read, still to come."), "grid-dots",
    ),
    "temperature": (
        N_("Temperature of communication modules"),
        N_("Least, mean, greatest and last temperature; of one meter every value, with its chart."), "temperature",
    ),
    "signal": (
        N_("Signal of communication modules"),
        N_("Least, mean, greatest and last signal; of one meter every value, with its chart."), "antenna-bars-5",
    ),
    "profile": (
        N_("Load profile"),
        N_("Every interval of one meter, a column per channel, with its chart."), "chart-area-line",
    ),
    "events": (
        N_("Events"),
        N_("What happened at meters and gateways: outages, clocks, demand resets, failures."), "bell",
    ),
}  # fmt: skip
COLUMNS: Final = {
    "serial": N_("Serial"), "customer": N_("Customer"), "external_key": N_("External key"), "lot": N_("Lot"),
    "model": N_("Model"), "gateway": N_("Gateway"), "read_at": N_("Read at"), "first_at": N_("First reading"),
    "last_at": N_("Last reading"), "availability": N_("Availability"), "days_read": N_("Days read"), "days": N_("Days"),
    "due_on": N_("Due on"), "notes": N_("Remarks"), "at": N_("Instant"), "billed": N_("Period"),
    "measured": N_("Quantity"), "post": N_("Post"), "total": N_("Total"), "maximum": N_("Maximum demand"),
    "maximum_at": N_("Instant of the maximum"), "accumulated": N_("Accumulated demand"),
    "last": N_("Last demand interval"), "resets": N_("Demand resets"), "module": N_("Module"),
    "temperature": N_("Temperature"), "temperature_least": N_("Least temperature"),
    "temperature_mean": N_("Mean temperature"), "temperature_greatest": N_("Greatest temperature"),
    "temperature_last": N_("Last temperature"), "signal_dbm": N_("Signal"), "signal_percent": N_("Signal strength"),
    "signal_dbm_least": N_("Least signal"), "signal_dbm_mean": N_("Mean signal"),
    "signal_dbm_greatest": N_("Greatest signal"), "signal_dbm_last": N_("Last signal"),
    "signal_percent_least": N_("Least strength"), "signal_percent_mean": N_("Mean strength"),
    "signal_percent_greatest": N_("Greatest strength"), "signal_percent_last": N_("Last strength"),
    "told_at": N_("Last told at"), "samples": N_("Values"), "flags": N_("Quality"), "kind": N_("Event"),
    "until": N_("Until"), "lasted": N_("Lasted"), "detail": N_("Details"), "received_at": N_("Received at"),
}  # fmt: skip
#: Measured thing of a register column, short as a heading has to be.
SHORT: Final = {
    1: N_("Active"), 2: N_("Active reverse"), 3: N_("Reactive"), 4: N_("Reactive reverse"), 5: N_("Inductive"),
    7: N_("Inductive reverse"), 8: N_("Capacitive"), 6: N_("Capacitive reverse"), 130: N_("UFER"),
    131: N_("UFER reverse"),
}  # fmt: skip
NOTES: Final = {
    "unread": N_("no reading"),
    "single": N_("one reading only"),
    "backwards": N_("register went backwards"),
    "computed": N_("UFER from the profile"),
    "incomplete": N_("hours not judged"),
    "earlier": N_("read before the day"),
    "awaited": N_("still to be read"),
}
TOTALS: Final = {
    "meters": N_("Selected meters"),
    "lots": N_("Selected lots"),
    "without": N_("Meters without reading"),
    "availability": N_("Availability"),
}
ENERGIES: Final = {
    "active": N_("Active energy"),
    "reactive": N_("Reactive energy"),
    "inductive": N_("Reactive inductive"),
    "capacitive": N_("Reactive capacitive"),
    "ufer": N_("Reactive excess (UFER)"),
}
POSTS: Final = {"both": N_("By post and total"), "post": N_("By post"), "total": N_("Total")}
SIDES: Final = {"primary": N_("Primary (transformers' ratio)"), "secondary": N_("Secondary (meter's constants)")}
VALUES: Final = {"units": N_("Units"), "counts": N_("Counts")}
STATES: Final = {
    "queued": (N_("Waiting"), "secondary"),
    "running": (N_("Being made"), "blue"),
    "done": (N_("Ready"), "green"),
    "failed": (N_("Failed"), "red"),
    "cancelled": (N_("Cancelled"), "orange"),
}
CADENCES: Final = {"daily": N_("Daily"), "weekly": N_("Weekly"), "monthly": N_("Monthly")}
COUNTED: Final = {
    "meters": N_("meters"),
    "readings": N_("readings"),
    "intervals": N_("intervals"),
    "events": N_("events"),
}


def title(report: str) -> str:
    return gettext(REPORTS[report][0]) if report in REPORTS else report


def purpose(report: str) -> str:
    return gettext(REPORTS[report][1])


def icon_of(report: str) -> str:
    return REPORTS[report][2] if report in REPORTS else "report-analytics"


def weekday(day: int) -> str:
    """Name of a day of the week, 0 Monday."""
    return str(get_day_names("wide", "stand-alone", current().locale)[day])


def cadence(code: str, day: int, hour: int) -> str:
    """When a regular report is made, as "weekly, Monday, 6:00"."""
    parts = [gettext(CADENCES.get(code, code))]
    if code == "weekly":
        parts.append(weekday(day))
    elif code == "monthly":
        parts.append(gettext("day %(num)d") % {"num": day})
    return ", ".join([*parts, f"{hour}:00"])


def size(octets: int) -> str:
    """Size of a file."""
    if octets < 1 << 20:
        return f"{current().number(octets / 1024, 0)} KiB"
    return f"{current().number(octets / (1 << 20), 1)} {current().unit('MiB')}"


def chosen(filters: Filters) -> list[tuple[str, str]]:
    """The filters that are set, in the reader's words."""
    return Words(current().code).filters(filters)


class Words:
    """A language's way to write reports (``central.reports.wording.Wording``)."""

    def __init__(self, code: str) -> None:
        self._language: Language = language(code)
        self.tag = self._language.tag
        self._group = get_group_symbol(self._language.locale)
        self._point = get_decimal_symbol(self._language.locale)
        self.separator = ";" if self._point == "," else ","

    def title(self, report: str) -> str:
        return self._language.gettext(REPORTS[report][0])

    def heading(self, column: Column) -> str:
        """The words above a column, with the unit of its values."""
        unit = self._language.unit(column.unit) if column.unit else ""
        words = self._quantity(column.quantity) if column.quantity else self._word(COLUMNS, column.key)
        return f"{words} ({unit})" if unit else words

    def day(self, value: Any) -> str:
        return self._language.short_day(value)

    def number(self, value: Any, digits: int) -> str:
        """The same as ``Language.number``, many times faster: tables have many numbers."""
        text = f"{float(value):,.{digits}f}"
        if self._point != "." or self._group != ",":
            text = text.replace(",", "\0").replace(".", self._point).replace("\0", self._group)
        return text.replace("-", "\N{MINUS SIGN}")

    def text(self, column: Column, value: Any, zone: str) -> str:
        """A cell that is not empty."""
        if column.kind == Kind.NUMBER:
            return self.number(value, column.digits)
        if column.kind == Kind.INSTANT:
            return self._language.instant(value, zone_of(zone))
        if column.kind == Kind.SHARE:
            return self._language.percent(float(value), column.digits)
        if column.kind == Kind.TEXT:
            return str(value)
        return self._rarer(column, value, zone)

    def _rarer(self, column: Column, value: Any, zone: str) -> str:
        match column.kind:
            case Kind.DAY:
                return self._language.day(value, "short")
            case Kind.SECONDS:
                return self._language.duration(value)
            case Kind.POST:
                return self._language.gettext(POST_LABELS.get(value, str(value)))
            case Kind.MEASURED:
                return self._measured(Quantity.parse(value), with_units=bool(column.digits))
            case Kind.EVENT:
                return self._language.gettext(labels.EVENTS[value][0]) if value in labels.EVENTS else str(value)
            case Kind.FLAGS:
                return ", ".join(self._language.gettext(words) for flag, words in labels.FLAGS.items() if value & flag)
            case Kind.NOTES:
                return ", ".join(self._word(NOTES, code) for code in value)
            case Kind.BILLED:
                return self._language.gettext(N_("Closed by a reset") if value else N_("Running"))
            case Kind.DETAIL:
                activate(self._language.code)
                return detail(value["kind"], value["values"], zone_of(zone))
            case _:
                return str(value)

    def instant(self, at: int, zone: Any) -> str:
        return self._language.instant(at, zone)

    def about(self, asked: Asked, totals: Sequence[Total]) -> list[tuple[str, str]]:
        """What a report is about, for a heading: period, filters in words, figures over all."""
        say = self._language.gettext
        found = [(say(N_("Period")), self.period(asked))]
        found += [(name, text) for name, text in self.filters(asked.filters)]
        found += [(self._word(TOTALS, total.key), self.total(total)) for total in totals]
        return [*found, (say(N_("Made at")), self._language.instant(asked.scope.now, zone_of(asked.scope.zone)))]

    def period(self, asked: Asked) -> str:
        first, last = asked.period.first, asked.period.last
        if first == last:
            return self._language.day(first)
        whole = first.day == 1 and (date.fromordinal(last.toordinal() + 1)).day == 1 and first.month == last.month
        if whole:
            return self._language.month(first)
        return f"{self._language.day(first)} – {self._language.day(last)}"

    def total(self, total: Total) -> str:
        if total.share:
            return self._language.percent(None if total.value is None else float(total.value), 1)
        return self._language.number(total.value)

    def filters(self, filters: Filters) -> list[tuple[str, str]]:
        """The filters that are set, as (name, value)."""
        say = self._language.gettext
        lists = (
            (N_("Lot"), filters.lot), (N_("Gateway"), filters.gateway), (N_("Meter"), filters.meter),
            (N_("Group"), [str(group) for group in filters.group]),
        )  # fmt: skip
        texts = ((N_("Serial"), filters.serial), (N_("Customer"), filters.customer), (N_("Model"), filters.model))
        found = [(say(name), text) for name, text in texts if text]
        found += [(say(name), ", ".join(values)) for name, values in lists if values]
        if filters.kind:
            found.append((say(N_("Event")), say(labels.EVENTS[filters.kind][0])))
        if filters.missing:
            found.append((say(N_("Only")), say(N_("without a reading on the last day"))))
        if filters.side == "secondary":
            found.append((say(N_("Calculation")), say(SIDES["secondary"])))
        if filters.values == "counts":
            found.append((say(N_("Values")), say(VALUES["counts"])))
        return found

    def bound(self, rows: int) -> str:
        return self._language.gettext(N_("A PDF holds at most %(num)s rows.")) % {"num": self.number(rows, 0)}

    def _measured(self, quantity: Quantity, *, with_units: bool) -> str:
        name = self._language.gettext(quantity.label)
        units = (quantity.unit, quantity.with_process(Process.MAXIMUM_DEMAND).unit)
        return f"{name} ({', '.join(map(self._language.unit, units))})" if with_units and all(units) else name

    def _quantity(self, quantity: Quantity) -> str:
        say = self._language.gettext
        name = say(SHORT[quantity.c]) if quantity.c in SHORT else say(quantity.label)
        if quantity.d == Process.PROFILE:
            return name
        return f"{name} · {say(POST_LABELS.get(quantity.e, str(quantity.e)))}"

    def _word(self, known: dict[str, str], key: str) -> str:
        return self._language.gettext(known[key]) if key in known else key


#: Refusals of reports -> (what they look like, words). What is not here is shown as it was said.
_REFUSALS: Final = (
    (r"(\d+) meters are too many to sort by (\S+): narrow the filters to (\d+) or less,.*",
     N_("%(a)s meters are too many to sort by a value: narrow the filters to %(c)s or fewer, or sort by a registry"
        " column.")),
    (r"(\d+) days are over this report's limit of (\d+)", N_("%(a)s days are too long: this report takes %(b)s.")),
    (r"there is no (\w+) (.+)", N_("Not found: %(b)s")),
    (r"(\S+) is after 'to' (\S+)", N_("The first day, %(a)s, is after the last, %(b)s.")),
    (r"this report is about one meter: name one()", N_("Choose one meter: this report is about a single one.")),
    (r"(\d+) rows are more than the (\d+) of a (\w+);.*",
     N_("%(a)s rows are more than the %(b)s that a %(c)s holds: narrow the filters, or take CSV.")),
    (r"(\d+) columns do not fit a page; a PDF holds (\d+): hide some",
     N_("%(a)s columns do not fit a page, a PDF holds %(b)s: hide some.")),
    (r"whose report it is may not send reports any more()", N_("You may not send reports any more.")),
    (r"a month and from/to exclude each other()", N_("Give a month, or first and last day.")),
)  # fmt: skip


def refusal(message: str) -> str:
    """What a report refused, in the reader's words."""
    for pattern, words in _REFUSALS:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return gettext(words) % dict(zip("abc", found.groups(), strict=False))
    return message
