"""``metergate provision``: an inventory, labels, what can be reached, and signing; beside Ansible on the controller.

Exit codes: 0 well, 1 something that was looked for is wrong, 2 wrong usage or input, 130 interrupted.
"""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from metergate.provision.errors import ProvisionError

P = ParamSpec("P")
R = TypeVar("R")

_out: Final = Console(highlight=False)
_err: Final = Console(stderr=True, highlight=False)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_SCRIPT: Final = Path("provisioning/pki/authority.py")
_COLOURS: Final = {"ok": "green", "soon": "yellow", "wrong": "red"}

SERVER = click.option("--server", required=True, help="Central's address, such as https://metergate.example.net.")
KEY_FILE = click.option("--key-file", type=_FILE, required=True, help="Its first line is an API key.")
CA = click.option("--ca", type=_FILE, help="Authorities to trust besides the machine's own.")


def said(command: Callable[P, R]) -> Callable[P, R]:
    """Errors in words on standard error, and an exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ProvisionError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("interrupted; the same command goes on", err=True)
            sys.exit(130)

    return wrapped


@click.group()
def cli() -> None:
    """Beside Ansible: make an inventory, print labels, look what can be reached, sign certificates."""


@cli.command()
@click.option("--sheet", type=_FILE, help="From a spreadsheet (CSV, XLSX, ODS); its columns are in docs/enrolment.md.")
@click.option("--server", help="From central's registry.")
@click.option("--key-file", type=_FILE, help="Its first line is an API key that may read.")
@CA
@click.option("--tenant", default="", help="Whose gateways they are; central's own with --server.")
@click.option("--broker", default="", help="Broker that the gateways reach.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write.")
@click.option("--force", is_flag=True, help="Write over files with another content.")
@said
def inventory(
    sheet: Path | None, server: str | None, key_file: Path | None, ca: Path | None, tenant: str, broker: str,
    output: Path, force: bool,
) -> None:  # fmt: skip
    """Make an inventory of gateways, from central's registry or from a spreadsheet; refused whole when wrong."""
    from metergate.provision import inventory as shape
    from metergate.provision import registry
    from metergate.provision import sheet as sheets
    from metergate.provision.central_api import CentralApi

    remarks: list[str] = []
    if sheet is not None and server is None:
        hosts = sheets.gateways(sheet)
    elif server is not None and sheet is None:
        if key_file is None:
            raise click.UsageError("--server needs --key-file.")
        with CentralApi(server, key_file, ca) as api, Progress(console=_err, transient=True) as progress:
            tenant = tenant or str(api.get("/me")["tenant"])
            task = progress.add_task("gateways", total=None)
            hosts, remarks = registry.gateways(api, lambda done, of: progress.update(task, completed=done, total=of))
    else:
        raise click.UsageError("Give either --sheet, or --server with --key-file.")
    if not hosts:
        raise ProvisionError("there is no gateway: nothing was written")
    common = {"gateway_tenant": tenant, "gateway_broker_host": broker}
    written = shape.write(output, shape.files(hosts, {k: v for k, v in common.items() if v}), force=force)
    for remark in remarks:
        _err.print(f"note: {remark}", markup=False, soft_wrap=True)
    told = ", ".join(written) if len(written) <= 6 else f"{len(written)} files"
    click.echo(f"{output}: {len(hosts)} gateways; " + (f"written: {told}" if written else "nothing to change"))


@cli.command()
@click.argument("gateway")
@SERVER
@click.option("--code", default="", help="A one-time code: then the picture is the command for the gateway.")
@click.option("--pin", default="", help="sha256:... as shown beside the code.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help=".svg with text, .png without.")
@said
def label(gateway: str, server: str, code: str, pin: str, output: Path | None) -> None:
    """A label with a QR code for GATEWAY: on the terminal, or as a file."""
    from metergate.provision.label import Label

    made = Label(gateway, server, code, pin)
    if output is None:
        click.echo(made.terminal())
        return
    made.save(output)
    click.echo(f"{output}: {made.text}")


@cli.command()
@click.option(
    "--inventory", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path("inventory"),
    show_default=True, help="Folder with hosts.yml.",
)  # fmt: skip
@CA
@click.option("--json", "as_json", is_flag=True, help="For scripts: JSON on standard output.")
@said
def reach(folder: Path, ca: Path | None, as_json: bool) -> None:
    """Look whether names resolve, SSH answers, and broker and central show good certificates."""
    from metergate.provision import reach as reaching
    from metergate.provision.inventory import read

    own = folder / "ca" / "ca.pem"
    todo = reaching.checks(read(folder), ca or (own if own.is_file() else None))
    if not todo:
        raise ProvisionError(f"{folder} names no machine")
    order = {(check.host, check.what): at for at, check in enumerate(todo)}
    found: list[reaching.Finding] = []
    try:
        with Progress(console=_err, transient=True) as progress:
            for finding in progress.track(reaching.run(todo), total=len(todo), description="reaching"):
                found.append(finding)  # noqa: PERF402 - what is there is shown after an interruption
    except KeyboardInterrupt:
        _show(found, order, as_json)
        raise
    _show(found, order, as_json)
    if any(each.verdict == "wrong" for each in found):
        sys.exit(1)


def _show(found: list[Any], order: dict[tuple[str, str], int], as_json: bool) -> None:
    rows = sorted(found, key=lambda each: order[each.host, each.what])
    if as_json:
        click.echo(json.dumps([vars(each) for each in rows], indent=1))
        return
    table = Table("machine", "what", "verdict", "found", box=None, pad_edge=False)
    for each in rows:
        table.add_row(each.host, each.what, f"[{_COLOURS[each.verdict]}]{each.verdict}[/]", each.text)
    _out.print(table)


@cli.command()
@SERVER
@KEY_FILE
@CA
@click.option(
    "--authority", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    help="Folder of the offline authority (ca.key, ca.pem).",
)  # fmt: skip
@click.option("--script", type=click.Path(path_type=Path), default=_SCRIPT, show_default=True, help="The authority.")
@click.option("--passphrase-file", type=_FILE, help="Its first line opens ca.key.")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=730, show_default=True, help="A certificate lasts so long."
)
@click.option("--yes", is_flag=True, help="Sign all without asking.")
@said
def sign(
    server: str, key_file: Path, ca: Path | None, authority: Path, script: Path, passphrase_file: Path | None,
    days: int, yes: bool,
) -> None:  # fmt: skip
    """Sign what was approved at central with the authority on this machine, and bring the certificates there."""
    from metergate.provision import sign as signing
    from metergate.provision.central_api import CentralApi

    signer = signing.Authority(script, authority, passphrase_file, days)
    signer.check()
    with CentralApi(server, key_file, ca) as api:
        waiting = signing.approved(api)
        if not waiting:
            click.echo("nothing waits to be signed")
            return
        table = Table("gateway", "fingerprint", "approved by", "at", "asked from", box=None, pad_edge=False)
        for each in waiting:
            print16 = " ".join(each["fingerprint"][at : at + 4] for at in range(0, 16, 4))
            table.add_row(each["gateway"], print16, each["decided_by"], each["decided_at"], each["address"])
        _out.print(table)
        if not yes:
            click.confirm(f"Sign {len(waiting)}?", abort=True)
        failed = 0
        for each in waiting:
            try:
                click.echo(f"{each['gateway']}: signed, until {signing.sign_one(api, signer, each)}")
            except ProvisionError as error:
                failed += 1
                click.echo(f"{each['gateway']}: {error}", err=True)
    if failed:
        sys.exit(1)
