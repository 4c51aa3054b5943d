"""What a billing period came to by post: by the registers at its ends, else by the load profile (pure).

Policies, as no rule gives them (dossier brazil-billing §3):

* A reading stands for an end of a period within ``NEAR`` of it; the nearest does, of two as near the earlier. The
  period after takes the same one, so that nothing is counted twice and nothing is lost.
* A register that went backwards (rolled over, exchanged) gives no consumption.
* A maximum counts where its own instant lies in the period; one without an instant where the reset it is kept since
  does not lie before the period.
* The estimate for the open period is its consumption x (seconds from its first to its last instant / seconds counted),
  where a whole day is counted at least: it ends as the consumption itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal

from central.metering.consumption import PostConsumption, range_consumption
from central.metering.registers import Register, RegisterReadingView
from central.metering.series import Series
from shared.calendar import TariffCalendar
from shared.intervals import Range
from shared.quantities import POSTS, Post, Process, Quantity

#: A reading this far from the end of a period stands for it: one of every day may be late by half of one (s).
NEAR: Final = 36 * 3600
#: Less than this is not enough to project from (s).
LEAST: Final = 86400

Source = Literal["registers", "profile", ""]


@dataclass(frozen=True, slots=True)
class Maximum:
    """The highest mean power of a period, exact in the demand unit; ``at`` where its instant is known."""

    value: Fraction
    at: int | None


@dataclass(frozen=True, slots=True)
class PostBill:
    """One post (0: all) of one period, exact in the unit; ``projected`` to the end of an open period."""

    post: int
    energy: Fraction | None
    maximum: Maximum | None
    projected: Fraction | None = None


@dataclass(frozen=True, slots=True)
class PeriodBill:
    """A period [start, end). What is counted lies in [since, until), ``counted`` seconds of it without ``gaps``.

    ``source`` is what the energies come from, ``demand_source`` the maxima; ``""`` is nothing. ``partial``: the
    readings of a register reach from another instant than the period's beginning, or to another than its end.
    """

    start: int
    end: int
    open: bool
    posts: Mapping[int, PostBill]
    source: Source = ""
    demand_source: Source = ""
    since: int | None = None
    until: int | None = None
    counted: int = 0
    gaps: int = 0
    partial: bool = False

    @property
    def factor(self) -> Fraction | None:
        """What the consumption to date is multiplied by; None for a closed period, and where it is too early."""
        if not self.open or self.since is None or self.counted < LEAST:
            return None
        return Fraction(self.end - self.since, self.counted)

    @property
    def by_post(self) -> bool:
        """Whether energies are told by post, not only together."""
        return any(post and each.energy is not None for post, each in self.posts.items())


def bill(
    span: Range,
    readings: Sequence[RegisterReadingView],
    series: Series | None,
    calendar: TariffCalendar,
    quantity: Quantity,
    now: int,
) -> PeriodBill:
    """Make the bill of one period from the readings about its ends (any order) and a profile that covers it."""
    by_registers = register_bill(span, readings, quantity, now)
    by_profile = profile_bill(span, series, calendar, now) if series is not None else None
    found = _better(by_registers, by_profile) or PeriodBill(span.start, span.end, span.end > now, {})
    if by_profile is not None and not found.demand_source and by_profile.demand_source:
        maxima = {post: each.maximum for post, each in by_profile.posts.items()}
        found = _with_maxima(found, maxima, "profile")
    return _projected(found)


def enough(found: PeriodBill | None) -> bool:
    """Whether registers alone tell a period, so that no profile has to be read for it."""
    return found is not None and not found.partial and found.by_post and found.demand_source != ""


def register_bill(
    span: Range, readings: Sequence[RegisterReadingView], quantity: Quantity, now: int
) -> PeriodBill | None:
    """The bill by registers alone, not projected; None where two readings are missing or a register went backwards."""
    is_open = span.end > now
    known = [each for each in readings if each.at <= now and _energies(each, quantity)]
    opening = _nearest(known, span.start)
    closing = _nearest(known, span.end) if not is_open else None
    partial = opening is None or (closing is None and not is_open)
    opening = opening or min((r for r in known if span.start < r.at < span.end), key=_at, default=None)
    closing = closing or max((r for r in known if span.start < r.at < span.end), key=_at, default=None)
    if opening is None or closing is None or opening.at >= closing.at:
        return None
    before, after = _energies(opening, quantity), _energies(closing, quantity)
    energies = {post: after[post].value - before[post].value for post in after if post in before}
    if not energies or any(energy < 0 for energy in energies.values()):
        return None
    if Post.TOTAL not in energies:
        energies[Post.TOTAL] = sum(energies.values(), Fraction(0))
    found = PeriodBill(
        span.start, span.end, is_open,
        {post: PostBill(post, energy, None) for post, energy in sorted(energies.items())},
        "registers", "", opening.at, closing.at, closing.at - opening.at, 0, partial,
    )  # fmt: skip
    return _with_maxima(found, _maxima(span, readings, closing, quantity), "registers")


def profile_bill(span: Range, series: Series, calendar: TariffCalendar, now: int) -> PeriodBill | None:
    """The bill by the load profile alone, not projected; None where no interval of it counts."""
    posts, _ = range_consumption(series, span.start, span.end, calendar, now)
    total = posts.get(Post.TOTAL)
    if total is None or not total.intervals:
        return None
    found = {post: PostBill(post, each.energy, _demand(each)) for post, each in sorted(posts.items())}
    part = series.part(span.start, span.end)
    until = part.start + (int(part.held.nonzero()[0][-1]) + 1) * part.step
    demanded: Source = "profile" if found[Post.TOTAL].maximum else ""
    return PeriodBill(
        span.start, span.end, span.end > now, found,
        "profile", demanded, span.start, until, total.intervals * series.step, total.gaps,
    )  # fmt: skip


def _better(by_registers: PeriodBill | None, by_profile: PeriodBill | None) -> PeriodBill | None:
    """Registers by post over the whole period, else the profile, unless registers of a part of it tell of more."""
    if by_registers is None or by_profile is None:
        return by_registers or by_profile
    if by_registers.by_post and (not by_registers.partial or by_registers.counted > by_profile.counted):
        return by_registers
    return by_profile


def _projected(found: PeriodBill) -> PeriodBill:
    factor = found.factor
    if factor is None:
        return found
    posts = {
        post: replace(each, projected=None if each.energy is None else each.energy * factor)
        for post, each in found.posts.items()
    }
    return replace(found, posts=posts)


def _with_maxima(found: PeriodBill, maxima: Mapping[int, Maximum | None], source: Source) -> PeriodBill:
    """Enter maxima; a post that has nothing else stays out, except where there is no post at all."""
    known = {post: maximum for post, maximum in maxima.items() if maximum is not None}
    if not known:
        return found
    posts = {post: replace(each, maximum=known.get(post)) for post, each in found.posts.items()}
    posts |= {post: PostBill(post, None, known[post]) for post in known if post not in posts}
    return replace(found, posts=dict(sorted(posts.items())), demand_source=source)


def _maxima(
    span: Range, readings: Sequence[RegisterReadingView], closing: RegisterReadingView, quantity: Quantity
) -> dict[int, Maximum]:
    """The maximum registers that are of this period: of the last reading, and of those that resets within closed."""
    closed = [each for each in readings if each.period and span.start + NEAR < each.at <= span.end + NEAR]
    running = [] if closing.reset_at is not None and closing.reset_at >= span.end else [closing]
    found = {}
    for post in (Post.TOTAL, *POSTS):
        wanted = quantity.with_process(Process.MAXIMUM_DEMAND).with_post(post)
        registers = [(each, each.value(wanted)) for each in (*closed, *running)]
        told = [_inside(span, reading, register) for reading, register in registers if register is not None]
        if told and None not in told:
            found[int(post)] = max((each for each in told if each), key=lambda each: (each.value, -(each.at or 0)))
    parts = [each for post, each in found.items() if post]
    if parts and Post.TOTAL not in found:
        found[Post.TOTAL] = max(parts, key=lambda each: (each.value, -(each.at or 0)))
    return found


def _inside(span: Range, reading: RegisterReadingView, register: Register) -> Maximum | None:
    """A maximum that is of the period; None for one that hides what was the period's own."""
    if not register.value:
        return Maximum(register.value, None)
    if register.at is not None:
        return Maximum(register.value, register.at) if span.start <= register.at < span.end else None
    kept_since = reading.reset_at if not reading.period else None
    return Maximum(register.value, None) if kept_since is not None and kept_since >= span.start - NEAR else None


def _energies(reading: RegisterReadingView, quantity: Quantity) -> dict[int, Register]:
    """Cumulative registers of a quantity, by post."""
    return {
        each.quantity.e: each
        for each in reading.registers
        if each.quantity.c == quantity.c and each.quantity.d == Process.CUMULATIVE and each.quantity.e <= max(POSTS)
    }


def _nearest(readings: Sequence[RegisterReadingView], instant: int) -> RegisterReadingView | None:
    near = [each for each in readings if abs(each.at - instant) <= NEAR]
    return min(near, key=lambda each: (abs(each.at - instant), each.at), default=None)


def _at(reading: RegisterReadingView) -> int:
    return reading.at


def _demand(post: PostConsumption) -> Maximum | None:
    return Maximum(post.maximum.value, post.maximum.at) if post.maximum else None
