"""What the forwarder adds to the way between CCEE and a meter, beside socat, ser2net and bare pumps, in one run.

    python -m benchmarks.edge.forward [--exchanges 3000] [--rounds 8] [--forwards 64]

A client sends an NBR 14522 command of 66 octets and waits for its answer of 258, over and over; the stand-in for the
meter answers at once, on TCP and on a pseudo-terminal. All paths are built first, each answer is compared, and the
rounds go through all paths in turn, so that what else the machine does meets them alike. Shown is the best round of
each, median and 99th percentile in microseconds: others on the machine only ever add. ``flush 0`` is the forwarder's
terminal without gathering (F2's 5 ms of silence are shown as well). Throughput is one way, from the meter, 64 MiB.
Last, many forwards of one process at once, with its memory, beside as many socats.
"""

import asyncio
import contextlib
import multiprocessing
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from edge.config import parse
from edge.fleet import build_fleet
from edge.forwarder import Forwarder
from edge.guardian import Inspector
from edge.logs import configure
from edge.spool import Spool
from tests.edge.simulators.rawreader import command, crc
from tests.ports import free_port, wait_for_port

REQUEST = command(0x21)
_BODY = (bytes([0x21]) + bytes.fromhex("10000001")).ljust(256, b"\x00")
ANSWER = _BODY + crc(_BODY)
BULK = 64 << 20


# -- the far side: meters --------------------------------------------------------------------------------------------


def meters(tell: Any, terminals: int) -> None:
    """A process that answers on one TCP port and on terminals, and pours octets out on another port."""
    asked = socket.create_server(("127.0.0.1", 0), backlog=128)
    bulk = socket.create_server(("127.0.0.1", 0), backlog=16)
    ends = [os.openpty() for _ in range(terminals)]
    for master, slave in ends:
        tty.setraw(slave)
        threading.Thread(target=_answer, args=(lambda m=master: os.read(m, 4096), lambda d, m=master: os.write(m, d)),
                         daemon=True).start()  # fmt: skip
    tell.send((asked.getsockname()[1], bulk.getsockname()[1], [os.ttyname(slave) for _, slave in ends]))
    threading.Thread(target=_serve, args=(bulk, _pour), daemon=True).start()
    _serve(asked, lambda sock: _answer(lambda: sock.recv(4096), sock.sendall))


def _serve(server: socket.socket, talk: Callable[[socket.socket], None]) -> None:
    while True:
        sock, _ = server.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def run(sock: socket.socket = sock) -> None:
            with contextlib.suppress(OSError), sock:
                talk(sock)

        threading.Thread(target=run, daemon=True).start()


def _answer(read: Callable[[], bytes], write: Callable[[bytes], Any]) -> None:
    count = 0
    with contextlib.suppress(OSError):
        while data := read():
            count += len(data)
            while count >= len(REQUEST):
                count -= len(REQUEST)
                write(ANSWER)


def _pour(sock: socket.socket) -> None:
    piece = bytes(1 << 16)
    for _ in range(BULK // len(piece)):
        sock.sendall(piece)


def _free(number: int) -> list[int]:
    """So many different ports on which nobody listens."""
    found: set[int] = set()
    while len(found) < number:
        found.add(free_port())
    return sorted(found)


# -- paths -----------------------------------------------------------------------------------------------------------


def ours(tell: Any, targets: list[str], observed: bool, flush: int) -> None:
    """The forwarder in a process of its own: ``host:port``, or the path of a terminal, for each forward."""

    async def run() -> None:
        ports = _free(len(targets))
        text = 'gateway = "gw1"\ntenant = "t"\n[uplink]\nhost = "127.0.0.1"\n'
        with tempfile.TemporaryDirectory() as folder:
            text += f'[spool]\npath = "{folder}/spool.db"\n'
            for i, target in enumerate(targets):
                if target.startswith("/"):
                    text += f'[[lines]]\nname = "l{i}"\nkind = "serial"\naddress = "{target}"\n'
            for i, (target, port) in enumerate(zip(targets, ports, strict=True)):
                text += f'[[meters]]\nid = "m{i}"\nserial = "{10_000_001 + i}"\n[meters.forward]\nport = {port}\n'
                text += f'listen = "127.0.0.1"\nallow = ["127.0.0.1"]\nflush_ms = {flush}\nself_test_hours = 0\n'
                text += f'mode = "exclusive"\ntarget = "{f"l{i}" if target.startswith("/") else target}"\n'
            config = parse(text).config
            async with Spool(Path(config.spool.path), "gw1") as spool:
                fleet = await build_fleet(config, spool)
                async with Forwarder(config, fleet, spool, inspect=Inspector if observed else None) as forwarder:
                    while forwarder.alarms():  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                    tell.send(ports)
                    await asyncio.sleep(3600)

    configure("error", "console")
    asyncio.run(run())


def bare(tell: Any, targets: list[str], uvloop: bool) -> None:
    """The least that asyncio can do: two protocols that write to each other."""

    class Way(asyncio.Protocol):
        peer: "Way | None" = None

        def __init__(self, target: str = "") -> None:
            self.target, self.early = target, bytearray()

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.target:
                self.task = asyncio.ensure_future(self.join())

        async def join(self) -> None:
            port = int(self.target.rpartition(":")[2])
            _, peer = await asyncio.get_running_loop().create_connection(Way, "127.0.0.1", port)
            peer.peer, self.peer = self, peer
            peer.transport.write(bytes(self.early))

        def data_received(self, data: bytes) -> None:
            if self.peer is None:
                self.early += data
            else:
                self.peer.transport.write(data)

        def connection_lost(self, error: Exception | None) -> None:
            if self.peer is not None:
                self.peer.transport.close()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(partial(Way, target), "127.0.0.1", 0) for target in targets]
        tell.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.sleep(3600)

    if uvloop:
        import uvloop as fast

        fast.run(run())
    else:
        asyncio.run(run())


