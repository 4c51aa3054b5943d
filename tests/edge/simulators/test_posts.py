"""Post plans of simulated meters."""

from datetime import UTC, datetime

from edge.simulators.abnt.posts import PostPlan, PostTable
from shared.quantities import Post


def at(day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp())


def test_two_posts_know_peak_and_off_peak_only() -> None:
    table = PostTable(PostPlan.two_posts(), 900)
    # Friday 20 November 2026: peak from 18 to 21, nothing else; Saturday has no peak
    assert [table.run(at(20, hour))[0] for hour in (0, 5, 17, 18, 20, 21, 23)] == [
        *[Post.OFF_PEAK] * 3,
        *[Post.PEAK] * 2,
        *[Post.OFF_PEAK] * 2,
    ]
    assert table.run(at(20, 17, 59)) == (Post.OFF_PEAK, at(20, 18))
    assert table.run(at(21, 19))[0] is Post.OFF_PEAK


def test_the_default_plan_has_reserved_hours_at_night() -> None:
    table = PostTable(PostPlan(), 900)
    assert [table.run(at(20, hour))[0] for hour in (0, 6, 18, 21, 22)] == [
        Post.RESERVED, Post.OFF_PEAK, Post.PEAK, Post.OFF_PEAK, Post.RESERVED,
    ]  # fmt: skip
