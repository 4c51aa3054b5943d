"""Quality flags that every interval carries (design §4). Missing is never zero."""

from enum import IntFlag
from typing import Final


class Quality(IntFlag):
    """Bit mask of one interval; 0 is a plain measured value. New bits go at the end: they are stored and sent."""

    GOOD = 0
    MISSING = 1  # no value was measured; the number beside it means nothing
    OUTAGE = 2  # the meter was without supply for some of the interval
    CLOCK_ADJUSTED = 4  # the meter's clock was set within it: shorter or longer than its step
    ESTIMATED = 8
    MANUAL = 16
    EDITED = 32
    OVERFLOW = 64  # the recorded value is the format's limit or its "invalid" mark
    RECONSTRUCTED = 128
    UNRECONCILED = 256  # profile sums do not (yet) agree with the registers: never billed


ALL_FLAGS: Final = int(~Quality.GOOD & 0x1FF)

NOT_BILLABLE: Final = Quality.MISSING | Quality.OVERFLOW | Quality.UNRECONCILED


def rank(flags: int) -> int:
    """Say how much a value is worth, so that a later delivery replaces only what is worth less or the same.

    4 edited or manual, 3 measured and reconciled, 2 measured but doubtful, 1 estimated or reconstructed, 0 missing.
    """
    if flags & Quality.MISSING:
        return 0
    if flags & (Quality.EDITED | Quality.MANUAL):
        return 4
    if flags & (Quality.ESTIMATED | Quality.RECONSTRUCTED):
        return 1
    if flags & (Quality.OVERFLOW | Quality.UNRECONCILED):
        return 2
    return 3
