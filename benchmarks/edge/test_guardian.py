"""What listening costs: octets a second, and microseconds for an ABNT exchange of 66 and 258 octets.

pytest benchmarks/edge/test_guardian.py -s

Peers, in the same run: the checks alone (CRC over every frame, compiled), and copying the octets, which is what a
forward without a guardian does.
"""

import random
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from edge.drivers.abnt.frames import Answer, Command, Signal
from edge.drivers.abnt.layout import ProfileWords
from edge.guardian import CloseReason, Expected, Finding, Inspector, Side, Verdict
from ext.checksums import crc16_arc, crc16_modbus

SERIAL = "00012345"
C, M = Side.CLIENT, Side.METER
Talk = list[tuple[float, Side, bytes]]


def registers(count: int = 200) -> Talk:
    """Command 23, its answer and the ACK."""
    ask, answer = Command(0x23).to_bytes(), Answer(0x23, SERIAL, random.Random(1).randbytes(251)).to_bytes()
    ack = Signal.ACK.wire()
    return [piece for i in range(count) for piece in ((i + 0.0, C, ask), (i + 0.3, M, answer), (i + 0.4, C, ack))]


def memory(blocks: int = 400) -> Talk:
    """One profile of many blocks, each acknowledged."""
    source = random.Random(2)
    talk: Talk = [(0.0, C, Command(0x26).to_bytes())]
    for number in range(1, blocks + 1):
        block = ProfileWords.make(number, number == blocks, source.randbytes(249)).answer(0x26, SERIAL)
        talk += [(number * 0.3, M, block.to_bytes()), (number * 0.3, C, Signal.ACK.wire())]
    return talk


def modbus(count: int = 400) -> Talk:
    """Reads of ten registers over TCP."""
    talk: Talk = []
    for i in range(count):
        head = i.to_bytes(2, "big") + b"\0\0"
        talk.append((i + 0.0, C, head + bytes.fromhex("0006 11 03 0000 000A")))
        talk.append((i + 0.1, M, head + bytes.fromhex("0017 11 03 14") + bytes(20)))
    return talk


def noise(size: int = 200_000) -> Talk:
    """Octets of no protocol, both ways."""
    source = random.Random(3)
    return [(i / 10, Side(i % 2), source.randbytes(1024)) for i in range(size // 1024)]


def hear(talk: Talk) -> Finding:
    inspector = Inspector(Expected(SERIAL), 0.0)
    for at, side, data in talk:
        inspector.heard(at, side, data)
    return inspector.finish(talk[-1][0], CloseReason.CLIENT)


def drip(talk: Talk, size: int = 32) -> Talk:
    """The same as a serial line gives it: a few octets at a time."""
    return [(at, side, data[i : i + size]) for at, side, data in talk for i in range(0, len(data), size)]


CASES: dict[str, tuple[Talk, Verdict]] = {
    "registers": (registers(), Verdict.GOOD),
    "registers in 32s": (drip(registers()), Verdict.GOOD),
    "memory": (memory(), Verdict.GOOD),
    "modbus": (modbus(), Verdict.GOOD),
    "noise": (noise(), Verdict.NOT_UNDERSTOOD),
}


@pytest.mark.parametrize("name", CASES)
def test_listening(benchmark: BenchmarkFixture, name: str) -> None:
    talk, verdict = CASES[name]
    assert hear(talk).verdict is verdict
    benchmark.group = f"guardian: {name}"
    benchmark(hear, talk)
    _say(benchmark, name, talk)


def checks(talk: Talk) -> int:
    """Every CRC, and nothing else."""
    return sum((crc16_modbus if len(data) < 60 else crc16_arc)(data) for _, _, data in talk)


def copies(talk: Talk) -> int:
    """Octets handed on as they are."""
    kept = bytearray()
    for _, _, data in talk:
        kept += data
    return len(kept)


@pytest.mark.parametrize("peer", [checks, copies])
@pytest.mark.parametrize("name", CASES)
def test_peers(benchmark: BenchmarkFixture, name: str, peer: Callable[[Talk], int]) -> None:
    talk = CASES[name][0]
    assert peer(talk) >= 0
    benchmark.group = f"guardian: {name}"
    benchmark(peer, talk)
    _say(benchmark, f"{name}, {peer.__name__}", talk)


def _say(benchmark: BenchmarkFixture, name: str, talk: Talk) -> None:
    if benchmark.stats is None:
        return
    octets = sum(len(data) for _, _, data in talk)
    pieces = sum(side is M for _, side, _ in talk)
    median = benchmark.stats.stats.median
    print(f"\n{name:28} {octets / median / 1e6:8.2f} M octets/s, {median / pieces * 1e6:7.2f} us a piece of the meter")
