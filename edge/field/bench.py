"""A place made ready: its line open and ours, the guardian listening, a driver that knows which meter answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge import control
from edge.drivers import open_driver
from edge.drivers.contract import Driver, Identity
from edge.errors import BusyError, ConfigError, EdgeError, SilenceError
from edge.field.folder import Folder
from edge.field.place import Options, Place, settings_for, with_baud
from edge.field.tap import Tap, TappedClaim, TraceFile
from edge.guardian import CloseReason, Expected, Finding, Inspector, Side
from edge.lines.contract import LineClass
from edge.lines.factory import build_line
from edge.spool import Spool

#: No conversation of one command lasts longer, s; a silent meter ends far sooner by the driver's own limits.
TIMEOUT: Final = 1800.0


@dataclass
class Wire:
    """An open line. ``error``: what ended the conversation, for the verdict."""

    claim: TappedClaim
    tap: Tap
    error: EdgeError | None = None

    def verdict(self) -> Finding:
        """What the guardian says of the conversation up to now; ask once, at its end.

        Where the driver gave up for silence it waited long enough: the guardian need not allow for a late answer.
        """
        inspector = self.tap.inspector
        if isinstance(self.error, SilenceError):
            inspector.expected = replace(inspector.expected, patience=0.0)
        reason = CloseReason.METER if self.error is not None and self.tap.octets[Side.METER] else CloseReason.CLIENT
        return inspector.finish(time.time(), reason)


@dataclass
class Bench:
    """A meter that has said who it is. ``name``: its id on the wire to the aggregator."""

    wire: Wire
    driver: Driver
    identity: Identity

    @property
    def name(self) -> str:
        return self.driver.meter


@asynccontextmanager
async def wire(place: Place, folder: Folder, what: str, expected: Expected | None = None) -> AsyncIterator[Wire]:
    """Open the line of a place, alone; everything that passes is traced. Raises the errors of ``edge.errors``."""
    line = build_line(place.line)
    trace = TraceFile(folder.new_trace(what))
    try:
        with _alone(place):
            async with asyncio.timeout(TIMEOUT), line.claim(LineClass.COMMAND, "field") as claim:
                tap = Tap(claim.transport, Inspector(expected or Expected(), time.time()), trace)
                yield Wire(TappedClaim(tap, claim), tap)
    except TimeoutError:
        raise BusyError(f"{place.text}: no end after {TIMEOUT:.0f} s; the line was given back") from None
    finally:
        trace.close()
        await line.close()


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Keep the gateway of a configuration from its lines until the block ends; one that runs is not disturbed."""
    with ExitStack() as stack:
        if place.config is not None:
            try:
                stack.enter_context(control.no_gateway(Path(place.config.spool.path)))
            except ConfigError as error:
                raise ConfigError(
                    f"the gateway of {place.text} runs and owns its lines: read through it, test its forwarded port as "
                    "HOST:PORT, or stop it first"
                ) from error
        yield


def ready(place: Place, folder: Folder, options: Options) -> Place:
    """The place at the speed the person says, else at the one an earlier visit learnt. Serials are never assumed."""
    baud = options.baud or int(folder.learnt(place.text).get("baud", 0))
    return with_baud(place, baud) if baud else place


async def settle(open_wire: Wire, place: Place, options: Options, spool: Spool | None) -> Bench:
    """Ask who is there and make the driver of that meter, with what the spool remembers of it."""
    settings = settings_for(place, options)
    if place.meter is not None:
        name = place.meter.id
        driver = open_driver(place.meter.protocol, name, settings)
        await _restore(driver, spool)
        return Bench(open_wire, driver, await driver.identify(open_wire.claim))
    first = open_driver("abnt", options.name or options.serial or "field", settings)
    identity = await first.identify(open_wire.claim)
    known = {"serial": identity.serial, "variant": identity.detail["variant"]}
    driver = open_driver("abnt", options.name or identity.serial, settings | known)
    await _restore(driver, spool)
    _carry(first, driver)
    return Bench(open_wire, driver, identity)


async def _restore(driver: Driver, spool: Spool | None) -> None:
    stored = None if spool is None else await spool.state.get(driver.meter)
    if stored is not None:
        try:
            driver.restore(stored)
        except ConfigError:  # of another version: it begins afresh
            return


def _carry(first: Driver, driver: Driver) -> None:
    """What was learnt of the line while asking who is there."""
    learnt: dict[str, Any] = first.state()
    driver.restore(driver.state() | {key: learnt[key] for key in ("variant", "blind", "complemented") if key in learnt})


def words(error: Exception) -> str:
    """An error for people; a mistake of our own says so."""
    return str(error) if isinstance(error, EdgeError) else f"our own mistake, {type(error).__name__}: {error}"
