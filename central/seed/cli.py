"""``metergate central seed``."""

import time
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@click.command()
@click.option("--customers", type=click.IntRange(1, 10_000_000), required=True, help="How many; each has a meter.")
@click.option(
    "--months", type=click.IntRange(1, 120), default=13, show_default=True, help="Of readings, with this one."
)
@click.option("--seed", "number", type=click.IntRange(0, (1 << 31) - 1), default=1, show_default=True,
              help="Another number makes another fleet.")  # fmt: skip
@click.option("--profiles-for", type=click.IntRange(0), default=100, show_default=True,
              help="So many meters have load profiles as well.")  # fmt: skip
@click.option("--registers", type=click.Choice(["daily", "monthly"]), default="daily", show_default=True,
              help="Readings of every day, or only those that bills are made from.")  # fmt: skip
@click.option("--tenant", help="Key of the tenant, made when missing; else that of the settings.")
@click.option("--beside", is_flag=True, help="Also where the tenant has meters of its own.")
@click.pass_obj
def seed(
    settings: Any, customers: int, months: int, number: int, profiles_for: int, registers: str, tenant: str | None,
    beside: bool,
) -> None:  # fmt: skip
    """Make up a utility with a year of readings, to measure against and to show.

    Interrupted and called again with the same numbers it goes on where it was.
    """
    from central.accounts.service import TenantOf, ensure_tenant
    from central.cli import with_database
    from central.errors import CentralError
    from central.seed.plan import Parameters
    from central.seed.service import Outcome, seed
    from central.store.engine import Database, open_database
    from central.store.migrate import require_current

    console = Console(highlight=False)
    owner = TenantOf(tenant or settings.tenant, settings.tenant_name if tenant is None else tenant, settings.zone)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip

    async def work(database: Database) -> Outcome:
        await require_current(database)
        async with database.write() as session:
            found = await ensure_tenant(session, owner)
        wanted = Parameters(
            customers, months, number, min(profiles_for, customers), int(time.time()), found.zone, registers == "daily"
        )
        task = bar.add_task("registry", total=None)

        def told(done: int, total: int) -> None:
            bar.update(task, description="readings of meters", completed=done, total=total)

        return await seed(database, found, wanted, beside=beside, told=told)

    began = time.monotonic()
    try:
        with bar:
            outcome = with_database(settings, work, open_database)
    except CentralError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException("interrupted: the same command goes on from here") from None
    if outcome.complete:
        console.print("the fleet was there already")
    else:
        console.print(f"{customers} customers, {outcome.registers} register readings, {time.monotonic() - began:.0f} s")
