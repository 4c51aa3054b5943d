"""Whatever comes: nothing raises, memory stays, time grows with the octets, what is not understood is not accused."""

import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.drivers.abnt.frames import Command
from edge.guardian import CloseReason, Expected, Finding, Inspector, Side, Verdict
from edge.guardian.book import MAX_EXCHANGES
from edge.guardian.iec import MAX_MESSAGE
from edge.guardian.inspector import PIECE
from edge.simulators.faults import FaultKind, FaultPlan
from tests.edge.guardian.conversations import AbntTalk, Talk, rechunk
from tests.edge.guardian.test_abnt import session
from tests.edge.guardian.test_dlms import ASSOCIATED, CLOCK, ENERGY, Hdlc, Wrapper, play, profile
from tests.edge.guardian.test_iec import PROGRAMMING, READING
from tests.edge.guardian.test_modbus import rtu, tcp
from tests.edge.simulators.simmeter import Bench

C, M = Side.CLIENT, Side.METER


def abnt() -> Talk:
    plan = FaultPlan()
    for kind in (FaultKind.NOISE, FaultKind.HALF, FaultKind.REPEAT):
        plan.arm(kind)
    talk = AbntTalk(Bench(days=4), plan)
    talk.read("21 80 26")
    return talk.talk


def modbus(dress: Callable[[str], bytes]) -> Talk:
    asked = [(float(i), C, dress("03006B0003")) for i in range(4)]
    return sorted([*asked, *((i + 0.1, M, dress("0306022B00000064")) for i in range(4))], key=lambda piece: piece[0])


CONVERSATIONS: dict[str, Talk] = {
    "abnt": abnt(),
    "password": session(),
    "dlms": play(Wrapper(), ASSOCIATED, CLOCK, profile(24)),
    "hdlc": play(Hdlc(), ASSOCIATED, ENERGY, profile(24)),
    "modbus": modbus(tcp),
    "rtu": modbus(rtu),
    "iec": READING,
    "programming": PROGRAMMING,
}
times = st.floats(0, 1000)
pieces = st.tuples(times, st.sampled_from(Side), st.binary(max_size=300))


def listen(talk: Talk, reason: CloseReason = CloseReason.CLIENT) -> Finding:
    inspector = Inspector(Expected("12345678"), 0.0)
    for at, side, data in talk:
        assert len(inspector.heard(at, side, data)) == len(data)
        assert isinstance(inspector.live()["protocol"], str)
    finding = inspector.finish((talk[-1][0] if talk else 0) + 5, reason)
    assert inspector.fault == ""
    assert len(finding.exchanges) <= MAX_EXCHANGES
    return finding


@given(st.lists(pieces, max_size=30), st.sampled_from(CloseReason))
def test_random_octets(talk: Talk, reason: CloseReason) -> None:
    listen(talk, reason)


@example(name="abnt", seed=88)
@example(name="dlms", seed=237)
@example(name="iec", seed=237)
@example(name="iec", seed=2253)
@example(name="programming", seed=961)
@example(name="programming", seed=1113)
@settings(max_examples=60)
@given(name=st.sampled_from(sorted(CONVERSATIONS)), seed=st.integers(0, 1 << 32))
def test_mutated_conversations(name: str, seed: int) -> None:
    """Octets flipped, lost, doubled, pieces swapped and cut: no matter where."""
    source = random.Random(seed)
    talk = list(CONVERSATIONS[name])
    for _ in range(source.randrange(1, 12)):
        i = source.randrange(len(talk))
        at, side, data = talk[i]
        j = source.randrange(len(data)) if data else 0
        kind = source.randrange(6)
        if kind == 0:
            talk[i] = at, side, data[:j] + bytes((source.randrange(256),)) + data[j + 1 :]
        elif kind == 1:
            talk[i] = at, side, data[:j]
        elif kind == 2:
            talk[i] = at, Side(1 - side), data
        elif kind == 3:
            talk.insert(i, (at, side, source.randbytes(source.randrange(300))))
        elif kind == 4:
            talk.insert(i, talk[source.randrange(len(talk))])
        else:
            talk[i] = at, side, data[j:] + data
    finding = listen([piece for piece in talk if piece[2]])
    assert listen(rechunk(talk, seed)) == finding


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_pieces_make_no_difference(name: str) -> None:
    talk = CONVERSATIONS[name]
    whole = listen(talk)
    for seed in range(20):
        assert listen(rechunk(talk, seed)) == whole
    assert listen([(at, side, bytes((o,))) for at, side, data in talk for o in data]) == whole


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_cut_at_every_piece(name: str) -> None:
    talk = CONVERSATIONS[name]
    for end in range(len(talk)):
        listen(talk[:end], CloseReason.IDLE)


