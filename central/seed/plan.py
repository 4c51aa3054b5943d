"""What a generated fleet looks like, from its parameters alone (pure): who is where, of what kind, from when on.

Customers have numbers from 0 on. Meter n < customers is the one in place at customer n, meters after them are those
that were exchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from central.seed.chance import Floats, Ints, among, noise, normal, uniform
from central.seed.names import THINGS
from shared.calendar import TariffCalendar
from shared.calendar_builders import brazil_calendar
from shared.intervals import day_start, local_date, zone
from shared.quantities import Post

#: Step of profiles, s.
QUARTER: Final = 900
RESIDENTIAL, COMMERCIAL, RURAL = 0, 1, 2

#: Middle of the area, and how far regions (where there are several), districts, feeders and customers lie around
#: theirs, degrees.
_CENTRE: Final = -26.3, -48.86
_REGION, _DISTRICT, _FEEDER, _HOUSE = 0.12, 0.03, 0.012, 0.004
#: One of so many customers had the meter exchanged, or took the place over from somebody else.
EXCHANGED: Final = 50
FOLLOWED: Final = 97
_MOST_LOTS: Final = 20
_PER_FEEDER: Final = 250


class Parameters(msgspec.Struct, frozen=True):
    """All that a fleet follows from; ``now`` is when it was begun."""

    customers: int
    months: int
    seed: int
    profiles: int
    now: int
    zone: str
    daily: bool = True  # else only the readings that bills are made from


@dataclass(frozen=True, slots=True)
class Traits:
    """What distinguishes customers, one value each."""

    kind: Ints
    solar: Floats  # peak power in kW, 0 = none
    base: Floats  # Wh of a common day
    feeder: Ints
    gateway: Ints


@dataclass(frozen=True)
class Plan:
    """A fleet: its groups, gateways and lots, and the traits of any customer."""

    of: Parameters

    @cached_property
    def days(self) -> Sequence[date]:
        """All local days: the first of the month ``months`` - 1 before the present one, to today."""
        today = local_date(self.of.now, zone(self.of.zone))
        month = today.year * 12 + today.month - self.of.months
        first = date(month // 12, month % 12 + 1, 1)
        return [first + timedelta(days=n) for n in range((today - first).days + 1)]

    @cached_property
    def midnights(self) -> Ints:
        """The first instant of each day, and of the one after the last."""
        tz = zone(self.of.zone)
        after = self.days[-1] + timedelta(days=1)
        return np.array([day_start(day, tz) for day in (*self.days, after)], np.int64)

    @property
    def start(self) -> int:
        return int(self.midnights[0])

    @cached_property
    def calendar(self) -> TariffCalendar:
        """The white tariff: peak 18 to 21 on working days, an hour between before and after."""
        return brazil_calendar("branca", zone=self.of.zone, intermediate_minutes=60)

    @cached_property
    def working(self) -> Ints:
        """1 for days with a peak."""
        return np.array([any(slot.post == Post.PEAK for slot in self.calendar.plan_on(day)) for day in self.days], int)

    @cached_property
    def posts(self) -> Sequence[Ints]:
        """The post of each quarter hour of each day."""
        ends = self.midnights.tolist()
        return [
            np.frombuffer(self.calendar.posts_for(start, QUARTER, (end - start) // QUARTER), np.uint8).astype(np.int64)
            for start, end in pairwise(ends)
        ]

    # -- groups: regions, districts, feeders ---------------------------------------------------------------------

    @cached_property
    def tree(self) -> tuple[int, int, int]:
        """Number of regions, districts and feeders."""
        feeders = max(3, round(self.of.customers / _PER_FEEDER))
        districts = max(2, round(feeders / 8))
        return max(1, round(districts / 6)), districts, feeders

    @cached_property
    def ends(self) -> Ints:
        """Customer after the last one of each feeder; sizes are spread log-normally."""
        weights = np.exp(0.6 * normal(self.of.seed, "feeder", np.arange(self.tree[2])))
        found: Ints = np.round(np.cumsum(weights) / weights.sum() * self.of.customers).astype(np.int64)
        return found

    def district_of(self, feeder: int) -> int:
        return feeder * self.tree[1] // self.tree[2]

    def region_of(self, district: int) -> int:
        return district * self.tree[0] // self.tree[1]

    @cached_property
    def quarters(self) -> Sequence[str]:
        """A name for each district."""
        order = noise(self.of.seed, "quarter", 0).permutation(len(THINGS))
        count = self.tree[1]
        return [
            THINGS[order[n % len(THINGS)]] + (f" {n // len(THINGS) + 1}" if n >= len(THINGS) else "")
            for n in range(count)
        ]

    @cached_property
    def feeder_places(self) -> tuple[Floats, Floats]:
        """Latitude and longitude of the middle of each feeder."""
        feeders = np.arange(self.tree[2])
        districts = np.array([self.district_of(int(feeder)) for feeder in feeders])
        regions = np.array([self.region_of(int(district)) for district in districts])
        place = []
        for axis, middle in zip("ab", _CENTRE, strict=True):
            levels = ((regions, _REGION if self.tree[0] > 1 else 0.0), (districts, _DISTRICT), (feeders, _FEEDER))
            at = np.full(len(feeders), middle)
            for number, (of, spread) in enumerate(levels):
                at += spread * normal(self.of.seed, f"{axis}{number}", of)
            place.append(at)
        return place[0], place[1]

    def places(self, customers: Ints) -> tuple[Floats, Floats]:
        """Latitude and longitude of customers."""
        feeder = self.feeder_of(customers)
        latitude, longitude = self.feeder_places
        return (
            np.round(latitude[feeder] + _HOUSE * normal(self.of.seed, "lat", customers), 6),
            np.round(longitude[feeder] + _HOUSE * normal(self.of.seed, "lon", customers), 6),
        )

    # -- lots and gateways ---------------------------------------------------------------------------------------

    @property
    def lots(self) -> int:
        return min(_MOST_LOTS, max(4, self.of.customers // 500))

    def lot_of(self, feeder: Ints) -> Ints:
        found: Ints = feeder % self.lots
        return found

    def due(self, lot: int, months: Sequence[int]) -> list[date]:
        """Day on which the readings of each month (year x 12 + month - 1) are due; a Sunday's are the day after."""
        day = 1 + lot * 26 // self.lots
        dates = [date(month // 12, month % 12 + 1, day) for month in months]
        return [each + timedelta(days=1) if each.weekday() == 6 else each for each in dates]

    @property
    def due_months(self) -> Sequence[int]:
        """The months that lots have dates for: those of the readings, and three to come."""
        first, last = self.days[0], self.days[-1]
        return range(first.year * 12 + first.month - 1, last.year * 12 + last.month + 3)

    @cached_property
    def gateway_ends(self) -> Ints:
        """Customer after the last one of each gateway: 200 to 500 each."""
        sizes = 200 + 300 * uniform(self.of.seed, "gateway", np.arange(self.of.customers // 200 + 2))
        ends = np.cumsum(sizes).astype(np.int64)
        count = int(np.searchsorted(ends, self.of.customers)) + 1
        found: Ints = np.minimum(ends[:count], self.of.customers)
        return found

    # -- customers and meters ------------------------------------------------------------------------------------

    @cached_property
    def exchanged(self) -> Ints:
        """Customers whose meter was exchanged, in the order of the numbers of the meters taken away."""
        return np.arange(7, self.of.customers, EXCHANGED, dtype=np.int64)

    @cached_property
    def followed(self) -> Ints:
        """Customers who took the place over from somebody else."""
        return np.arange(5, self.of.customers, FOLLOWED, dtype=np.int64)

    @property
    def meters(self) -> int:
        return self.of.customers + len(self.exchanged)

    def customer_of(self, meters: Ints) -> Ints:
        old = np.clip(meters - self.of.customers, 0, max(0, len(self.exchanged) - 1))
        if not len(self.exchanged):
            return meters
        found: Ints = np.where(meters < self.of.customers, meters, self.exchanged[old])
        return found

    def exchange_day(self, customers: Ints) -> Ints:
        """Number of the day on which a customer's meter was exchanged; 0 for those who have the first one still."""
        day = 20 + among(self.of.seed, "exchange", customers, max(1, len(self.days) - 30))
        found: Ints = np.where(customers % EXCHANGED == 7, np.minimum(day, len(self.days) - 1), 0)
        return found

    def feeder_of(self, customers: Ints) -> Ints:
        found: Ints = np.searchsorted(self.ends, customers, side="right")
        return found

    def traits(self, customers: Ints) -> Traits:
        """The traits of customers."""
        seed = self.of.seed
        chance = uniform(seed, "kind", customers)
        kind = np.where(chance < 0.08, COMMERCIAL, np.where(chance < 0.13, RURAL, RESIDENTIAL))
        middle = np.array([5600.0, 21000.0, 9000.0])[kind]
        base = middle * np.exp(np.array([0.5, 0.9, 0.7])[kind] * normal(seed, "base", customers))
        solar = np.where(uniform(seed, "solar", customers) < 0.06, 2 + 6 * uniform(seed, "peak", customers), 0.0)
        return Traits(
            kind=kind, solar=solar, base=base, feeder=self.feeder_of(customers),
            gateway=np.searchsorted(self.gateway_ends, customers, side="right").astype(np.int64),
        )  # fmt: skip

    # -- keys, the same in registry and readings -----------------------------------------------------------------

    @staticmethod
    def meter_key(number: int) -> str:
        return f"MR-{40_000_000 + number}"

    @staticmethod
    def module_key(customer: int) -> str:
        return f"MC-{70_000_000 + customer}"

    @staticmethod
    def gateway_key(number: int) -> str:
        return f"ctl-{number + 1:04d}"
