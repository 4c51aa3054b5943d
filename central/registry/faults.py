"""What can be wrong with a value: sentences with blanks to fill in, so that pages can say them in four languages."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from central.errors import Refused


class Fault(NamedTuple):
    """``field`` is wrong: ``words`` with ``values`` filled in say why and what to do; ``given`` is what stood there."""

    field: str
    words: str
    values: Mapping[str, Any] = {}
    given: str = ""

    @property
    def text(self) -> str:
        return self.words % self.values if self.values else self.words


class Wrong(Exception):
    """A value that a field's type does not take."""

    def __init__(self, words: str, **values: Any) -> None:
        super().__init__(words)
        self.words = words
        self.values = values

    def at(self, field: str, given: Any = "") -> Fault:
        return Fault(field, self.words, self.values, str(given)[:100])


def refuse(fault: Fault) -> Refused:
    """The error that tells of one fault."""
    return Refused(fault.field, fault.text)


TEXT: Final = "has to be text of at most %(longest)s characters"
PRINTABLE: Final = "%(value)s has blanks around it or characters that cannot be printed"
WIRE_ID: Final = "%(value)s is not usable: 1 to 48 of letters, digits, '_', '.' and '-', a letter or digit first"
WHOLE: Final = "has to be a whole number %(low)s to %(high)s"
NUMBER: Final = "has to be a number"
RANGE: Final = "%(value)s is outside %(low)s to %(high)s"
FLAG: Final = "has to be true or false"
YES_NO: Final = "has to be yes or no"
DAY: Final = "%(value)s is no day: write 2026-03-31"
CHOICE: Final = "%(value)s is not one of %(known)s"
ZONE: Final = "%(value)s is no time zone such as 'America/Sao_Paulo'"
RATIO: Final = "%(value)s is no ratio: write 350 or 350/1"
EMAIL: Final = "%(value)s is no e-mail address"
HOURS: Final = (
    "%(value)s is no opening hours: seven days from Monday, each a list of times such as 08:00-18:00 in order"
)
PERIODS: Final = (
    "%(value)s is no daylight saving: pairs of days such as 2026-11-01..2027-02-21, in order, not overlapping"
)
DATES: Final = "%(value)s is no reading calendar: write the month and its day, such as 2026-04: 2026-04-28"
DATES_ORDER: Final = "the day of %(month)s has to come after that of the month before it"
DATES_FAR: Final = "the day of %(month)s is more than 45 days away from that month"
CALENDAR: Final = "is no tariff calendar: %(reason)s"
NEEDED: Final = "is needed"
NO_SUCH: Final = "there is no %(kind)s %(key)s: enter it first, or correct the name"
TWICE: Final = "stands in row %(row)s already: leave one of them out"
ELSEWHERE: Final = "%(key)s exists where you may not change it"
TAKEN: Final = "there is a %(kind)s %(key)s already"
CIRCLE: Final = "a group cannot be inside itself"
SEPARATOR: Final = "a group's name cannot hold ' / ', which joins paths"
ENDS: Final = "ends before it starts"
MONTH_DAY: Final = "month %(month)s has no day %(day)s"
MARKED: Final = "%(value)s is no holiday: write the days as the list of holidays does, such as 12-25 Christmas"
UNKNOWN_COLUMN: Final = "is no column of this list"
UNKNOWN_NEAR: Final = "is no column of this list; did you mean %(near)s?"
COLUMN_TWICE: Final = "is there twice: leave one of them out"
NO_COLUMN: Final = "the column is missing: without it nobody knows which row is which"
OUT_OF_REACH: Final = "would lie outside what you may change: choose a group or gateway that is yours"
INSTALLED: Final = "%(meter)s sits elsewhere until %(until)s: correct that first"
