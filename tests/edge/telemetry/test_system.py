"""The board's sensors from fake sysfs trees, chrony from a fake command, the rest from this machine."""

import os
from pathlib import Path

import pytest

from edge.config.model import Module
from edge.telemetry import system
from edge.telemetry.collector import Collector, SpoolDepth
from shared.wire import GatewayTelemetry, LineTelemetry, ModuleTelemetry, decode_item, encode


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_cpu_zone_is_preferred_to_others(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "class/thermal/thermal_zone0/type": "gpu-thermal\n",
            "class/thermal/thermal_zone0/temp": "61000\n",
            "class/thermal/thermal_zone1/type": "cpu-thermal\n",
            "class/thermal/thermal_zone1/temp": "48312\n",
        },
    )
    assert system.board_temperature(tmp_path) == 48.312


def test_hwmon_where_no_zone_is(tmp_path: Path) -> None:
    put(tmp_path, {"class/hwmon/hwmon0/temp1_input": "41000", "class/hwmon/hwmon1/temp1_input": "-1"})
    assert system.board_temperature(tmp_path) == 41.0


def test_nonsense_and_absence_give_none(tmp_path: Path) -> None:
    assert system.board_temperature(tmp_path) is None
    put(tmp_path, {"class/thermal/thermal_zone0/temp": "-274000", "class/thermal/thermal_zone1/temp": "broken"})
    assert system.board_temperature(tmp_path) is None


def chronyc(tmp_path: Path, line: str, code: int = 0) -> str:
    script = tmp_path / "chronyc"
    script.write_text(f"#!/bin/sh\necho '{line}'\nexit {code}\n")
    script.chmod(0o755)
    return str(script)


def test_a_sandbox_that_hides_the_kernels_figures_gives_zero(tmp_path: Path) -> None:
    """systemd's ProcSubset=pid does; a gateway must not end for want of a figure."""
    assert (system.memory_free_bytes(tmp_path), system.load(tmp_path)) == (0, 0.0)


async def test_chrony_offset(tmp_path: Path) -> None:
    line = "C0A80001,192.168.0.1,3,1700000000.1,0.000412330,0.0001,0.0002,-1.5,0.0,0.1,0.02,0.001,64.2,Normal"
    assert await system.clock_offset_ms(chronyc(tmp_path, line)) == 0.412


async def test_chrony_not_synchronised_or_failing(tmp_path: Path) -> None:
    line = "7F7F0101,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised"
    assert await system.clock_offset_ms(chronyc(tmp_path, line)) is None
    assert await system.clock_offset_ms(chronyc(tmp_path, "506 Cannot talk to daemon")) is None


async def test_kernel_is_asked_where_chrony_is_not() -> None:
    offset = await system.clock_offset_ms("no-such-chronyc")
    assert offset is None or abs(offset) < 3_600_000


async def test_run_gives_up_on_a_command_that_hangs(tmp_path: Path) -> None:
    script = tmp_path / "hang"
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    script.chmod(0o755)
    assert await system.run(str(script), timeout=0.1) is None


def test_own_memory_is_this_process() -> None:
    assert 5_000_000 < system.rss_bytes() < 4_000_000_000
    assert system.memory_free_bytes() > 0
    assert system.load() >= 0


async def test_a_round_of_the_collector_travels(tmp_path: Path) -> None:
    async def offset() -> float | None:
        return 1.25

    async def module(config: Module, now: float) -> ModuleTelemetry:
        return ModuleTelemetry(config.name, 40.0, -80.0)

    collector = Collector(
        disk=tmp_path,
        modules=[Module(name="lte", kind="board")],
        spool=lambda: SpoolDepth(12, 4096),
        lines=lambda: [LineTelemetry("hall", 10, 1, 1, 2.5)],
        completeness=lambda now: {"MG-1": 0.99},
        clock_offset=offset,
        module=module,
    )
    found = await collector.collect(1_700_000_000.9, 60.4)
    assert isinstance(found, GatewayTelemetry)
    assert decode_item(encode(found)) == found
    assert (found.at, found.uptime, found.spool_rows) == (1_700_000_000, 60, 12)
    assert found.modules[0].temperature == 40.0
    assert found.disk_free_bytes <= os.statvfs(tmp_path).f_frsize * os.statvfs(tmp_path).f_blocks


@pytest.mark.parametrize("state", ["0", "TIME"])
def test_memory_without_the_kernels_estimate(tmp_path: Path, state: str) -> None:
    put(tmp_path, {"meminfo": f"MemTotal: {state} kB\n"})
    assert system.memory_free_bytes(tmp_path) == 0
