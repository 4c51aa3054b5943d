"""The public file: answer blocks of 256 octets without CRC in reading order, nothing else; pure (dossier §9).

::

    parameters (20 21 22 51) of the first three channels
      what was read after them (23 24, 41-46, 25, 28, 80, 14, profile 26 27 52)
    parameters of the next three channels, and the same again ...

The blocks do not say which channel group they belong to: groups are counted. The rule for a file's name is not
established and so not applied here (:func:`name_base20`). The nibble order of profile words is the reader's setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.clock import WallClock
from edge.drivers.abnt.convert import channels, register_values, snapshot
from edge.drivers.abnt.events import clock_set_stamps
from edge.drivers.abnt.frames import ANSWER_BODY
from edge.drivers.abnt.layout import (
    Change,
    ChangeLog,
    Instantaneous,
    Outage,
    Outages,
    Parameters,
    ProfileWords,
    Registers,
    blocks_for,
)
from edge.drivers.abnt.profile import blocks, join
from edge.drivers.abnt.reading import held, marks_of, view_instant
from edge.drivers.abnt.reconcile import CHANNELS, Outcome, Pair, Stream, reconcile
from edge.drivers.abnt.settings import AbntSettings
from edge.drivers.abnt.visit import GroupView
from edge.errors import ProtocolError
from ext.nibbles import ORDERS
from shared.wire import InstantSnapshot, ProfileBlock, RegisterReading

#: Blocks a file may hold (§9).
CODES: Final = (
    commands.PARAMETER_CODES
    | commands.REGISTER_CODES
    | commands.PROFILE_CODES
    | frozenset(commands.PARTIAL_CLOSED + commands.PARTIAL_RUNNING)
    | {commands.OUTAGES, commands.CHANGE_LOG, commands.MEASUREMENT, commands.INSTANTANEOUS}
)
#: The largest file: 33 groups of 999 profile blocks, and what goes with them.
MAX_FILE: Final = 33 * 1020 * ANSWER_BODY


class FileError(ProtocolError):
    """Octets that are no public file, or that hold what cannot be written into one."""


@dataclass
class Section:
    """One channel group: its parameter block and the blocks that follow it. ``at``: place of the first, from 0."""

    parameters: bytes
    at: int
    others: list[bytes] = field(default_factory=list)

    def of(self, codes: frozenset[int]) -> list[bytes]:
        """Blocks with these codes, in order."""
        return [frame for frame in self.others if frame[0] in codes]


@dataclass
class Contents:
    """What a file says, as items of ``meter``. ``reconciled``: its own registers prove its profile."""

    serial: str
    registers: list[RegisterReading] = field(default_factory=list)
    profile: list[ProfileBlock] = field(default_factory=list)
    snapshots: list[InstantSnapshot] = field(default_factory=list)
    reconciled: bool = False


# -- the envelope ------------------------------------------------------------------------------------------------------


def split(data: bytes) -> list[bytes]:
    """Return the blocks of a file; raises :class:`FileError` for what is none, naming place and value."""
    if not data or len(data) % ANSWER_BODY:
        raise FileError(
            f"{len(data)} octets are no whole number of blocks of {ANSWER_BODY}: the file is cut or another"
        )
    if len(data) > MAX_FILE:
        raise FileError(f"{len(data)} octets: no meter holds so much, the largest file has {MAX_FILE}")
    frames = [data[i : i + ANSWER_BODY] for i in range(0, len(data), ANSWER_BODY)]
    for number, frame in enumerate(frames, 1):
        if frame[0] not in CODES:
            raise FileError(f"block {number} begins with {frame[0]:02X}, which is no answer a public file holds")
    serials = {serial_of(frame): number for number, frame in reversed(list(enumerate(frames, 1))) if _tells(frame)}
    if len(serials) != 1:
        said = ", ".join(f"{serial} (block {number})" for serial, number in sorted(serials.items(), key=lambda s: s[1]))
        raise FileError(f"one file is of one meter; here are serials: {said or 'none'}")
    return frames


def sections(frames: Sequence[bytes]) -> list[Section]:
    """Group blocks by the parameter block before them; one for each channel group at most, as octet 247 counts."""
    found: list[Section] = []
    for at, frame in enumerate(frames):
        if frame[0] in commands.PARAMETER_CODES:
            found.append(Section(frame, at))
        elif found:
            found[-1].others.append(frame)
        else:
            raise FileError(f"block {at + 1} (answer {frame[0]:02X}) stands before any parameters (20, 21, 22, 51)")
    if len({section.parameters[0] for section in found}) > 1:
        codes = ", ".join(f"{section.parameters[0]:02X}" for section in found)
        raise FileError(f"parameter blocks of different readings in one file ({codes}): it must hold one reading set")
    groups = Parameters.decode(found[0].parameters).groups or 1 if found else 0
    if not found or len(found) > groups:
        raise FileError(f"{len(found)} parameter blocks for {groups} channel groups: exactly one for each is readable")
    return found


def join_frames(frames: Sequence[bytes]) -> bytes:
    """Make a file of blocks as they were received; what :func:`split` and :func:`sections` refuse is not written."""
    data = b"".join(frames)
    sections(split(data))
    return data


def assemble(frames: Sequence[bytes], code: int) -> list[bytes]:
    """Pick out of a driver's evidence the reading set of profile answer ``code`` (26, 27, 52), as §6 orders it.

    A profile reading asks for parameters several times; of each group only those that announced the profile are kept,
    with the registers that belong to them. Without such a profile: an empty list.
    """
    wanted = commands.REGISTERS_CLOSED if code == commands.PROFILE_CLOSED else commands.REGISTERS
    logs = [frame for frame in frames if frame[0] in (commands.OUTAGES, commands.CHANGE_LOG)]
    found: list[bytes] = []
    parameters = registers = None
    open_run = False
    for frame in frames:
        if frame[0] in commands.PARAMETER_CODES:
            parameters, open_run = frame, False
        elif frame[0] == wanted:
            registers = frame
        elif frame[0] == code and parameters is not None:
            if not open_run:
                again = found and _number(frame) == 1 and _same_group(found, parameters)
                if again:  # it moved on while it was read, and was read anew
                    del found[_last_parameters(found) :]
                found += [parameters, *([registers] if registers else []), *(logs if not found else [])]
                open_run = True
            found.append(frame)
    return found


def serial_of(frame: bytes) -> str:
    """The meter's serial in octets 2-5."""
    return frame[1:5].hex().upper()


