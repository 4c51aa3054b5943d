"""Instantaneous values, decoded."""

import math
import struct
from dataclasses import dataclass

from central.metering.models import Snapshot
from shared.quantities import Quantity
from shared.wire import InstantSnapshot, decode


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """Values at one instant by quantity, in its unit; None where the meter could not tell."""

    at: int
    values: dict[Quantity, float | None]

    def __getitem__(self, code: str) -> float | None:
        """Value by OBIS text such as ``"32.7.0"``; None also when the meter does not give it."""
        return self.values.get(Quantity.parse(code))


def decode_values(snapshot: InstantSnapshot) -> dict[Quantity, float | None]:
    """Pair quantities with their values; raises ValueError when there are not as many of both."""
    if len(snapshot.values) != 4 * len(snapshot.quantities):
        raise ValueError(
            f"{len(snapshot.quantities)} quantities and {len(snapshot.values)} octets of values: 4 for each"
        )
    numbers = struct.unpack(f"<{len(snapshot.quantities)}f", snapshot.values)
    return {
        Quantity.parse(code): number if math.isfinite(number) else None
        for code, number in zip(snapshot.quantities, numbers, strict=True)
    }


def decode_snapshot(row: Snapshot) -> SnapshotView:
    """Decode a stored snapshot."""
    return SnapshotView(row.at, decode_values(decode(row.data, InstantSnapshot)))
