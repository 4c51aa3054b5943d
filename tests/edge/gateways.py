"""A real gateway process and simulated meters for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.simulators.abnt.setup import MeterSetup

ROOT = Path(__file__).parents[2]
EDGE = (sys.executable, "-c", "from edge.cli import cli; cli()")


def edge(*arguments: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run ``metergate edge`` with these arguments to its end."""
    command = [*EDGE, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@dataclass
class GatewayProcess:
    """``metergate edge run``; the log is kept beside the configuration."""

    config: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.config.with_suffix(".log").read_text()

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def start(self) -> None:
        with self.config.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*EDGE, "run", str(self.config)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        self.running.send_signal(how)
        return self.running.wait(20)

    def __enter__(self) -> "GatewayProcess":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.running.poll() is None:
            self.running.kill()
            self.running.wait(10)

    @property
    def rss(self) -> int:
        """Resident bytes."""
        pages = Path(f"/proc/{self.running.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def toml(
    folder: Path,
    broker: int,
    lines: Sequence[TcpPort | PtyPort],
    *,
    gateway: str = "gw1",
    serials: dict[str, str] | None = None,
    more: str = "",
) -> str:
    """A configuration for these ports; meter ids are ``m-SERIAL``, ``serials`` makes some of them wrong."""
    text = f"""
gateway = "{gateway}"
tenant = "acme"
{more}
[uplink]
host = "127.0.0.1"
port = {broker}
tls = false
password = "s3cret"
reconnect_max_seconds = 2.0
[spool]
path = "{folder}/spool.db"
[remote]
apply_grace = 5
[[modules]]
name = "lte"
kind = "simulated"
"""
    for number, port in enumerate(lines):
        kind, address = ("tcp", f"{port.host}:{port.port}") if isinstance(port, TcpPort) else ("serial", port.path)
        text += f'[[lines]]\nname = "line{number}"\nkind = "{kind}"\naddress = "{address}"\n'
        for meter in port.meters:
            serial = (serials or {}).get(meter.serial, meter.serial)
            text += f'[[meters]]\nid = "m-{meter.serial}"\nserial = "{serial}"\nline = "line{number}"\nmodule = "lte"\n'
            if len(port.meters) > 1:
                text += '[meters.settings]\nvariant = "addressed"\n'
    return text


@asynccontextmanager
async def meters(*kinds: str, days: int = 3, first: int = 10_000_001) -> AsyncIterator[list[TcpPort | PtyPort]]:
    """Simulated meters, each on a port of its own: ``tcp`` or ``pty``."""
    ports: list[TcpPort | PtyPort] = []
    for number, kind in enumerate(kinds):
        meter = Meter(MeterSetup(str(first + number), days=days))
        ports.append(TcpPort([meter]) if kind == "tcp" else PtyPort([meter]))
    for port in ports:
        await port.start()
    try:
        yield ports
    finally:
        for port in ports:
            await port.stop()


async def until(what: Callable[[], object], seconds: float = 20) -> None:
    """Wait until ``what()`` is true; AssertionError after ``seconds``."""
    import asyncio

    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.05)
