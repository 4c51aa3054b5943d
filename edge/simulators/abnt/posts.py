"""Time-of-use posts as a meter knows them: start times per post, and what weekends and holidays do (dossier §7.1)."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import IntEnum
from typing import Final

from shared.quantities import Post

DAY: Final = 86400
STARTS_PER_POST: Final = 4
MAX_HOLIDAYS: Final = 15


class Rule(IntEnum):
    """Octets 210-212: posts of Saturday, Sunday, holidays."""

    OFF_PEAK_ONLY = 2
    ALL = 5


@dataclass(frozen=True)
class PostPlan:
    """Start times per post, up to four each; a post ends where the next one starts. ``holidays``: up to 15 dates.

    Starts must lie on the profile's grid; the meter checks that with :meth:`check`.
    """

    peak: tuple[time, ...] = (time(18, 0),)
    off_peak: tuple[time, ...] = (time(6, 0), time(21, 0))
    reserved: tuple[time, ...] = (time(0, 0), time(22, 0))
    intermediate: tuple[time, ...] = ()
    saturday: Rule = Rule.OFF_PEAK_ONLY
    sunday: Rule = Rule.OFF_PEAK_ONLY
    holiday: Rule = Rule.OFF_PEAK_ONLY
    holidays: tuple[date, ...] = ()

    @classmethod
    def two_posts(cls) -> "PostPlan":
        """Peak and off-peak alone, as an ordinary industrial tariff has them."""
        return cls(off_peak=(time(21, 0),), reserved=())

    def starts(self, post: Post) -> tuple[time, ...]:
        return {
            Post.PEAK: self.peak,
            Post.OFF_PEAK: self.off_peak,
            Post.RESERVED: self.reserved,
            Post.INTERMEDIATE: self.intermediate,
        }[post]

    def check(self, step: int) -> None:
        """Refuse a plan the meter cannot hold: ``ValueError`` with what and why."""
        if not self.off_peak:
            raise ValueError("a plan needs at least one off-peak start")
        if len(self.holidays) > MAX_HOLIDAYS:
            raise ValueError(f"{len(self.holidays)} holidays, a meter holds {MAX_HOLIDAYS}")
        for post in (Post.PEAK, Post.OFF_PEAK, Post.RESERVED, Post.INTERMEDIATE):
            if len(self.starts(post)) > STARTS_PER_POST:
                raise ValueError(
                    f"{len(self.starts(post))} starts of post {post.name}, a meter holds {STARTS_PER_POST}"
                )
            for start in self.starts(post):
                if _seconds(start) % step:
                    raise ValueError(f"post {post.name} starts at {start}, which is no interval start of {step} s")


class PostTable:
    """A plan laid out for look-up. Instants are wall-clock seconds (UTC seconds + the meter's offset)."""

    def __init__(self, plan: PostPlan, step: int) -> None:
        plan.check(step)
        self.plan = plan
        changes = sorted(
            (_seconds(start), post)
            for post in (Post.PEAK, Post.OFF_PEAK, Post.RESERVED, Post.INTERMEDIATE)
            for start in plan.starts(post)
        )
        self._times = [seconds for seconds, _ in changes]
        self._posts = [post for _, post in changes]
        self._off_peak_days = {5: plan.saturday, 6: plan.sunday}
        self._holidays = frozenset(plan.holidays)

    def run(self, local: int) -> tuple[Post, int]:
        """Return the post at ``local`` and the instant until which it surely lasts (midnight at the latest)."""
        midnight = local - local % DAY
        if self._rule(datetime.fromtimestamp(midnight, UTC).date()) == Rule.OFF_PEAK_ONLY:
            return Post.OFF_PEAK, midnight + DAY
        place = bisect_right(self._times, local - midnight)
        until = midnight + (self._times[place] if place < len(self._times) else DAY)
        return self._posts[place - 1], until  # before the first change: the last one of the day before

    def _rule(self, day: date) -> Rule:
        if day in self._holidays:
            return self.plan.holiday
        return self._off_peak_days.get(day.weekday(), Rule.ALL)


def _seconds(start: time) -> int:
    return start.hour * 3600 + start.minute * 60 + start.second


def four_starts(starts: Sequence[time]) -> tuple[time, ...]:
    """Start times as a meter shows them: unused places repeat an earlier one; none at all shows midnight."""
    shown = tuple(starts) or (time(0, 0),)
    return shown + (shown[-1],) * (STARTS_PER_POST - len(shown))
