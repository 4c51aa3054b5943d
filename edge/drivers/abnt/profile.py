"""From blocks to intervals: word stream, quality flags, profile blocks (dossier abnt-nbr-14522 §8.1)."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from edge.drivers.abnt import quantities
from edge.drivers.abnt.convert import Channel
from edge.drivers.abnt.layout import ProfileWords, blocks_for
from edge.drivers.abnt.layout.profile import OVERFLOW_WORD
from edge.drivers.abnt.reconcile import CHANNELS, Stream
from edge.errors import ProtocolError
from ext import profile as codec
from ext.nibbles import Order
from shared.quality import Quality
from shared.wire import ProfileBlock


def join(bodies: Sequence[bytes], words: int, end: int, step: int) -> Stream:
    """Join the blocks of one answer into a stream of ``words`` words (from the parameters) ending at ``end`` (UTC).

    Raises :class:`ProtocolError` when fewer blocks came than the words need, or the words are no whole intervals.
    """
    if words % CHANNELS:
        raise ProtocolError(f"{words} profile words are no whole number of intervals of {CHANNELS} channels")
    if len(bodies) < blocks_for(words):
        raise ProtocolError(
            f"{len(bodies)} profile blocks where {words} words need {blocks_for(words)}: the meter closed a period "
            "while it was read, or counts its words differently; the reading is dropped whole"
        )
    octets = b"".join(ProfileWords.decode(body).words for body in bodies)
    return Stream(octets, words // CHANNELS, end, step)


@dataclass(frozen=True)
class Marks:
    """What spoils intervals: outages as (start, end), instants at which the clock was set; UTC.

    Before ``doubtful_before`` the count of intervals does not fit the time that passed: the clock was moved by whole
    intervals there.
    """

    outages: Sequence[tuple[int, int]] = ()
    clock_sets: Sequence[int] = ()
    doubtful_before: int = 0


def blocks(
    stream: Stream,
    order: Order,
    channels: Sequence[Channel],
    window: tuple[int, int],
    marks: Marks,
    meter: str,
    reconciled: bool,
) -> list[ProfileBlock]:
    """Return one block per recorded channel of the stream's intervals inside ``window`` [start, end)."""
    first = max(0, -(-(window[0] - stream.start) // stream.step))
    last = min(stream.count, (window[1] - stream.start) // stream.step)
    if first >= last:
        return []
    start = stream.start + first * stream.step
    common = _flags(start, last - first, stream.step, marks)
    if not reconciled:
        common = array("H", (flags | Quality.UNRECONCILED for flags in common))
    words = stream.words(order)
    found = []
    for index, channel in enumerate(channels):
        obis = quantities.profile_channel(channel.code)
        if obis is None:
            continue
        own = words[CHANNELS * first + index : CHANNELS * last : CHANNELS]
        flags = common
        if OVERFLOW_WORD in own:
            flags = array(
                "H", (f | Quality.OVERFLOW if w == OVERFLOW_WORD else f for f, w in zip(common, own, strict=True))
            )
        data = codec.pack(array("q", own), flags, stream.step)
        found.append(ProfileBlock(meter, obis, start, stream.step, len(own), data, channel.num, channel.den))
    return found


def _flags(start: int, count: int, step: int, marks: Marks) -> "array[int]":
    flags = array("H", bytes(2 * count))
    for begin, end in marks.outages:
        # [begin, end) touches an interval; an outage that begins and ends within one second still marks its interval
        for i in range(max(0, (begin - start) // step), min(count, (max(end, begin + 1) - 1 - start) // step + 1)):
            flags[i] |= Quality.OUTAGE
    for i in range(min(count, -(-(marks.doubtful_before - start) // step))):
        flags[i] |= Quality.CLOCK_ADJUSTED
    for at in marks.clock_sets:
        i = (at - start) // step
        if 0 <= i < count:
            flags[i] |= Quality.CLOCK_ADJUSTED
    return flags
