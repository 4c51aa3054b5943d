"""A foreign reader through a forward to the ABNT simulator: octets, records, limits, who may come in."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.simulators.abnt.setup import MeterSetup
from tests.edge.forwarder.benches import bench, serving
from tests.edge.simulators.rawreader import RawReader
from tests.ports import until


@asynccontextmanager
async def simulated(kind: str = "tcp") -> AsyncIterator[TcpPort | PtyPort]:
    meter = Meter(MeterSetup("10000001", days=2))
    async with TcpPort([meter]) if kind != "pty" else PtyPort([meter]) as port:
        yield port


@pytest.mark.parametrize("kind", ["tcp", "pty", "target"])
async def test_a_foreign_reader_reads_through_and_it_is_recorded(spool_path: Path, kind: str) -> None:
    async with simulated(kind) as meter, bench(spool_path, meter, target=kind == "target") as it:
        async with await RawReader.tcp(it.port) as ccee:
            identity = await ccee.ask(0x21)
            blocks = await ccee.ask_blocks(0x52)
            await until(lambda: it.forward.shown(None).state == "connected")
        (record,) = await it.records(1)
        assert identity[1:5].hex() == "10000001"
        assert len(blocks) > 1
        assert (record.meter, record.close_reason) == ("m1", "client")
        assert record.sent >= 2 * 66 + 2
        assert record.received >= 258 * (1 + len(blocks))
        assert record.first_byte_ms is not None
        assert record.ended_ms >= record.started_ms
        captured = [piece for part in await it.captures() for piece in msgspec.msgpack.decode(part.data)]
        assert sum(len(data) for _, side, data in captured if side == 0) == record.sent
        assert await it.spool.connections.unfinished() == []


async def test_octets_pass_unchanged_and_half_close_is_passed_on(spool_path: Path) -> None:
    """Whatever the octets mean: a megabyte each way, the client's end first, the answer behind it."""
    heard = bytearray()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())  # to the client's end
        writer.write(bytes(heard[::-1]))
        await writer.drain()
        writer.close()

    sent = bytes(i * 7 & 0xFF for i in range(1 << 20))
    async with serving(echo) as number, bench(spool_path, number, target=True) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(sent)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        (record,) = await it.records(1)
    assert bytes(heard) == sent
    assert answer == sent[::-1]
    assert (record.sent, record.received) == (len(sent), len(sent))


async def test_a_meter_out_of_reach_is_refused_line(spool_path: Path, unused_port: int) -> None:
    async with bench(spool_path, unused_port, target=True) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        (record,) = await it.records(1)
        assert record.close_reason == "refused_line"
        assert "nothing listens" in record.facts["error"]


async def test_strangers_are_refused_counted_and_told_at_the_third(spool_path: Path) -> None:
    async with simulated() as meter, bench(spool_path, meter, allow=["127.0.0.2/32"]) as it:
        for number in range(1, 6):
            with pytest.raises(ConnectionError):
                await _refused(it.port)
            await until(lambda n=number: it.forward.admission.refused == n)  # type: ignore[misc]
        told = await it.events("ccee_unknown_source", 1)
        assert [event.detail["refused"] for event in told] == [3]
        friend = socket.socket()
        friend.bind(("127.0.0.2", 0))
        friend.setblocking(False)
        await asyncio.get_running_loop().sock_connect(friend, ("127.0.0.1", it.port))
        assert await asyncio.get_running_loop().sock_recv(friend, 1) == b"\x05"
        friend.close()
        assert await it.records(1)


async def _refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if not await asyncio.wait_for(reader.read(1), 5):
            raise ConnectionResetError
    finally:
        writer.close()


async def test_one_client_at_a_time_and_the_next_when_it_has_gone(spool_path: Path) -> None:
    async with simulated() as meter, bench(spool_path, meter) as it:
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
            for _ in range(30):
                with pytest.raises(ConnectionError):
                    await _refused(it.port)
            await ccee.ask(0x21)  # unharmed
            assert it.forward.turned_away == 30
        async with await RawReader.tcp(it.port) as again:  # at once, while the first may still be ending
            await again.ask(0x21)
        assert len(await it.records(2)) == 2


@pytest.mark.parametrize(("limit", "reason"), [("idle_seconds", "idle"), ("total_seconds", "total")])
async def test_limits_cut(spool_path: Path, limit: str, reason: str) -> None:
    async with serving(_mute) as number, bench(spool_path, number, target=True) as it:
        it.forward.settings = msgspec.structs.replace(it.forward.settings, **{limit: 0.3})
        _, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(b"x")
        (record,) = await it.records(1)
        assert record.close_reason == reason
        assert record.sent == 1
        writer.close()


async def _mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
