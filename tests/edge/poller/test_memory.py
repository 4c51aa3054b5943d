"""The interval map against a set of integers, and the rules for what is lost."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.poller.memory import CHUNK, DAY, ProfileMemory, values_of
from ext.profile import MISSING, pack
from shared.intervals import Range
from shared.quality import Quality
from shared.wire import ProfileBlock

STEP = 900
UNRECONCILED = int(Quality.UNRECONCILED)
NOW = 1_700_000_100 // STEP * STEP + 20


def block(start: int, flags: list[int], channel: str = "1.29.0") -> ProfileBlock:
    data = pack(array("q", range(len(flags))), array("H", flags), STEP)
    return ProfileBlock("m", channel, start, STEP, len(flags), data)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([0, MISSING, 2, MISSING | 2, UNRECONCILED, MISSING | UNRECONCILED]), min_size=1, max_size=60
    )
)
def test_ranges_with_values_and_the_unreconciled_ones(flags: list[int]) -> None:
    present, doubtful = (
        {(at - (NOW - 20)) // STEP for part in ranges for at in range(part.start, part.end, STEP)}
        for ranges in values_of(block(NOW - 20, flags))
    )
    assert present == {i for i, flag in enumerate(flags) if not flag & MISSING}
    assert doubtful == {i for i in present if flags[i] & UNRECONCILED}


def test_first_start_reads_the_last_day_and_fills_back_oldest_first() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    assert memory.live(NOW, 37) == Range(end - DAY, end)
    assert memory.backfill(NOW, 37) == Range(end - 37 * DAY, end - 36 * DAY)
    assert memory.count(NOW, 37) == 37 * 96


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 11), st.integers(0, 96))
def test_reading_what_is_asked_ends_with_everything_held_or_lost(horizon: int, reach: int, gap: int) -> None:
    """A meter that holds ``reach`` days less a gap: live and back-fill ask finitely often."""
    end = NOW - 20
    holds = set(range(end - reach * DAY, end, STEP)) - set(
        range(end - reach * DAY + 30 * STEP, end - reach * DAY + (30 + gap) * STEP, STEP)
    )
    memory = ProfileMemory()
    asked_for: list[Range] = []
    lost: list[Range] = []
    while (wanted := memory.backfill(NOW, horizon) if asked_for else memory.live(NOW, horizon)) is not None:
        assert wanted.end - wanted.start <= CHUNK
        asked_for.append(wanted)
        given_now = sorted(at for at in holds if wanted.start <= at < wanted.end)
        blocks = [block(at, [0], channel) for at in given_now for channel in ("1.29.0", "3.29.0")]
        lost += memory.absorb(wanted, blocks, NOW)
        assert len(asked_for) <= horizon + 2
    for at in holds:
        if at >= end - horizon * DAY:
            assert at in memory.held
            assert at not in memory.lost
    for part in lost:
        assert not any(part.start <= at < part.end for at in holds)


def test_newest_interval_not_there_yet_is_asked_for_again() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    asked = Range(end - 4 * STEP, end)
    assert memory.absorb(asked, [block(end - 4 * STEP, [0, 0, 0])], NOW) == []
    assert end - STEP not in memory.lost
    live = memory.live(NOW, 1)
    assert live is not None
    assert live.end == end


def test_hole_between_given_intervals_is_lost_with_its_range() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    memory.absorb(None, [block(end - 20 * STEP, [0] * 5)], NOW)
    lost = memory.absorb(Range(end - 15 * STEP, end), [block(end - 3 * STEP, [0, 0, 0])], NOW)
    assert lost == [Range(end - 15 * STEP, end - 3 * STEP)]
    assert memory.absorb(Range(end - 15 * STEP, end), [block(end - 3 * STEP, [0, 0, 0])], NOW) == [], "said once"


def test_missing_mark_is_not_held_and_a_late_delivery_undoes_lost() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    memory.absorb(None, [block(end - 40 * STEP, [0])], NOW)
    asked = Range(end - 4 * STEP, end)
    assert memory.absorb(asked, [block(end - 4 * STEP, [0, MISSING, 0, 0])], NOW) == [
        Range(end - 3 * STEP, end - 2 * STEP)
    ]
    memory.absorb(None, [block(end - 3 * STEP, [0])], NOW)
    assert not memory.lost
    assert memory.held.contains(*asked)


def test_a_channel_short_of_intervals_is_not_held() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    memory.absorb(None, [block(end - 4 * STEP, [0] * 4), block(end - 4 * STEP, [0] * 2, "3.29.0")], NOW)
    assert memory.held.total == 2 * STEP


def test_other_steps_are_learnt() -> None:
    memory = ProfileMemory()
    data = pack(array("q", [1, 2]), array("H", [0, 0]), 300)
    end = NOW // 300 * 300
    memory.absorb(None, [ProfileBlock("m", "1.29.0", end - 600, 300, 2, data)], NOW)
    assert memory.step == 300
    assert memory.count(NOW, 1) == 288 - 2


def test_doubtful_intervals_are_asked_for_again_once_the_meter_is_reconciled() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    memory.absorb(None, [block(end - 8 * STEP, [UNRECONCILED] * 4)], NOW)
    memory.absorb(None, [block(end - 6 * STEP, [0] * 6)], NOW)
    assert memory.count(NOW, 1) == 88
    assert list(memory.doubtful) == [Range(end - 8 * STEP, end - 6 * STEP)]
    again = ProfileMemory.load(dict(memory.maps()))
    again.ask_doubtful_again()
    assert again.count(NOW, 1) == 90
    assert memory.count(NOW, 1) == 88


def test_share_and_prune() -> None:
    memory = ProfileMemory()
    end = NOW - 20
    memory.absorb(None, [block(end - 96 * STEP, [0] * 48)], NOW)
    assert memory.share(end - 96 * STEP, end) == 0.5
    memory.prune(NOW + 10 * DAY, 2)
    assert not memory.held
