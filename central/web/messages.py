"""Refusals of services in the reader's language. What is not known here is shown as the service put it."""

from central.accounts.errors import (
    AccountConflict,
    AccountError,
    BeyondOwnRights,
    CodeRefused,
    LastAdministrator,
    LoginOver,
    LoginRefused,
    LoginThrottled,
    PasswordRefused,
    ProviderRefused,
    RoleInUse,
    RoleStays,
    SetupRefused,
)
from central.accounts.passwords import MAX_LENGTH, MIN_LENGTH
from central.errors import CentralError, Conflict, NotFound, OutOfReach, Refused
from central.web.i18n import gettext


def account_problem(error: AccountError) -> str:
    """Say why somebody may not come in, or a password cannot be taken."""
    match error:
        case LoginThrottled():
            return gettext("Too many failed attempts. Try again in %(seconds)s s.") % {"seconds": error.retry_after}
        case LoginRefused():
            return gettext("Login name or password is wrong.")
        case CodeRefused():
            return gettext("The code is wrong, or it was used already. Wait for the next one.")
        case LoginOver():
            return gettext("This login took too long. Begin again.")
        case ProviderRefused():
            return gettext("The identity provider's answer was not accepted; the server's log says why.")
        case BeyondOwnRights():
            return gettext("You cannot give, or manage people with, more rights than you have yourself.")
        case SetupRefused():
            return gettext(
                "The setup code is wrong or was used already. It stands in the server's log of its last start."
            )
        case PasswordRefused():
            return password_rule()
        case AccountConflict():
            return gettext("This login name is taken.")
        case _:
            return gettext("This login name cannot be used: 2 to 100 characters without spaces.")


def rights_problem(error: AccountError | CentralError) -> str:
    """Say why rights were not changed."""
    match error:
        case AccountError():
            return account_problem(error)
        case LastAdministrator():
            return gettext("Nobody could manage accounts any more: give somebody else that permission first.")
        case RoleInUse(holders=holders):
            names = ", ".join(holders[:5]) + (" …" if len(holders) > 5 else "")
            return gettext("This role is still given to %(names)s. Take it from them first.") % {"names": names}
        case RoleStays():
            return gettext("A built-in role stays; its permissions can be changed.")
        case Conflict():
            return gettext("There is such a role already.")
        case Refused(field="key"):
            return gettext("The key of a role: 1 to 64 small letters, digits, '.', '-' and '_'.")
        case Refused(field="permissions"):
            return gettext("Choose at least one permission, and none that you have not yourself.")
        case NotFound():
            return gettext("It is not there any more: load the page again.")
        case _:
            return str(error)


def service_problem(error: CentralError) -> str:
    """Say why a command was not queued."""
    match error:
        case Refused(field="gateway"):
            return gettext("Too many commands wait for this gateway already: let it work them off.")
        case Refused(field="meter"):
            return gettext("Another gateway reads this meter now: load the page again.")
        case Refused(field="confirm"):
            return gettext("What you typed is not the meter's serial. Nothing was sent.")
        case NotFound():
            return gettext("It is not there any more: load the page again.")
        case OutOfReach():
            return gettext("This is not wholly within what you may change.")
        case _:
            return str(error)


def password_rule() -> str:
    """What a new password must be."""
    return gettext(
        "The password was not accepted: it needs %(low)s to %(high)s characters, not too many the same, and must not be"
        " the login name; the current one has to be right."
    ) % {"low": MIN_LENGTH, "high": MAX_LENGTH}
