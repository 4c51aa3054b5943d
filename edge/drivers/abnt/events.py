"""Outages, changes, conditions of a meter as events, each once (dossier abnt-nbr-14522 §7.5, §7.6, §7.8)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.clock import WallClock
from edge.drivers.abnt.layout import Change, Outage, Parameters
from edge.drivers.abnt.memory import Memory
from shared.wire import MeterEvent

CLOCK_COMMANDS: Final = (commands.SET_DATE, commands.SET_TIME)


def outage_events(records: Iterable[Outage], meter: str, clock: WallClock, memory: Memory) -> list[MeterEvent]:
    """Events of ended outages not reported before. Records without an end are left for a later visit."""
    events, keys = [], []
    for outage in records:
        if outage.start is None or outage.end is None:
            continue
        key = f"{outage.start.isoformat()}/{outage.end.isoformat()}"
        if key in keys:
            continue
        keys.append(key)
        if key not in memory.outages:
            start = clock.past(outage.start)
            events.append(MeterEvent(meter, start, "outage", max(start, clock.past(outage.end))))
    memory.outages = keys
    return sorted(events, key=lambda event: event.at)


def change_events(records: Iterable[Change], meter: str, clock: WallClock, memory: Memory) -> list[MeterEvent]:
    """Events of the change log not reported before; 29 and 30 are settings of the clock."""
    events, keys = [], []
    for change in records:
        if change.when is None:
            continue
        key = change_key(change)
        if key in keys:
            continue
        keys.append(key)
        if key not in (memory.changes or ()):
            kind = "clock_set" if change.code in CLOCK_COMMANDS else "change"
            detail = {"code": f"{change.code:02X}", "name": commands.name_of(change.code), "reader": change.reader}
            events.append(MeterEvent(meter, clock.past(change.when), kind, None, detail))
    memory.changes = keys
    return sorted(events, key=lambda event: event.at)


def change_key(change: Change) -> str:
    return f"{change.code:02X}/{change.reader}/{change.when.isoformat() if change.when else ''}"


def reset_event(parameters: Parameters, meter: str, clock: WallClock, memory: Memory) -> list[MeterEvent]:
    """Event of the last demand reset when it was not reported before."""
    key = reset_key(parameters)
    if key is None or parameters.last_reset is None or key == memory.reset:
        return []
    memory.reset = key
    detail = {"resets": parameters.resets}
    return [MeterEvent(meter, clock.past(parameters.last_reset), "demand_reset", None, detail)]


def reset_key(parameters: Parameters) -> str | None:
    """Identify the last demand reset; None when there was none."""
    if parameters.last_reset is None:
        return None
    return f"{parameters.last_reset.isoformat()}/{parameters.resets}"


def battery_event(parameters: Parameters, meter: str, at: int, memory: Memory) -> list[MeterEvent]:
    """Event when the battery turns bad; a good one arms it again."""
    bad = parameters.battery == 1
    turned, memory.battery = bad and not memory.battery, bad
    return [MeterEvent(meter, at, "battery", None, {"source": "parameters"})] if turned else []


def occurrence_event(meter: str, at: int, code: int, sub_code: int | None) -> MeterEvent:
    """Event of an answer 40."""
    kind = "battery" if code == commands.BATTERY else "occurrence"
    detail = {"code": f"{code:02X}", "sub_code": f"{sub_code or 0:02X}", "name": commands.OCCURRENCES.get(code, "")}
    return MeterEvent(meter, at, kind, None, detail)


def clock_set_stamps(records: Sequence[Change]) -> list[datetime]:
    """Meter-local instants at which somebody set date or time."""
    return [change.when for change in records if change.when is not None and change.code in CLOCK_COMMANDS]
