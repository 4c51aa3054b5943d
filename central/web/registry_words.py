"""The registry's words: kinds, fields, what can be wrong, and the headings by which sheets are understood."""

from functools import cache
from typing import Any, Final

from central.registry import combined, faults
from central.registry.faults import Fault
from central.registry.imports import REASON, columns_of, normal
from central.registry.kinds import BY_NAME, Kind
from central.web.i18n import LANGUAGES, N_, current, gettext, language

#: Name of a kind -> one, several, icon, what it is for.
KINDS: Final[dict[str, tuple[str, str, str, str]]] = {
    "gateway": (N_("Gateway"), N_("Gateways"), "router", N_("Reads the meters of a place and sends what it reads.")),
    "group": (N_("Customer group"), N_("Customer groups"), "sitemap", N_("Customers and other groups, in a tree.")),
    "customer": (N_("Customer"), N_("Customers"), "users", N_("Who is supplied and billed.")),
    "point": (N_("Metering point"), N_("Metering points"), "map-pin", N_("The place where energy is measured.")),
    "meter": (N_("Meter"), N_("Meters"), "gauge", N_("The device, its constants, calendar and rules.")),
    "module": (N_("Communication module"), N_("Communication modules"), "antenna", N_("How meters are reached.")),
    "model": (N_("Meter model"), N_("Meter models"), "cpu", N_("Makes of meters and their protocols.")),
    "status": (N_("Installation status"), N_("Installation statuses"), "list-check",
               N_("How far the work at a metering point is.")),
    "activity": (N_("Activity"), N_("Activities"), "activity", N_("What a customer does.")),
    "commercial_activity": (N_("Commercial activity"), N_("Commercial activities"), "building",
                            N_("Official codes of what is traded or made.")),
    "activity_class": (N_("Activity class"), N_("Activity classes"), "tag",
                       N_("Residential, commercial, rural, public lighting …")),
    "opening_hours": (N_("Opening hours"), N_("Opening hours"), "clock", N_("When a customer is at work.")),
    "lot": (N_("Lot"), N_("Lots"), "calendar-month", N_("Customers billed together, and when they are read.")),
    "holiday": (N_("Holiday"), N_("Holidays"), "calendar-event", N_("Days on which other posts are in force.")),
    "holiday_group": (N_("Holiday group"), N_("Holiday groups"), "calendar-stats",
                      N_("The holidays of a city or state.")),
    "daylight_saving": (N_("Daylight saving"), N_("Daylight saving rules"), "sun",
                        N_("When posts are moved by an hour.")),
    "tariff": (N_("Tariff configuration"), N_("Tariff configurations"), "percentage",
               N_("Which post is in force when.")),
}  # fmt: skip
GROUPS: Final = {
    "business": N_("Business"), "additional": N_("Additional"), "billing": N_("Billing and tariffs"),
}  # fmt: skip
SECTIONS: Final = {
    "": "", "place": N_("Place"), "contact": N_("Contact"), "activity": N_("Activity"),
    "measuring": N_("Measuring and tariff"),
}  # fmt: skip

