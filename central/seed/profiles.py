"""Load profiles of some meters, whose sums agree with the registers of the same days."""

from array import array
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from central.metering.days import Blocks
from central.seed.chance import noise
from central.seed.energy import POSTS, Block
from central.seed.plan import COMMERCIAL, QUARTER, Plan
from ext.profile import pack
from shared.wire import ProfileBlock

_CLEAN: Final = array("H", bytes(2 * 25 * 3600 // QUARTER))


def is_sampled(plan: Plan, meter: int) -> bool:
    """Whether a meter has a profile: ``profiles`` of them, spread over the customers."""
    wanted, customers = plan.of.profiles, plan.of.customers
    return meter < customers and (meter + 1) * wanted // customers > meter * wanted // customers


def add_profiles(plan: Plan, part: Block, tenant: int, base: int, blocks: Blocks) -> int:
    """Hand the profiles of the block's sampled meters over; returns of how many meters."""
    count = 0
    for i, number in enumerate(part.meters.tolist()):
        if is_sampled(plan, number):
            count += 1
            for block in _profiles(plan, part, i):
                blocks.add(tenant, base + number, plan.of.zone, block, False, "seed")
    return count


def _profiles(plan: Plan, part: Block, i: int) -> Iterator[ProfileBlock]:
    """Days from the first reading to the last one: in between nothing is missing, the meter keeps what it could not
    send."""
    held = np.flatnonzero(part.held[i])
    if not len(held):
        return
    rng = noise(plan.of.seed, "profile", int(part.meters[i]))
    commercial = int(plan.traits(part.customers[i : i + 1]).kind[0]) == COMMERCIAL
    for day in range(int(held[0]), int(held[-1])):
        start, posts = int(plan.midnights[day]), plan.posts[day]
        count = len(posts)
        hours = np.arange(count) * QUARTER / 3600
        weights = _shape(hours, commercial) * rng.gamma(3, 1 / 3, count)
        active = np.zeros(count, np.int64)
        for post, daily in zip(POSTS, part.daily, strict=True):
            of_post = posts == int(post)
            active[of_post] = _shared(int(daily[i, day]), weights[of_post])
        yield _block("1.29.0", start, active)
        yield _block("5.29.0", start, _shared(int(part.inductive[i, day]), weights))
        if part.solar[i, 0]:
            sun = np.clip(np.sin((hours - 6) / 12 * np.pi), 0, None) * rng.uniform(0.6, 1, count)
            yield _block("2.29.0", start, _shared(int(part.solar[i, day]), sun))


def _shape(hours: Any, commercial: bool) -> Any:
    """Load against its mean: evenings at home, a working day in shops."""
    if commercial:
        return 0.35 + 1.6 / (1 + np.exp(-(hours - 8) * 2)) / (1 + np.exp((hours - 18.5) * 2))
    return 0.5 + 0.5 * np.exp(-(((hours - 7) / 1.2) ** 2)) + 1.9 * np.exp(-(((hours - 20) / 2.2) ** 2))


def _shared(total: int, weights: Any) -> Any:
    """Part a total by weights so that the parts sum to it."""
    if not len(weights):
        return weights.astype(np.int64)
    ends = np.cumsum(weights) / max(weights.sum(), 1e-12)
    ends[-1] = 1.0
    return np.diff(np.floor(ends * total).astype(np.int64), prepend=0)


def _block(channel: str, start: int, values: Any) -> ProfileBlock:
    counts = array("q", values.tobytes())
    return ProfileBlock(
        "-", channel, start, QUARTER, len(counts), pack(counts, _CLEAN[: len(counts)], QUARTER), 1, 1000
    )
