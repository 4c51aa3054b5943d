"""Registers of a period over all channel groups, and the demand reset (dossier abnt-nbr-14522 §6, §7.2, §8.4)."""

from dataclasses import dataclass, field
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.convert import register_values
from edge.drivers.abnt.events import reset_key
from edge.drivers.abnt.layout.requests import Group
from edge.drivers.abnt.visit import GroupView, Visit, not_implemented
from edge.errors import BusyError, ProtocolError, RefusedError
from shared.wire import RegisterReading, RegisterValue

#: Values one wire struct may hold (``shared.wire.RegisterReading``).
_MAX_VALUES: Final = 512


@dataclass
class Period:
    """Readings of one period. ``closed_is_new``: the reset that opened it has not had its closed registers read."""

    readings: list[RegisterReading] = field(default_factory=list)
    reset_key: str | None = None
    closed_is_new: bool = False


async def read_period(visit: Visit, view: GroupView, *, closed: bool) -> Period:
    """Read 23 and 44-46 (or 24 and 41-43) of every group; ``view`` is group 0 as read at the visit's begin.

    A meter without 22 or 24 has no closed registers to give: no readings.

    A reset during the reading would mix two periods: parameters are read again at the end, which also makes group 0
    visible again, and must name the same reset.
    """
    key = reset_key(view.parameters)
    at = _instant(view, closed)
    values: dict[str, RegisterValue] = {}
    try:
        async for group in visit.groups(commands.PARAMETERS_CLOSED if closed else commands.PARAMETERS, view):
            registers = await visit.registers(commands.REGISTERS_CLOSED if closed else commands.REGISTERS)
            await visit.partial_registers(commands.PARTIAL_CLOSED if closed else commands.PARTIAL_RUNNING)
            for name, value in register_values(registers, group.channels, group.parameters.demand_minutes).items():
                values.setdefault(name, value)
    except RefusedError as error:
        if not (closed and not_implemented(error)):
            raise
        values.clear()
    if reset_key((await visit.parameters(commands.PARAMETERS)).parameters) != key:
        raise BusyError(f"meter {visit.meter}: a demand reset happened during the reading, which is dropped whole")
    last = view.parameters.last_reset
    readings = [
        RegisterReading(
            visit.meter,
            at,
            int(visit.now()),
            1 if closed else 0,
            list(values.values())[i : i + _MAX_VALUES],
            view.parameters.resets,
            None if last is None else view.clock.past(last),
        )
        for i in range(0, len(values), _MAX_VALUES)
    ]
    return Period(readings, key, key is not None and key != visit.memory.closed)


async def reset_bill(visit: Visit) -> tuple[GroupView, Period]:
    """Send 20 once, see that the reset counter moved, read the frozen registers."""
    before = await visit.parameters(commands.PARAMETERS)
    await visit.ask(commands.DEMAND_RESET, Group(group=0).parameters)
    view = await visit.parameters(commands.PARAMETERS)
    if reset_key(view.parameters) == reset_key(before.parameters):
        raise ProtocolError(f"meter {visit.meter}: answered the demand reset, but its counter and date did not change")
    return view, await read_period(visit, view, closed=True)


def _instant(view: GroupView, closed: bool) -> int:
    stamp = view.parameters.last_reset if closed else view.parameters.now
    if stamp is None:
        raise ProtocolError("the meter's clock is blank: it must be set by hand before its registers mean anything")
    return view.clock.past(stamp) if closed else view.clock.present(stamp)
