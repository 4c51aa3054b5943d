"""What can be permitted, and the roles every utility begins with."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final


class Permission(StrEnum):
    """A kind of action. Where it may be done is the grant's business (``central.accounts.reach``)."""

    READ = "read"  # see what is registered and measured, make reports
    REGISTRY = "registry"  # enter, change, delete and import customers, points, meters, modules, gateways, groups
    BILLING = "billing"  # lots, holidays, daylight saving, tariffs
    COMMAND = "command"  # read now, read again, set the clock, try a port
    CONTROL = "control"  # what has consequences: demand reset, configuration of gateways, ports for the CCEE
    ENROLMENT = "enrolment"  # one-time codes for gateways, approval of their certificates
    ALARMS = "alarms"  # acknowledge alarms
    MAIL = "mail"  # send reports to addresses, have them made regularly
    SETTINGS = "settings"  # who is told, webhooks
    ACCOUNTS = "accounts"  # users, roles, other people's keys and sessions
    AUDIT = "audit"  # search the audit log


ALL: Final = frozenset(Permission)

#: What changes nothing.
READING: Final = frozenset({Permission.READ, Permission.AUDIT})

#: About what belongs to the tenant as a whole: held only in a group or at a gateway, it counts for nothing.
TENANT_WIDE: Final = frozenset({Permission.BILLING, Permission.SETTINGS, Permission.ACCOUNTS, Permission.AUDIT})

#: Roles made with each tenant: their permissions may be edited, they cannot be deleted.
BUILTIN: Final[dict[str, frozenset[Permission]]] = {
    "administrator": ALL,
    "operator": frozenset({
        Permission.READ, Permission.REGISTRY, Permission.COMMAND, Permission.ALARMS, Permission.MAIL,
    }),
    "billing": frozenset({Permission.READ, Permission.BILLING, Permission.MAIL}),
    "field": frozenset({Permission.READ, Permission.COMMAND, Permission.ENROLMENT, Permission.ALARMS}),
    "viewer": frozenset({Permission.READ}),
}  # fmt: skip


def may(permission: Permission) -> dict[str, Any]:
    """A handler's ``opt``: what it needs (``central.accounts.guards``)."""
    return {"may": permission}


#: A handler's ``opt``: about nothing but the person who asks.
OWN: Final[dict[str, Any]] = {"own": True}
#: The same, and only through a browser.
PERSON: Final[dict[str, Any]] = {"own": True, "person": True}


def parse(text: str) -> frozenset[Permission]:
    """Permissions of a stored list of words; words of a later version are left out."""
    named = text.split()
    return frozenset(each for each in Permission if each in named)


def words(permissions: Iterable[Permission]) -> str:
    """The stored form: words in the order of the enumeration."""
    wanted = set(permissions)
    return " ".join(each for each in Permission if each in wanted)
