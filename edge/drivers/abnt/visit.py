"""One visit to a meter: its session, the groups it looked at, the raw answers it saw, occurrences on the way."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.clock import WallClock
from edge.drivers.abnt.convert import Channel, channels
from edge.drivers.abnt.events import occurrence_event
from edge.drivers.abnt.frames import Variant
from edge.drivers.abnt.layout import ChangeLog, Outage, Outages, Parameters, Registers
from edge.drivers.abnt.layout.requests import ClearOccurrence, Group, OutagePeriod
from edge.drivers.abnt.memory import Memory
from edge.drivers.abnt.session import Link, Refused, Session
from edge.drivers.abnt.settings import AbntSettings
from edge.drivers.abnt.timing import LINKS
from edge.drivers.abnt.trace import Trace
from edge.errors import EdgeError, NoiseError, PreemptedError, RefusedError, SilenceError
from edge.lines.contract import Claim, OnProgress
from shared.wire import MeterEvent

#: Order in which an unknown line is tried: the usual first, those that cost a wait for ENQ last.
_TRIED: Final = (Variant.PLAIN, Variant.HEADED, Variant.ADDRESSED, Variant.DIRECTIONAL)
_DETECTION_TRANSMISSIONS: Final = 2

#: A meter that refused for its password or blocked us is left alone this long, seconds: repeating locks it out.
LOCKOUT_PAUSE: Final = 3600


@dataclass(frozen=True)
class GroupView:
    """What a parameter answer says of one channel group, taken at ``at`` (gateway, UTC)."""

    number: int
    parameters: Parameters
    channels: tuple[Channel, ...]
    clock: WallClock
    at: float


class Visit:
    """Asks on one claim; keeps every answer without CRC in reading order (``frames``) and events met on the way."""

    def __init__(
        self,
        claim: Claim,
        meter: str,
        settings: AbntSettings,
        memory: Memory,
        trace: Trace,
        pending: list[MeterEvent],
        barred: dict[int, tuple[float, RefusedError]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.meter = meter
        self.settings = settings
        self.memory = memory
        self.claim = claim
        self.now = now
        self.frames: list[bytes] = []
        self.answered_at = 0.0
        self._trace = trace
        self._pending = pending
        self._barred = barred
        self._cleared: set[int] = set()
        self._group = 0
        variant = memory.variant if settings.variant == "auto" else settings.variant
        self._detected = variant is not None
        self.session = self._session(Variant(variant) if variant else Variant.PLAIN)

    def _session(self, variant: Variant) -> Session:
        link = Link(
            variant,
            self.settings.reader_serial,
            self.settings.serial or self.memory.serial,
            LINKS[self.settings.link],
            self.settings.send_without_enq,
            self.memory.blind and self.settings.send_without_enq and variant is not Variant.DIRECTIONAL,
            self.memory.complemented,
        )
        return Session(self.claim, link, self.meter, self._trace, self.now)

    # -- asking ------------------------------------------------------------------------------------------------------

    async def ask(self, code: int, parameters: bytes = b"") -> bytes:
        """Return the 256 octets of a simple answer. A recoverable occurrence is cleared, the command repeated once."""
        return (await self._guarded(code, lambda: self._simple(code, parameters)))[0]

    async def ask_blocks(self, code: int, progress: OnProgress | None, total: int) -> list[bytes]:
        """Return the 256 octets of each block of a composite answer."""
        return await self._guarded(code, lambda: self._composite(code, progress, total))

    async def ask_optional(self, code: int, parameters: bytes = b"") -> bytes | None:
        """The same for what not every meter has: None after answer 39, which is remembered."""
        if self.memory.lacks(code):
            return None
        try:
            return await self.ask(code, parameters)
        except RefusedError as error:
            if not_implemented(error):
                self.memory.note_missing(code)
                return None
            raise

    async def _simple(self, code: int, parameters: bytes) -> list[bytes]:
        if not self._detected:
            await self._detect()
        answer = await self.session.ask(code, parameters)
        self.answered_at = self.session.answered_at
        return [answer.body]

    async def _composite(self, code: int, progress: OnProgress | None, total: int) -> list[bytes]:
        return [a.body for a in await self.session.ask_blocks(code, progress=progress, total=total)]

    async def _guarded(self, code: int, run: Callable[[], Awaitable[list[bytes]]]) -> list[bytes]:
        """Run one exchange; learn from it, keep its answers, clear a recoverable occurrence once."""
        barred = self._barred.get(code)
        if barred is not None and self.now() < barred[0]:
            raise barred[1]
        try:
            bodies = await run()
        except RefusedError as error:
            self._learn()
            if not isinstance(error, Refused) or error.answer != commands.OCCURRENCE or error.code is None:
                raise
            if error.code in commands.NEVER_REPEAT:
                self._barred[code] = (self.now() + LOCKOUT_PAUSE, error)
                raise
            await self._clear(error.code, error)
            bodies = await run()
        self._learn()
        self.frames += bodies
        return bodies

    async def _clear(self, occurrence: int, error: Refused) -> None:
        """Report an occurrence; acknowledge it by command 37 where that is of use and allowed, else raise ``error``."""
        if occurrence not in self._cleared:
            self._pending.append(occurrence_event(self.meter, int(self.now()), occurrence, error.sub_code))
        if occurrence in self._cleared or not commands.may_clear(occurrence) or not self.settings.clear_occurrences:
            raise error
        self._cleared.add(occurrence)
        await self.session.ask(commands.CLEAR_OCCURRENCE, ClearOccurrence(code=occurrence).parameters)

    def _learn(self) -> None:
        link = self.session.link
        self.memory.blind, self.memory.complemented = link.blind, link.complemented
        if self.memory.serial is None and link.serial is not None and self._detected:
            self.memory.serial = link.serial

    # -- which dress the line wears ------------------------------------------------------------------------------------

    async def _detect(self) -> None:
        """Find the variant by asking for parameters in each; the first that is answered is remembered."""
        failure: EdgeError = SilenceError(f"meter {self.meter} does not answer in any wire variant")
        for variant in _TRIED:
            if variant is Variant.ADDRESSED and not (self.settings.serial or self.memory.serial):
                continue
            session = self._session(variant)
            try:
                await session.ask(commands.PARAMETERS, transmissions=_DETECTION_TRANSMISSIONS)
            except (SilenceError, NoiseError) as error:
                failure = failure if isinstance(failure, NoiseError) else error
                continue
            except RefusedError:  # a refusal is an answer, and a matter for the caller
                self._found(session)
                raise
            self._found(session)
            return
        raise failure

    def _found(self, session: Session) -> None:
        self._detected = True
        self.session = session
        self.memory.variant = session.link.variant.value

    # -- what most readings begin with ---------------------------------------------------------------------------------

    async def parameters(self, code: int, group: int = 0) -> GroupView:
        """Read parameters and make ``group`` the visible one."""
        return await self.view(code, group, Group(group=group).parameters)

    async def view(self, code: int, group: int, request: bytes) -> GroupView:
        """The same with a request of one's own, whose octet 6 is ``group``."""
        body = await self.ask(code, request)
        self._group = group
        parameters = Parameters.decode(body)
        clock = WallClock(self.settings.zone_info(), parameters.summer_time == 1)
        return GroupView(group, parameters, channels(parameters, group, self.settings), clock, self.answered_at)

    async def groups(self, code: int, first: GroupView) -> AsyncIterator[GroupView]:
        """Give each configured channel group in turn, made visible by ``code``; ``first``: group 0, read by 21."""
        numbers: Sequence[int] = self.settings.groups or range(max(1, first.parameters.groups or 1))
        for number in numbers:
            if code == commands.PARAMETERS and number == first.number == self._group:
                yield first
            else:
                yield await self.parameters(code, number)

    async def registers(self, code: int) -> Registers:
        return Registers.decode(await self.ask(code))

    async def partial_registers(self, codes: Sequence[int]) -> None:
        """Read the further registers of the three channels; their octets are not established: raw evidence."""
        for code in codes:
            await self.ask_optional(code)

    async def outages(self) -> list[Outage]:
        """Outages of the closed and the running period, oldest first."""
        found: list[Outage] = []
        for running in (0, 1):
            body = await self.ask_optional(commands.OUTAGES, OutagePeriod(running=running).parameters)
            if body is not None:
                found += Outages.decode(body).found
        return found

    async def change_log(self) -> ChangeLog:
        """The change log; an empty one where the meter has none."""
        body = await self.ask_optional(commands.CHANGE_LOG)
        return ChangeLog() if body is None else ChangeLog.decode(body)

    async def restore_group(self) -> None:
        """Make the first three channels visible again, as other readers expect them."""
        if self._group != 0:
            await self.parameters(commands.PARAMETERS)


def not_implemented(error: RefusedError) -> bool:
    """Say whether a refusal is answer 39: the meter does not know the command."""
    return isinstance(error, Refused) and error.answer == commands.NOT_IMPLEMENTED


@asynccontextmanager
async def restoring(visit: Visit) -> AsyncIterator[None]:
    """Leave channel group 0 visible however the block ends; a failure to do so does not hide the first one."""
    try:
        yield
    except PreemptedError:
        raise
    except EdgeError as error:
        try:
            await visit.restore_group()
        except EdgeError as second:
            error.add_note(f"channel group 0 could not be made visible again: {second}")
        raise
    else:
        await visit.restore_group()
