"""How much one gateway process needs and does: memory with 32 meters read each minute, and readings per second.

    python -m benchmarks.edge.gateway_load [--meters 32] [--seconds 120] [--every 60]

Simulated meters run in a process of their own; the broker is mosquitto, with a stand-in for the aggregator that
acknowledges. Memory is the gateway's resident set (highest of samples taken each second), readings are snapshots that
stand in the spool, CPU is the gateway's own.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from edge.spool.inspection import overview
from tests.brokers import Broker
from tests.edge.gateways import EDGE, ROOT, GatewayProcess
from tests.edge.uplink.central import Central

LIMIT_MIB = 80


def configuration(folder: Path, broker: int, ports: list[dict[str, Any]], every: int) -> str:
    text = f"""
gateway = "gw1"
tenant = "acme"
[uplink]
host = "127.0.0.1"
port = {broker}
tls = false
[spool]
path = "{folder}/spool.db"
[schedule]
instantaneous = {every}
[[modules]]
name = "lte"
kind = "board"
"""
    for port in ports:
        serial, address = port["serial"], f"{port['host']}:{port['port']}"
        text += f'[[lines]]\nname = "l{serial}"\nkind = "tcp"\naddress = "{address}"\n'
        text += f'[[meters]]\nid = "m{serial}"\nserial = "{serial}"\nline = "l{serial}"\nmodule = "lte"\n'
    return text


def simulate(meters: int, enq: int) -> tuple["subprocess.Popen[str]", list[dict[str, Any]]]:
    """Start simulated meters; returns the process and where they listen."""
    command = [*EDGE, "simulate", "--count", str(meters), "--enq", str(enq), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ports: list[dict[str, Any]] = []
    for line in process.stdout:
        said = json.loads(line)
        if said.get("ready"):
            return process, ports
        ports.append(said)
    raise RuntimeError("the simulator did not start")


async def measure(meters: int, seconds: float, every: int, enq: int) -> dict[str, float]:
    """One run: fill back everything, then watch the steady state for ``seconds``."""
    simulator, ports = simulate(meters, enq)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Broker(folder / "broker")
        broker.start()
        config = folder / "gateway.toml"
        config.write_text(configuration(folder, broker.port, ports, every))
        try:
            async with Central(broker.port) as central:
                await asyncio.wait_for(central.connected.wait(), 10)
                with GatewayProcess(config) as gateway:
                    return await watch(gateway, folder / "spool.db", seconds, central)
        finally:
            broker.kill()
            simulator.terminate()
            simulator.wait(10)


async def watch(gateway: GatewayProcess, spool: Path, seconds: float, central: Central) -> dict[str, float]:
    began = time.monotonic()
    highest, rows, still = 0, -1, 0.0
    while still < 12:  # back-fill has ended when no profile rows come any more
        await asyncio.sleep(1)
        highest = max(highest, gateway.rss)
        now = overview(spool).kinds["profile"].rows if spool.exists() and "profile" in overview(spool).kinds else 0
        still = still + 1 if now == rows and now else 0
        rows = now
    filled = time.monotonic() - began - still
    cpu, taken, batches = gateway.cpu_seconds, overview(spool).kinds["instant"].rows, len(central.batches)
    began, samples = time.monotonic(), []
    while time.monotonic() - began < seconds:
        await asyncio.sleep(1)
        samples.append(gateway.rss)
    passed = time.monotonic() - began
    readings = overview(spool).kinds["instant"].rows - taken
    return {
        "backfill_seconds": round(filled, 1),
        "peak_mib": round(max(highest, *samples) / 2**20, 1),
        "steady_mib": round(samples[-1] / 2**20, 1),
        "readings": readings,
        "readings_per_second": round(readings / passed, 2),
        "cpu_percent": round((gateway.cpu_seconds - cpu) / passed * 100, 1),
        "batches_per_minute": round((len(central.batches) - batches) / passed * 60, 1),
    }


@click.command()
@click.option("--meters", default=32, show_default=True)
@click.option("--seconds", default=120.0, show_default=True, help="Of steady state.")
@click.option("--every", default=60, show_default=True, help="Seconds between readings of each meter.")
@click.option("--enq", default=250, show_default=True, help="Milliseconds between a simulated meter's ENQs.")
def main(meters: int, seconds: float, every: int, enq: int) -> None:
    """Measure, print as JSON, and fail where the memory limit is exceeded."""
    found = asyncio.run(measure(meters, seconds, every, enq))
    click.echo(json.dumps({"meters": meters, "every_seconds": every, **found}))
    if found["peak_mib"] >= LIMIT_MIB:
        click.echo(f"{found['peak_mib']} MiB resident: the limit is {LIMIT_MIB} MiB", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
