"""Words for permissions, built-in roles, and what the audit log tells."""

from typing import Final
from zoneinfo import ZoneInfo

from central.web import registry_words
from central.web.i18n import N_, current, gettext

#: Permission -> (name, what it allows).
PERMISSIONS: Final = {
    "read": (N_("See"), N_("Meters, readings, customers, alarms; make reports")),
    "registry": (N_("Registry"), N_("Enter, change, delete and import customers, points, meters, modules, gateways")),
    "billing": (N_("Billing calendar"), N_("Lots, holidays, daylight saving, tariffs")),
    "command": (N_("Commands"), N_("Read now, read again, set clocks, try ports")),
    "control": (N_("Control"), N_("Demand reset, configuration of gateways, ports for the CCEE")),
    "enrolment": (N_("Enrolment"), N_("Make one-time codes for gateways, approve their certificates")),
    "alarms": (N_("Alarms"), N_("Acknowledge alarms")),
    "mail": (N_("Send reports"), N_("Reports by e-mail, and regular ones")),
    "settings": (N_("Settings"), N_("Who is told of alarms, webhooks")),
    "accounts": (N_("Accounts"), N_("Users, roles, other people's keys and sessions")),
    "audit": (N_("Audit log"), N_("Search the audit log")),
}
ROLES: Final = {
    "administrator": N_("Administrator"),
    "operator": N_("Operator"),
    "billing": N_("Billing"),
    "field": N_("Field service"),
    "viewer": N_("Viewer"),
}
#: Action -> (words, Tabler colour).
ACTIONS: Final = {
    "created": (N_("created"), "green"),
    "changed": (N_("changed"), "blue"),
    "deleted": (N_("deleted"), "red"),
    "imported": (N_("imported"), "azure"),
    "logged-in": (N_("logged in"), "green"),
    "logged-out": (N_("logged out"), "secondary"),
    "refused": (N_("login refused"), "red"),
    "password-changed": (N_("password changed"), "blue"),
    "password-reset": (N_("password reset"), "orange"),
    "recovery-renewed": (N_("recovery codes renewed"), "blue"),
    "unlocked": (N_("unlocked"), "azure"),
    "granted": (N_("role given"), "orange"),
    "withdrawn": (N_("role taken"), "orange"),
    "linked": (N_("linked to the identity provider"), "azure"),
    "session-ended": (N_("session ended"), "secondary"),
    "sessions-ended": (N_("sessions ended"), "secondary"),
    "revoked": (N_("revoked"), "red"),
    "ordered": (N_("ordered"), "orange"),
    "cancelled": (N_("taken back"), "secondary"),
    "acknowledged": (N_("acknowledged"), "azure"),
    "asked": (N_("asked for a certificate"), "azure"),
    "approved": (N_("approved"), "green"),
    "declined": (N_("turned down"), "red"),
    "issued": (N_("certificate issued"), "green"),
    "tried": (N_("wrong code"), "red"),
    "locked": (N_("locked"), "red"),
    "secret-changed": (N_("secret changed"), "orange"),
    "seed": (N_("test data made"), "secondary"),
}
KINDS: Final = {
    "user": N_("User"),
    "role": N_("Role"),
    "api_key": N_("API key"),
    "command": N_("Command"),
    "alarm": N_("Alarm"),
    "alarm_subscription": N_("Who is told"),
    "ccee_meter": N_("CCEE expectation"),
    "customer": N_("Customer"),
    "customer_group": N_("Customer group"),
    "metering_point": N_("Metering point"),
    "meter": N_("Meter"),
    "meter_model": N_("Meter model"),
    "gateway": N_("Gateway"),
    "communication_module": N_("Communication module"),
    "installation": N_("Installation"),
    "lot": N_("Lot"),
    "holiday": N_("Holiday"),
    "holiday_group": N_("Holiday group"),
    "daylight_saving": N_("Daylight saving"),
    "tariff": N_("Tariff"),
    "webhook": N_("Webhook"),
    "enrolment": N_("Enrolment"),
    "saved_view": N_("Saved view"),
    "report_schedule": N_("Report schedule"),
    "report_job": N_("Report"),
    "supply": N_("Supply"),
    "tenant": N_("Utility"),
}
#: Fields of an entry's before and after; others are shown as the tables call them.
FIELDS: Final = {
    "name": N_("Name"),
    "email": N_("E-mail"),
    "permissions": N_("Permissions"),
    "role": N_("Role"),
    "where": N_("Where"),
    "grants": N_("Roles"),
    "has_password": N_("Password"),
    "second_factor": N_("Second factor"),
    "disabled": N_("Shut out"),
    "failures": N_("Failed tries in a row"),
    "user": N_("User"),
    "address": N_("Network address"),
    "agent": N_("Browser"),
    "provider": N_("Identity provider"),
    "gateway": N_("Gateway"),
    "order": N_("Order"),
    "note": N_("Note"),
    "target": N_("Address"),
    "serial": N_("Serial"),
    "fingerprint": N_("Fingerprint"),
    "code": N_("Code"),
    "reason": N_("Reason"),
    "report": N_("Report"),
    "format": N_("Format"),
    "recipients": N_("Send to"),
    "enabled": N_("Switched on"),
    "bases": N_("First numbers"),
    "parameters": N_("Parameters"),
}


def role(key: str, name: str) -> str:
    """What a role is called: its own name, the translated one of a built-in role, else its key."""
    return name or (gettext(ROLES[key]) if key in ROLES else key)


def action(code: str) -> tuple[str, str]:
    """Return (words, colour) of an action; an unknown one is shown as it came."""
    words, colour = ACTIONS.get(code) or registry_words.ACTIONS.get(code, (code.replace("-", " "), "secondary"))
    return gettext(words), colour


def kind(code: str) -> str:
    return gettext(KINDS[code]) if code in KINDS else code.replace("_", " ")


def field(code: str) -> str:
    """What a field of an entry is called."""
    return gettext(FIELDS[code]) if code in FIELDS else registry_words.label("", code).replace("_", " ")


def value(code: str, text: str, zone: ZoneInfo) -> str:
    """A value of an entry for people: yes and no, instants, names of roles and permissions."""
    match code, text:
        case _, _ if code.endswith("_at") and text.isascii() and text.isdigit():
            return current().instant(int(text), zone)
        case _, "true":
            return gettext("yes")
        case _, "false":
            return gettext("no")
        case "where", "everywhere":
            return gettext("in the whole utility")
        case (("role" | "grants"), _):
            return role(text, "")
        case "permissions", _:
            return ", ".join(permission(each) for each in text.split(", "))
        case _, ("" | "null"):
            return "–"
        case _:
            return text


def permission(code: str) -> str:
    return gettext(PERMISSIONS[code][0]) if code in PERMISSIONS else code


def allows(code: str) -> str:
    """What a permission allows."""
    return gettext(PERMISSIONS[code][1]) if code in PERMISSIONS else ""
