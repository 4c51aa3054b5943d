"""``metergate demo``: broker, two gateways, twelve simulated meters, a generated neighbourhood and central on this
machine, until Ctrl-C.
"""

import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click
from rich.console import Console
from rich.panel import Panel

from metergate.demo_plan import (
    GATEWAYS,
    MEMORY_DAYS,
    NEIGHBOUR_MONTHS,
    NEIGHBOUR_PROFILES,
    NEIGHBOURS,
    PEOPLE,
    TENANT,
    ZONE,
    DemoGateway,
    Person,
    gateway_toml,
    registry_toml,
)
from metergate.processes import Child, ChildFailed, free_port, metergate

_MOSQUITTO: Final = "/usr/sbin:/usr/local/sbin"


@click.command()
@click.option("--data", default="demo-data", show_default=True, type=click.Path(file_okay=False, path_type=Path),
              help="Folder that keeps everything; delete it to begin anew.")  # fmt: skip
@click.option("--port", default=8010, show_default=True, help="Of the web page; another one is taken if it is in use.")
@click.option("--seconds", default=0, help="End by itself after so long; 0: at Ctrl-C.")
@click.option("--embedded-broker", is_flag=True, help="Not mosquitto, even where it is installed.")
def demo(data: Path, port: int, seconds: int, embedded_broker: bool) -> None:
    """Everything on this machine, with simulated meters and real load curves."""
    console = Console(highlight=False)
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            stack.enter_context(_only_one(data))
            _end_on_signals()
            children = _start(console, stack, data, free_port(port), embedded_broker)
            _watch(children, seconds)
    except ChildFailed as error:
        console.print(f"[red]The demonstration stopped:[/] {error}", markup=True)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        pass
    console.print(f"Stopped. Everything is kept in {data}; the next start goes on from there.")


