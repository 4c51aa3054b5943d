"""What the meters of a block count day by day, as arrays: energy by post, demand, which readings arrived (pure).

A meter keeps its registers of every local midnight; the reading of a day is that of its beginning. Registers are in Wh
and varh, demands in W: one scale for all, 1/1000.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from central.seed.chance import Ints, among, noise, uniform
from central.seed.plan import COMMERCIAL, Plan
from shared.quantities import Post

Table = NDArray[np.int64]  # meters x days

#: Posts of the white tariff, in the order of their columns.
POSTS = (Post.PEAK, Post.OFF_PEAK, Post.INTERMEDIATE)
#: Consumption of the months January to December against the year's mean.
_SEASON = np.array([1.16, 1.18, 1.1, 1.0, 0.92, 0.88, 0.86, 0.9, 0.95, 1.0, 1.03, 1.1])
#: Share of the day's energy by post on working days, and by which part of it the demand is larger than its mean.
_SHARE = np.array([0.24, 0.64, 0.12])
_HOURS = np.array([3, 19, 2])


@dataclass(frozen=True, slots=True)
class Block:
    """Some meters. ``daily[i]`` is the energy of post ``POSTS[i]`` of each day in Wh, ``peaks[i]`` its highest demand.

    ``held``: the reading at the beginning of the day is there. ``lag``: seconds until it was.
    """

    meters: Ints
    customers: Ints
    daily: tuple[Table, Table, Table]
    peaks: tuple[Table, Table, Table]
    solar: Table
    inductive: Table
    capacitive: Table
    start: Ints  # register of each meter before the first day
    held: NDArray[np.bool_]
    lag: Table


def block(plan: Plan, first: int, last: int) -> Block:
    """The meters ``first`` to ``last`` - 1."""
    meters = np.arange(first, last, dtype=np.int64)
    customers = plan.customer_of(meters)
    traits = plan.traits(customers)
    rng = noise(plan.of.seed, "energy", first)
    shape = len(meters), len(plan.days)
    weekday = np.array([day.weekday() for day in plan.days])
    week = np.where(
        traits.kind[:, None] == COMMERCIAL, np.where(weekday < 5, 1.2, 0.5), np.where(weekday < 5, 0.97, 1.08)
    )
    season = _SEASON[[day.month - 1 for day in plan.days]]
    energy = traits.base[:, None] * season * week * rng.gamma(14, 1 / 14, shape)
    shares = _SHARE * np.exp(rng.normal(0, 0.25, (len(meters), 3)))
    shares /= shares.sum(axis=1, keepdims=True)
    daily, peaks = [], []
    for number in range(3):
        part = shares[:, number, None] * plan.working
        if POSTS[number] == Post.OFF_PEAK:
            part = part + (1 - plan.working)
        wh = np.floor(energy * part).astype(np.int64)
        daily.append(wh)
        peaks.append(np.floor(wh / _HOURS[number] * rng.uniform(1.3, 3.2, shape)).astype(np.int64))
    sun = np.clip(rng.normal(0.62, 0.22, len(plan.days)), 0.08, 1.0) * (0.8 + 0.25 * season - 0.05)
    solar = np.floor(traits.solar[:, None] * 3100 * sun * rng.uniform(0.9, 1.0, shape)).astype(np.int64)
    lag = rng.integers(60, 10_800, shape)
    held = _held(plan, meters, customers, rng) & (plan.midnights[:-1] + lag <= plan.of.now)
    return Block(
        meters, customers, (daily[0], daily[1], daily[2]), (peaks[0], peaks[1], peaks[2]), solar,
        inductive=np.floor(energy * rng.uniform(0.12, 0.4, (len(meters), 1))).astype(np.int64),
        capacitive=np.floor(energy * rng.uniform(0.0, 0.06, (len(meters), 1))).astype(np.int64),
        start=among(plan.of.seed, "register", meters, 40_000_000), held=held, lag=lag,
    )  # fmt: skip


def stopped_on(plan: Plan, meters: Ints) -> Ints:
    """Number of the day from which on nothing comes from a meter: never read, fallen silent, taken away, or none."""
    days = len(plan.days)
    chance = uniform(plan.of.seed, "silent", meters)
    silent = days - 1 - among(plan.of.seed, "since", meters, max(1, min(60, days)))
    found = np.where(chance < 0.012, 0, np.where(chance < 0.022, silent, days))
    away = np.where(meters >= plan.of.customers, plan.exchange_day(plan.customer_of(meters)), days)
    stopped: Ints = np.minimum(found, away)
    return stopped


def _held(plan: Plan, meters: Ints, customers: Ints, rng: Any) -> NDArray[np.bool_]:
    """Which readings arrived: not before a meter came nor after it stopped; single days missing, and weeks of a few."""
    days = np.arange(len(plan.days))
    came = np.where(meters < plan.of.customers, plan.exchange_day(customers), 0)
    held = (days >= came[:, None]) & (days < stopped_on(plan, meters)[:, None])
    held &= rng.random((len(meters), len(days))) > 0.006
    for row in np.flatnonzero(rng.random(len(meters)) < 0.05):
        begin = int(rng.integers(0, len(days)))
        held[row, begin : begin + int(rng.integers(3, 21))] = False
    # today's come in between midnight and three
    held[:, -1] &= rng.random(len(meters)) > 0.03
    found: NDArray[np.bool_] = held
    return found


def registers(start: Ints, daily: Table) -> Table:
    """The register at the beginning of each day."""
    found: Table = np.cumsum(daily, axis=1) - daily + start[:, None]
    return found


def running_maximum(peaks: Table, since: Ints) -> tuple[Table, Table]:
    """Highest demand from day ``since[d]`` to the day before ``d``, and the number of the day it was reached on.

    ``since`` grows with d and is at most d; without a day between them the maximum is 0.
    """
    highest, reached = np.zeros_like(peaks), np.zeros_like(peaks)
    edges = [*np.flatnonzero(np.diff(since, prepend=since[0] - 1)), len(since)]
    for begin, end in itertools.pairwise(edges):
        first = int(since[begin])
        part = peaks[:, first : end - 1]
        if part.shape[1] == 0:
            continue
        best = np.maximum.accumulate(part, axis=1)
        fresh = np.concatenate([np.ones((len(part), 1), bool), best[:, 1:] > best[:, :-1]], axis=1)
        where = np.maximum.accumulate(np.where(fresh, np.arange(first, end - 1), 0), axis=1)
        # day d has the maximum up to the day before it
        offset = max(begin, first + 1)
        highest[:, offset:end] = best[:, offset - 1 - first :]
        reached[:, offset:end] = where[:, offset - 1 - first :]
    return highest, reached
