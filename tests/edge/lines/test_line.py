"""A line over a real TCP connection on the loopback: ownership, pre-emption, reconnection, cancellation, counting."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from random import Random

import pytest

from edge.backoff import Backoff
from edge.errors import LinkError, PreemptedError, SilenceError
from edge.lines.contract import LineClass
from edge.lines.line import LineStatus, ManagedLine
from edge.lines.tcp import open_tcp
from tests.ports import until

Port = int


class EchoServer:
    """Answers every byte with itself; counts connections; can hang up."""

    def __init__(self) -> None:
        self.connections = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self.mute = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        while data := await reader.read(1000):
            if not self.mute:
                writer.write(data)
        self.writers.discard(writer)
        writer.close()

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[EchoServer, Port]]:
    echo = EchoServer()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    yield echo, server.sockets[0].getsockname()[1]
    server.close()
    echo.hang_up()
    await asyncio.sleep(0)


def line_to(port: Port, **options: object) -> ManagedLine:
    return ManagedLine(
        "test",
        lambda: open_tcp("127.0.0.1", port, 2.0),
        random=Random(1),
        **options,  # type: ignore[arg-type]
    )


async def exchange(line: ManagedLine, data: bytes, line_class: LineClass = LineClass.PLANNED) -> bytes:
    async with line.claim(line_class, "test") as claim:
        await claim.transport.write(data)
        answer = b""
        while len(answer) < len(data):
            got = await claim.transport.read(1000, 1.0)
            if not got:
                raise SilenceError("nothing came back")
            answer += got
        return answer


async def test_exchange_counts_and_connection_is_kept(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1])
    assert await exchange(line, b"one") == b"one"
    assert await exchange(line, b"x" * 100_000) == b"x" * 100_000
    assert echo[0].connections == 1
    assert (line.statistics.exchanges, line.statistics.errors) == (2, 0)
    assert line.state().state == "idle"
    assert line.telemetry().busy_seconds > 0
    await line.close()


async def test_read_without_bytes_returns_nothing_after_its_time_and_purge_counts(
    echo: tuple[EchoServer, Port],
) -> None:
    line = line_to(echo[1])
    async with line.claim(LineClass.PLANNED, "m") as claim:
        assert await claim.transport.read(10, 0.02) == b""
        await claim.transport.write(b"abcdef")
        await asyncio.sleep(0.05)
        assert await claim.transport.read(2, 1.0) == b"ab"
        assert claim.transport.purge() == 4
    await line.close()


async def test_higher_class_goes_first_and_owner_is_told(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1])
    order: list[str] = []

    async def use(line_class: LineClass, name: str) -> None:
        async with line.claim(line_class, name):
            order.append(name)

    async with line.claim(LineClass.BACKFILL, "fill") as claim:
        assert not claim.must_yield
        tasks = [
            asyncio.create_task(use(LineClass.PLANNED, "plan 1")),
            asyncio.create_task(use(LineClass.PLANNED, "plan 2")),
        ]
        await asyncio.sleep(0)
        assert claim.must_yield
        tasks.append(asyncio.create_task(use(LineClass.CCEE, "ccee")))
        await asyncio.sleep(0)
        assert line.state().queue == 3
        assert line.state().owner == "fill"
    await asyncio.gather(*tasks)
    assert order == ["ccee", "plan 1", "plan 2"]
    await line.close()


async def test_cancelled_waiter_leaves_and_nothing_leaks(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1])
    async with line.claim(LineClass.PLANNED, "owner") as claim:
        waiter = asyncio.create_task(exchange(line, b"never", LineClass.COMMAND))
        await asyncio.sleep(0)
        assert claim.must_yield
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert not claim.must_yield
        # granted and cancelled in the same turn of the loop: the line must pass on, not stick
        doomed = asyncio.create_task(exchange(line, b"doomed", LineClass.COMMAND))
        follower = asyncio.create_task(exchange(line, b"follower"))
        await asyncio.sleep(0)
    doomed.cancel()
    assert await asyncio.wait_for(follower, 5) == b"follower"
    assert doomed.cancelled()
    assert line.state().queue == 0
    assert line.state().owner == ""
    await line.close()
    gc.collect()


async def test_hung_up_while_idle_is_reopened_silently(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1])
    await exchange(line, b"a")
    echo[0].hang_up()
    await asyncio.sleep(0.05)
    assert await exchange(line, b"b") == b"b"
    assert echo[0].connections == 2
    assert line.statistics.errors == 0
    await line.close()


async def test_silence_reopens_a_network_path(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1], reopen_after_silence=True)
    echo[0].mute = True
    with pytest.raises(SilenceError):
        await exchange(line, b"a")
    assert (line.statistics.errors, line.statistics.timeouts) == (1, 1)
    echo[0].mute = False
    assert await exchange(line, b"b") == b"b"
    assert echo[0].connections == 2
    await line.close()


async def test_back_off_grows_to_its_ceiling_and_spares_commands(unused_port: Port) -> None:
    now = 1000.0
    line = line_to(unused_port, clock=lambda: now, reconnect=Backoff(1.0, 8.0, jitter=0.0))
    waits = []
    for _ in range(6):
        with pytest.raises(LinkError, match="refused"):
            await exchange(line, b"x")
        assert line.status is LineStatus.BACKING_OFF
        waits.append(line.retry_at - now)
        with pytest.raises(LinkError, match="tried again in"):
            await exchange(line, b"x")
        now = line.retry_at
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    with pytest.raises(LinkError, match="refused"):
        await exchange(line, b"x")
    with pytest.raises(LinkError, match="refused"):  # not "tried again in": a person is waiting
        await exchange(line, b"x", LineClass.COMMAND)
    assert line.state().state == "backing_off"
    assert "refused" in line.state().error


async def test_server_that_hangs_up_at_once_backs_off_further_each_time() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    now = 0.0
    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    async with server:
        line = line_to(server.sockets[0].getsockname()[1], clock=lambda: now, reconnect=Backoff(1.0, 60.0, jitter=0.0))
        for expected in (1.0, 2.0, 4.0):
            with pytest.raises(LinkError):
                await exchange(line, b"x")
            assert line.retry_at - now == expected
            now = line.retry_at
        await line.close()


async def test_idle_close(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1], idle_close=0.05)
    await exchange(line, b"a")
    await asyncio.sleep(0.02)
    await exchange(line, b"b")
    assert echo[0].connections == 1
    await asyncio.sleep(0.15)
    assert not echo[0].writers
    await exchange(line, b"c")
    assert echo[0].connections == 2
    await line.close()


async def test_disabled_line_says_so(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1], enabled=False)
    with pytest.raises(LinkError, match="disabled"):
        await exchange(line, b"a", LineClass.COMMAND)
    assert line.state().state == "disabled"


@pytest.mark.parametrize(("host", "text"), [("no.such.host.invalid", "cannot be resolved"), ("127.0.0.1", "refused")])
async def test_tcp_errors_name_the_address(host: str, text: str, unused_port: Port) -> None:
    with pytest.raises(LinkError, match=text) as caught:
        await open_tcp(host, unused_port, 5.0)
    assert host in str(caught.value)


async def test_ccee_cuts_an_owner_that_does_not_leave(
    echo: tuple[EchoServer, Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the owner is: waiting for octets, asleep, or still connecting. Who leaves in time is not cut."""
    monkeypatch.setattr("edge.lines.line.CCEE_PATIENCE", 0.1)
    line = line_to(echo[1])
    errors: list[BaseException | None] = []

    async def own(seconds: float) -> None:
        try:
            async with line.claim(LineClass.BACKFILL, "own") as claim:
                await claim.transport.read(1, seconds)
            errors.append(None)
        except PreemptedError as error:
            errors.append(error)

    for seconds, cut in ((60.0, True), (0.05, False)):
        owner = asyncio.create_task(own(seconds))
        await until(lambda: line.status is LineStatus.BUSY)
        async with line.claim(LineClass.CCEE, "ccee") as claim:
            await claim.transport.write(b"x")
            assert await claim.transport.read(1, 2.0) == b"x"
        await owner
        assert isinstance(errors.pop(), PreemptedError) is cut
    assert line.statistics.errors == 0  # nothing is wrong with the line
    await line.close()


async def test_ccee_that_gives_up_takes_its_term_back(
    echo: tuple[EchoServer, Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.lines.line.CCEE_PATIENCE", 0.1)
    line = line_to(echo[1])

    async def come() -> None:
        async with line.claim(LineClass.CCEE, "ccee"):
            pass

    async with line.claim(LineClass.PLANNED, "own") as claim:
        ccee = asyncio.create_task(come())
        await until(lambda: claim.must_yield)
        ccee.cancel()
        await asyncio.gather(ccee, return_exceptions=True)
        await asyncio.sleep(0.2)  # not cut
    await line.close()


async def test_a_line_that_is_lent_belongs_to_the_borrower(echo: tuple[EchoServer, Port]) -> None:
    line = line_to(echo[1])
    async with line.claim(LineClass.PLANNED, "own") as claim:
        await claim.transport.write(b"left over")
        await asyncio.sleep(0.05)
    async with line.claim(LineClass.CCEE, "ccee") as claim, claim.lent() as descriptor:
        os.write(descriptor, b"mine")
        await asyncio.sleep(0.05)
        assert os.read(descriptor, 100) == b"mine"
    assert await exchange(line, b"back") == b"back"
    await line.close()