@contextlib.contextmanager
def child(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[Any, int]]:
    """A process that says once what it has to say; its word and its process id."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=work, args=(far, *arguments), daemon=True)
    process.start()
    try:
        if not near.poll(60):
            raise RuntimeError(f"{work.__name__} did not begin")
        yield near.recv(), process.pid or 0
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def program(words: list[str], port: int) -> Iterator[int]:
    """Another's program, until it listens."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0)
    try:
        wait_for_port(port)
        time.sleep(0.2)  # that probe was a client
        yield process.pid
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def socat(port: int, target: str) -> list[str]:
    far = f"{target},raw,echo=0" if target.startswith("/") else f"TCP:{target},nodelay"
    return ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay", far]


def ser2net(folder: Path, port: int, target: str) -> list[str]:
    far = f"serialdev,{target},9600n81,local" if target.startswith("/") else "tcp," + target.replace(":", ",")
    file = folder / f"ser2net-{port}.yaml"
    file.write_text(
        f"connection: &c\n  accepter: tcp(nodelay),127.0.0.1,{port}\n  connector: {far}\n"
        "  options:\n    kickolduser: true\n    chardelay: false\n"
    )
    return ["ser2net", "-n", "-c", str(file), "-P", str(folder / f"ser2net-{port}.pid")]


# -- the near side ---------------------------------------------------------------------------------------------------


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(sock: socket.socket) -> bytes:
    sock.sendall(REQUEST)
    answer = sock.recv(4096)
    while len(answer) < len(ANSWER):
        answer += sock.recv(4096)
    return answer


