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
    "close_bill": N_("Demand reset"),
    "set_forward": N_("Change CCEE port"),
    "test_forward": N_("Try CCEE port now"),
}
SEVERITIES: Final = {
    "notice": (N_("Notice"), "azure"),
    "warning": (N_("Warning"), "yellow"),
    "serious": (N_("Serious"), "orange"),
    "critical": (N_("Critical"), "red"),
}
ALARM_STATES: Final = {
    "open": (N_("Open"), "red"),
    "acknowledged": (N_("Acknowledged"), "yellow"),
    "closed": (N_("Closed"), "secondary"),
}
#: What became of a day of a meter at which the CCEE is expected, the state of its forwarded port.
CCEE_DAYS: Final = {
    "complete": (N_("Complete"), "green"),
    "partial": (N_("Read in part"), "yellow"),
    "failed": (N_("Failed"), "red"),
    "unclear": (N_("Not known"), "secondary"),
    "none": (N_("Nobody came"), "red"),
    "unheard": (N_("Gateway has not told"), "secondary"),
    "pending": (N_("Window is running"), "azure"),
    "not_expected": (N_("Not expected"), "secondary"),
}
FORWARD_STATES: Final = {
    "listening": (N_("Waiting"), "green"),
    "waiting": (N_("Line is being freed"), "azure"),
    "connected": (N_("Connected"), "blue"),
    "testing": (N_("Self-test"), "azure"),
    "closed": (N_("Closed"), "secondary"),
    "failed": (N_("Failed"), "red"),
    "untold": (N_("Not told yet"), "secondary"),  # configured, or its gateway is silent
    "trouble": (N_("In trouble"), "red"),
}
FORWARD_MODES: Final = {
    "exclusive": N_("Port of its own"),
    "shared": N_("Shared line"),
    "self_test": N_("Self-test"),
}
CLOSE_REASONS: Final = {
    "client": N_("closed by the CCEE"),
    "meter": N_("closed by the meter"),
    "idle": N_("nothing passed for too long"),
    "total": N_("lasted too long"),
    "restart": N_("the gateway restarted"),
    "refused_line": N_("the meter's line did not open"),
    "preempted": N_("the CCEE took precedence"),
    "error": N_("an error in the gateway"),
    "stopped": N_("the port was closed"),
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
    "ccee_failure": (N_("CCEE reading failed"), "alert-triangle", "orange"),
    "ccee_repeated_failure": (N_("CCEE reading failed twice in a row"), "alert-triangle", "red"),
    "ccee_unknown_source": (N_("Unknown address at the CCEE port"), "alert-circle", "orange"),
    "forward_trouble": (N_("CCEE port in trouble"), "plug-connected-x", "red"),
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
#: Alarms a gateway lists in its state (``code: what it says itself``) -> (words, what to do, icon, colour). Where there
#: is nothing general to do, what the gateway says is shown.
ALARMS: Final = {
    "spool_full": (
        N_("The gateway's store is full: readings pause"),
        N_("What was not read stays in the meters. Restore the connection to the broker, free space on the gateway's"
           " disk, or raise spool.limit_bytes."),
        "database", "danger",
    ),
    "spool_pressure": (
        N_("The gateway's store is nearly full"),
        N_("Rows that have arrived here are dropped there before their time; nothing is lost."),
        "database", "warning",
    ),
    "config_trial": (
        N_("A new configuration is on trial"),
        N_("It stays if the gateway reaches the broker with it; else the previous one comes back by itself."),
        "hourglass", "info",
    ),
    "config_refused": (
        N_("A configuration was refused; the previous one stays in force"), "", "file-code", "warning",
    ),
    "uplink_refused": (
        N_("The broker refuses this gateway"),
        N_("Check the user, password and certificate of its uplink, and the broker's access rules."),
        "shield-lock", "danger",
    ),
    "uplink_unreachable": (
        N_("The gateway did not reach the broker"),
        N_("It goes on reading and delivers when it is back: nothing is lost meanwhile."),
        "wifi", "warning",
    ),
    "uplink_unconfirmed": (
        N_("The server confirms nothing that this gateway sends"),
        N_("Check that ingest runs, and that the broker's access rules let this gateway send and receive."),
        "hourglass", "warning",
    ),
    "uplink_rewound": (
        N_("The server went back to an earlier state"),
        N_("The gateway sends again what is missing here."),
        "history", "warning",
    ),
}  # fmt: skip
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


def alarm(text: str) -> tuple[str, str, str, str]:
    """Return (words, what to do, icon, colour) of a gateway's alarm; one not known is shown as it came."""
    code, _, said = text.partition(": ")
    known = ALARMS.get(code)
    if known is None:
        return text, "", "alert-triangle", "danger"
    words, advice, icon, colour = known
    return gettext(words), gettext(advice) if advice else said, icon, colour


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
