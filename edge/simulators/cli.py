"""``metergate edge simulate``: simulated meters on TCP ports and pseudo-terminals."""

import asyncio
import json
import random
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final, Literal, TypeVar

import click

from edge.drivers.abnt.frames import Variant
from edge.simulators.abnt.clock import MeterClock
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.posts import PostPlan
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.simulators.abnt.session import SessionSetup
from edge.simulators.abnt.setup import INSTALLED, MeterSetup
from edge.simulators.faults import Fault, FaultKind, FaultPlan
from ext.nibbles import ORDERS

_STAMPS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
#: A tenth of outages is shorter than a minute, the longest last three hours.
SHORTEST_OUTAGE: Final = 30
OUTAGE_SPREAD: Final = 360
MONTH: Final = 30 * 86400
#: Outages are planned this far ahead.
HORIZON: Final = 400 * 86400
FIRST_SERIAL: Final = 10_000_001
_PLACE: Final = re.compile(r"(?P<serial>\d{8})@(?P<kind>tcp|pty)(?::(?P<rest>.+))?")

T = TypeVar("T")
Port = TcpPort | PtyPort


@dataclass(frozen=True)
class Place:
    """Where a meter is reached: ``host`` and ``port`` (0: a free one), or a terminal with an optional ``link``."""

    serial: str
    kind: Literal["tcp", "pty"]
    host: str = "127.0.0.1"
    port: int = 0
    link: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read ``SERIAL@tcp[:[HOST:]PORT]`` or ``SERIAL@pty[:LINK]``."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not SERIAL@tcp:[HOST:]PORT or SERIAL@pty:LINK, serial of 8 digits")
        rest = found["rest"]
        if found["kind"] == "pty":
            return cls(found["serial"], "pty", link=Path(rest) if rest else None)
        host, _, port = (rest or "0").rpartition(":")
        if not port.isdigit() or int(port) > 0xFFFF:
            raise ValueError(f"{text!r}: {port!r} is no TCP port (0 to 65535)")
        return cls(found["serial"], "tcp", host or cls.host, int(port))

    @property
    def line(self) -> object:
        """Meters with the same line share it; port 0 and nameless terminals are lines of their own."""
        shared = self.port if self.kind == "tcp" else self.link
        return (self.kind, self.host, shared) if shared else (self.kind, self.serial)


def _parsed(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[T, ...]]:
    """Let ``parse`` read every value of a repeatable option; its ``ValueError`` is shown."""

    def callback(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[T, ...]:
        try:
            return tuple(map(parse, values))
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


FAULT_HELP: Final = "\n".join(f"  {k.label:<13} {k.help} [ARG {k.default:g}]" for k in FaultKind)

HELP: Final = f"""Run simulated ABNT NBR 14522 meters until Ctrl-C (or SIGTERM).

They replay real quarter-hour loads: which load a meter has follows from its serial alone, so a meter started again goes
on where it was. Addresses are printed first, one line per meter, then a line that begins with "ready".

\b
Meters that share a TCP port or a terminal's link form a bus: they answer addressed commands only.

\b
Faults (--fault KIND[:PROBABILITY[:ARG]]), each with the meaning of ARG and its default:
{FAULT_HELP}

\b
Examples:
  metergate edge simulate --count 6 --base-port 4001
  metergate edge simulate --meter 12345678@tcp:4001 --meter 12345679@pty:/tmp/meter9 --baud 9600
  metergate edge simulate --meter 11111111@tcp:4001 --meter 22222222@tcp:4001     (a bus)
  metergate edge simulate --count 12 --fault noise:0.05 --fault drop-ack:0.02 --seed 7
  metergate edge simulate --count 1 --start 2026-01-01T00:00 --speed 600 --strict
"""


@click.command(help=HELP)
@click.option(
    "--meter", "places", multiple=True, callback=_parsed(Place.parse), help="SERIAL@tcp:PORT or SERIAL@pty:LINK."
)
@click.option("--count", "number", default=0, type=click.IntRange(0, 1000), help="This many more meters on TCP ports.")
@click.option("--base-port", default=0, type=click.IntRange(0, 65535), help="First port of --count; 0: any free ones.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address on which --count listens.")
@click.option("--days", default=35, show_default=True, type=click.IntRange(1, 500), help="Depth of the profile memory.")
@click.option(
    "--interval", default="15", show_default=True, type=click.Choice(["5", "15", "30", "60"]), help="Minutes."
)
@click.option("--groups", default=1, show_default=True, type=click.IntRange(1, 2), help="Channel groups.")
@click.option("--order", default=ORDERS[0], show_default=True, type=click.Choice(ORDERS), help="12-bit nibble order.")
@click.option(
    "--utc-offset", default=-3.0, show_default=True, type=click.FloatRange(-12, 14), help="Hours, wall clock."
)
@click.option("--two-posts", is_flag=True, help="Peak and off-peak only; else reserved hours at night as well.")
@click.option("--outages", default=0, type=click.IntRange(0, 100), help="Power outages a month, by --seed.")
@click.option("--start", type=click.DateTime(_STAMPS), help="First instant of the meters' clocks, UTC (default: now).")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.001, 100_000), help="Of their clocks.")
@click.option("--drift", default=0.0, show_default=True, help="Of their clocks, in parts per million.")
@click.option("--clock-offset", default=0.0, show_default=True, help="Seconds by which their clocks are wrong.")
@click.option("--strict", is_flag=True, help="Take commands only within --sync-window of an ENQ.")
@click.option("--sync-window", default=12, show_default=True, type=click.IntRange(1, 500), help="Milliseconds.")
@click.option("--enq", default=250, show_default=True, type=click.IntRange(22, 502), help="Milliseconds between ENQs.")
@click.option(
    "--variant",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", *(v.value for v in Variant)]),
    help="Wire.",
)
@click.option("--baud", type=click.IntRange(300, 115_200), help="Pace terminals like a serial line of this speed.")
@click.option(
    "--fault", "faults", multiple=True, callback=_parsed(Fault.parse), help="KIND[:PROBABILITY[:ARG]], see above."
)
@click.option("--seed", default=0, show_default=True, help="Of faults and outages.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def simulate(
    places: tuple[Place, ...],
    number: int,
    base_port: int,
    host: str,
    days: int,
    interval: str,
    groups: int,
    order: Literal["high_first", "low_first"],
    utc_offset: float,
    two_posts: bool,
    outages: int,
    start: datetime | None,
    speed: float,
    drift: float,
    clock_offset: float,
    strict: bool,
    sync_window: int,
    enq: int,
    variant: str,
    baud: int | None,
    faults: tuple[Fault, ...],
    seed: int,
    as_json: bool,
) -> None:
    begin = None if start is None else start.replace(tzinfo=UTC).timestamp()
    wanted = [*places, *_counted(number, base_port, host, {place.serial for place in places})]
    if not wanted:
        raise click.UsageError("no meter asked for: give --count, or --meter SERIAL@tcp:PORT")
    try:
        session = SessionSetup(
            variant=None if variant == "auto" else Variant(variant),
            strict=strict,
            enq_period=enq / 1000,
            sync_limit=sync_window / 1000,
        )
        meters = {}
        for place in wanted:
            clock = MeterClock(start=begin, offset=clock_offset, drift_ppm=drift, speed=speed)
            setup = MeterSetup(
                serial=place.serial,
                step=int(interval) * 60,
                utc_offset=int(utc_offset * 3600),
                days=days,
                groups=groups,
                order=order,
                posts=PostPlan.two_posts() if two_posts else PostPlan(),
                outages=random_outages(outages, f"{seed}/{place.serial}", int(clock.now()) + HORIZON),
            )
            if place.serial in meters:
                raise ValueError(f"meter {place.serial} is asked for twice")
            meters[place.serial] = Meter(setup, clock)
        ports = _ports(wanted, meters, session, faults, seed, baud)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        asyncio.run(_run(ports, as_json))
    except BrokenPipeError:  # nobody reads on: click ends quietly
        raise
    except OSError as error:
        raise click.ClickException(str(error)) from error