def _start(console: Console, stack: ExitStack, data: Path, web_port: int, embedded_broker: bool) -> list[Child]:
    children: list[Child] = []
    logs = data / "log"
    logs.mkdir(exist_ok=True)

    def run(name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        child = Child(name, command, logs / f"{name}.log", env)
        stack.callback(child.stop)
        children.append(child)
        return child

    def once(name: str, command: list[str], env: dict[str, str]) -> None:
        child = Child(name, command, logs / f"{name}.log", env)
        child.require_success()

    with console.status("starting the broker ...") as status:
        broker_port = free_port()
        run("broker", _broker(data, broker_port, embedded_broker)).wait_for_port(broker_port)
        status.update("starting the aggregator ...")
        env = _central_environment(data, broker_port, web_port)
        password = _password(data)
        once("migrate", metergate("central", "migrate"), env)
        (data / "registry.toml").write_text(registry_toml())
        once("registry", metergate("central", "import-registry", str(data / "registry.toml")), env)
        once("people", [sys.executable, "-m", "metergate.demo_people", str(data / "password")], env)
        neighbours = Child("neighbours", _neighbours(), logs / "neighbours.log", env)
        stack.callback(neighbours.stop)
        run("ingest", metergate("central", "ingest"), env)
        run("jobs", metergate("central", "jobs"), env)
        run("web", metergate("central", "serve"), env).wait_for_port(web_port)
        ports: dict[str, int] = {}
        for gateway in GATEWAYS:
            status.update(f"starting six meters and gateway {gateway.id} ...")
            addresses = _simulate(run(f"meters-{gateway.id}", _meters(gateway, data)), gateway)
            folder = data / gateway.id
            folder.mkdir(exist_ok=True)
            config = folder / "gateway.toml"
            forwards = {meter.serial: free_port() for meter in gateway.meters[:2]}
            config.write_text(gateway_toml(gateway, broker_port, addresses, folder, forwards))
            run(gateway.id, metergate("edge", "run", str(config)))
            ports |= forwards
        places = [f"{serial}@{port}" for serial, port in ports.items()]
        run("ccee", [sys.executable, "-m", "metergate.demo_ccee", str(data / "ccee"), *places])
        status.update(f"a year of readings for {NEIGHBOURS} customers ...")
        neighbours.require_success()
    console.print(
        Panel(
            f"Open      [bold]http://127.0.0.1:{web_port}/[/]\n"
            f"User      [bold]{PEOPLE[0].login}[/]\nPassword  [bold]{password}[/]\n"
            f"{_others()}\n\n"
            "Two gateways read twelve simulated meters that replay\n"
            "a real factory's load; three months of it arrive within\n"
            "a minute or two. A stand-in for the CCEE reads four of\n"
            f"them through the gateways. Beside them a neighbourhood of\n"
            f"{NEIGHBOURS} homes, shops and farms has a year of readings\n"
            f"to show. Logs: {logs}\n"
            "Ctrl-C ends everything.",
            title="Metergate",
            expand=False,
        )
    )
    return children


def _broker(data: Path, port: int, embedded: bool) -> list[str]:
    """Mosquitto when it is installed, else the broker written in Python."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path=_MOSQUITTO)
    if embedded or mosquitto is None:
        return [sys.executable, "-m", "metergate.demo_broker", str(port)]
    folder = data / "broker"
    folder.mkdir(exist_ok=True)
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false"]
    if os.geteuid() == 0:
        lines.append("user root")  # it would change to its own user, who may not read this folder
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    return [mosquitto, "-c", str(config)]


def _central_environment(data: Path, broker_port: int, web_port: int) -> dict[str, str]:
    return {
        "METERGATE_DATA_DIR": str(data),
        "METERGATE_TENANT": TENANT,
        "METERGATE_TENANT_NAME": "Demonstration",
        "METERGATE_ZONE": ZONE,
        "METERGATE_BROKER_PORT": str(broker_port),
        "METERGATE_WEB_PORT": str(web_port),
    }


def _neighbours() -> list[str]:
    """Make the neighbourhood; at every start but the first it is there already."""
    numbers = {"--customers": NEIGHBOURS, "--months": NEIGHBOUR_MONTHS, "--profiles-for": NEIGHBOUR_PROFILES}
    return metergate("central", "seed", "--beside", *(text for pair in numbers.items() for text in map(str, pair)))


def _others() -> str:
    """Who else can log in."""
    lines = [f"{person.login} ({person.role}{_where(person)})" for person in PEOPLE[1:]]
    return "The same password lets in:\n  " + "\n  ".join(lines)


def _where(person: Person) -> str:
    return f", only {person.group or person.gateway}" if person.group or person.gateway else ""


def _password(data: Path) -> str:
    """Password of this demonstration: made at the first start, kept beside the data."""
    file = data / "password"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(9) + "\n")
    return file.read_text().strip()


def _meters(gateway: DemoGateway, data: Path) -> list[str]:
    command = metergate("edge", "simulate", "--json", "--days", str(MEMORY_DAYS), "--outages", "3", "--two-posts")
    for meter in gateway.meters:
        place = "tcp:0" if meter.kind == "tcp" else f"pty:{data / gateway.id / meter.serial}"
        command += ["--meter", f"{meter.serial}@{place}"]
    for fault in gateway.faults:
        command += ["--fault", fault]
    (data / gateway.id).mkdir(exist_ok=True)
    return command


def _simulate(child: Child, gateway: DemoGateway) -> dict[str, str]:
    """Wait until the meters say where they are; returns serial -> ``host:port`` or terminal."""
    meters = [json.loads(line) for line in child.wait_for_lines(len(gateway.meters) + 1)[:-1]]
    return {m["serial"]: m["link"] if m["kind"] == "pty" else f"{m['host']}:{m['port']}" for m in meters}


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Hold the folder; a second demonstration in it is refused."""
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"a demonstration already runs in {data}: end it first, or choose another folder with --data"
            ) from None
        yield


def _end_on_signals() -> None:
    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: the end is under way
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def _watch(children: list[Child], seconds: int) -> None:
    deadline = time.monotonic() + seconds if seconds else None
    while deadline is None or time.monotonic() < deadline:
        for child in children:
            child.require_running()
        time.sleep(0.5)
