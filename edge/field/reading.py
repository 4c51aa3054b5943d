"""A point-to-point reading: ask, and keep what came at once, with who and why. Nothing read is lost by a kill."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge import control
from edge.drivers.contract import Evidence, Readout
from edge.errors import ConfigError, EdgeError, RefusedError
from edge.export import named
from edge.field.bench import Bench, ready, settle, wire
from edge.field.folder import Folder, utc_text
from edge.field.place import Options, Place
from edge.lines.contract import OnProgress
from edge.spool import Spool, Visit
from shared.wire import InstantSnapshot, Item, MeterEvent, ProfileBlock, RegisterReading, RegisterValue

KINDS: Final = ("registers", "instantaneous", "profile", "events")
DAY: Final = 86400
#: Profile asked for where no range is given: more than a billing period.
DAYS: Final = 35


@dataclass(frozen=True)
class Stamp:
    """Who reads, and why: travels with every reading."""

    who: str
    why: str


@dataclass
class Brought:
    """What a reading brought. ``stored``: items now in the laptop's spool; 0 where the gateway keeps them itself."""

    place: str
    meter: str
    serial: str
    stamp: Stamp
    at: int = field(default_factory=lambda: int(time.time()))
    through: str = "line"  # or "gateway"
    drift: float | None = None
    done: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stored: int = 0

    def as_json(self) -> dict[str, Any]:
        """The answer of ``read --json``."""
        return {
            "place": self.place, "meter": self.meter, "serial": self.serial, "at": utc_text(self.at),
            "who": self.stamp.who, "why": self.stamp.why, "through": self.through, "clock_drift": self.drift,
            "kinds": self.done, "stored": self.stored, "errors": self.errors,
            "items": [named(item) for item in self.items],
        }  # fmt: skip


async def read(
    place: Place,
    folder: Folder,
    options: Options,
    kinds: Sequence[str],
    stamp: Stamp,
    window: tuple[int, int] | None = None,
    progress: OnProgress | None = None,
) -> Brought:
    """Read ``kinds`` of the meter at ``place``; ``window`` [start, end) UTC of the profile.

    A gateway that runs with the place's configuration reads for us and keeps the readings. Raises the errors of
    ``edge.errors`` when the meter cannot be reached; what goes wrong with one kind later is in ``errors``.
    """
    if place.config is not None and place.meter is not None:
        try:
            return await _through_gateway(place, folder, kinds, stamp, window)
        except control.NoGatewayError:
            pass  # none runs: its line is free
    async with folder.spool() as spool, wire(ready(place, folder, options), folder, "read") as line:
        bench = await settle(line, place, options, spool)
        brought = Brought(place.text, bench.name, bench.identity.serial, stamp)
        brought.drift = (await bench.driver.read_clock(line.claim)).drift
        for kind in [kind for kind in KINDS if kind in kinds]:
            try:
                readout = await _ask(bench, kind, window, progress)
            except EdgeError as error:
                brought.errors.append(f"{kind}: {error}")
                if not isinstance(error, RefusedError):
                    break
                continue
            await _keep(spool, bench, kind, readout, brought)
    return brought


async def _ask(bench: Bench, kind: str, window: tuple[int, int] | None, progress: OnProgress | None) -> Readout:
    claim, driver = bench.wire.claim, bench.driver
    if kind == "registers":
        return await driver.read_registers(claim)
    if kind == "instantaneous":
        return await driver.read_instantaneous(claim)
    if kind == "events":
        return await driver.read_events(claim)
    now = int(time.time())
    start, end = window or (now - DAYS * DAY, now)
    return await driver.read_profile(claim, start, end, progress)


async def _keep(spool: Spool, bench: Bench, kind: str, readout: Readout, brought: Brought) -> None:
    """One transaction: what the kind brought, who read it and why, what the driver remembers."""
    items: list[Item] = [*readout.registers, *readout.profile, *readout.snapshots, *readout.events]
    event = reading_event(brought, kind)
    await spool.commit(Visit([*items, event], {bench.name: bench.driver.state()}, {}, readout.evidence))
    brought.items += items
    brought.evidence += readout.evidence
    brought.done.append(kind)
    brought.stored += len(items) + 1


def reading_event(brought: Brought, kind: str) -> MeterEvent:
    """Who read a meter on the spot, when, why, where and with what."""
    from edge.gateway import program_version

    detail = {
        "who": brought.stamp.who, "why": brought.stamp.why, "place": brought.place, "kinds": kind,
        "tool": f"metergate field {program_version()}",
    }  # fmt: skip
    return MeterEvent(brought.meter, int(time.time()), "field_reading", None, detail)


# -- through a running gateway -----------------------------------------------------------------------------------------


async def _through_gateway(
    place: Place, folder: Folder, kinds: Sequence[str], stamp: Stamp, window: tuple[int, int] | None
) -> Brought:
    assert place.config is not None  # noqa: S101
    assert place.meter is not None  # noqa: S101
    socket = control.socket_path(Path(place.config.spool.path))
    if window is not None:
        async for _ in control.ask(socket, {"op": "status"}):
            raise ConfigError(
                "the gateway that runs here reads the profile it lacks, not a range: leave --from and --to out, or "
                "order the range from the aggregator"
            )
    request = {"op": "read", "meter": place.meter.id, "kinds": list(kinds)}
    async for answer in control.ask(socket, request):
        if answer["event"] == "error":
            raise EdgeError(str(answer.get("text")))
        if answer["event"] == "result":
            brought = Brought(place.text, place.meter.id, place.meter.serial, stamp, through="gateway")
            brought.drift, brought.errors = answer["drift"], list(answer["errors"])
            brought.items = [item for shown in answer["items"] if (item := revived(shown)) is not None]
            brought.done = [] if brought.errors and not brought.items else list(kinds)
            async with folder.spool() as spool:
                await spool.add([reading_event(brought, ", ".join(kinds))])
            brought.stored = 1
            return brought
    raise EdgeError("the gateway ended before it answered")


def revived(shown: dict[str, Any]) -> Item | None:
    """An item as the gateway's local socket tells it (:func:`edge.export.named`); None for other kinds."""
    fields = {name: value for name, value in shown.items() if name != "type"}
    match shown.get("type"):
        case "RegisterReading":
            values = [RegisterValue(**{k: v for k, v in each.items() if k != "type"}) for each in fields.pop("values")]
            return RegisterReading(**fields, values=values)
        case "ProfileBlock":
            return ProfileBlock(**fields | {"data": bytes.fromhex(fields["data"])})
        case "InstantSnapshot":
            return InstantSnapshot(**fields | {"values": bytes.fromhex(fields["values"])})
        case "MeterEvent":
            return MeterEvent(**fields)
    return None
