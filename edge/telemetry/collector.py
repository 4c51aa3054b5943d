"""Once a minute: everything about the gateway's health as one ``GatewayTelemetry``."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.config.model import Module
from edge.telemetry import system
from edge.telemetry.modules import read_module
from shared.wire import GatewayTelemetry, LineTelemetry, ModuleTelemetry


@dataclass(frozen=True)
class SpoolDepth:
    """Rows not yet acknowledged, and bytes of the file."""

    rows: int
    bytes: int


@dataclass
class Collector:
    """Where each figure comes from; the callables are asked at every round."""

    disk: Path
    modules: Sequence[Module]
    spool: Callable[[], SpoolDepth]
    lines: Callable[[], list[LineTelemetry]]
    completeness: Callable[[int], dict[str, float]]
    proc: Path = Path("/proc")
    clock_offset: Callable[[], Awaitable[float | None]] = system.clock_offset_ms
    module: Callable[[Module, float], Awaitable[ModuleTelemetry]] = read_module

    async def collect(self, now: float, uptime: float) -> GatewayTelemetry:
        """One round at ``now`` (UTC seconds), ``uptime`` s after the gateway's start."""
        depth = self.spool()
        return GatewayTelemetry(
            at=int(now),
            uptime=int(uptime),
            rss_bytes=system.rss_bytes(self.proc),
            memory_free_bytes=system.memory_free_bytes(self.proc),
            disk_free_bytes=system.disk_free_bytes(self.disk),
            load=system.load(self.proc),
            spool_rows=depth.rows,
            spool_bytes=depth.bytes,
            clock_offset_ms=await self.clock_offset(),
            modules=[await self.module(module, now) for module in self.modules],
            lines=self.lines(),
            completeness=self.completeness(int(now)),
        )
