"""Reports ``temperature`` and ``signal`` of communication modules: of many meters least, mean, greatest and last value
of a period; of one named meter every value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.fleet.models import ModuleHealth
from central.registry.models import CommunicationModule, Installation
from central.reports.columns import BRIEF_COLUMNS, Column, Kind, Row
from central.reports.parameters import PERIOD, SELECTION
from central.reports.selection import Line, registry_order, select_meters
from central.reports.table import Asked, Report, Rows, Table, meter_table
from central.reports.times import TimeTable, the_meter
from central.store.lists import is_one_of

_DIGITS = 1


def _columns(values: Sequence[tuple[str, str]]) -> list[Column]:
    """Of each value (name, unit) its least, mean, greatest and last."""
    figures = [
        Column(f"{name}_{which}", Kind.NUMBER, "value", unit, _DIGITS)
        for name, unit in values
        for which in ("least", "mean", "greatest", "last")
    ]
    return [
        *BRIEF_COLUMNS, Column("module", Kind.TEXT), *figures, Column("told_at", Kind.INSTANT),
        Column("samples", Kind.NUMBER, "value"),
    ]  # fmt: skip


async def _open(values: Sequence[tuple[str, str]], session: AsyncSession, asked: Asked) -> Table:
    if len(asked.filters.meter) == 1:
        return await _samples(session, asked, values)
    rows: Rows = partial(_rows, [name for name, _ in values])
    table = await meter_table(session, asked, _columns(values), rows)
    table.selection.require(Installation.module_id.is_not(None), needs=(Installation,))
    return table


async def _rows(names: Sequence[str], session: AsyncSession, asked: Asked, lines: Sequence[Line]) -> list[Row]:
    modules = [line.module_id for line in lines if line.module_id is not None]
    summed = await summaries(session, asked, names, modules)
    titles = await _titles(session, modules)
    empty: Row = {"told_at": None, "samples": 0} | {
        f"{name}_{which}": None for name in names for which in ("least", "mean", "greatest", "last")
    }
    return [
        line.cells() | {"module": titles.get(line.module_id or 0)} | summed.get(line.module_id or 0, empty)
        for line in lines
    ]


async def summaries(
    session: AsyncSession, asked: Asked, names: Sequence[str], modules: Sequence[int]
) -> dict[int, Row]:
    """Figures of each module's values in the period; modules that told nothing are left out."""
    start, end = asked.period.span(asked.scope.zone)
    columns = [getattr(ModuleHealth, name) for name in names]
    within = (
        ModuleHealth.tenant_id == asked.scope.tenant_id, is_one_of(session, ModuleHealth.module_id, modules),
        ModuleHealth.at >= start, ModuleHealth.at < end,
    )  # fmt: skip
    figures = [each for column in columns for each in (func.min(column), func.avg(column), func.max(column))]
    query = select(ModuleHealth.module_id, func.max(ModuleHealth.at), func.count(), *figures).where(*within)
    found: dict[int, Row] = {}
    for module, told_at, samples, *rest in (await session.execute(query.group_by(ModuleHealth.module_id))).all():
        row: Row = {"told_at": told_at, "samples": samples}
        for i, name in enumerate(names):
            row |= dict(
                zip((f"{name}_least", f"{name}_mean", f"{name}_greatest"), rest[3 * i : 3 * i + 3], strict=True)
            )
        found[module] = row
    last = select(ModuleHealth.module_id, ModuleHealth.at, *columns).where(*within)
    tops = select(ModuleHealth.module_id.label("module"), func.max(ModuleHealth.at).label("top")).where(*within)
    top = tops.group_by(ModuleHealth.module_id).subquery()
    last = last.join(top, (top.c.module == ModuleHealth.module_id) & (top.c.top == ModuleHealth.at))
    for module, _, *values in (await session.execute(last)).all():
        found[module] |= {f"{name}_last": value for name, value in zip(names, values, strict=True)}
    return found


async def _titles(session: AsyncSession, modules: Sequence[int]) -> dict[int, str]:
    query = select(CommunicationModule.id, CommunicationModule.name, CommunicationModule.key)
    rows = (await session.execute(query.where(is_one_of(session, CommunicationModule.id, modules)))).all()
    return {id_: name or key for id_, name, key in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples(TimeTable):
    names: Sequence[str]
    meter: str

    async def rows(self, session: AsyncSession, found: Sequence[Any]) -> list[Row]:
        return [
            {"meter": self.meter, "at": at} | dict(zip(self.names, values, strict=True)) for at, _, *values in found
        ]


async def _samples(session: AsyncSession, asked: Asked, values: Sequence[tuple[str, str]]) -> Table:
    line = await the_meter(session, asked)
    names = [name for name, _ in values]
    columns = [Column("at", Kind.INSTANT, "sql"), *(Column(n, Kind.NUMBER, "", unit, _DIGITS) for n, unit in values)]
    start, end = asked.period.span(line.zone)
    query = select(ModuleHealth.at, ModuleHealth.module_id, *(getattr(ModuleHealth, name) for name in names)).where(
        ModuleHealth.tenant_id == asked.scope.tenant_id, ModuleHealth.module_id == (line.module_id or 0),
        ModuleHealth.at >= start, ModuleHealth.at < end,
    )  # fmt: skip
    return _Samples(
        columns=columns, query=query, at=ModuleHealth.at, id=ModuleHealth.module_id, names=names, meter=line.key
    )


_PARAMETERS = PERIOD | SELECTION
TEMPERATURE = Report(
    "temperature", _PARAMETERS, "period", 92, partial(_open, (("temperature", "degC"),)), chart="lines"
)
SIGNAL = Report(
    "signal", _PARAMETERS, "period", 92, partial(_open, (("signal_dbm", "dBm"), ("signal_percent", "%"))), chart="lines"
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart; ``points`` are (UTC seconds, value)."""

    name: str
    unit: str
    points: Sequence[tuple[int, float]]


_VALUES = {TEMPERATURE.key: (("temperature", "degC"),), SIGNAL.key: (("signal_dbm", "dBm"), ("signal_percent", "%"))}
#: Points of a line: more than a screen has, fewer than a browser minds.
_POINTS = 800


async def chart_series(session: AsyncSession, asked: Asked, report: str, most: int) -> list[Curve]:
    """Curves of the first ``most`` meters that the filters leave; of each the value that its module tells."""
    scope = asked.scope
    selection = await select_meters(session, scope.tenant_id, scope.zone, asked.filters, asked.at)
    selection.require(Installation.module_id.is_not(None), needs=(Installation,))
    order = registry_order("serial", False)
    assert order is not None  # noqa: S101
    lines = await selection.lines(session, await selection.ids(session, order, limit=most))
    start, end = asked.period.span(scope.zone)
    values = _VALUES[report]
    found = []
    for line in lines:
        query = select(ModuleHealth.at, *(getattr(ModuleHealth, name) for name, _ in values)).where(
            ModuleHealth.tenant_id == scope.tenant_id, ModuleHealth.module_id == line.module_id,
            ModuleHealth.at >= start, ModuleHealth.at < end,
        )  # fmt: skip
        rows = (await session.execute(query.order_by(ModuleHealth.at))).all()
        for place, (_, unit) in enumerate(values, 1):
            points = [(row[0], row[place]) for row in rows if row[place] is not None]
            if points:
                found.append(Curve(line.serial, unit, points[:: -(-len(points) // _POINTS)]))
                break
    return found