def name_base20(serial: str, at: datetime) -> str:
    """A file's name by the one rule that is known of, from one source: not established (§9, §14).

    Last five digits of the serial, ``$``, two letters, a dot, three letters: the last five digits to base 20 (A..T) of
    the wall-clock time of the block, ss + 60 mm + 3600 hh + 86400 dd + 31 x 86400 MM.
    """
    value = at.second + 60 * at.minute + 3600 * at.hour + 86400 * at.day + 31 * 86400 * at.month
    letters = ""
    for _ in range(5):
        value, digit = divmod(value, 20)
        letters = "ABCDEFGHIJKLMNOPQRST"[digit] + letters
    return f"{serial[-5:]}${letters[:2]}.{letters[2:]}"


def _tells(frame: bytes) -> bool:
    return frame[0] not in commands.UNCHECKED_SERIAL


def _number(frame: bytes) -> int:
    return ProfileWords.decode(frame).number


def _last_parameters(found: Sequence[bytes]) -> int:
    return max(i for i, frame in enumerate(found) if frame[0] in commands.PARAMETER_CODES)


def _same_group(found: Sequence[bytes], parameters: bytes) -> bool:
    """Say whether the last parameters of ``found`` describe the same channels: quantities and constants."""
    last = found[_last_parameters(found)]
    return last[128:146] == parameters[128:146] and last[195:198] == parameters[195:198]


# -- the contents ------------------------------------------------------------------------------------------------------


