"""What services refuse. One table of the API turns these into answers.

CentralError
+-- NotFound    there is no such thing within this tenant
+-- Refused     a value that cannot be taken; ``field`` names it
+-- Conflict    it clashes with what is there already
+-- OutOfReach  it would lie, or lies in part, where this person may not change anything
"""


class CentralError(Exception):
    """Base; the text is a whole sentence for the person who asked."""


class NotFound(CentralError):
    """There is no such thing within this tenant; another tenant's looks the same."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"There is no {kind} {str(key)[:100]!r}.")
        self.kind = kind
        self.key = key


class Refused(CentralError):
    """A value that cannot be taken."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Conflict(CentralError):
    """It clashes with what is there already."""


class OutOfReach(CentralError):
    """It would lie, or lies in part, where this person may not change anything."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"This {kind.replace('_', ' ')} is not wholly within what you may change.")
        self.kind = kind