def _counted(number: int, base_port: int, host: str, taken: set[str]) -> list[Place]:
    if base_port and base_port + number - 1 > 0xFFFF:
        raise click.UsageError(f"{number} ports from {base_port} end above 65535: use a lower --base-port")
    serials = (serial for serial in map("{:08d}".format, count(FIRST_SERIAL)) if serial not in taken)
    return [Place(next(serials), "tcp", host, base_port + i if base_port else 0) for i in range(number)]


def random_outages(a_month: int, seed: str, until: int) -> tuple[tuple[int, int], ...]:
    """Return outages (UTC seconds) from the installation to ``until``, the same ones whenever they are asked for."""
    if not a_month:
        return ()
    slot = MONTH // a_month
    found = []
    for first in range(INSTALLED, until, slot):
        chance = random.Random(f"{seed}/{first}")  # noqa: S311 - repeatable on purpose
        length = min(int(SHORTEST_OUTAGE * OUTAGE_SPREAD ** chance.random()), slot // 2)
        start = first + chance.randrange(slot - length)
        found.append((start, start + length))
    return tuple(found)


def _ports(
    places: Sequence[Place],
    meters: dict[str, Meter],
    session: SessionSetup,
    faults: Sequence[Fault],
    seed: int,
    baud: int | None,
) -> list[Port]:
    """Make one port per line, several meters on one where they share it."""
    lines: dict[object, list[Place]] = {}
    for place in places:
        lines.setdefault(place.line, []).append(place)
    ports: list[Port] = []
    for index, shared in enumerate(lines.values()):
        first = shared[0]
        here = [meters[place.serial] for place in shared]
        setup = session if len(here) == 1 else _bus(session)
        plan = FaultPlan(*faults, seed=seed + index)
        if first.kind == "tcp":
            ports.append(TcpPort(here, first.host, first.port, setup, plan))
        else:
            ports.append(PtyPort(here, first.link, setup, plan, baud))
    return ports


def _bus(session: SessionSetup) -> SessionSetup:
    return SessionSetup(variant=session.variant, character_limit=session.character_limit, bus=True)


async def _run(ports: Sequence[Port], as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(port)
        for port in ports:
            for meter in port.meters:
                click.echo(_line(port, meter, as_json))
        meters = sum(len(port.meters) for port in ports)
        click.echo(json.dumps({"ready": True, "meters": meters}) if as_json else f"ready: {meters} meters, Ctrl-C ends")
        await stop.wait()


def _line(port: Port, meter: Meter, as_json: bool) -> str:
    num, den = meter.replays[0].constant
    if not as_json:
        return f"meter {meter.serial}  {port.address}  {num}/{den} kWh a pulse, {meter.setup.step // 60} min"
    where: dict[str, object]
    if isinstance(port, TcpPort):
        where = {"kind": "tcp", "host": port.host, "port": port.port}
    else:
        where = {"kind": "pty", "path": port.path, "link": None if port.link is None else str(port.link)}
    return json.dumps({"serial": meter.serial, **where, "step": meter.setup.step, "num": num, "den": den})
