"""``metergate edge``: the gateway's commands. What is heavy is imported where it is needed.

Exit codes: 0 well, 1 something is wrong that was looked for, 2 wrong usage or configuration, 3 not reachable.
"""

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from edge.errors import ConfigError, EdgeError, RetryError

if TYPE_CHECKING:
    from edge.config import Loaded

P = ParamSpec("P")
R = TypeVar("R")

#: No space, too large, over quota, the disk fails. A pipe that was closed early (``| head``) is click's to end quietly.
OUTPUT_TROUBLE: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
KINDS: Final = ("clock", "instantaneous", "profile", "registers", "events")
CONFIG = click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
JSON = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON on standard output.")


class LazyGroup(click.Group):
    """Finds ``simulate`` only when it is asked for: simulators are not loaded beside a gateway."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "simulate"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "simulate":
            from edge.simulators.cli import simulate

            return simulate
        return super().get_command(ctx, cmd_name)


@click.group(cls=LazyGroup)
def cli() -> None:
    """The gateway beside the meters: run it, check it, look into it, read a meter on the spot."""


def said(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the gateway's errors, and output that cannot be written, into words on standard error and an exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)
        except RetryError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(3)
        except EdgeError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            if error.errno not in OUTPUT_TROUBLE:
                raise
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in it goes nowhere
            click.echo(f"error: the output cannot be written: {error.strerror}", err=True)
            sys.exit(1)

    return wrapped


@cli.command()
@CONFIG
@said
def run(config: Path) -> None:
    """Run the gateway until SIGTERM or Ctrl-C. SIGHUP takes up an edited configuration."""
    from edge.gateway import serve

    _run(serve(config))


@cli.command()
@CONFIG
@click.option("--connect", is_flag=True, help="Try the broker, the lines and the meters too.")
@said
def check(config: Path, connect: bool) -> None:
    """Say whether a configuration is usable, and with --connect whether the world agrees."""
    loaded = _load(config)
    cfg = loaded.config
    click.echo(f"{config}: usable; gateway {cfg.gateway}, {len(cfg.meters)} meters on {len(cfg.lines)} lines")
    if connect and not _run(_connect(loaded)):
        sys.exit(1)


@cli.command()
@CONFIG
@JSON
@said
def status(config: Path, as_json: bool) -> None:
    """Show a running gateway's lines, meters and spool; of one that is not running only the spool."""
    from edge import views

    loaded = _load(config, quiet=as_json)
    if not _run(views.show_status(loaded.config, as_json)):
        sys.exit(3)


@cli.command()
@CONFIG
@JSON
@said
def forwards(config: Path, as_json: bool) -> None:
    """Show a running gateway's forwards for CCEE: listeners, clients, last successes."""
    from edge import views

    _run(views.show_forwards(_load(config, quiet=as_json).config, as_json))


@cli.command()
@CONFIG
@click.argument("meter")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Repeatable; registers by default.")
@JSON
@said
def read(config: Path, meter: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Read METER now: through the gateway where it runs, else on its line directly (then nothing is stored)."""
    from edge import views

    loaded = _load(config, quiet=as_json)
    if not _run(views.read_meter(loaded.config, meter, kinds or ("registers",), as_json)):
        sys.exit(1)


@cli.command()
@CONFIG
@click.option("--format", "style", type=click.Choice(["csv", "json", "msgpack"]), default="csv", show_default=True)
@click.option("--meter", help="Only this meter.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A file; standard output without.")
@said
def export(config: Path, style: str, meter: str | None, output: Path | None) -> None:
    """Write out everything in the spool: a row per value (csv), per item (json), or as stored (msgpack)."""
    from edge import export as exporting

    cfg = _load(config, quiet=True).config
    known = [each.id for each in cfg.meters]
    with exporting.opened(output) as file:
        rows = exporting.write(Path(cfg.spool.path), style, meter, file)
        if meter is not None and not rows and meter not in known:
            raise ConfigError(
                f"no meter {meter!r} in the spool nor in this configuration; there are: {', '.join(known)}"
            )
        file.flush()
    click.echo(f"{rows} items", err=True)


@cli.command()
@click.option("--server", required=True, help="Central's address, such as https://metergate.example.net.")
@click.option("--code", required=True, help="The one-time code that central shows.")
@click.option("--pin", default="", help="sha256:... of the server's key, as shown beside the code.")
@click.option("--ca", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Authorities for the server.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/etc/metergate/pki"),
    show_default=True,
    help="Where key, certificate and authorities go.",
)
@click.option("--group", help="Group that may read the key, too; 'metergate' where root asks and there is one.")
@click.option("--anew", is_flag=True, help="Begin with a new key, whatever is there or goes on.")
@click.option("--wait", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Minutes to wait.")
@said
def enrol(
    server: str, code: str, pin: str, ca: Path | None, folder: Path, group: str | None, anew: bool, wait: float
) -> None:
    """Bring this gateway in with a one-time code: a key is made here, an operator approves, the certificate comes.

    Interrupted, the same command goes on with the same key and request.
    """
    from edge.enrol.flow import enrol as bring_in
    from edge.enrol.place import Place, group_of_service
    from edge.enrol.server import Server

    place = Place(folder, group_of_service() if group is None else group)
    try:
        bring_in(place, Server(server.rstrip("/"), ca, pin), code, click.echo, anew=anew, wait=wait * 60)
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on", err=True)
        sys.exit(130)


def _load(path: Path, quiet: bool = False) -> "Loaded":
    from edge.config import load
    from edge.logs import configure

    configure("error", "console")  # what goes wrong is said by the command itself
    loaded = load(path)
    for warning in [] if quiet else loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    return loaded


async def _connect(loaded: "Loaded") -> bool:
    from edge import check as checking
    from edge import control

    if await _gateway_runs(control.socket_path(Path(loaded.config.spool.path))):
        raise ConfigError("the gateway runs with this configuration and owns its lines: stop it first, or use `status`")
    well = True
    async for finding in checking.try_all(loaded.config):
        well &= finding.ok
        mark = click.style("ok   ", fg="green") if finding.ok else click.style("wrong", fg="red")
        click.echo(f"{mark} {finding.what}: {finding.text}")
    return well


async def _gateway_runs(socket: Path) -> bool:
    from edge import control
    from edge.errors import LinkError

    try:
        async for _ in control.ask(socket, {"op": "status"}):
            return True
    except LinkError:
        return False
    return False


def _run(coroutine: Coroutine[Any, Any, R]) -> R:
    try:
        return asyncio.run(coroutine)
    except KeyboardInterrupt:
        sys.exit(130)
