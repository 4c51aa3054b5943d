"""Troubles of coming in.

AccountError
├── LoginRefused       wrong name or password, never told apart
├── LoginThrottled     too many failures: come back after ``retry_after`` seconds
├── PasswordRefused    a new password that is too weak, or an old one that is wrong
├── SetupRefused       first-run page is closed, or its code is wrong
└── AccountConflict    login name taken
"""


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


class PasswordRefused(AccountError):
    pass


class SetupRefused(AccountError):
    pass


class AccountConflict(AccountError):
    pass
