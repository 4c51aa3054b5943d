"""The byte pump as source and compiled: every octet, both ends, backpressure, the tap, and what is refused."""

import os
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import pytest

from tests.ext.builds import load_compiled, load_source


@pytest.fixture(params=["source", "compiled"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    return load_source("pump") if request.param == "source" else load_compiled("pump")


@contextmanager
def running(kernel: ModuleType, slots: int = 4, **options: int) -> Iterator[Any]:
    pump = kernel.Pump(slots, **options)
    thread = threading.Thread(target=pump.run, daemon=True)
    thread.start()
    try:
        yield pump
    finally:
        pump.close()
        thread.join(5)
        assert not thread.is_alive()


class Ends:
    """A client and a meter, each with its far end at the pump."""

    def __init__(self) -> None:
        self.client, self.near_client = socket.socketpair()
        self.meter, self.near_meter = socket.socketpair()
        for sock in (self.client, self.meter):
            sock.settimeout(5)
        for sock in (self.near_client, self.near_meter):
            sock.setblocking(False)

    def add(self, pump: Any, slot: int = 0, **options: Any) -> None:
        pump.add(slot, self.near_client.fileno(), self.near_meter.fileno(), **options)

    def close(self) -> None:
        for sock in (self.client, self.near_client, self.meter, self.near_meter):
            sock.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = Ends()
    yield pair
    pair.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def take(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


def test_octets_pass_both_ways_and_the_tap_hears_them(kernel: ModuleType, ends: Ends) -> None:
    with running(kernel) as pump:
        before = time.time_ns()
        ends.add(pump, begin=b"early ")
        assert take(ends.meter, 6) == b"early "
        ends.client.sendall(b"question")
        assert take(ends.meter, 8) == b"question"
        ends.meter.sendall(b"answer")
        assert take(ends.client, 6) == b"answer"
        until(lambda: pump.look(0)[3])
        heard: list[tuple[int, int, int, bytes]] = []

        def both() -> bool:
            heard.extend(pump.taken())
            return len(heard) == 2

        until(both)
        assert [(slot, side, data) for slot, _, side, data in heard] == [(0, 0, b"question"), (0, 1, b"answer")]
        assert before <= heard[0][1] <= heard[1][1] <= time.time_ns()
        state, _, sent, received, first, last, longest, lost = pump.look(0)
        assert (state, sent, received, lost) == (kernel.RUNNING, 14, 6, 0)
        assert 0 < first <= last <= time.monotonic_ns()
        assert longest < 5e9


@pytest.mark.parametrize("first", ["client", "meter"])
def test_an_end_is_passed_on_and_the_other_way_goes_on(kernel: ModuleType, ends: Ends, first: str) -> None:
    one, other = (ends.client, ends.meter) if first == "client" else (ends.meter, ends.client)
    with running(kernel) as pump:
        ends.add(pump)
        one.sendall(b"last word")
        one.shutdown(socket.SHUT_WR)
        assert take(other, 100) == b"last word"
        until(lambda: pump.look(0)[0] == kernel.HALF)
        with pytest.raises(ValueError, match="still served"):
            pump.free(0)
        other.sendall(b"reply")
        other.close()
        assert take(one, 100) == b"reply"
        until(lambda: pump.look(0)[0] == kernel.ENDED)
        assert pump.look(0)[1] == (kernel.CLIENT if first == "client" else kernel.METER)
        assert os.eventfd_read(pump.notice)
        pump.free(0)


def test_a_slow_reader_holds_the_writer_up_and_loses_nothing(kernel: ModuleType, ends: Ends) -> None:
    sent = os.urandom(4 << 20)
    with running(kernel, ring=1 << 16) as pump:
        ends.add(pump)
        ends.client.sendall(b"small")
        assert take(ends.meter, 5) == b"small"
        ends.client.settimeout(0.2)
        put = 0
        with suppress(TimeoutError):
            while put < len(sent):
                put += ends.client.send(sent[put : put + 65536])
        assert put < len(sent)
        waited = pump.look(0)[2]
        assert waited <= put + 5
        ends.client.settimeout(5)

        def rest() -> None:
            ends.client.sendall(sent[put:])
            ends.client.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=rest)
        writer.start()
        assert take(ends.meter, len(sent) + 1) == sent
        writer.join()
        # the tap was never emptied: what did not fit was not waited for, and the pair goes on unheard
        until(lambda: pump.look(0)[7] == 1)
        held = 0
        while pieces := pump.taken():
            held += sum(len(data) for _, _, _, data in pieces)
        assert 0 < held <= 1 << 16


def test_gathered_octets_go_on_after_silence_or_when_there_are_many(kernel: ModuleType, ends: Ends) -> None:
    with running(kernel) as pump:
        ends.add(pump, gather=0.15)
        ends.meter.sendall(b"a")
        time.sleep(0.03)
        ends.meter.sendall(b"b")
        ends.client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            ends.client.recv(10)
        ends.client.settimeout(5)
        assert ends.client.recv(10) == b"ab"  # one piece
        ends.meter.sendall(b"x" * 600)
        ends.client.settimeout(0.1)
        assert take(ends.client, 600) == b"x" * 600
        ends.client.sendall(b"q")  # the other way is not gathered
        assert ends.meter.recv(1) == b"q"
        ends.meter.sendall(b"end")
        ends.meter.close()
        ends.client.settimeout(5)
        assert take(ends.client, 10) == b"end"


def test_a_broken_end_ends_the_pair(kernel: ModuleType) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    near, _ = server.accept()
    near.setblocking(False)
    meter, near_meter = socket.socketpair()
    near_meter.setblocking(False)
    with running(kernel) as pump:
        pump.add(0, near.fileno(), near_meter.fileno())
        client.sendall(b"x")
        assert meter.recv(1) == b"x"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()  # a reset
        until(lambda: pump.look(0)[0] == kernel.ENDED)
        assert pump.look(0)[1] == kernel.CLIENT
    for sock in (server, near, meter, near_meter):
        sock.close()


def test_a_terminal_as_meter(kernel: ModuleType) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(slave, False)
    client, near = socket.socketpair()
    near.setblocking(False)
    client.settimeout(5)
    with running(kernel) as pump:
        pump.add(0, near.fileno(), slave, gather=0.005)
        client.sendall(b"\x00\x11\x13\xff\n\r")
        assert os.read(master, 100) == b"\x00\x11\x13\xff\n\r"
        os.write(master, b"\x05")
        assert client.recv(10) == b"\x05"
        client.shutdown(socket.SHUT_WR)  # a terminal cannot be told; the pair stays half open
        until(lambda: pump.look(0)[0] == kernel.HALF)
        os.close(master)
        until(lambda: pump.look(0)[0] == kernel.ENDED)
    for sock in (client, near):
        sock.close()
    os.close(slave)


def test_stop_and_use_again(kernel: ModuleType, ends: Ends) -> None:
    with running(kernel) as pump:
        for _ in range(50):
            ends.add(pump)
            ends.client.sendall(b"x")
            assert ends.meter.recv(1) == b"x"
            pump.stop(0)
            until(lambda: pump.look(0)[0] == kernel.ENDED)
            assert pump.look(0)[1] == kernel.STOPPED
            pump.free(0)


def test_pairs_do_not_mix(kernel: ModuleType) -> None:
    many = [Ends() for _ in range(16)]
    with running(kernel, slots=16) as pump:
        for slot, pair in enumerate(many):
            pair.add(pump, slot)
        for _ in range(20):
            for slot, pair in enumerate(many):
                pair.client.sendall(bytes([slot]) * 66)
            for slot, pair in enumerate(many):
                assert take(pair.meter, 66) == bytes([slot]) * 66
        heard: list[tuple[int, int, int, bytes]] = []

        def all_heard() -> bool:
            heard.extend(pump.taken())
            return sum(len(piece[3]) for piece in heard) == 16 * 20 * 66

        until(all_heard)  # the last piece is heard after it was handed on
        assert all(data == bytes([slot]) * len(data) for slot, _, _, data in heard)
    for pair in many:
        pair.close()


def test_what_is_refused(kernel: ModuleType, ends: Ends) -> None:
    with pytest.raises(ValueError, match="power of two"):
        kernel.Pump(1, ring=100_000)
    with running(kernel, slots=1) as pump:
        with pytest.raises(IndexError, match="slot 1"):
            ends.add(pump, 1)
        with pytest.raises(ValueError, match="65536"):
            ends.add(pump, begin=bytes(70_000))
        ends.add(pump)
        with pytest.raises(ValueError, match="taken"):
            ends.add(pump)
