"""Serial ports on pseudo-terminals: the same pipe, unplugging, exclusive use, plain errors."""

import asyncio
import os
import pty
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.errors import LinkError
from edge.lines.contract import LineClass
from edge.lines.line import ManagedLine
from edge.lines.serial import SerialSettings, open_serial


@pytest.fixture
def port() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    yield master, name
    with suppress(OSError):  # the test may have unplugged it
        os.close(master)


@pytest.mark.parametrize(("parity", "bits", "stop"), [("none", 8, 1), ("even", 7, 1), ("odd", 8, 2)])
async def test_both_directions_all_octets(port: tuple[int, str], parity: str, bits: int, stop: int) -> None:
    master, name = port
    pipe = await open_serial(SerialSettings(name, 19200, bits, parity, stop))  # type: ignore[arg-type]
    everything = bytes(range(256))
    await pipe.write(everything)
    await asyncio.sleep(0.05)
    assert os.read(master, 1000) == everything
    os.write(master, everything)
    got = b""
    while len(got) < 256:
        got += await pipe.read(1000, 1.0)
    assert got == everything
    assert await pipe.read(1, 0.01) == b""
    await pipe.close()
    await pipe.close()
    with pytest.raises(LinkError, match="was closed"):
        await pipe.write(b"x")


async def test_one_owner_of_the_port(port: tuple[int, str]) -> None:
    first = await open_serial(SerialSettings(port[1]))
    with pytest.raises(LinkError, match="already locked"):
        await open_serial(SerialSettings(port[1]))
    await first.close()
    second = await open_serial(SerialSettings(port[1]))
    await second.close()


async def test_unplugged_in_the_middle_of_a_reading(port: tuple[int, str]) -> None:
    line = ManagedLine("probe", lambda: open_serial(SerialSettings(port[1])))

    async def read() -> None:
        async with line.claim(LineClass.PLANNED, "m") as claim:
            await claim.transport.read(10, 5.0)

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.1)
    os.close(port[0])
    with pytest.raises(LinkError, match="disconnected"):
        await asyncio.wait_for(reading, 3)
    with pytest.raises(LinkError):
        async with line.claim(LineClass.COMMAND, "m"):
            pass
    assert line.state().state == "backing_off"


async def test_missing_device_and_plain_file(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="does not exist: is the adapter plugged in"):
        await open_serial(SerialSettings(str(tmp_path / "ttyNone")))
    plain = tmp_path / "file"
    plain.write_bytes(b"")
    with pytest.raises(LinkError, match="cannot be opened"):
        await open_serial(SerialSettings(str(plain)))
