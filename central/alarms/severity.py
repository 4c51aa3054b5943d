"""How grave an alarm is."""

from enum import IntEnum


class Severity(IntEnum):
    """From a mere notice to what costs money if nobody acts today."""

    NOTICE = 1
    WARNING = 2
    SERIOUS = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """Its name as the API writes it."""
        return self.name.lower()
