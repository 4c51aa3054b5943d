"""The public file, both ways: envelope, readings from it, a file from readings, and another program that reads it."""

import contextlib
from array import array
from datetime import datetime
from typing import Any

import msgspec
import pytest
from fk7py.FK7Python import FK7
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.abnt import commands, public_file, public_write, quantities
from edge.drivers.abnt.layout import Parameters
from edge.drivers.abnt.public_file import FileError
from edge.drivers.abnt.settings import AbntSettings
from edge.errors import EdgeError
from ext import profile as codec
from ext.nibbles import ORDERS, Order
from shared.quality import Quality
from shared.wire import ProfileBlock
from tests.edge.drivers.abnt import vectors
from tests.edge.simulators.simmeter import SERIAL, Bench, local, utc

START = utc("2026-03-02 03:00")
CHANNELS = sorted({c for code in range(100) if (c := quantities.profile_channel(code)) is not None})


def settings(**given: Any) -> AbntSettings:
    return msgspec.convert(given, AbntSettings)


def block(channel: str, counts: list[int], *, start: int = START, step: int = 900, **more: Any) -> ProfileBlock:
    flags = array("H", more.pop("flags", [0] * len(counts)))
    return ProfileBlock("m", channel, start, step, len(counts), codec.pack(array("q", counts), flags, step), **more)


def counts_of(made: list[ProfileBlock]) -> dict[str, tuple[int, int, list[int], int, int]]:
    return {b.channel: (b.start, b.step, list(codec.unpack(b.data)[0]), b.num, b.den) for b in made}


def recorded(bench: Bench, *asked: tuple[int, str]) -> list[bytes]:
    return [answer.body for code, parameters in asked for answer in bench.ask(code, parameters)]


@given(
    st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=7, unique=True),
    st.integers(1, 300),
    st.sampled_from([1, 60, 300, 900, 3600, 5939]),
    st.integers(1, 9_000),
    st.sampled_from(ORDERS),
    st.randoms(use_true_random=False),
)
def test_what_is_written_is_read_back(
    names: list[str], count: int, step: int, slot: int, order: Order, chance: Any
) -> None:
    start = START + slot * step
    made = [
        block(name, [chance.randint(0, 4094) for _ in range(count)], start=start, step=step,
              num=chance.randint(1, 999_999), den=chance.randint(1, 999_999))
        for name in names
    ]  # fmt: skip
    written = public_write.write(made, SERIAL, settings(), order)
    assert not written.flags_lost
    assert not written.rescaled
    found = public_file.read(written.data, "m", settings(nibble_order=order))
    assert found.serial == SERIAL
    assert counts_of(found.profile) == counts_of(made)
    assert not found.reconciled
    for each in found.profile:  # nothing proves the order: never billed
        assert all(flag & Quality.UNRECONCILED for flag in codec.unpack(each.data)[1])


def test_large_counts_take_a_larger_constant_or_are_refused() -> None:
    written = public_write.write([block("1.29.0", [0, 50_000, 10_000], num=9, den=50)], SERIAL, settings(), ORDERS[0])
    assert written.rescaled == {"1.29.0": (90_000, 50)}
    (found,) = public_file.read(written.data, "m", settings(nibble_order=ORDERS[0])).profile
    assert (list(codec.unpack(found.data)[0]), found.num, found.den) == ([0, 5, 1], 90_000, 50)
    with pytest.raises(FileError, match="without rounding"):
        public_write.write([block("1.29.0", [50_000, 10_001])], SERIAL, settings(), ORDERS[0])