GARBAGE: dict[str, Callable[[int], bytes]] = {
    "random": lambda size: random.Random(1).randbytes(size),
    "zeros": lambda size: bytes(size),
    "flags": lambda size: b"\x7e\xa7\xff" * (size // 3),
    "codes": lambda size: b"\x26" * size,
    "tokens": lambda size: b"\x11" * size,
    "enquiries": lambda size: b"\x05" * size,
    "associations": lambda size: b"\xac\x0a\x80\x08" * (size // 4),
    "soh": lambda size: b"\x01P1" * (size // 3),
    "wrapper": lambda size: b"\0\1\0\1\0\1\xff\xff\x60" + bytes(size),
    "modbus": lambda size: b"\0\0\0\0\0\xfe" + bytes(size),
}
BEFORE: dict[str, Talk] = {"nothing": [], **{name: talk[:2] for name, talk in CONVERSATIONS.items()}}


@pytest.mark.timeout(
    60
)  # two hundred thousand octets take a fraction of a second, unless something grows with a square
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_whatever_was_understood_before(kind: str, before: str) -> None:
    inspector = Inspector(Expected(), 0.0)
    for at, side, data in BEFORE[before]:
        inspector.heard(at, side, data)
    octets = GARBAGE[kind](200_000)
    for side in (C, M):
        for i in range(0, len(octets), 8192):
            assert len(inspector.heard(2000.0, side, octets[i : i + 8192])) == len(octets[i : i + 8192])
    assert inspector.fault == ""
    for decoder in inspector._decoders:
        assert len(decoder.client.buffer) + len(decoder.meter.buffer) <= 2 * (MAX_MESSAGE + PIECE)
    finding = inspector.finish(2001.0, CloseReason.CLIENT)
    assert finding.verdict is not Verdict.GOOD or before != "nothing"


def test_ten_megabytes_in_flat_memory() -> None:
    source = random.Random(2)
    inspector = Inspector(Expected(), 0.0)
    tracemalloc.start()
    try:
        highest = 0
        for i in range(160):
            octets = source.randbytes(65_536)
            tracemalloc.reset_peak()
            inspector.heard(float(i), Side(i % 2), octets)
            highest = max(highest, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert highest < 3_000_000
    finding = inspector.finish(161.0, CloseReason.CLIENT)
    assert (finding.protocol, finding.verdict) == ("unknown", Verdict.NOT_UNDERSTOOD)


def test_exchanges_are_bounded_and_counted() -> None:
    inspector = Inspector(Expected(), 0.0)
    for i in range(2000):
        inspector.heard(float(i), C, tcp("03006B0003", i))
        inspector.heard(i + 0.1, M, tcp("0306022B00000064", i))
    finding = inspector.finish(2001.0, CloseReason.CLIENT)
    assert (len(finding.exchanges), finding.more) == (MAX_EXCHANGES, 2000 - MAX_EXCHANGES)
    assert finding.verdict is Verdict.GOOD
    assert finding.facts["requests"] == 2000


def test_a_fault_inside_masks_everything_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    inspector = Inspector(Expected(), 0.0)
    inspector.heard(0.0, C, Command(0x21).to_bytes())

    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(inspector._decoders[0], "feed", fail)
    assert inspector.heard(1.0, C, b"secret") == b"******"
    assert inspector.heard(1.0, M, b"more") == b"****"
    finding = inspector.finish(2.0, CloseReason.CLIENT)
    assert finding.verdict is Verdict.NOT_UNDERSTOOD
    assert finding.facts["fault"] == "RuntimeError: broken on purpose"
