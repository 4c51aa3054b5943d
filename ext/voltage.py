"""Steady-state voltage: how many of 1,008 valid ten-minute readings are precarious or critical (brazil-billing §15).

The bands are the caller's (``shared.voltage``). Readings and bands are compared as exact integers.
"""

from array import array
from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ext._views import int64, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ext import _plain as cython
else:
    try:
        import cython
    except ImportError:  # only a compiler needs it
        from ext import _plain as cython

#: Valid readings of one indicator: seven days of ten minutes.
READINGS: Final = 1008

#: More readings than this for one indicator, or in one series, is a mistake: twenty years of ten minutes.
MAX_READINGS: Final = 1 << 20

_LARGEST: Final = (1 << 63) - 1


class VoltageError(ValueError):
    """Series or bands that do not fit together."""


class Bands(Protocol):
    """Limits in the unit (``shared.voltage.Band``).

    Adequate from ``adequate_low`` to ``adequate_high``; else precarious from ``low`` to ``high``; else critical.
    """

    @property
    def low(self) -> Fraction: ...
    @property
    def adequate_low(self) -> Fraction: ...
    @property
    def adequate_high(self) -> Fraction: ...
    @property
    def high(self) -> Fraction: ...


class Limits(NamedTuple):
    """:class:`Bands` in counts of a scale: the first and last count of each band."""

    low: int
    adequate_low: int
    adequate_high: int
    high: int


class Phase(NamedTuple):
    """The first valid readings of one phase; ``discarded`` ones lie between them, ``used`` intervals hold both."""

    valid: int
    precarious: int
    critical: int
    discarded: int
    used: int


class Indicators(NamedTuple):
    """DRP and DRC in percent, exact; the phases that are worst for each may differ."""

    drp: Fraction
    drc: Fraction


def limits(bands: Bands, scale: Fraction) -> Limits:
    """Return bands in counts of ``scale`` units, exact: once for all phases alike. Raises :class:`VoltageError`."""
    text = f"bands {bands.low}, {bands.adequate_low}, {bands.adequate_high}, {bands.high}"
    if scale <= 0:
        raise VoltageError(f"scale {scale} is not above 0")
    if not bands.low <= bands.adequate_low <= bands.adequate_high <= bands.high:
        raise VoltageError(f"{text} do not ascend")
    return Limits(
        ceil(bands.low / scale),
        ceil(bands.adequate_low / scale),
        floor(bands.adequate_high / scale),
        floor(bands.high / scale),
    )


def classify(values: "Buffer", flags: "Buffer", mask: int, bands: Limits, readings: int = READINGS) -> Phase:
    """Classify the first ``readings`` valid readings of one phase; fewer where the series has fewer.

    ``values`` array('q') of counts and ``flags`` array('H') of consecutive ten-minute intervals. Those with a flag of
    ``mask`` (missing, with an interruption or a short event) are discarded and later ones take their place. Other
    threads run meanwhile. Raises :class:`VoltageError`.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    if len(value_view) != len(flag_view) or len(value_view) > MAX_READINGS:
        raise VoltageError(
            f"{len(value_view)} values and {len(flag_view)} flags: one each per interval, up to {MAX_READINGS}"
        )
    if not 0 <= mask <= 0xFFFF:
        raise VoltageError(f"mask {mask:X} is no set of 16 flags")
    if not 1 <= readings <= MAX_READINGS:
        raise VoltageError(f"{readings} readings are not 1..{MAX_READINGS}")
    low, adequate_low, adequate_high, high = bands
    if low < -_LARGEST or high > _LARGEST or high - low > _LARGEST:
        raise VoltageError(f"bands from {low} to {high} counts are beyond 64 bits")
    found = array("q", (0, 0, 0, 0))
    _classify(value_view, flag_view, mask, readings, low, adequate_low, adequate_high, high, memoryview(found))
    valid, outside, critical, used = found
    return Phase(valid, outside - critical, critical, used - valid, used)


def indicators(phases: Sequence[Phase], readings: int = READINGS) -> Indicators | None:
    """Return DRP and DRC of the worst phase; None while a phase has fewer valid readings than ``readings``."""
    if not phases:
        raise VoltageError("indicators need at least one phase")
    if any(phase.valid != readings for phase in phases):
        return None
    return Indicators(
        Fraction(100 * max(phase.precarious for phase in phases), readings),
        Fraction(100 * max(phase.critical for phase in phases), readings),
    )


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _classify(
    values: memoryview,
    flags: memoryview,
    mask: int,
    readings: int,
    low: int,
    adequate_low: int,
    adequate_high: int,
    high: int,
    found: memoryview,
) -> None:
    """Write (valid, not adequate, critical, used) into ``found``."""
    valid, outside, critical = 0, 0, 0
    i = 0
    with cython.nogil:
        while i < len(values) and valid < readings:
            # as many as can be taken without counting: no branch inside, so that the compiler takes several at once
            stop = min(len(values), i + readings - valid)
            for k in range(i, stop):
                # counting modulo 2^64, bit 63 of one of both differences is set exactly when the value is outside
                value = values[k]
                good = (flags[k] & mask) == 0
                valid += good
                outside += good & (((value - adequate_low) | (adequate_high - value)) >> 63)
                critical += good & (((value - low) | (high - value)) >> 63)
            i = stop
    found[0] = valid
    found[1] = outside
    found[2] = critical
    found[3] = i
