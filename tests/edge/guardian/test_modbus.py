"""Modbus overheard: the examples of its specification, and pymodbus on both ends."""

import asyncio

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from edge.guardian import Expected, Result, Side, Verdict
from ext.checksums import crc16_modbus
from tests.edge.guardian.conversations import Talk, judge, rechunk
from tests.edge.guardian.recorder import Recorder

C, M = Side.CLIENT, Side.METER
#: Request and answer PDUs printed in MODBUS Application Protocol Specification V1.1b3, §6.
EXAMPLES = {
    "01": ("0100130013", "0103CD6B05"),
    "02": ("0200C40016", "0203ACDB35"),
    "03": ("03006B0003", "0306022B00000064"),
    "04": ("0400080001", "0402000A"),
    "05": ("0500ACFF00", "0500ACFF00"),
    "06": ("0600010003", "0600010003"),
    "07": ("07", "076D"),
    "08": ("080000A537", "080000A537"),
    "0B": ("0B", "0BFFFF0108"),
    "0C": ("0C", "0C08000001080121 2000".replace(" ", "")),
    "0F": ("0F0013000A02CD01", "0F0013000A"),
    "10": ("10000100020 4000A0102".replace(" ", ""), "1000010002"),
    "14": ("140E0600040001000206000300090002", "140C05060DFE0020050633CD0040"),
    "16": ("16000400F20025", "16000400F20025"),
    "17": ("1700030006000E000306 00FF00FF00FF".replace(" ", ""), "170C00FE0ACD00010003000D00FF"),
    "18": ("1804DE", "180006000201B81284"),
    "2B": ("2B0E0100", "2B0E01010000030016" + b"Company identification".hex() + "0105" + b"Codes".hex() + "0205"
           + b"V2.11".hex()),
}  # fmt: skip


def tcp(pdu: str, transaction: int = 1, unit: int = 0x11) -> bytes:
    octets = bytes((unit,)) + bytes.fromhex(pdu)
    return transaction.to_bytes(2, "big") + b"\0\0" + len(octets).to_bytes(2, "big") + octets


def rtu(pdu: str, unit: int = 0x11) -> bytes:
    octets = bytes((unit,)) + bytes.fromhex(pdu)
    return octets + crc16_modbus(octets).to_bytes(2, "little")


@pytest.mark.parametrize("code", EXAMPLES)
@pytest.mark.parametrize("dress", [tcp, rtu])
def test_examples_of_the_specification(code: str, dress: type) -> None:
    request, answer = EXAMPLES[code]
    talk: Talk = [(0.0, C, dress(request)), (0.1, M, dress(answer))]
    finding = judge(talk)
    assert (finding.protocol, finding.verdict) == ("modbus", Verdict.GOOD), finding
    (exchange,) = finding.exchanges
    assert (exchange.code, exchange.result, exchange.detail["unit"]) == (code, Result.OK, 0x11)
    assert (exchange.asked, exchange.answered) == (len(talk[0][2]), len(talk[1][2]))
    for seed in range(5):
        assert judge(rechunk(talk, seed)) == finding


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dress", [tcp, rtu])
def test_exceptions(dress: type, code: int) -> None:
    finding = judge([(0.0, C, dress("03006B0003")), (0.1, M, dress(f"83{code:02X}"))])
    assert finding.verdict is (Verdict.UNSUPPORTED if code < 4 else Verdict.REFUSED)
    assert finding.exchanges[0].detail["exception"] == code


def test_a_gateway_that_finds_no_meter() -> None:
    assert judge([(0.0, C, tcp("03006B0003")), (0.1, M, tcp("830B"))], after=5).verdict is Verdict.NO_ANSWER


def test_i03_and_repeats() -> None:
    talk: Talk = [(float(i), C, rtu("03006B0003")) for i in range(3)]
    finding = judge(talk, after=4)
    assert finding.verdict is Verdict.NO_ANSWER
    assert finding.exchanges[0].detail["repeats"] == 2
    assert judge([(float(i), C, tcp("03006B0003", i)) for i in range(3)], after=4).verdict is Verdict.NO_ANSWER


def test_i04_noise() -> None:
    talk: Talk = []
    for i in range(10):
        good = rtu("0306022B00000064")
        talk += [(float(i), C, rtu("03006B0003")), (i + 0.1, M, good if i % 3 else good[:5] + b"\xff" + good[6:])]
    finding = judge(talk)
    assert finding.verdict is Verdict.BROKEN
    assert finding.facts["broken"] == 4
    for seed in range(5):
        assert judge(rechunk(talk, seed)) == finding


def test_an_answer_that_is_too_short_is_partial() -> None:
    assert judge([(0.0, C, tcp("03006B0003")), (0.1, M, tcp("0304022B0000"))]).verdict is Verdict.PARTIAL


def test_many_on_the_way_and_a_broadcast() -> None:
    talk: Talk = [(0.0, C, tcp("03006B0003", 1) + tcp("0400080001", 2)), (0.1, M, tcp("0402000A", 2))]
    talk.append((0.2, M, tcp("0306022B00000064", 1)))
    finding = judge(talk)
    assert finding.verdict is Verdict.GOOD
    assert [e.code for e in finding.exchanges] == ["03", "04"]
    broadcast = judge([(0.0, C, rtu("0600010003", 0)), (1.0, C, rtu("0400080001")), (1.1, M, rtu("0402000A"))])
    assert [e.result for e in broadcast.exchanges] == [Result.UNANSWERED, Result.OK]
    assert broadcast.verdict is Verdict.GOOD


@pytest.mark.parametrize("framer", [FramerType.SOCKET, FramerType.RTU])
async def test_pymodbus_through_a_recording_proxy(framer: FramerType) -> None:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    device = SimDevice(17, simdata=[SimData(0, values=[1, 2, 3, 4] * 50, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(device, framer=framer, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        async with Recorder(port) as recorder:
            client = AsyncModbusTcpClient("127.0.0.1", port=recorder.port, framer=framer)
            assert await client.connect()
            for _ in range(3):
                reply = await client.read_holding_registers(8, count=4, device_id=17)
                assert reply.registers == [1, 2, 3, 4]
            await client.write_register(5, 77, device_id=17)
            refused = await client.read_holding_registers(1000, count=4, device_id=17)
            assert refused.isError()
            client.close()
            await asyncio.sleep(0.05)
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
    finding = judge(recorder.talk, expected=Expected())
    assert finding.protocol == "modbus"
    results = [(e.code, e.detail["address"], e.result) for e in finding.exchanges]
    assert results == [*[("03", 8, Result.OK)] * 3, ("06", 5, Result.OK), ("03", 1000, Result.UNSUPPORTED)]
    assert finding.verdict is Verdict.UNSUPPORTED
