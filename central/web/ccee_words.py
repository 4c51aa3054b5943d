"""Words and colours of what the CCEE does at a meter: verdicts, days, exchanges.

A *tone* is the colour class of charts: good, note, warn, bad, unclear, none.
"""

from typing import Final

from central.alarms.severity import Severity
from central.ccee.days import DayStatus
from central.ccee.verdicts import Outcome, verdict
from central.web import labels
from central.web.i18n import N_, gettext

#: Tone -> Tabler colour of badges.
COLOURS: Final = {
    "good": "green", "note": "yellow", "warn": "orange", "bad": "red", "unclear": "secondary", "none": "red",
}  # fmt: skip
#: What is to be said of a day -> tone; its words are ``labels.CCEE_DAYS``.
DAY_TONES: Final = {
    DayStatus.COMPLETE: "good",
    DayStatus.PARTIAL: "note",
    DayStatus.FAILED: "bad",
    DayStatus.NONE: "none",
}
PROTOCOLS: Final = {"abnt": "NBR 14522", "dlms": "DLMS/COSEM", "modbus": "Modbus", "iec62056-21": "IEC 62056-21"}
#: How one exchange ended -> (words, tone).
RESULTS: Final = {
    "ok": (N_("OK"), "good"),
    "partial": (N_("Not whole"), "warn"),
    "unsupported": (N_("Not supported"), "warn"),
    "opaque": (N_("In cipher"), "unclear"),
    "denied": (N_("Access denied"), "bad"),
    "refused": (N_("Refused by the meter"), "warn"),
    "broken": (N_("Damaged"), "bad"),
    "silent": (N_("No answer"), "bad"),
    "unanswered": (N_("No answer due"), "unclear"),
}
#: What an exchange is about.
KINDS: Final = {
    "access": N_("Sign-on"),
    "parameters": N_("Parameters"),
    "registers": N_("Registers"),
    "memory": N_("Load profile"),
    "audit": N_("Audit data"),
    "clock": N_("Clock"),
    "write": N_("Write"),
    "other": N_("Other"),
}
#: Details of an exchange that say something to an operator.
DETAILS: Final = {
    "repeats": N_("Repeated"),
    "repeated": N_("Blocks repeated"),
    "blocks": N_("Blocks"),
    "expected_blocks": N_("Blocks expected"),
    "meaning": N_("Meter says"),
    "refusal": N_("Code"),
    "clock": N_("Clock"),
    "interrupted": N_("Interrupted"),
    "broken": N_("Damaged frames"),
}
#: What a meter said of itself, without the number behind its dot.
FACTS: Final = {
    "connection": N_("Kind of connection"),
    "constant": N_("Constant of channel %(number)s"),
    "demand_minutes": N_("Demand interval (min)"),
    "firmware": N_("Firmware"),
    "ident": N_("Identification"),
    "model": N_("Model"),
    "profile_step": N_("Profile interval (s)"),
    "pulse_constant": N_("Pulse constant"),
    "quantity": N_("Quantity of channel %(number)s"),
    "ratios": N_("Transformers' ratios"),
}
#: Questions of NBR 14522 that read, as gateways name them.
QUESTIONS: Final = frozenset({
    N_("open session with password token"), N_("ask for the password seed"), N_("instantaneous quantities"),
    N_("header of a quantities profile"), N_("records of a quantities profile"), N_("parameters, running period"),
    N_("parameters, closed period"), N_("registers of visible channels, running period"),
    N_("registers of visible channels, closed period"), N_("power outages"), N_("profile, running period"),
    N_("profile, closed period"), N_("change log"), N_("partial registers of channel 1, closed period"),
    N_("partial registers of channel 2, closed period"), N_("partial registers of channel 3, closed period"),
    N_("partial registers of channel 1, running period"), N_("partial registers of channel 2, running period"),
    N_("partial registers of channel 3, running period"), N_("parameters for whole or partial profile"),
    N_("profile, all or partial"), N_("connection record"), N_("measurement parameters"),
    N_("loss compensation parameters"),
})  # fmt: skip


def title(code: str) -> str:
    """Short name of a verdict; an unknown code is shown as it came."""
    found = verdict(code)
    return gettext(found.title) if found.title else code


def sentence(code: str) -> str:
    """What a verdict means, in one sentence."""
    found = verdict(code)
    return gettext(found.sentence) if found.sentence else ""


def advice(code: str) -> str:
    """What to do next after a verdict; "" for nothing."""
    found = verdict(code)
    return gettext(found.advice) if found.advice else ""


def tone(code: str, outcome: str) -> str:
    """Tone of a connection: good as such, good with something to look at, failed, failed gravely, unclear."""
    severity = verdict(code).severity
    if outcome == Outcome.OK:
        return "good" if severity is None else "note"
    if outcome == Outcome.UNCLEAR:
        return "unclear"
    return "bad" if severity is None or severity >= Severity.SERIOUS else "warn"


def tone_of(code: str) -> str:
    """Tone of a verdict as such."""
    return tone(code, verdict(code).outcome)


def colour(name: str) -> str:
    """Tabler colour of a tone."""
    return COLOURS.get(name, "secondary")


def day(status: DayStatus) -> tuple[str, str]:
    """Return (translated words, tone) of a day."""
    return labels.state(labels.CCEE_DAYS, status)[0], DAY_TONES.get(status, "unclear")


def result(code: str) -> tuple[str, str]:
    """Return (translated words, tone) of an exchange's result; an unknown one is shown as it came."""
    words, name = RESULTS.get(code, (code, "unclear"))
    return gettext(words), name


def fact(name: str) -> str:
    """What a meter said of itself is called; an unknown name is shown as it came."""
    about, _, number = name.partition(".")
    return gettext(FACTS[about]) % {"number": number} if about in FACTS else name


def question(name: str) -> str:
    """Name of a question; an unknown one is shown as it came."""
    return gettext(name) if name in QUESTIONS else name


def protocol(code: str) -> str:
    """Name of a protocol as its standard writes it."""
    return PROTOCOLS.get(code, code)