_FIELDS: Final = {
    "key": N_("Key"), "name": N_("Name"), "place": N_("Place"), "latitude": N_("Latitude"),
    "longitude": N_("Longitude"), "parent": N_("Inside the group"), "group": N_("Customer group"), "lot": N_("Lot"),
    "contract": N_("Contract"), "document": N_("Tax number"), "email": N_("E-mail"), "phone": N_("Telephone"),
    "activity": N_("Activity"), "commercial_activity": N_("Commercial activity"),
    "activity_class": N_("Activity class"), "opening_hours": N_("Opening hours"), "customer": N_("Customer"),
    "status": N_("Installation status"), "starts_on": N_("First day"), "ends_on": N_("Last day"),
    "address": N_("Address"), "serial": N_("Serial"), "model": N_("Model"), "gateway": N_("Gateway"),
    "monitored": N_("Monitoring"), "can_cut": N_("Cut and reconnection allowed"), "multiplier": N_("Multiplier"),
    "zone": N_("Time zone"), "tariff": N_("Tariff configuration"), "holiday_group": N_("Holiday group"),
    "daylight_saving": N_("Daylight saving"), "calendar": N_("Tariff calendar"), "maker": N_("Maker"),
    "protocol": N_("Protocol"), "resource": N_("Resource"), "hours": N_("Hours"), "reading_day": N_("Reading day"),
    "dates": N_("Reading calendar"), "month": N_("Month"), "day": N_("Day"), "year": N_("Year"),
    "holidays": N_("Holidays"), "policy": N_("What is moved"), "periods": N_("Periods"), "id": N_("Number"),
    "starts_at": N_("From"), "ends_at": N_("Until"), "reason": N_("Reason"), "point": N_("Metering point"),
    "module": N_("Communication module"), "meter": N_("Meter"), "file": N_("File"),
    "customer_name": N_("Customer's name"), "point_name": N_("Metering point's name"),
    "module_name": N_("Module's name"), "module_address": N_("Module's address"), "since": N_("Installed since"),
}  # fmt: skip
#: Where a kind calls its key or field otherwise.
_OWN: Final = {
    ("customer", "key"): N_("External key"), ("meter", "key"): N_("Identification"),
    ("gateway", "key"): N_("Identification"), ("module", "key"): N_("Identification"),
    ("module", "address"): N_("Number or address"), ("tariff", "calendar"): N_("Posts by hour"),
    ("meter", "calendar"): N_("Calendar of its own"), ("daylight_saving", "periods"): N_("Periods"),
}  # fmt: skip
HINTS: Final = {
    ("gateway", "key"): N_("Its id on the wire, as its configuration has it."),
    ("meter", "key"): N_("Its id on the wire, as the gateway's configuration has it."),
    ("module", "key"): N_("Its id in telemetry."),
    ("meter", "multiplier"): N_("Ratio of the transformers, where the meter's constant has it not: 350 or 350/1."),
    ("meter", "zone"): N_("Empty: that of the utility."),
    ("meter", "monitored"): N_("Off: no alarms of it, and it does not count."),
    ("meter", "calendar"): N_("Only for a meter that goes by none of the tariff configurations."),
    ("meter", "ends_on"): N_("A meter that has readings is ended, never deleted."),
    ("lot", "reading_day"): N_("Of all months that have no day of their own below; 31 is the last day."),
    ("holiday", "year"): N_("Empty: every year."),
    ("holiday_group", "holidays"): N_("The days that hold for meters of this group, besides those of the tariff."),
    ("daylight_saving", "periods"): N_("From the first day on until the day before the last, in legal time."),
    ("customer", "lot"): N_("Says when the customer is read and billed."),
    ("point", "customer"): N_("A change ends the supply of the customer before; history stays."),
}  # fmt: skip
CHOICES: Final = {
    "shift_clock": N_("Posts follow legal time"),
    "shift_post": N_("The meter stays on standard time: posts come later"),
}  # fmt: skip
ACTIONS: Final = {
    "created": (N_("Entered"), "green"), "changed": (N_("Changed"), "blue"), "deleted": (N_("Deleted"), "red"),
    "installed": (N_("Installed"), "green"), "ended": (N_("Ended"), "yellow"), "supplied": (N_("Supplied"), "green"),
    "corrected": (N_("Corrected"), "blue"), "withdrawn": (N_("Taken back"), "red"),
    "imported": (N_("Imported"), "blue"),
}  # fmt: skip
STATUSES: Final = {
    "new": (N_("New"), "green"), "changed": (N_("Changed"), "blue"), "same": (N_("As it is"), "secondary"),
    "refused": (N_("Refused"), "red"),
}  # fmt: skip
#: Tables of what hangs on a thing.
TABLES: Final = {
    "meter": N_("meters"), "metering_point": N_("metering points"), "customer": N_("customers"),
    "customer_group": N_("subgroups"), "communication_module": N_("communication modules"),
    "installation": N_("installations"), "supply": N_("supplies"), "register_set": N_("register readings"),
    "profile_series": N_("load profiles"), "profile_version": N_("versions of load profile"),
    "meter_month": N_("months"),
    "meter_event": N_("events"), "snapshot": N_("instantaneous values"), "alarm": N_("alarms"), "stream": N_("streams"),
    "gateway_live": N_("states told by it"), "gateway_health": N_("health values"),
    "module_health": N_("health values"), "fleet_command": N_("commands"), "role_grant": N_("rights of users"),
    "holiday_member": N_("holiday groups"), "ccee_connection": N_("connections of the CCEE"),
    "ccee_meter": N_("settings for the CCEE"), "ccee_capture": N_("recordings of the CCEE"),
}  # fmt: skip
#: The sentences of ``central.registry.faults``, for the catalogues.
_FAULTS: Final = frozenset({
    N_("has to be text of at most %(longest)s characters"),
    N_("%(value)s has blanks around it or characters that cannot be printed"),
    N_("%(value)s is not usable: 1 to 48 of letters, digits, '_', '.' and '-', a letter or digit first"),
    N_("has to be a whole number %(low)s to %(high)s"),
    N_("has to be a number"),
    N_("%(value)s is outside %(low)s to %(high)s"),
    N_("has to be true or false"),
    N_("has to be yes or no"),
    N_("%(value)s is no day: write 2026-03-31"),
    N_("%(value)s is not one of %(known)s"),
    N_("%(value)s is no time zone such as 'America/Sao_Paulo'"),
    N_("%(value)s is no ratio: write 350 or 350/1"),
    N_("%(value)s is no e-mail address"),
    N_("%(value)s is no opening hours: seven days from Monday, each a list of times such as 08:00-18:00 in order"),
    N_("%(value)s is no daylight saving: pairs of days such as 2026-11-01..2027-02-21, in order, not overlapping"),
    N_("%(value)s is no reading calendar: write the month and its day, such as 2026-04: 2026-04-28"),
    N_("the day of %(month)s has to come after that of the month before it"),
    N_("the day of %(month)s is more than 45 days away from that month"),
    N_("is no tariff calendar: %(reason)s"),
    N_("is needed"),
    N_("there is no %(kind)s %(key)s: enter it first, or correct the name"),
    N_("stands in row %(row)s already: leave one of them out"),
    N_("%(key)s exists where you may not change it"),
    N_("there is a %(kind)s %(key)s already"),
    N_("a group cannot be inside itself"),
    N_("a group's name cannot hold ' / ', which joins paths"),
    N_("ends before it starts"),
    N_("month %(month)s has no day %(day)s"),
    N_("%(value)s is no holiday: write the days as the list of holidays does, such as 12-25 Christmas"),
    N_("is no column of this list"),
    N_("is no column of this list; did you mean %(near)s?"),
    N_("is there twice: leave one of them out"),
    N_("the column is missing: without it nobody knows which row is which"),
    N_("would lie outside what you may change: choose a group or gateway that is yours"),
    N_("%(meter)s sits elsewhere until %(until)s: correct that first"),
})  # fmt: skip


