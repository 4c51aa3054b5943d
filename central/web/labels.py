"""Words on the screen for what travels as a code: states, events, commands, quality flags, quantities, posts."""

from typing import Final

from central.web.i18n import N_, gettext
from shared.quality import Quality
from shared.quantities import POST_LABELS, PROCESS_LABELS, Quantity

#: Code -> (words, Tabler colour). A meter's state as its gateway sees it; ``unknown`` when no gateway told one.
METER_STATES: Final = {
    "ok": (N_("OK"), "green"),
    "stale": (N_("Late"), "yellow"),
    "unreachable": (N_("Unreachable"), "red"),
    "wrong_serial": (N_("Wrong serial"), "red"),
    "unreconciled": (N_("Not reconciled"), "orange"),
    "new": (N_("New"), "azure"),
    "unknown": (N_("No contact yet"), "secondary"),
    "offline": (N_("Gateway offline"), "secondary"),
}
LINE_STATES: Final = {
    "idle": (N_("Idle"), "secondary"),
    "busy": (N_("Reading"), "blue"),
    "connecting": (N_("Connecting"), "azure"),
    "backing_off": (N_("Waiting to retry"), "orange"),
    "disabled": (N_("Disabled"), "secondary"),
}
GATEWAY_STATES: Final = {
    "online": (N_("Online"), "green"),
    "offline": (N_("Offline"), "red"),
    "never": (N_("Never seen"), "secondary"),
}
COMMAND_STATES: Final = {
    "queued": (N_("Queued"), "secondary"),
    "sent": (N_("Sent"), "blue"),
    "done": (N_("Done"), "green"),
    "failed": (N_("Failed"), "red"),
    "expired": (N_("Expired"), "orange"),
}
COMMANDS: Final = {
    "read_now": N_("Read now"),
    "read_range": N_("Re-read profile"),
    "set_clock": N_("Set clock"),
    "apply_config": N_("Apply configuration"),
    "close_bill": N_("Close bill"),
}
#: Kind of event -> (words, icon, Tabler colour).
EVENTS: Final = {
    "outage": (N_("Supply outage"), "plug-connected-x", "red"),
    "clock_set": (N_("Clock set"), "clock", "azure"),
    "clock_drift": (N_("Clock drifting"), "clock", "yellow"),
    "demand_reset": (N_("Demand reset"), "refresh", "purple"),
    "battery": (N_("Battery"), "alert-triangle", "orange"),
    "occurrence": (N_("Meter occurrence"), "alert-circle", "orange"),
    "change": (N_("Parameter changed"), "tag", "azure"),
    "wrong_serial": (N_("Wrong serial answered"), "alert-triangle", "red"),
    "unreconciled": (N_("Profile does not agree with registers"), "alert-triangle", "orange"),
    "reconciled": (N_("Profile agrees with registers"), "circle-check", "green"),
    "meter_unreachable": (N_("Meter unreachable"), "plug-connected-x", "red"),
    "meter_back": (N_("Meter back"), "plug-connected", "green"),
    "profile_lost": (N_("Profile lost in the meter"), "alert-triangle", "red"),
    "spool_pressure": (N_("Gateway disk nearly full"), "database", "red"),
    "spool_damaged": (N_("Gateway spool damaged"), "database", "red"),
    "clock_jump": (N_("Gateway clock jumped"), "clock", "orange"),
}
FLAGS: Final = {
    Quality.MISSING: N_("Missing"),
    Quality.OUTAGE: N_("Outage"),
    Quality.CLOCK_ADJUSTED: N_("Clock adjusted"),
    Quality.ESTIMATED: N_("Estimated"),
    Quality.MANUAL: N_("Manual"),
    Quality.EDITED: N_("Edited"),
    Quality.OVERFLOW: N_("Overflow"),
    Quality.RECONSTRUCTED: N_("Reconstructed"),
    Quality.UNRECONCILED: N_("Not reconciled"),
}
#: Alarms a gateway lists in its state, by their first word.
ALARMS: Final = {
    "disk_full": N_("Disk full: the oldest acknowledged data are being dropped"),
    "spool_pressure": N_("Disk nearly full"),
    "spool_damaged": N_("The spool file was damaged and has been replaced"),
    "clock_jump": N_("The clock jumped"),
    "broker_unreachable": N_("The broker is out of reach"),
}
#: What a person may ask a meter for.
READ_KINDS: Final = {
    "registers": N_("Registers"),
    "profile": N_("Load profile"),
    "instantaneous": N_("Instantaneous values"),
    "events": N_("Events"),
}
PROGRESS: Final = {**READ_KINDS, "clock": N_("Clock"), "identify": N_("Identification")}


def state(known: dict[str, tuple[str, str]], code: str) -> tuple[str, str]:
    """Return (translated words, colour) of a state; an unknown code is shown as it came."""
    words, colour = known.get(code, (code, "secondary"))
    return gettext(words), colour


def event(kind: str) -> tuple[str, str, str]:
    """Return (translated words, icon, colour) of a kind of event."""
    words, icon, colour = EVENTS.get(kind, (kind.replace("_", " "), "info-circle", "secondary"))
    return gettext(words), icon, colour


def alarm(text: str) -> str:
    """Translate a gateway's alarm ``code`` or ``code: details``; one not known is shown as it came."""
    code, colon, details = text.partition(":")
    return gettext(ALARMS[code]) + colon + details if code in ALARMS else text


def word(known: dict[str, str], code: str) -> str:
    """Translate one of a table's words; an unknown code is shown as it came."""
    return gettext(known[code]) if code in known else code


def post(number: int) -> str:
    return gettext(POST_LABELS.get(number, str(number)))


def process(number: int) -> str:
    return gettext(PROCESS_LABELS.get(number, str(number)))


def quantity(code: str) -> str:
    """Translate the label of an OBIS code C.D.E, without process and post."""
    return gettext(Quantity.parse(code).label)
