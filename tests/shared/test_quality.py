from itertools import product

import pytest

from shared.quality import ALL_FLAGS, NOT_BILLABLE, Quality, rank


def test_stored_values_never_change() -> None:
    assert {flag.name: int(flag) for flag in Quality} == {
        "MISSING": 1,
        "OUTAGE": 2,
        "CLOCK_ADJUSTED": 4,
        "ESTIMATED": 8,
        "MANUAL": 16,
        "EDITED": 32,
        "OVERFLOW": 64,
        "RECONSTRUCTED": 128,
        "UNRECONCILED": 256,
    }
    assert sum(Quality) == ALL_FLAGS == 511
    assert NOT_BILLABLE == 1 + 64 + 256


@pytest.mark.parametrize(
    ("flags", "worth"),
    [
        (Quality.GOOD, 3),
        (Quality.OUTAGE, 3),
        (Quality.CLOCK_ADJUSTED, 3),
        (Quality.UNRECONCILED, 2),
        (Quality.OVERFLOW, 2),
        (Quality.ESTIMATED, 1),
        (Quality.RECONSTRUCTED | Quality.OUTAGE, 1),
        (Quality.ESTIMATED | Quality.UNRECONCILED, 1),
        (Quality.EDITED, 4),
        (Quality.MANUAL | Quality.ESTIMATED, 4),
        (Quality.MISSING, 0),
        (Quality.MISSING | Quality.EDITED, 0),
    ],
)
def test_rank(flags: Quality, worth: int) -> None:
    assert rank(flags) == worth


def test_rank_of_every_combination() -> None:
    for flags in range(ALL_FLAGS + 1):
        assert 0 <= rank(flags) <= 4
        assert (rank(flags) == 0) == bool(flags & Quality.MISSING)
    for flags, worse in product(range(ALL_FLAGS + 1), (Quality.MISSING, Quality.OVERFLOW, Quality.UNRECONCILED)):
        assert rank(flags | worse) <= rank(flags)
