"""Communication modules of the configuration, each asked in its own way."""

import math
from random import Random
from typing import Final
from zlib import crc32

import structlog

from edge.config.model import Module
from edge.errors import EdgeError
from edge.telemetry.modem import by_at, by_modemmanager
from edge.telemetry.system import board_temperature
from shared.wire import ModuleTelemetry

log = structlog.get_logger(__name__)

SIMULATED: Final = "simulated"


async def read_module(module: Module, now: float) -> ModuleTelemetry:
    """What the module knows of itself at ``now``; where nothing answers only its name, and the reason in the log."""
    try:
        if module.kind == "modemmanager":
            found = await by_modemmanager(module)
            if found is not None and found.temperature is None:
                found = ModuleTelemetry(
                    found.module, board_temperature(), found.signal_dbm, found.signal_percent, found.operator,
                    found.technology,
                )  # fmt: skip
            if found is None:
                log.debug("ModemManager knows no such modem", module=module.name, device=module.device)
        elif module.kind == "at":
            found = await by_at(module)
        elif module.kind == "board":
            found = ModuleTelemetry(module.name, board_temperature())
        else:
            found = simulated(module.name, now)
    except EdgeError as error:
        log.debug("module does not answer", module=module.name, error=str(error))
        found = None
    return found or ModuleTelemetry(module.name, board_temperature())


def simulated(name: str, now: float) -> ModuleTelemetry:
    """A plausible day of a modem in a metal cabinet, labelled as made up: the demo's only source of invented values."""
    phase = crc32(name.encode()) % 600
    noise = Random(crc32(f"{name}/{int(now) // 60}".encode()))  # noqa: S311
    day = math.sin(2 * math.pi * ((now - phase) % 86400) / 86400 - 2.0)
    temperature = 38.0 + 9.0 * day + noise.gauss(0, 0.3)
    dbm = max(min(-83.0 + 6.0 * math.sin((now + phase * 37) / 5400) + noise.gauss(0, 1.5), -52.0), -112.0)
    return ModuleTelemetry(
        module=name,
        temperature=round(temperature, 1),
        signal_dbm=round(dbm, 1),
        signal_percent=round((dbm + 113.0) / 62.0 * 100.0, 1),
        operator=SIMULATED,
        technology="LTE",
    )
