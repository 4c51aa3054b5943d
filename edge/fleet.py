"""The gateway's lines and meters, built from the configuration, and what is to be told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from edge.config import Config, driver_settings
from edge.drivers import open_driver
from edge.lines.factory import build_line
from edge.lines.line import ManagedLine
from edge.poller.health import Health
from edge.poller.reader import load_unit
from edge.poller.unit import Unit
from edge.spool import Spool
from shared.intervals import day_range, local_date
from shared.wire import LineState, LineTelemetry, MeterState

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Fleet:
    """Lines by name, meters by id."""

    zone: ZoneInfo
    lines: Mapping[str, ManagedLine]
    units: Mapping[str, Unit]

    def on(self, line: str) -> list[Unit]:
        """Meters of one line."""
        return [unit for unit in self.units.values() if unit.config.line == line]

    def line_states(self) -> list[LineState]:
        return [line.state() for line in self.lines.values()]

    def meter_states(self, now: float) -> list[MeterState]:
        return [unit.state(now) for unit in self.units.values()]

    def line_telemetry(self) -> list[LineTelemetry]:
        return [line.telemetry() for line in self.lines.values()]

    def completeness(self, now: int) -> dict[str, float]:
        """Share of yesterday's intervals held, by meter, for those whose profile is read."""
        yesterday = day_range(local_date(now, self.zone) - _ONE_DAY, self.zone)
        profiled = [unit for unit in self.units.values() if unit.backfill_days]
        return {unit.id: round(unit.memory.share(*yesterday), 4) for unit in profiled}

    async def close(self) -> None:
        for line in self.lines.values():
            await line.close()


async def build_fleet(config: Config, spool: Spool) -> Fleet:
    """Build lines and meters and give each what the spool has stored of it. Switched-off meters are left out."""
    lines = {line.name: build_line(line) for line in config.lines}
    shared = {m.forward.target or m.line for m in config.meters if m.enabled and m.forward is not None}
    units = {}
    for meter in config.meters:
        if meter.enabled and meter.line:
            driver = open_driver(meter.protocol, meter.id, driver_settings(config, meter))
            unit = Unit(
                meter, config.schedule_of(meter), driver, lines[meter.line], Health(meter.id),
                zone=ZoneInfo(config.zone), shared=meter.line in shared,
            )  # fmt: skip
            await load_unit(spool, unit)
            units[meter.id] = unit
    return Fleet(ZoneInfo(config.zone), lines, units)
