"""Energy and maximum demand per post of 26 weeks of quarter hours, beside NumPy."""

from array import array
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from shared.calendar_builders import brazil_calendar
from shared.quality import NOT_BILLABLE
from tests.ext.builds import load_compiled, load_source

START = int(datetime(2018, 1, 1, 3, tzinfo=UTC).timestamp())
MASK = int(NOT_BILLABLE)


def numpy_integrate(values: Any, flags: Any, posts: Any, mask: int) -> dict[int, tuple[int, int, int, int, int]]:
    good = (flags & mask) == 0
    found = {}
    for post in np.unique(posts):
        mine = posts == post
        at = np.flatnonzero(mine & good)
        best = at[np.argmax(values[at])]
        found[int(post)] = (int(values[at].sum()), len(at), int((mine & ~good).sum()), int(values[best]), int(best))
    return found


@pytest.mark.benchmark(group="integrate 17 472 intervals", max_time=0.5)
@pytest.mark.parametrize("case", ["ours, compiled", "ours, source", "peer: NumPy"])
def test_integrate(benchmark: Any, case: str, load_curves: dict[str, "array[int]"]) -> None:
    values = load_curves["active"]
    flags = array("H", bytes(2 * len(values)))
    posts = brazil_calendar().posts_for(START, 900, len(values))
    if case == "peer: NumPy":
        arrays = np.asarray(values), np.asarray(flags), np.frombuffer(posts, np.uint8)
        found = benchmark(numpy_integrate, *arrays, MASK)
    else:
        load = load_compiled if case == "ours, compiled" else load_source
        found = benchmark(load("demand").integrate, values, flags, posts, MASK)
    assert found[1][0] + found[2][0] == sum(values)


@pytest.mark.benchmark(group="posts of 17 472 intervals", max_time=0.5)
@pytest.mark.parametrize("case", ["ours, by segment", "an interval at a time"])
def test_posts(benchmark: Any, case: str) -> None:
    calendar = brazil_calendar()
    if case == "ours, by segment":
        found = benchmark(calendar.posts_for, START, 900, 17_472)
    else:
        found = benchmark.pedantic(
            lambda: bytes(calendar.post_at(START + 900 * i) for i in range(17_472)), rounds=3, iterations=1
        )
    assert len(found) == 17_472