def round_trips(port: int, number: int) -> tuple[float, float]:
    """(median, 99th percentile) in us."""
    with connect(port) as sock:
        for _ in range(20):
            if exchange(sock) != ANSWER:
                raise RuntimeError(f"another answer came through port {port}")
        times = []
        for _ in range(number):
            began = time.perf_counter_ns()
            exchange(sock)
            times.append(time.perf_counter_ns() - began)
    times.sort()
    return times[number // 2] / 1e3, times[number * 99 // 100] / 1e3


def throughput(port: int) -> float:
    """MB/s from the meter."""
    with connect(port) as sock:
        began, got = time.perf_counter(), 0
        while data := sock.recv(1 << 18):
            got += len(data)
    if got != BULK:
        raise RuntimeError(f"{got} octets of {BULK} came through port {port}")
    return got / 1e6 / (time.perf_counter() - began)


def many_at_once(ports: list[int], seconds: float = 3.0) -> float:
    """Exchanges per second over all ports, each with one under way at any time."""
    socks = [connect(port) for port in ports]
    waiting = {sock.fileno(): 0 for sock in socks}
    by_number = {sock.fileno(): sock for sock in socks}
    poll = select.epoll()
    for sock in socks:
        poll.register(sock, select.EPOLLIN)
        sock.sendall(REQUEST)
    done, end, began = 0, time.perf_counter() + seconds, time.perf_counter()
    while time.perf_counter() < end:
        for number, _ in poll.poll(1):
            waiting[number] += len(by_number[number].recv(4096))
            if waiting[number] >= len(ANSWER):
                waiting[number] -= len(ANSWER)
                done += 1
                by_number[number].sendall(REQUEST)
    took = time.perf_counter() - began
    poll.close()
    for sock in socks:
        sock.close()
    return done / took


def pss(group: list[int]) -> float:
    """Memory of processes and their children in MiB, what is shared counted by its share."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int(entry.name) in group or os.getpgid(int(entry.name)) in group:
                    text = (entry / "smaps_rollup").read_text()
                    total += int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
    return total / 1024


@click.command()
@click.option("--exchanges", default=3000, show_default=True)
@click.option("--rounds", default=8, show_default=True)
@click.option("--forwards", default=64, show_default=True)
def main(exchanges: int, rounds: int, forwards: int) -> None:
    """Measure and print."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (asked, bulk, terminals), _ = stack.enter_context(child(meters, 5))
        tcp, pour = f"127.0.0.1:{asked}", f"127.0.0.1:{bulk}"
        paths: dict[str, int] = {"tcp  direct": asked}
        pours: dict[str, int] = {"direct": bulk}
        for name, observed in (("metergate, inspector on", True), ("metergate, inspector off", False)):
            ports, _ = stack.enter_context(child(ours, [tcp, pour], observed, 0))
            paths[f"tcp  {name}"], pours[name] = ports
        for kind, target in (("tcp", tcp), ("pour", pour), ("pty", terminals[0])):
            port = free_port()
            stack.enter_context(program(socat(port, target), port))
            (pours if kind == "pour" else paths)["socat" if kind == "pour" else f"{kind}  socat"] = port
        if shutil.which("ser2net"):
            for kind, target in (("tcp", tcp), ("pour", pour), ("pty", terminals[1])):
                port = free_port()
                stack.enter_context(program(ser2net(folder, port, target), port))
                (pours if kind == "pour" else paths)["ser2net" if kind == "pour" else f"{kind}  ser2net"] = port
        for name, uvloop in (("bare asyncio pump", False), ("bare uvloop pump", True)):
            ports, _ = stack.enter_context(child(bare, [tcp, pour], uvloop))
            paths[f"tcp  {name}"], pours[name] = ports
        for name, terminal, observed, flush in (
            ("metergate, inspector on, flush 0", terminals[2], True, 0),
            ("metergate, inspector off, flush 0", terminals[3], False, 0),
            ("metergate, inspector on, flush 5 ms", terminals[4], True, 5),
        ):
            (port,), _ = stack.enter_context(child(ours, [terminal], observed, flush))
            paths[f"pty  {name}"] = port
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
        flows: dict[str, list[float]] = {name: [] for name in pours}
        for _ in range(rounds):
            for name, port in paths.items():
                few = exchanges // 10 if name.endswith("5 ms") else exchanges
                found[name].append(round_trips(port, few))
                time.sleep(0.1)
            for name, port in pours.items():
                flows[name].append(throughput(port))
                time.sleep(0.1)
        click.echo(f"round trip, {len(REQUEST)} octets there, {len(ANSWER)} back      median    p99  us")
        for name, figures in sorted(found.items(), key=lambda item: item[0][:3] != "tcp"):
            median, high = (min(column) for column in zip(*figures, strict=True))
            click.echo(f"{name:45} {median:8.1f} {high:8.1f}")
        click.echo(f"\n{BULK >> 20} MiB from the meter, tcp                             MB/s")
        for name, rates in flows.items():
            click.echo(f"{name:45} {max(rates):8.0f}")
    with contextlib.ExitStack() as stack:
        (asked, _, _), _ = stack.enter_context(child(meters, 0))
        target = f"127.0.0.1:{asked}"
        click.echo(f"\n{forwards} at once                                exchanges/s   MiB idle   MiB after")
        ports, pid = stack.enter_context(child(ours, [target] * forwards, True, 0))
        _report("metergate, inspector on", ports, [pid])
        ports = _free(forwards)
        pids = [stack.enter_context(program(socat(port, target), port)) for port in ports]
        _report("socat, a process or two each", ports, pids)


def _report(name: str, ports: list[int], pids: list[int]) -> None:
    before = pss(pids)
    rate = many_at_once(ports)
    click.echo(f"{name:45} {rate:8.0f} {before:10.1f} {pss(pids):10.1f}")


if __name__ == "__main__":
    main()
