"""The root command. A subcommand is imported when it is used: an edge-only install never meets central's libraries."""

import importlib
from typing import Final, NamedTuple

import click

from metergate import __version__


class Part(NamedTuple):
    """Where a subcommand lives, its line in the help, and the extra that installs what it needs."""

    target: str
    help: str
    extra: str


PARTS: Final[dict[str, Part]] = {
    "edge": Part("edge.cli:cli", "The gateway: run, check, status, read, export, simulate.", "edge"),
    "central": Part("central.cli:cli", "The aggregator: serve, ingest, migrate, administrators.", "central"),
    "demo": Part("metergate.demo:demo", "Everything on this machine with simulated meters, real load curves.", "demo"),
}


class LazyGroup(click.Group):
    """A group that knows its subcommands by name only, until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        part = PARTS.get(cmd_name)
        if part is None:
            return None
        module_name, attribute = part.target.split(":")
        try:
            command = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"'metergate {cmd_name}' needs the module {error.name!r}, which is not installed here: "
                f"install metergate[{part.extra}]"
            ) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{part.target} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, part.help) for name, part in PARTS.items()])


@click.command(cls=LazyGroup)
@click.version_option(__version__, prog_name="metergate")
def main() -> None:
    """Open metering: gateways beside meters, an aggregator, nothing lost in between."""