def one(kind: Kind) -> str:
    """What a thing of a kind is called."""
    return gettext(KINDS[kind.name][0])


def many(kind: Kind) -> str:
    return gettext(KINDS[kind.name][1])


def picture(kind: Kind) -> str:
    """The kind's icon."""
    return KINDS[kind.name][2]


def purpose(kind: Kind) -> str:
    return gettext(KINDS[kind.name][3])


def label(kind: str, name: str) -> str:
    """What a field is called."""
    words = _OWN.get((kind, name)) or _FIELDS.get(name)
    return gettext(words) if words else name


def hint(kind: str, name: str) -> str:
    """What to know before filling in a field; ``""``: it speaks for itself."""
    words = HINTS.get((kind, name))
    return gettext(words) if words else ""


def fault(found: Fault) -> str:
    """What is wrong, in the reader's language."""
    values = dict(found.values)
    if "kind" in values:
        name = next((kind.name for kind in BY_NAME.values() if kind.label == values["kind"]), "")
        values["kind"] = gettext(KINDS[name][0]).lower() if name else values["kind"]
    words = gettext(found.words)
    return words % values if values else words


def choice(name: str) -> str:
    """One of a few values."""
    return gettext(CHOICES[name]) if name in CHOICES else name


def table(name: str) -> str:
    """What hangs on a thing."""
    return gettext(TABLES[name]) if name in TABLES else name.replace("_", " ")


def columns(kind: str) -> list[str]:
    """Columns of a kind's sheets."""
    return [*combined.COLUMNS, combined.SINCE] if kind == combined.NAME else columns_of(BY_NAME[kind])


def header(kind: str) -> list[str]:
    """Headings of a sheet in the reader's language; two that would be the same are told apart by the field's name."""
    words = [label(kind, name) for name in columns(kind)]
    return [
        word if words.count(word) == 1 else f"{word} ({name})" for word, name in zip(words, columns(kind), strict=True)
    ]


@cache
def headings(kind: str) -> dict[str, str]:
    """Normal form of every heading that is understood -> its column: names of fields, and labels in each language."""
    found: dict[str, str] = {}
    for code in LANGUAGES:
        found[normal(language(code).gettext(_FIELDS["reason"]))] = REASON
        for name in columns(kind):
            words = _OWN.get((kind, name)) or _FIELDS.get(name, name)
            for text in (language(code).gettext(words), words):
                found.setdefault(normal(text), name)
                found.setdefault(normal(f"{text} ({name})"), name)
    found |= {normal(name): name for name in columns(kind)}
    if kind == "customer":
        found["external key"] = "key"
    found[REASON] = REASON
    return found


def says(value: Any) -> str:
    """A value of a change, as people read it."""
    if value is None or value == "" or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, dict) and set(value) == {"num", "den"}:
        return f"{value['num']}/{value['den']}" if value["den"] != 1 else str(value["num"])
    text = str(value)
    return text if len(text) <= 300 else text[:300] + "…"


def translated() -> frozenset[str]:
    """Sentences about faults that the catalogues have."""
    return _FAULTS


def all_faults() -> frozenset[str]:
    """Sentences about faults that there are."""
    return frozenset(value for name, value in vars(faults).items() if name.isupper() and isinstance(value, str))


def here() -> str:
    """Delimiter that spreadsheets in the reader's language expect."""
    return "," if current().code == "en" else ";"


def taken() -> str:
    """That there is one of this name already."""
    return faults.TAKEN