def test_flags_that_have_no_place_are_told_and_overflow_is_kept() -> None:
    made = block("1.29.0", [1, 9_999, 3], flags=[Quality.OUTAGE, Quality.OVERFLOW, 0])
    written = public_write.write([made], SERIAL, settings(), ORDERS[0])
    assert written.flags_lost == {"1.29.0": 1}
    (found,) = public_file.read(written.data, "m", settings(nibble_order=ORDERS[0])).profile
    values, flags, _ = codec.unpack(found.data)
    assert values[1] == 0xFFF
    assert [bool(flag & Quality.OVERFLOW) for flag in flags] == [False, True, False]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([block("1.29.0", [1, 0], flags=[0, Quality.MISSING])], "03:15:00Z is missing"),
        ([block("1.29.0", [1, 2]), block("1.29.0", [3], start=START + 2700)], "a gap or an overlap"),
        ([block("1.29.0", [1, 2]), block("1.29.0", [3], start=START + 1800, num=2)], "constant changes"),
        ([block("1.29.0", [1, 2]), block("5.29.0", [3])], "2 different spans"),
        ([block("99.29.0", [1])], "no quantity code"),
        ([block("1.29.0", [1], num=1_000_003, den=7)], "six digits"),
        ([block("1.29.0", [1] * 60_000)], "999 blocks"),
        ([block("1.29.0", [1], step=7200)], "step 99 min"),
        ([], "0 channels"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(made: list[ProfileBlock], words: str) -> None:
    with pytest.raises(FileError, match=words):
        public_write.write(made, SERIAL, settings(), ORDERS[0])


def test_blocks_of_a_meter_are_a_file_as_they_are() -> None:
    """The verification set of §6 in its order; the simulated meter's words are those of its curve."""
    bench = Bench()
    frames = recorded(bench, (0x21, "0000"), (0x80, ""), (0x23, ""), (0x25, "01"), (0x28, ""), (0x26, ""))
    data = public_file.join_frames(frames)
    assert len(data) == 256 * len(frames)
    found = public_file.read(data, "m", settings(nibble_order="high_first"))
    first, end = bench.meter.measurement.running()
    assert {b.channel for b in found.profile} == {"1.29.0", "5.29.0", "8.29.0"}
    for column, made in enumerate(found.profile):
        assert (made.start, made.start + made.count * made.step) == (first + 10800, end + 10800)
        replay = bench.meter.replays[0]
        values = codec.unpack(made.data)[0]
        assert list(values) == [replay.value(column, made.start + i * 900) for i in range(made.count)]
    (registers,) = found.registers
    assert registers.at == local("2026-03-18 10:07:30")
    assert registers.values[0].value == bench.meter.measurement.current()[0].total


def test_two_channel_groups() -> None:
    bench = Bench(groups=2)
    frames = recorded(bench, (0x51, "0000"), (0x52, ""), (0x51, "0001"), (0x52, ""))
    found = public_file.read(public_file.join_frames(frames), "m", settings(nibble_order="high_first"))
    assert [b.channel for b in found.profile] == ["1.29.0", "5.29.0", "8.29.0", "2.29.0", "7.29.0", "6.29.0"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: [f[0][:-1]], "whole number of blocks"),
        (lambda f: [b"\x39" + f[0][1:]], "block 1 begins with 39"),
        (lambda f: [f[0], f[1][:1] + b"\x99" * 4 + f[1][5:]], "99999999"),
        (lambda f: [f[1], f[0]], "before any parameters"),
        (lambda f: [f[0], f[0], f[1]], "2 parameter blocks for 1 channel groups"),
        (lambda f: [f[0], b"\x22" + f[0][1:]], "different readings"),
        (lambda f: [f[0], f[2]], r"numbered \[2\]"),
        (lambda f: [f[0], f[1]], "1 profile blocks of answer 52 where 10080 words"),
        (lambda f: [b""], "whole number"),
    ],
)
def test_files_that_are_none_are_refused_in_words(spoil: Any, words: str) -> None:
    frames = recorded(Bench(), (0x51, "0000"), (0x52, ""))
    with pytest.raises(FileError, match=words):
        public_file.read(b"".join(spoil(frames)), "m", settings())


@given(st.binary(max_size=4).map(lambda b: b * 256) | st.binary(max_size=2000), st.binary(max_size=512))
def test_garbage_never_does_more_than_be_refused(data: bytes, tail: bytes) -> None:
    for octets in (data, vectors.PARAMETERS + tail.ljust(512, b"\x52")):
        with contextlib.suppress(EdgeError):
            public_file.read(octets, "m", settings())


def test_a_published_parameter_block_is_a_file_of_one_block() -> None:
    """A real answer 20 (RGNagel/lib-NBR14522) and a real answer 14 (heliopas): all that others published as octets."""
    (part,) = public_file.sections(public_file.split(public_file.join_frames([vectors.PARAMETERS])))
    assert Parameters.decode(part.parameters).words_closed == 5985
    found = public_file.read(vectors.PARAMETERS, "m", settings())
    assert found.serial == vectors.PARAMETERS[1:5].hex()
    assert not found.profile


def test_another_program_reads_our_file() -> None:
    """fk7py (Apache-2.0) knows serial, time, kinds of blocks and parameters; it reads no profile words."""
    made = [block(name, list(range(96)), num=9, den=50) for name in ("1.29.0", "5.29.0")]
    written = public_write.write(made, SERIAL, settings(), ORDERS[0])
    theirs = FK7(written.data)
    assert theirs.serial_medidor == int(SERIAL)
    assert theirs.data_hora_atual == datetime(2026, 3, 3)  # noqa: DTZ001 - wall clock
    assert theirs.qtd_blocos == 3
    assert {code for code, there in theirs.bloco_presente.items() if there} == {"51", "52"}
    theirs = FK7(public_file.join_frames([vectors.PARAMETERS]))  # a real meter's
    told = theirs.lerBloco(theirs.enum_blocos[0])
    ours = Parameters.decode(vectors.PARAMETERS)
    assert told.numero_de_palavras_ultima_reposicao_demanda == ours.words_closed
    assert told.numero_de_palavras_leitura_atual == ours.words_running
    assert ours.now is not None
    assert ours.last_interval is not None
    their_year = ours.last_interval.year - 2000  # it takes the two digits as they stand
    assert told.data_ultimo_intervalo_de_demanda == ours.last_interval.replace(year=their_year)
    assert theirs.nome_arquivo == public_file.name_base20(vectors.PARAMETERS[1:5].hex(), ours.now)


def test_evidence_of_a_reading_becomes_one_set() -> None:
    bench = Bench()
    asked = [(0x21, "0000"), (0x23, ""), (0x21, "0000"), (0x26, ""), (0x21, "0000"), (0x22, "0000"), (0x24, "")]
    frames = recorded(bench, *asked, (0x21, "0000"), (0x25, "01"), (0x28, ""), (0x21, "0000"))
    again = recorded(bench, (0x21, "0000"), (0x26, ""))  # it had moved on, and was read anew
    picked = public_file.assemble([*frames[:-3], *again, *frames[-3:]], commands.PROFILE)
    assert picked == [again[0], frames[1], frames[-3], frames[-2], *again[1:]]
    assert public_file.assemble(frames, commands.PROFILE_CLOSED) == []
    public_file.join_frames(picked)
