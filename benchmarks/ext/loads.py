"""Made-up profiles of many kinds, 60 days each, to see where the codec is good and where it is not.

Every function takes a random generator and returns whole days as int64, one row per day.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Days = Any  # NumPy int64, days x intervals
Load = Callable[[np.random.Generator], Days]

DAYS = 60
FIVE = 288
QUARTERS = 96


def _whole(values: Any, per_day: int) -> Days:
    return np.floor(np.asarray(values)).astype(np.int64).reshape(DAYS, per_day)


def _household_watts(rng: np.random.Generator, per_day: int = FIVE) -> Any:
    """Mean watts: base load, refrigerator, lights in the evening, appliances now and then."""
    count = DAYS * per_day
    minutes = 1440 / per_day
    hour = np.arange(count) % per_day * 24 / per_day
    fridge = np.where(np.sin(np.arange(count) * minutes / 45 + rng.normal(0, 0.05, count).cumsum()) > 0, 95, 0)
    watts = 140 + rng.normal(0, 12, count) + fridge + 130 * np.exp(-(((hour - 20.5) / 2) ** 2))
    for start in rng.integers(0, count, DAYS * 12):
        length = max(1, int(rng.integers(5, 60) / minutes))
        watts[start : start + length] += rng.choice([400, 900, 1900, 2200]) * rng.uniform(0.9, 1.05)
    return np.maximum(watts, 0)


def household(resolution: float) -> Load:
    """Energy of five minutes in counts of ``resolution`` Wh; what a count leaves over goes into the next."""

    def days(rng: np.random.Generator) -> Days:
        register = np.floor(np.cumsum(_household_watts(rng) / 12) / resolution)
        return _whole(np.diff(register, prepend=0), FIVE)

    return days


def household_quarters(rng: np.random.Generator) -> Days:
    return _whole(_household_watts(rng, QUARTERS) / 4, QUARTERS)


def apartment_stairs(rng: np.random.Generator) -> Days:
    """A base of 2 Wh and light that is on for a while."""
    values = np.full(DAYS * FIVE, 2)
    for start in rng.integers(0, DAYS * FIVE, DAYS * 25):
        values[start] += 5
    return _whole(values, FIVE)


def _sun(per_day: int) -> Any:
    hour = np.arange(DAYS * per_day) % per_day * 24 / per_day
    return np.maximum(0, np.sin((hour - 6) / 12 * np.pi))


def solar_clear(rng: np.random.Generator) -> Days:
    """Feed-in in Wh of a 5 kW roof, a few clouds; nights are zero."""
    return _whole(410 * _sun(FIVE) * rng.uniform(0.97, 1, DAYS * FIVE), FIVE)


def solar_clouds(rng: np.random.Generator) -> Days:
    cloud = np.clip(0.6 + np.cumsum(rng.normal(0, 0.08, DAYS * FIVE)) % 0.8, 0.1, 1)
    return _whole(410 * _sun(FIVE) * cloud, FIVE)


def car(rng: np.random.Generator) -> Days:
    """A charger in Wh: off, then 3.7, 7.4 or 11 kW with small changes for hours."""
    values = np.zeros(DAYS * FIVE)
    for day in range(DAYS):
        start = day * FIVE + int(rng.integers(190, 260))
        length = int(rng.integers(20, 90))
        power = rng.choice([3700, 7400, 11000])
        values[start : start + length] = power / 12 * rng.uniform(0.995, 1.005, len(values[start : start + length]))
    return _whole(values, FIVE)


def water(rng: np.random.Generator) -> Days:
    """Litres of a home: nothing mostly, then a few."""
    values = np.zeros(DAYS * FIVE)
    for start in rng.integers(0, DAYS * FIVE - 3, DAYS * 22):
        values[start : start + int(rng.integers(1, 3))] += rng.choice([3, 6, 9, 12, 40])
    return _whole(values, FIVE)


def pulses(rng: np.random.Generator) -> Days:
    """Pulses of 10 litres: 0 or 1."""
    return _whole(rng.random(DAYS * FIVE) < 0.06, FIVE)


def register(rng: np.random.Generator) -> Days:
    """The household's cumulative register in Wh."""
    return _whole(12_345_678 + np.cumsum(np.floor(_household_watts(rng) / 12)), FIVE)


def register_kwh(rng: np.random.Generator) -> Days:
    """A cumulative register of 0.1 kWh."""
    return _whole(np.floor(123_456 + np.cumsum(_household_watts(rng) / 12) / 100), FIVE)


def temperature(rng: np.random.Generator) -> Days:
    """Hundredths of a degree: a daily wave, weather, noise of the sensor."""
    count = DAYS * FIVE
    wave = 600 * np.sin(np.arange(count) * 2 * np.pi / FIVE)
    return _whole(2100 + wave + np.cumsum(rng.normal(0, 4, count)) + rng.normal(0, 2, count), FIVE)


def voltage(rng: np.random.Generator) -> Days:
    """Tenths of a volt around 127 V."""
    return _whole(1270 + np.cumsum(rng.normal(0, 3, DAYS * FIVE)) % 60 + rng.normal(0, 3, DAYS * FIVE), FIVE)


def industry(rng: np.random.Generator) -> Days:
    """Quarter hours of a plant with shifts and furnaces, 0.01 kWh."""
    count = DAYS * QUARTERS
    hour = np.arange(count) % QUARTERS / 4
    shift = np.where((hour > 6) & (hour < 22), 9000, 1500)
    furnace = np.where(rng.random(count) < 0.15, rng.integers(4000, 30_000, count), 0)
    return _whole(shift * rng.uniform(0.8, 1.2, count) + furnace, QUARTERS)


def transformer_steps(rng: np.random.Generator) -> Days:
    """Counts that came by a ratio of 120: all values are multiples."""
    return _whole(rng.poisson(40, DAYS * QUARTERS) * 120, QUARTERS)


def idle(rng: np.random.Generator) -> Days:
    """A meter that nothing is connected to."""
    return np.zeros((DAYS, FIVE), np.int64)


def constant(rng: np.random.Generator) -> Days:
    return np.full((DAYS, FIVE), 37)


def noise(bits: int) -> Load:
    """Values of which all bits are chance: nothing can be saved."""

    def days(rng: np.random.Generator) -> Days:
        values = rng.integers(-(2**63), 2**63, DAYS * QUARTERS, np.int64) >> 64 - bits
        return values.reshape(DAYS, QUARTERS)

    return days


LOADS: dict[str, Load] = {
    "household, 0.1 Wh": household(0.1),
    "household, 1 Wh": household(1),
    "household, 10 Wh": household(10),
    "household, 100 Wh": household(100),
    "household, quarter hours": household_quarters,
    "stairs of a house": apartment_stairs,
    "solar, clear": solar_clear,
    "solar, clouds": solar_clouds,
    "electric car": car,
    "water, litres": water,
    "water, pulses": pulses,
    "register, Wh": register,
    "register, 0.1 kWh": register_kwh,
    "temperature": temperature,
    "voltage": voltage,
    "industry, quarter hours": industry,
    "ratio of 120": transformer_steps,
    "idle": idle,
    "constant": constant,
    "noise of 12 bits": noise(12),
    "noise of 32 bits": noise(32),
    "noise of 64 bits": noise(64),
}
