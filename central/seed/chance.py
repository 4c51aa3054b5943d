"""Chance that depends only on a seed, what it is for, and a number: any part of a fleet can be made alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def uniform(seed: int, purpose: str, numbers: Ints) -> Floats:
    """One value in [0, 1) for each number (SplitMix64 of seed, purpose and number)."""
    salt = int.from_bytes(purpose.encode().ljust(8, b"\0")[:8], "little") ^ seed * 0x9E3779B97F4A7C15
    with np.errstate(over="ignore"):
        mixed = numbers.astype(np.uint64) + np.uint64(salt & (1 << 64) - 1)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 0x9E3779B97F4A7C15)):
            mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
    found: Floats = (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return found


def normal(seed: int, purpose: str, numbers: Ints) -> Floats:
    """One standard normal value for each number."""
    first, second = uniform(seed, f"{purpose}<", numbers), uniform(seed, f"{purpose}>", numbers)
    found: Floats = np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second)
    return found


def among(seed: int, purpose: str, numbers: Ints, count: int) -> Ints:
    """One of 0 .. count - 1 for each number."""
    found: Ints = (uniform(seed, purpose, numbers) * count).astype(np.int64)
    return found


def noise(seed: int, purpose: str, first: int) -> Any:
    """A generator of its own for the block that begins at ``first``."""
    return np.random.default_rng([seed & (1 << 63) - 1, *purpose.encode(), first])
