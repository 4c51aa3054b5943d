"""Energy and maximum demand per time-of-use post over a block series (dossier brazil-billing §2, §5).

An interval belongs to the post of its start. A demand window is ``window`` consecutive intervals aligned to the clock
(one for quarter-hour data, three for five-minute data); it belongs to the post of its first interval and counts only
when every interval in it may be billed, so a maximum is never made from part of a window.
"""

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from ext._views import int64, octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Posts are 1..MAX_POST (``shared.quantities.Post``); 0 in the result is all of them together.
MAX_POST: Final = 15
TOTAL: Final = 0

#: More intervals per window than a day of minutes has is a mistake.
MAX_WINDOW: Final = 1440

_LARGEST: Final = (1 << 63) - 1


class DemandError(ValueError):
    """Series that do not fit together, or sums beyond 64 bits."""


class PostTotal(NamedTuple):
    """What one post came to. Sums are raw counts; demand in units is ``maximum`` x scale x 3600 / window seconds."""

    energy: int
    intervals: int  # that counted
    gaps: int  # intervals that may not be billed: missing, overflow, unreconciled
    windows: int  # complete demand windows
    maximum: int | None  # largest sum of one complete window
    maximum_at: int | None  # index of that window's first interval; the earliest of equals


def intervals_before_window(start: int, step: int, window: int) -> int:
    """Return how many intervals of ``step`` s from ``start`` (UTC) stand before the first aligned window."""
    return -(start // step) % window


def integrate(
    values: "Buffer", flags: "Buffer", posts: "Buffer", mask: int, window: int = 1, lead: int = 0
) -> dict[int, PostTotal]:
    """Return the totals of every post that occurs, and under ``TOTAL`` (0) of all posts together.

    ``values`` array('q') raw counts, ``flags`` array('H'), ``posts`` one octet each (``Calendar.posts_for``), all as
    long. Intervals with a flag of ``mask`` do not count and are gaps. The first ``lead`` intervals (see
    :func:`intervals_before_window`) belong to a window that began before. Raises :class:`DemandError`.
    """
    value_view, flag_view, post_view = int64(values, "values"), uint16(flags, "flags"), octets(posts)
    count = len(value_view)
    if count != len(flag_view) or count != len(post_view):
        raise DemandError(f"{count} values, {len(flag_view)} flags and {len(post_view)} posts: one each per interval")
    if not 1 <= window <= MAX_WINDOW or not 0 <= lead < window:
        raise DemandError(f"window of {window} intervals after {lead} is not 1..{MAX_WINDOW} after 0..window - 1")
    if not 0 <= mask <= 0xFFFF:
        raise DemandError(f"mask {mask:X} is no set of 16 flags")
    sums = array("q", bytes(8 * 6 * (MAX_POST + 1)))
    limit = _LARGEST // max(count, 1)
    bad = _integrate(value_view, flag_view, post_view, mask, window, lead, limit, memoryview(sums))
    if bad >= 0:
        raise _refusal(bad, value_view[bad], post_view[bad], limit)
    return _totals(sums)


def _refusal(index: int, value: int, post: int, limit: int) -> DemandError:
    if not 1 <= post <= MAX_POST:
        return DemandError(f"interval {index} has post {post}, outside 1..{MAX_POST}")
    return DemandError(f"interval {index} has {value} counts: sums of as many intervals stay exact up to {limit} each")


def _totals(sums: "array[int]") -> dict[int, PostTotal]:
    rows: list[list[int]] = memoryview(sums).cast("B").cast("q", (MAX_POST + 1, 6)).tolist()  # type: ignore[assignment]
    found = {TOTAL: PostTotal(0, 0, 0, 0, None, None)}
    for post, (energy, intervals, gaps, windows, maximum, at) in enumerate(rows):
        if intervals or gaps:
            found[post] = PostTotal(
                energy, intervals, gaps, windows, maximum if windows else None, at if windows else None
            )
            found[TOTAL] = _joined(found[TOTAL], found[post])
    return found


def _joined(left: PostTotal, right: PostTotal) -> PostTotal:
    energy, intervals, gaps, windows = (a + b for a, b in zip(left[:4], right[:4], strict=True))
    maximum, at = left.maximum, left.maximum_at
    if maximum is None or at is None:
        maximum, at = right.maximum, right.maximum_at
    elif right.maximum is not None and right.maximum_at is not None:
        maximum, at = max((maximum, -at), (right.maximum, -right.maximum_at))
        at = -at
    return PostTotal(energy, intervals, gaps, windows, maximum, at)


def _integrate(
    values: memoryview,
    flags: memoryview,
    posts: memoryview,
    mask: int,
    window: int,
    lead: int,
    limit: int,
    sums: memoryview,
) -> int:
    """Add into ``sums`` (per post: energy, count, gaps, windows, maximum, its index); return -1 or a refused index."""
    begin = 0 if lead == 0 else -1  # first interval of the running window, -1 while it cannot become complete
    left = lead or window
    demand = 0
    for i in range(len(values)):
        post = posts[i]
        if post == 0 or post > 15:
            return i
        row = 6 * post
        if flags[i] & mask:
            sums[row + 2] += 1
            begin = -1
        else:
            value = values[i]
            if value > limit or value < -limit:
                return i
            sums[row] += value
            sums[row + 1] += 1
            demand += value
        left -= 1
        if left == 0:
            if begin >= 0:
                row = 6 * posts[begin]
                if sums[row + 3] == 0 or demand > sums[row + 4]:
                    sums[row + 4] = demand
                    sums[row + 5] = begin
                sums[row + 3] += 1
            begin = i + 1
            left = window
            demand = 0
    return -1
