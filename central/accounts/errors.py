"""Troubles of coming in.

AccountError
├── LoginRefused       wrong name or password, never told apart
├── LoginThrottled     too many failures: come back after ``retry_after`` seconds
├── CodeNeeded         the password is right; ``ticket`` and a code of the second factor are wanted
├── CodeRefused        a code that is wrong or was used
├── LoginOver          between password and code passed too long a time
├── ProviderRefused    the identity provider's word cannot be taken; ``reason`` is for the log
├── BeyondOwnRights    somebody grants, or rules over, more than they have themselves
├── PasswordRefused    a new password that is too weak, or an old one that is wrong
├── SetupRefused       first-run page is closed, or its code is wrong
└── AccountConflict    login name taken

Conflict (``central.errors``)
├── LastAdministrator  nobody could manage accounts any more
├── RoleInUse          ``holders`` have this role
└── RoleStays          a built-in role is not deleted
"""

from collections.abc import Sequence

from central.errors import Conflict


class AccountError(Exception):
    """Base of all; the text can be shown to the person."""


class LoginRefused(AccountError):
    def __init__(self) -> None:
        super().__init__("Login name or password is wrong.")


class LoginThrottled(AccountError):
    """``retry_after``: whole seconds until the next try is looked at."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many failed attempts. Try again in {retry_after} s.")
        self.retry_after = retry_after


class CodeNeeded(AccountError):
    def __init__(self, ticket: str) -> None:
        super().__init__("A code of the second factor is needed.")
        self.ticket = ticket


class CodeRefused(AccountError):
    def __init__(self) -> None:
        super().__init__("The code is wrong, or it was used already.")


class LoginOver(AccountError):
    def __init__(self) -> None:
        super().__init__("This login took too long. Begin again.")


class ProviderRefused(AccountError):
    def __init__(self, reason: str) -> None:
        super().__init__("The identity provider's answer cannot be accepted.")
        self.reason = reason


class BeyondOwnRights(AccountError):
    def __init__(self, permission: str) -> None:
        super().__init__(f"Nobody grants or rules over more than they have themselves: '{permission}' is missing.")
        self.permission = permission


class PasswordRefused(AccountError):
    pass


class SetupRefused(AccountError):
    pass


class AccountConflict(AccountError):
    pass


class LastAdministrator(Conflict):
    def __init__(self) -> None:
        super().__init__("Nobody could manage accounts any more: give somebody else a role with that permission first.")


class RoleInUse(Conflict):
    """``holders``: login names, all of them."""

    def __init__(self, key: str, holders: Sequence[str]) -> None:
        more = f" and {len(holders) - 5} more" if len(holders) > 5 else ""
        super().__init__(f"{', '.join(holders[:5])}{more} have role {key!r}: take it from them first.")
        self.holders = holders


class RoleStays(Conflict):
    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} is built in: its permissions can be changed, but it stays.")
