"""Who is there: every dress of NBR 14522, other protocols by their first answer, silence and noise in words."""

import asyncio
from collections.abc import Callable

import pytest
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusTcpServer

from edge.drivers.abnt.frames import Variant
from edge.field import probes
from edge.field.folder import Folder
from edge.field.identify import Found, identify
from edge.field.place import Options, parse
from edge.simulators.abnt.session import SessionSetup
from ext.checksums import crc16_x25
from tests.edge.field.conftest import SERIAL, address, meter_port

pytestmark = pytest.mark.usefixtures("quick")

#: A meter's UA with its HDLC parameters, as printed in many places (Gurux' translator, client 16, server 1).
UA = bytes.fromhex("7EA01E210373C37A8180120501800601800704000000010804000000015 33B7E".replace(" ", ""))


async def found_at(folder: Folder, place: str, **options: str) -> Found:
    told: list[str] = []
    found = await identify(parse(place), folder, Options(**options), told.append)  # type: ignore[arg-type]
    assert len(told) == len(found.attempts)
    return found


@pytest.mark.parametrize("variant", [Variant.PLAIN, Variant.HEADED, Variant.DIRECTIONAL])
@pytest.mark.parametrize("pty", [False, True], ids=["tcp", "pty"])
async def test_a_meter_in_each_variant(folder: Folder, variant: Variant, pty: bool) -> None:
    async with meter_port(session=SessionSetup(variant=variant), pty=pty) as port:
        found = await found_at(folder, address(port))
        assert (found.protocol, found.serial, found.variant) == ("abnt", SERIAL, variant.value)
        assert found.readable
        assert found.baud == (9600 if pty else 0)
        assert "it can be read" in found.words
        assert folder.learnt(address(port))["serial"] == SERIAL


async def test_a_bus_needs_the_serial(folder: Folder) -> None:
    async with meter_port(session=SessionSetup(variant=Variant.ADDRESSED)) as port:
        assert not (await found_at(folder, address(port))).readable
        found = await found_at(folder, address(port), serial=SERIAL)
        assert (found.variant, found.serial) == ("addressed", SERIAL)


async def test_a_meter_that_refuses_is_not_asked_again(folder: Folder) -> None:
    async with meter_port(occurrence=(0x43, 0)) as port:
        found = await found_at(folder, address(port))
    assert (found.protocol, found.serial, found.readable) == ("abnt", SERIAL, False)
    assert "password" in found.words
    assert "may lock" in found.words


async def served(answers: Callable[[bytes], bytes]) -> tuple[asyncio.Server, str]:
    """Somebody who answers each piece that comes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(512):
            writer.write(answers(data))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_dlms_is_recognised_and_left_in_order(folder: Folder) -> None:
    heard = []

    def answer(data: bytes) -> bytes:
        heard.append(data)
        return UA if data == probes.SNRM else b""

    server, place = await served(answer)
    async with server:
        found = await found_at(folder, place)
    assert (found.protocol, found.readable) == ("dlms", False)
    assert "recognises it and cannot read it" in found.words
    assert heard[-1] == probes.DISC


async def test_iec_sign_on_is_recognised(folder: Folder) -> None:
    server, place = await served(lambda data: b"/LGZ5ZMD3104407.B32\r\n" if data == probes.SIGN_ON else b"")
    async with server:
        assert (await found_at(folder, place)).protocol == "iec62056-21"


async def test_modbus_of_another_maker_is_recognised(folder: Folder, unused_port: int) -> None:
    block = ModbusSequentialDataBlock(1, [7] * 10)  # type: ignore[no-untyped-call]
    server = ModbusTcpServer(
        ModbusServerContext(devices=ModbusDeviceContext(hr=block), single=True), address=("127.0.0.1", unused_port)
    )
    await server.serve_forever(background=True)
    try:
        found = await found_at(folder, f"127.0.0.1:{unused_port}")
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
    assert found.protocol == "modbus"


async def test_silence_and_noise_are_told_apart(folder: Folder) -> None:
    server, place = await served(lambda _: b"")
    async with server:
        found = await found_at(folder, place)
        assert found.protocol == ""
        assert found.words.startswith("Nothing answers.")
    server, place = await served(lambda data: bytes(b ^ 0x5A for b in data))
    async with server:
        found = await found_at(folder, place)
    assert found.protocol == ""
    assert "nothing of it is understood" in found.words


async def test_a_silent_serial_port_is_tried_at_other_speeds(folder: Folder) -> None:
    async with meter_port(session=SessionSetup(variant=Variant.ADDRESSED), pty=True) as port:
        found = await found_at(folder, address(port))
    tried = [how for how, _ in found.attempts]
    assert "NBR 14522 at 19200 8N1" in tried
    assert any("300 7E1" in how for how in tried)


@pytest.mark.parametrize("frame", [probes.SNRM, probes.DISC, UA])
def test_frames_of_hdlc_are_sound(frame: bytes) -> None:
    assert crc16_x25(frame[1:-3]) == int.from_bytes(frame[-3:-1], "little")
