"""Numbers and texts that both builds of :mod:`ext.profile` and its format share; the format is described there."""

from typing import Final

VERSION: Final = 1

#: A quarter-hour block of almost three years; a bound on what a few octets can make a reader allocate.
MAX_COUNT: Final = 100_000
MAX_STEP: Final = 86_400
#: The flag bit that says "no value"; equal to ``shared.quality.Quality.MISSING``.
MISSING: Final = 1

#: Grid n + 1 is a day of 24 hours of intervals of so many seconds; grid 0 is any other.
DAY: Final = 86_400
DAY_STEPS: Final = (900, 300, 3600, 1800, 600, 60)

CRC_OCTETS: Final = 4
#: Version, grid and CRC.
SMALLEST: Final = 2 + CRC_OCTETS

#: A unit is looked for among at least so many values: below it costs what it saves.
UNIT_COUNT: Final = 16

#: Residuals that share one class.
GROUP: Final = 8
#: Symbols: 0, 1, two per bit length 2..19, and one for all that is longer.
ESCAPE: Final = 38
ESCAPE_BITS: Final = 19
#: The row of ``NEXT_LENGTHS`` that codes the first class of a block.
START: Final = 16

#: Bits of the longest code word of a symbol, and of a class.
SYMBOL_BITS: Final = 9
NEXT_BITS: Final = 8

#: Code lengths of symbols 0..38, one row per class, trained on quarter-hour loads of a steel works and minute readings
#: of a household at many scales. Class 0 has only the symbol 0, of no bits.
SYMBOL_LENGTHS: Final = (
    "000000000000000000000000000000000000000",
    "123567888999999999999999999999999999999",
    "134544467779999999999999999999999999999",
    "144568786656444999999999999999999999999",
    "333433344899999989999999999999999999999",
    "344544333446677999999999999999999999999",
    "199967776766676655554448999999999999999",
    "567754443333357789999999999999999999999",
    "367754444544443546899999889999999999999",
    "388865544545455555454546678999999999999",
    "689978775655443433345678999989999999999",
    "599999988877665545343334466999999999999",
    "699998988877666655554434333568999999999",
    "699999999999988876665545443334455679796",
    "799999999999999999987777665544333434565",
    "599999999999999999998989897776665545341",
)

#: Code lengths of classes 0..15, one row per class before, then one for the first of all.
NEXT_LENGTHS: Final = (
    "1734882886888888",
    "7124368888888888",
    "2318768848888888",
    "1372857786668888",
    "8468128838878888",
    "8578218356788888",
    "2888871563758888",
    "8888836134446888",
    "8868446417434888",
    "8868854541628888",
    "8888886334144688",
    "7888883762515888",
    "8888848648331468",
    "8888888757583126",
    "8888888886748213",
    "8888888888647321",
    "3567547335345543",
)

FAULTS: Final = (
    "{0} octets are no profile block: the smallest has {1}",
    "block of {0} octets is damaged: CRC {1:08X}, computed {2:08X}",
    "block has version {0}, this program only reads version {1}: update it",
    "block has the unknown grid {0}",
    "block of {0} intervals of {1} s is out of bounds ({2}, {3} s)",
    "block ends in the middle of its values",
    "block holds a number of more than 64 bits",
    "run of {0} intervals with flags {1:X} does not fit at interval {2}",
    "block says that no value is present and marks intervals as present",
    "block has values and marks all intervals as missing",
    "block has values in units of {0}: a unit is 2 or more",
    "{0} octets are left over in a block of {1} intervals",
    "block has other bits than 0 behind its values",
    "block has the unknown scheme {0:02X}",
    "block of {0} intervals of {1} s stands where intervals of {2} s were announced",
    "blocks hold more than the {0} intervals there is room for",
)
(
    SHORT,
    DAMAGED,
    OTHER_VERSION,
    UNKNOWN_GRID,
    OUT_OF_BOUNDS,
    TRUNCATED,
    TOO_LONG,
    WRONG_RUN,
    NOT_EMPTY,
    ALL_MISSING,
    WRONG_UNIT,
    LEFT_OVER,
    PADDING,
    UNKNOWN_SCHEME,
    OTHER_STEP,
    NO_ROOM,
) = range(16)


class ProfileError(ValueError):
    """Octets that are no profile block, or values that cannot become one."""


def fault(code: int, *facts: int) -> ProfileError:
    """Return the error of a fault."""
    return ProfileError(FAULTS[code].format(*facts))


def codes(lengths: str) -> list[tuple[int, int, int]]:
    """Return (symbol, code word, its length) of a canonical code, in the order of its words (as in RFC 1951 §3.2.2)."""
    found = []
    word = before = 0
    for length, symbol in sorted((int(digit), symbol) for symbol, digit in enumerate(lengths)):
        word <<= length - before
        found.append((symbol, word, length))
        word, before = word + 1, length
    return found
