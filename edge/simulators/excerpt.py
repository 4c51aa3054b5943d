"""Cuts the shipped load curve out of the public data set: ``python -m edge.simulators.excerpt SOURCE TARGET``.

The source stamps the END of each quarter hour, as d/m/Y behind a byte order mark, without leading zeros up to the 12th
of a month and with them from the 13th on; the row stamped midnight (``0:00`` or ``00:00``) closes the day it is
labelled with. The target stamps the START, in ISO form, with energies as whole numbers of 0.01 kWh and 0.01 kvarh. See
``data/README.md``.
"""

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

import click

QUARTER: Final = timedelta(minutes=15)
WEEKS: Final = 26
ROWS_A_WEEK: Final = 7 * 96
HEADER: Final = ("start", "active", "inductive", "capacitive")
_SOURCE_COLUMNS: Final = (
    "Usage_kWh",
    "Lagging_Current_Reactive.Power_kVarh",
    "Leading_Current_Reactive_Power_kVarh",
)


class CurveError(ValueError):
    """A load curve file that is not what it should be; the text names the row and the value."""


class Quarter(NamedTuple):
    """One quarter hour: local start and three energies in 0.01 kWh or kvarh."""

    start: datetime
    active: int
    inductive: int
    capacitive: int


def read_source(path: Path) -> Iterator[Quarter]:
    """Yield the rows of the original file in its order, start stamped; raises :class:`CurveError`."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                start = _start(row["date"])
                values = [_hundredths(row[name]) for name in _SOURCE_COLUMNS]
            except (KeyError, ValueError, InvalidOperation) as error:
                raise CurveError(f"{path.name}, line {number}: {error!r} in {row}") from error
            yield Quarter(start, *values)


def _start(text: str) -> datetime:
    end = datetime.strptime(text, "%d/%m/%Y %H:%M")  # noqa: DTZ007 - the plant's wall clock
    if not end.hour and not end.minute:  # closes the day it is labelled with
        end += timedelta(days=1)
    return end - QUARTER


def _hundredths(text: str) -> int:
    value = Decimal(text) * 100
    if value != int(value) or not 0 <= value <= 0xFFFF:
        raise ValueError(f"{text} is not 0..655.35 with two decimals")
    return int(value)


def cut(source: Path, target: Path, weeks: int = WEEKS) -> int:
    """Write the first ``weeks`` whole weeks of ``source`` to ``target``; returns the number of rows."""
    rows = []
    for quarter in read_source(source):
        rows.append(quarter)
        if len(rows) == weeks * ROWS_A_WEEK:
            break
    if len(rows) < weeks * ROWS_A_WEEK:
        raise CurveError(f"{source.name} holds {len(rows)} rows, {weeks} weeks need {weeks * ROWS_A_WEEK}")
    with target.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows((f"{q.start:%Y-%m-%d %H:%M}", *q[1:]) for q in rows)
    return len(rows)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--weeks", default=WEEKS, show_default=True, type=click.IntRange(1, 52), help="Whole weeks to keep.")
def main(source: Path, target: Path, weeks: int) -> None:
    """Cut the first weeks of the UCI steel works data (id 851) into the form that the simulators replay."""
    click.echo(f"{target}: {cut(source, target, weeks)} rows")


if __name__ == "__main__":
    main()
