"""The root command. A subcommand is imported when it is used: an edge-only install never meets central's libraries."""

import importlib
from importlib.util import find_spec
from typing import Final, NamedTuple

import click

from metergate import __version__


class Part(NamedTuple):
    """Where a subcommand lives, its line in the help, the extras that install what it needs, modules that tell."""

    target: str
    help: str
    extra: str
    needs: tuple[str, ...]


PARTS: Final[dict[str, Part]] = {
    "edge": Part(
        "edge.cli:cli", "The gateway: run, check, status, read, export, simulate.", "edge", ("aiomqtt", "serialx")
    ),
    "field": Part(
        "edge.field.cli:cli",
        "Beside a meter with a laptop: find, read, check, test the audit channel.",
        "edge,field",
        ("aiomqtt", "serialx"),
    ),
    "central": Part(
        "central.cli:cli",
        "The aggregator: serve, ingest, migrate, administrators.",
        "central",
        ("sqlalchemy", "litestar"),
    ),
    "provision": Part(
        "metergate.provision.cli:cli",
        "Beside Ansible: make an inventory, print labels, look what can be reached, sign.",
        "provision",
        ("httpx", "yaml", "segno", "python_calamine", "xlsxwriter", "cryptography", "aiomqtt"),
    ),
    "demo": Part(
        "metergate.demo:demo",
        "Everything on this machine with simulated meters, real load curves.",
        "edge,central,demo",
        ("aiomqtt", "serialx", "sqlalchemy", "litestar"),
    ),
}


class LazyGroup(click.Group):
    """A group that knows its subcommands by name only, until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        part = PARTS.get(cmd_name)
        if part is None:
            return None
        # looked for rather than imported: the parts import what is heavy only where they use it
        absent = [name for name in part.needs if find_spec(name) is None]
        if absent:
            raise click.ClickException(
                f"'metergate {cmd_name}' needs the module {absent[0]!r}, which is not installed here: "
                f"install metergate[{part.extra}]"
            )
        module_name, attribute = part.target.split(":")
        command = getattr(importlib.import_module(module_name), attribute)
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
