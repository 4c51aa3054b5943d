"""``metergate central``: the aggregator's commands. Each says in plain words what is wrong and what to do."""

import asyncio
import logging
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import structlog
from rich.console import Console

from central.accounts.permissions import Permission
from central.seed.cli import seed
from central.settings import Settings, SettingsError, load

T = TypeVar("T")
_console = Console(highlight=False)


@click.group()
@click.option(
    "--settings", "file", type=click.Path(dir_okay=False), help="TOML file; else the one named by METERGATE_SETTINGS."
)
@click.option("--log-json/--log-text", default=None, help="Default: text on a terminal, else JSON.")
@click.option("--debug", is_flag=True, help="Log repeated failures too.")
@click.pass_context
def cli(context: click.Context, file: str | None, log_json: bool | None, debug: bool) -> None:
    """The aggregator: everything that needs more than one meter or a person."""
    _configure_logs(not sys.stderr.isatty() if log_json is None else log_json, debug)
    try:
        context.obj = load(file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@cli.command()
@click.pass_obj
def serve(settings: Settings) -> None:
    """Web pages and API."""
    import gc

    import uvicorn

    from central.app import create_app
    from central.store.engine import open_database
    from central.store.migrate import require_current

    with_database(settings, require_current, open_database)
    web = settings.web
    structlog.get_logger("metergate.web").info("pages and API", address=f"http://{web.host}:{web.port}/")
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # what is there now stays: looking through it again and again would hold up a page for 0.2 s
    uvicorn.run(app, host=web.host, port=web.port, log_config=None, server_header=False, loop="uvloop")


@cli.command()
@click.pass_obj
def ingest(settings: Settings) -> None:
    """Batches of gateways into the database, cursors and commands to them."""
    from central.ingest.run import run_ingest

    _run(_until_signal(lambda stop: run_ingest(settings, stop)))


@cli.command()
@click.pass_obj
def jobs(settings: Settings) -> None:
    """Regular work: forget what is kept for a time, find missing CCEE sessions, tell of alarms, make reports."""
    from central.store.jobs import run_jobs
    from central.web.alarm_mail import render
    from central.web.report_mail import letter
    from central.web.report_words import Words

    def mail(notice: Any) -> tuple[str, str]:
        return render(notice, settings.alarms.language, settings.web.base_url)

    about = partial(letter, zone=settings.zone, base_url=settings.web.base_url)
    _run(_until_signal(lambda stop: run_jobs(settings, stop, mail, Words, about)))


@cli.command()
@click.pass_obj
def migrate(settings: Settings) -> None:
    """Bring the database to this program's schema."""
    from central.store.engine import open_database
    from central.store.migrate import migrate as upgrade

    before, after = with_database(settings, upgrade, open_database)
    _console.print(f"schema {after}: " + ("nothing to do" if before == after else f"was {before or 'empty'}"))


@cli.command("create-admin")
@click.option("--login", required=True, help="Login name.")
@click.option("--name", default="", help="Name on screen.")
@click.option("--password-file", type=click.Path(exists=True, dir_okay=False), help="First line is the password.")
@click.option("--generate", is_flag=True, help="Make a password and print it once.")
@click.option("--if-missing", is_flag=True, help="Do nothing when this login exists.")
@click.pass_obj
def create_admin(
    settings: Settings, login: str, name: str, password_file: str | None, generate: bool, if_missing: bool
) -> None:
    """Enter an administrator."""
    from central.accounts.errors import AccountConflict, AccountError
    from central.accounts.service import TenantOf, create_user
    from central.store.engine import Database, open_database

    if password_file:
        password = Path(password_file).read_text().split("\n", 1)[0]
    elif generate:
        password = secrets.token_urlsafe(12)
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    tenant = TenantOf(settings.tenant, settings.tenant_name, settings.zone)

    async def enter(database: Database) -> bool:
        try:
            await create_user(database, tenant, login, name, password, role="administrator", now=int(time.time()))
        except AccountConflict:
            if if_missing:
                return False
            raise
        return True

    try:
        made = with_database(settings, enter, open_database)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    _console.print(f"administrator {login!r} " + ("entered" if made else "was there already"), markup=False)
    if made and generate and not password_file:
        _console.print(f"password: {password}", markup=False)


@cli.command("create-key")
@click.option("--login", required=True, help="User that it acts for, with that user's rights at most.")
@click.option("--name", required=True, help="What it is for.")
@click.option("--write", is_flag=True, help="It may do all that its user may; else it only reads.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    type=click.Choice([*Permission]),
    help="It may this of what its user may; may be given again. Instead of --write.",
)
@click.option("--days", type=click.IntRange(1, 3660), help="Valid so long; without, until it is revoked.")
@click.pass_obj
def create_key(
    settings: Settings, login: str, name: str, write: bool, permissions: tuple[str, ...], days: int | None
) -> None:
    """Make an API key and print it, this once."""
    from central.accounts.errors import AccountError
    from central.accounts.keys import create_key_for
    from central.store.engine import Database, open_database
    from central.store.migrate import require_current

    if write and permissions:
        raise click.UsageError("--write and --permission exclude each other: --write means all that the user may.")
    now = int(time.time())

    async def enter(database: Database) -> str:
        await require_current(database)
        async with database.write() as session:
            return await create_key_for(
                session, settings.tenant, login, name.strip(), permissions=() if write else permissions or ("read",),
                expires_at=now + days * 86400 if days else None, now=now,
            )  # fmt: skip

    try:
        text = with_database(settings, enter, open_database)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(text)


@cli.command("import-registry")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.pass_obj
def import_registry(settings: Settings, file: str) -> None:
    """Enter customers, points, meters, gateways ... from a TOML FILE; doing it twice changes nothing.

    The format stands at the top of central/registry/importer.py and in docs/registry.md.
    """
    from central.accounts.service import TenantOf, ensure_tenant
    from central.errors import CentralError
    from central.registry import importer
    from central.store.engine import Database, open_database

    async def enter(database: Database) -> dict[str, int]:
        parsed = importer.parse(Path(file).read_text())
        async with database.write() as session:
            tenant = await ensure_tenant(session, TenantOf(settings.tenant, settings.tenant_name, settings.zone))
            return await importer.import_registry(session, tenant.id, parsed)

    try:
        counts = with_database(settings, enter, open_database)
    except (CentralError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    _console.print(", ".join(f"{count} {name}" for name, count in counts.items() if count) or "the file is empty")


cli.add_command(seed)


@cli.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Look at settings, database and broker and say what is wrong, in plain words."""
    from central.check import check_all

    good = True
    for finding in asyncio.run(check_all(settings)):
        good &= finding.good
        _console.print(
            f"{'ok   ' if finding.good else 'WRONG'} {finding.what}: {finding.text}", markup=False, soft_wrap=True
        )
    if not good:
        raise SystemExit(1)


def with_database(settings: Settings, work: Callable[[Any], Awaitable[T]], opener: Callable[[Settings], Any]) -> T:
    """Run ``work`` on the database of the settings; what goes wrong becomes one sentence."""

    async def run() -> T:
        database = opener(settings)
        try:
            return await work(database)
        finally:
            await database.close()

    return _run(run())


def _run(work: Awaitable[T]) -> T:
    from sqlalchemy.exc import SQLAlchemyError

    from central.store.faults import reason_of
    from central.store.migrate import SchemaError

    async def run() -> T:
        return await work

    try:
        return asyncio.run(run())
    except (SettingsError, SchemaError) as error:
        raise click.ClickException(str(error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(f"the database cannot be used: {reason_of(error)}; see 'central check'") from error


async def _until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run ``work`` with an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(stop)


def _configure_logs(as_json: bool, debug: bool) -> None:
    shape: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # aiomqtt says again what it raises
