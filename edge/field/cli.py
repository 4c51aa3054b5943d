"""``metergate field``: for a person with a laptop beside the meter or the gateway. Alone it opens the screens.

Exit codes as of ``metergate edge``: 0 well, 1 something looked for is wrong, 2 wrong usage, 3 not reachable.
"""

import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from edge.cli import said
from edge.drivers.abnt.frames import Variant
from edge.drivers.abnt.settings import AbntSettings
from edge.errors import ConfigError
from edge.field.folder import VARIABLE, Folder, default_folder
from edge.field.place import DEFAULT_ZONE, Options, parse
from edge.field.reading import KINDS, Stamp
from ext.nibbles import ORDERS

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

PLACE = click.argument("place")
JSON = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON on standard output (docs/field.md).")
WHY = click.option("--why", required=True, envvar="METERGATE_FIELD_WHY", help="Why you read; travels with the reading.")
STAMPS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@dataclass
class Context:
    """What all commands share; the folder is made when it is first used."""

    path: Path
    laptop: str
    who: str

    @property
    def folder(self) -> Folder:
        return Folder(self.path, self.laptop)


def about_the_meter(command: F) -> F:
    """Options that say what is known of the meter; every one may be left out."""
    for option in reversed(
        (
            click.option("--serial", default="", help="The serial that must answer (8 digits)."),
            click.option("--meter", "name", default="", help="The meter's id at the aggregator; its serial without."),
            click.option("--baud", default=0, type=click.IntRange(0, 4_000_000), help="Of a serial port; 0: find out."),
            click.option("--variant", default="auto", type=click.Choice(["auto", *(v.value for v in Variant)]),
                         help="How frames are dressed; auto tries all."),
            click.option("--zone", default=DEFAULT_ZONE, show_default=True, help="Of the meter's wall clock."),
            click.option("--nibble-order", default="auto", type=click.Choice(["auto", *ORDERS]),
                         help="Of profile words; auto lets the registers decide."),
            click.option("--reader-serial", default="000000", help="Ours, as the meter's change log keeps it."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@click.option("--folder", type=click.Path(path_type=Path), envvar=VARIABLE, help="Where readings and traces are kept.")
@click.option("--laptop", default="", help="Name of this laptop as a gateway; kept. Made up at the first use.")
@click.option("--who", default="", envvar="METERGATE_FIELD_WHO", help="Who you are; the user's name without.")
@click.pass_context
def cli(ctx: click.Context, folder: Path | None, laptop: str, who: str) -> None:
    """Beside the meter: find it, read it, test its audit channel, take everything along. Alone: the screens."""
    ctx.obj = Context(folder or default_folder(), laptop, who or _user())
    if ctx.invoked_subcommand is None:
        _screens(ctx.obj)


@said
def _screens(context: Context) -> None:
    if find_spec("textual") is None:
        raise ConfigError(
            "the screens need the module 'textual', which is not installed here: install metergate[field]; every "
            "command works without it (metergate field --help)"
        )
    from edge.field.screens import FieldApp

    FieldApp(context.folder, context.who).run()


@cli.command("ports")
@JSON
@said
def ports_command(as_json: bool) -> None:
    """List serial ports and the probes plugged in."""
    from edge.field import show
    from edge.field.ports import serial_ports

    found = serial_ports()
    if as_json:
        _print({"ports": [{**msgspec.to_builtins(port), "words": port.words} for port in found]})
    else:
        show.ports(found, Console())


@cli.command("identify")
@PLACE
@about_the_meter
@JSON
@click.pass_obj
@said
def identify_command(context: Context, /, place: str, as_json: bool, **given: Any) -> None:
    """Find out what answers at PLACE: NBR 14522 in all variants and speeds, others by their first answer."""
    from edge.field.identify import as_json as shown
    from edge.field.identify import identify

    folder, options = context.folder, Options(**given)
    tell = _quiet if as_json else lambda line: click.echo(f"  {line}", err=True)
    found = _run(identify(parse(place, options.baud), folder, options, tell))
    folder.journal("identify", who=context.who, place=place, protocol=found.protocol, serial=found.serial)
    if as_json:
        _print(shown(found))
    else:
        click.echo(found.words)
    if not found.readable:
        sys.exit(1 if found.protocol else 3)


@cli.command("read")
@PLACE
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Repeatable; registers by default.")
@click.option("--from", "start", type=click.DateTime(STAMPS), help="Of the profile, in --zone; 35 days ago without.")
@click.option("--to", "end", type=click.DateTime(STAMPS), help="End of the profile; now without.")
@WHY
@about_the_meter
@JSON
@click.pass_obj
@said
def read_command(
    context: Context, /, place: str, kinds: tuple[str, ...], start: datetime | None, end: datetime | None, why: str,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Read the meter at PLACE and keep the readings for the aggregator."""
    from edge.field import show

    options = Options(**given)
    window = _window(start, end, options.zone)
    brought = _read(context, place, options, kinds or ("registers",), why, window, quiet=as_json)
    if as_json:
        _print(brought.as_json())
    else:
        show.brought(brought, Console())
    if brought.errors:
        sys.exit(1)


@cli.command("profile")
@PLACE
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="NAME.csv or NAME.abnt.")
@click.option("--from", "start", type=click.DateTime(STAMPS), help="In --zone; 35 days ago without.")
@click.option("--to", "end", type=click.DateTime(STAMPS), help="Now without.")
@WHY
@about_the_meter
@JSON
@click.pass_obj
@said
def profile_command(
    context: Context, /, place: str, output: Path, start: datetime | None, end: datetime | None, why: str,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Read the load profile at PLACE into a table (.csv) or public files of the answers as received (.abnt)."""
    from edge.field import files, show
    from shared.wire import ProfileBlock

    files.style_of(output)
    options = Options(**given)
    brought = _read(context, place, options, ("profile",), why, _window(start, end, options.zone), quiet=as_json)
    blocks = [item for item in brought.items if isinstance(item, ProfileBlock)]
    frames = [frame for proof in brought.evidence for frame in proof.frames]
    written = files.write_reading(output, blocks, frames) if blocks else []
    if as_json:
        _print(brought.as_json() | {"files": [str(path) for path in written]})
    else:
        for line in [*show.profile_summary(blocks), *brought.errors, *(f"written: {path}" for path in written)]:
            click.echo(line)
    if brought.errors or not blocks:
        if not blocks and not brought.errors:
            click.echo("error: the meter holds no interval of this span", err=True)
        sys.exit(1)


@cli.command("convert")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--meter", "name", default="", help="Id in the table, or which meter of it to write; the serial without.")
@click.option("--serial", default="", help="Serial in the public file (8 digits), where the meter's id is none.")
@click.option("--zone", default=DEFAULT_ZONE, show_default=True, help="Of the meter's wall clock.")
@click.option("--nibble-order", type=click.Choice(ORDERS), help="Not established: give it to write .abnt.")
@click.option(
    "--name-rule", type=click.Choice(["base20"]), help="Not established: name the file in folder TARGET by it."
)
@JSON
@said
def convert_command(
    source: Path, target: Path, name: str, serial: str, zone: str, nibble_order: str | None, name_rule: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Turn a public file (.abnt) into a table (.csv), or a table into a public file."""
    from edge.field import files

    made = files.convert(source, target, files.Wish(name, serial, zone, nibble_order, name_rule))
    if as_json:
        _print(made)
    else:
        click.echo(f"{made['intervals']} intervals of meter {made['serial']} written to {made['file']}")
        for note in made["notes"]:
            click.echo(f"note: {note}", err=True)


@cli.command("check")
@PLACE
@click.option("--expect", type=click.Path(path_type=Path, dir_okay=False), help="What is expected (TOML).")
@click.option("--central", help="The aggregator, https://...; asked what it expects of --meter.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Holds the API key (mg_...).")
@click.option("--save", type=click.Path(path_type=Path), help="Write what was found as the expectation for next time.")
@about_the_meter
@JSON
@click.pass_obj
@said
def check_command(
    context: Context, /, place: str, expect: Path | None, central: str | None, key_file: Path | None, save: Path | None,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Hold the meter at PLACE against what is expected: serial, constants, ratios, posts, interval, clock."""
    from edge.export import opened
    from edge.field import expected, show
    from edge.field.checking import check

    options = Options(**given)
    if expect is not None and central is not None:
        raise ConfigError("--expect and --central say the same thing: give one")
    wanted = expected.Expectation(meter=options.name, serial=options.serial)
    if expect is not None:
        wanted = expected.from_file(expect)
    elif central is not None:
        if not (options.name or options.serial):
            raise ConfigError("--central needs --meter: which meter is asked about")
        wanted = expected.from_central(central, _key(key_file), options.name or options.serial)
    folder = context.folder
    points, found = _run(check(parse(place, options.baud), folder, options, wanted))
    folder.journal("check", who=context.who, place=place, wrong=[p.what for p in points if p.ok is False])
    if save is not None:
        with opened(save) as file:
            file.write(expected.to_toml(found).encode())
    if as_json:
        _print({"place": place, "ok": all(p.ok is not False for p in points), "points": msgspec.to_builtins(points)})
    else:
        show.points(points, Console())
    if any(point.ok is False for point in points):
        sys.exit(1)


@cli.command("audit")
@PLACE
@about_the_meter
@JSON
@click.pass_obj
@said
def audit_command(context: Context, /, place: str, as_json: bool, **given: Any) -> None:
    """Connect to PLACE as the CCEE would (a forwarded port, HOST:PORT) and say where it ends and why."""
    from edge.field import show
    from edge.field.audit import audit

    folder, options, console = context.folder, Options(**given), Console()
    tell = _quiet if as_json else lambda step: console.print(show.step(step))
    result = _run(audit(parse(place, options.baud), folder, options, tell))
    folder.journal("audit", who=context.who, place=place, verdict=result.verdict, diagnosis=result.diagnosis)
    if as_json:
        _print(result.as_json())
    else:
        console.print(f"\n{result.verdict or 'no verdict'}: {result.diagnosis}", markup=False)
        for line in result.also:
            console.print(f"also {line}", markup=False)
    if not result.ok:
        sys.exit(1 if result.connected else 3)


@cli.command("bundle")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A .zip; in the folder without.")
@click.option("--config", "configs", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
              help="A gateway's configuration to pack, secrets masked. Repeatable.")  # fmt: skip
@JSON
@click.pass_obj
@said
def bundle_command(context: Context, output: Path | None, configs: tuple[Path, ...], as_json: bool) -> None:
    """Pack all that helps somebody else to help: journal, readings, traces, machine; prints the path."""
    from edge.field import bundle

    path = bundle.make(context.folder, output, configs)
    if as_json:
        _print({"bundle": str(path), "bytes": path.stat().st_size})
    else:
        click.echo(str(path))


@cli.command("sync")
@click.option("--broker", required=True, envvar="METERGATE_FIELD_BROKER", help="mqtts://[user@]host[:port]/tenant")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Holds the broker's password.")
@click.option("--ca-file", type=click.Path(path_type=Path, dir_okay=False), help="The broker's authority.")
@JSON
@click.pass_obj
@said
def sync_command(context: Context, broker: str, key_file: Path | None, ca_file: Path | None, as_json: bool) -> None:
    """Deliver the readings kept here to the aggregator, until it has confirmed every one."""
    from edge.field import sync
    from edge.logs import configure

    configure("error", "console")
    where = sync.central(broker, _key(key_file) if key_file else "", str(ca_file) if ca_file else None)
    folder = context.folder
    with Progress(console=Console(stderr=True), disable=as_json or not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("delivering", total=None)
        done = _run(sync.sync(folder, where, lambda at, total: bar.update(task, completed=at, total=total)))
    folder.journal("sync", who=context.who, broker=broker, sent=done.sent)
    if as_json:
        _print({"laptop": folder.laptop, "sent": done.sent, "left": done.left})
    else:
        click.echo(f"{done.sent} rows delivered and confirmed, {done.left} left")


# -- common ------------------------------------------------------------------------------------------------------------


def _read(
    context: Context, /, place: str, options: Options, kinds: tuple[str, ...], why: str,
    window: tuple[int, int] | None, *, quiet: bool,
) -> Any:  # fmt: skip
    from edge.field.reading import read
    from edge.logs import configure

    configure("error", "console")
    folder = context.folder
    stamp = Stamp(context.who, why)
    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        try:
            brought = _run(read(parse(place, options.baud), folder, options, kinds, stamp, window, tell))
        except Exception as error:
            folder.journal("read", who=context.who, why=why, place=place, kinds=kinds, error=str(error))
            raise
    folder.journal(
        "read", who=context.who, why=why, place=place, kinds=brought.done, serial=brought.serial,
        stored=brought.stored, errors=brought.errors,
    )  # fmt: skip
    return brought


def _window(start: datetime | None, end: datetime | None, zone: str) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    place = AbntSettings(zone=zone).zone_info()
    now = datetime.now(UTC)
    last = now if end is None else end.replace(tzinfo=place)
    if start is None:
        raise ConfigError("--to without --from: say where the span begins")
    first = start.replace(tzinfo=place)
    if first >= last:
        raise ConfigError(f"--from {first.isoformat()} is not before --to {last.isoformat()}")
    return int(first.timestamp()), int(last.timestamp())


def _key(path: Path | None) -> str:
    given = os.environ.get("METERGATE_FIELD_KEY", "")
    if path is None:
        if not given:
            raise ConfigError("give --key-file, or the key in METERGATE_FIELD_KEY: keys do not belong on command lines")
        return given
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _quiet(_: object) -> None:
    """Say nothing on the way."""


def _print(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _run(coroutine: Coroutine[Any, Any, R]) -> R:
    from edge.logs import configure

    configure("error", "console")
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt:
        sys.exit(130)