def read(data: bytes, meter: str, settings: AbntSettings) -> Contents:
    """Return what a file says as items of ``meter``; ``settings`` give zone, nibble order and missing constants.

    A profile that the registers of the same file do not prove is flagged ``unreconciled``, whatever order is set.
    """
    frames = split(data)
    parts = sections(frames)
    contents = Contents(serial_of(parts[0].parameters))
    outages = [o for f in frames if f[0] == commands.OUTAGES for o in Outages.decode(f).found]
    changes = [c for f in frames if f[0] == commands.CHANGE_LOG for c in ChangeLog.decode(f).found]
    proven = []
    taken: set[str] = set()
    for number, part in enumerate(parts):
        view = _view(part, number, settings)
        _registers(contents, part, view, meter)
        for stream in _streams(part, view):
            made, sound = _blocks(stream, part, view, settings, meter, (outages, changes))
            proven.append(sound)
            contents.profile += [block for block in made if block.channel not in taken]
        taken = {block.channel for block in contents.profile}
        for frame in part.of(frozenset({commands.INSTANTANEOUS})):
            values = Instantaneous.decode(frame)
            at = view_instant(view) if values.when is None else view.clock.present(values.when)
            contents.snapshots.append(snapshot(values, meter, at))
    contents.reconciled = bool(proven) and all(proven)
    return contents


def _view(part: Section, number: int, settings: AbntSettings) -> GroupView:
    parameters = Parameters.decode(part.parameters)
    clock = WallClock(settings.zone_info(), parameters.summer_time == 1)
    view = GroupView(number, parameters, channels(parameters, number, settings), clock, 0.0)
    return GroupView(number, parameters, view.channels, clock, float(view_instant(view)))


def _registers(contents: Contents, part: Section, view: GroupView, meter: str) -> None:
    parameters = view.parameters
    for frame in part.of(commands.REGISTER_CODES):
        closed = frame[0] == commands.REGISTERS_CLOSED
        reset = None if parameters.last_reset is None else view.clock.past(parameters.last_reset)
        if closed and reset is None:
            raise FileError("registers of a closed period (24), and no demand reset in the parameters")
        values = register_values(Registers.decode(frame), view.channels, parameters.demand_minutes)
        at = reset if closed and reset is not None else int(view.at)
        contents.registers.append(
            RegisterReading(meter, at, int(view.at), int(closed), list(values.values()), parameters.resets, reset)
        )


def _streams(part: Section, view: GroupView) -> list[Stream]:
    parameters = view.parameters
    found = []
    for code in sorted(commands.PROFILE_CODES):
        bodies = part.of(frozenset({code}))
        if not bodies:
            continue
        numbers = [_number(body) for body in bodies]
        if numbers != list(range(1, len(bodies) + 1)):
            raise FileError(f"profile blocks of answer {code:02X} are numbered {numbers[:8]}...: the file lost some")
        closed = code == commands.PROFILE_CLOSED
        words = parameters.words_closed if closed else parameters.words_running
        span = held(view)
        if len(bodies) != blocks_for(words):
            raise FileError(
                f"{len(bodies)} profile blocks of answer {code:02X} where {words} words need {blocks_for(words)}: "
                "the file is cut, or its parameters are of another reading"
            )
        if words:
            found.append(join(bodies, words, span.closed_end if closed else span.end, parameters.profile_step))
    return found


def _blocks(
    stream: Stream,
    part: Section,
    view: GroupView,
    settings: AbntSettings,
    meter: str,
    logs: tuple[Sequence[Outage], Sequence[Change]],
) -> tuple[list[ProfileBlock], bool]:
    orders = ORDERS if settings.nibble_order == "auto" else (settings.nibble_order,)
    verdict = reconcile(stream, _pairs(part, view, settings), orders)
    sound = verdict.outcome is Outcome.MATCH
    marks = marks_of(view, stream, logs[0], clock_set_stamps(list(logs[1])))
    window = (stream.start, stream.end)
    return blocks(stream, verdict.order or orders[0], view.channels, window, marks, meter, sound), sound


def _pairs(part: Section, view: GroupView, settings: AbntSettings) -> list[Pair]:
    """One file holds one reading of the registers: a proof only where totals begin at 0 with the period."""
    parameters, energy = view.parameters, [channel.energy for channel in view.channels]
    if not settings.totals_restart:
        return []
    pairs = []
    for frame in part.of(commands.REGISTER_CODES):
        closed = frame[0] == commands.REGISTERS_CLOSED
        begin, end = (
            (parameters.reset_before, parameters.last_reset) if closed else (parameters.last_reset, parameters.now)
        )
        if begin is not None and end is not None:
            totals = [channel.total for channel in Registers.decode(frame).channels]
            until = view.clock.past(end) if closed else view.clock.present(end)
            pairs.append(Pair(view.clock.past(begin), [0] * CHANNELS, until, totals, energy))
    return pairs
