"""Which nibble order makes profile and registers agree; pure (dossier abnt-nbr-14522 §8.1).

A channel's words between two register readings must sum to the difference of its total. The readings fall inside
intervals, so the sum is bracketed: what lies wholly between them is the least; the most adds the intervals they fall
into, of which the one under way is not in the profile: likely it is not far above the highest seen, possibly it holds
as much as a word can. A wrong order moves digits between neighbouring channels and misses by orders of magnitude.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from edge.drivers.abnt.layout.profile import OVERFLOW_WORD
from ext import nibbles
from ext import reconcile as kernel
from ext.nibbles import ORDERS, Order

CHANNELS: Final = 3
TOTAL_MODULUS: Final = 10**10  # total registers have 10 digits
MIN_INTERVALS: Final = 4  # below, a chance agreement is likely
SMOOTHER: Final = 2.0  # how much rougher the other order must be to lose a tie
#: An interval that the stream does not hold may be this much above the highest it does hold, and some pulses more.
HEADROOM: Final = 1.5
FEW_PULSES: Final = 4


class Outcome(Enum):
    MATCH = "match"
    MISMATCH = "mismatch"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Stream:
    """Packed words of ``count`` intervals, three channels each, the last ending at ``end`` (UTC)."""

    octets: bytes
    count: int
    end: int
    step: int

    @property
    def start(self) -> int:
        return self.end - self.count * self.step

    def words(self, order: Order) -> "array[int]":
        return nibbles.unpack(self.octets, order, CHANNELS * self.count)


@dataclass(frozen=True)
class Pair:
    """Total registers at two instants (UTC, pulses) and which channels count energy."""

    first_at: int
    first: Sequence[int]
    second_at: int
    second: Sequence[int]
    energy: Sequence[bool]

    @property
    def differences(self) -> list[int | None]:
        return [
            (after - before) % TOTAL_MODULUS if counts else None
            for before, after, counts in zip(self.first, self.second, self.energy, strict=True)
        ]


@dataclass(frozen=True)
class Verdict:
    """``order`` is None when the data cannot tell one from the other; ``detail`` is for the event and the log."""

    outcome: Outcome
    order: Order | None
    detail: dict[str, object] = field(default_factory=dict)


def reconcile(stream: Stream, pairs: Sequence[Pair], orders: Sequence[Order] = ORDERS) -> Verdict:
    """Judge ``orders`` against every pair that the stream covers well enough.

    MISMATCH: under every order some sum is impossible, whatever the interval under way may hold. MATCH: exactly one
    order is possible and likely, or several that give the same words (order None). UNDECIDED: no usable pair, or
    what is there does not tell.
    """
    usable = [pair for pair in pairs if _span(stream, pair) is not None]
    if not usable:
        return Verdict(Outcome.UNDECIDED, None, {"reason": "no register readings around enough intervals"})
    words = {order: stream.words(order) for order in orders}
    misses = {order: _misses(stream, words[order], usable) for order in orders}
    possible = [order for order in orders if not any(miss["impossible"] for miss in misses[order])]
    if not possible:
        return Verdict(
            Outcome.MISMATCH,
            None,
            {"reason": "profile sums differ from registers", "misses": {o: misses[o][:6] for o in orders}},
        )
    likely = [order for order in possible if not misses[order]]
    found: dict[str, object] = {"intervals": stream.count}
    if likely and all(words[order] == words[likely[0]] for order in possible):
        return Verdict(Outcome.MATCH, likely[0] if len(possible) == 1 else None, found)
    rough = sorted((roughness(words[order]), order) for order in possible)
    smooth = rough[0][1]
    if likely == [smooth] or (likely and smooth in likely and rough[0][0] * SMOOTHER <= rough[1][0]):
        return Verdict(Outcome.MATCH, smooth, found)
    return Verdict(Outcome.UNDECIDED, None, {"reason": "the registers do not tell one nibble order from the other"})


def roughness(words: "array[int]") -> int:
    """Sum of the steps between neighbouring intervals of each channel."""
    return kernel.roughness(words, CHANNELS)


def _span(stream: Stream, pair: Pair) -> tuple[int, int] | None:
    """Indices [first, last) of the intervals wholly between the readings; None when the stream does not reach them."""
    first = -(-(pair.first_at - stream.start) // stream.step)
    last = min((pair.second_at - stream.start) // stream.step, stream.count)
    # the reading at the start may stand at most one interval before what is held, the one at the end one behind it
    if first < 0 or pair.second_at >= stream.end + 2 * stream.step or last - first < MIN_INTERVALS:
        return None
    return (first, last) if any(pair.energy) else None


def _misses(stream: Stream, words: "array[int]", pairs: Sequence[Pair]) -> list[dict[str, int]]:
    found = []
    for number, pair in enumerate(pairs):
        span = _span(stream, pair)
        if span is None:
            continue
        first, last = span
        for channel, difference in enumerate(pair.differences):
            inside = kernel.words(words, channel, CHANNELS, first, last, OVERFLOW_WORD)
            if difference is None or inside.invalid:
                continue
            least = inside.total
            # a reading may sit exactly on an interval's end: neighbours are allowed for, never demanded
            known = words[CHANNELS * (first - 1) + channel] if first > 0 else 0
            unseen = -(-max(0, stream.start - pair.first_at) // stream.step)
            if last < stream.count:
                known += words[CHANNELS * last + channel]
            else:
                unseen += max(1, -(-(pair.second_at - stream.end) // stream.step))
            likely = known + unseen * (int(HEADROOM * inside.highest) + FEW_PULSES)
            most = known + unseen * OVERFLOW_WORD + FEW_PULSES
            if not least <= difference <= least + likely:
                impossible = not least <= difference <= least + most
                found.append(
                    {
                        "pair": number,
                        "channel": channel + 1,
                        "sum": least,
                        "registers": difference,
                        "slack": likely,
                        "impossible": impossible,
                    }
                )
    return found
