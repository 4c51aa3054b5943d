import csv
from array import array
from pathlib import Path
from types import ModuleType
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.simulators
from shared.quality import Quality
from tests.ext import profile_reference

LOAD = Path(edge.simulators.__file__).parent / "data" / "steel_works_26_weeks.csv"

INT64 = st.integers(-(2**63), 2**63 - 1)

#: Runs of equal things next to wild ones: what profiles are made of.
runs = st.lists(
    st.tuples(
        INT64 | st.integers(0, 4095) | st.just(0), st.sampled_from([0, 0, 0, 1, 2, 257, 0xFFFF]), st.integers(1, 40)
    ),
    min_size=1,
    max_size=12,
)


def series(parts: list[tuple[int, int, int]]) -> "tuple[array[int], array[int]]":
    values, flags = array("q"), array("H")
    for value, flag, length in parts:
        values.extend([value] * length)
        flags.extend([flag] * length)
    return values, flags


def canonical(values: "array[int]", flags: "array[int]") -> "array[int]":
    return array("q", [0 if flag & 1 else value for value, flag in zip(values, flags, strict=True)])


def with_crc(body: bytes) -> bytes:
    return body + crc32(body).to_bytes(4, "little")


def good(count: int) -> "array[int]":
    return array("H", bytes(2 * count))


def test_golden_constant_day(profile: ModuleType) -> None:
    # 11 version 1, differences; 01 a day of 900 s; 0A base 5; no body: all 95 residuals are 0
    block = with_crc(bytes.fromhex("11 01 0A"))
    assert block.hex() == "11010a0ac86b1b"
    assert profile.pack(array("q", [5] * 96), good(96), 900) == block
    assert profile.unpack(block) == (array("q", [5] * 96), good(96), 900)


def test_golden_with_gap(profile: ModuleType) -> None:
    # 16 version 1, height and flags; 00 other grid; 05 intervals of 3C = 60 s; flags 2 x 0, 1 x 1 (missing), 2 x 0;
    # base 12 = 9; residuals 1, 3, 3, 0: class 1 after none 11010; symbols 1 10, 3 11100, 3 11100, 0 0
    bits = "11010 10 11100 11100 0".replace(" ", "")
    body = bytes.fromhex("16 00 05 3C 0200 0101 0200 12") + int(bits.ljust(24, "0"), 2).to_bytes(3, "big")
    values, flags = array("q", [10, 12, 0, 12, 9]), array("H", [0, 0, 1, 0, 0])
    assert profile.pack(values, flags, 60) == with_crc(body)
    assert profile.unpack(with_crc(body)) == (values, flags, 60)


def test_golden_all_missing(profile: ModuleType) -> None:
    block = with_crc(bytes.fromhex("14 01 6001"))
    values, flags = array("q", [7] * 96), array("H", [1] * 96)
    assert profile.pack(values, flags, 900) == block
    assert profile.unpack(block) == (array("q", bytes(8 * 96)), flags, 900)


def test_golden_with_unit_and_both_strings_of_bits(profile: ModuleType) -> None:
    # 1B version 1, differences of differences, unit; 64 = 100 intervals of 84 07 = 900 s; base C801 = 100;
    # unit 14 = 20; first residual zigzag(1) = 2, all others 0, made of 13 groups from both ends
    block = with_crc(bytes.fromhex("1B 00 64 8407 C801 14 D6000000F4"))
    values = array("q", range(100, 2100, 20))
    assert profile.pack(values, good(100), 900) == block
    assert profile.unpack(block) == (values, good(100), 900)
    assert profile_reference.read(block)[0] == list(values)


@given(parts=runs, step=st.integers(1, 86_400))
def test_round_trip_and_second_reader(profile: ModuleType, parts: list[tuple[int, int, int]], step: int) -> None:
    values, flags = series(parts)
    block = profile.pack(values, flags, step)
    expected = canonical(values, flags)
    assert profile.unpack(block) == (expected, flags, step)
    assert profile_reference.read(block) == (list(expected), list(flags), step)
    assert profile.header(block) == (len(values), step)
    assert profile.pack(expected, flags, step) == block


@given(values=st.lists(INT64, min_size=1, max_size=60))
def test_any_int64(profile: ModuleType, values: list[int]) -> None:
    found, _, _ = profile.unpack(profile.pack(array("q", values), good(len(values)), 900))
    assert list(found) == values


def test_extremes(profile: ModuleType) -> None:
    low, high = -(2**63), 2**63 - 1
    for values in ([low, high] * 3, [high, low, 0, -1], [low, low + 1, high], [0] * 5 + [high, low]):
        block = profile.pack(array("q", values), good(len(values)), 1)
        assert list(profile.unpack(block)[0]) == values
        assert profile_reference.read(block)[0] == values


def test_the_longest_block_and_one_more(profile: ModuleType) -> None:
    longest = profile.MAX_COUNT
    block = profile.pack(array("q", bytes(8 * longest)), good(longest), 300)
    assert len(block) < 20
    assert profile.unpack(block)[0] == array("q", bytes(8 * longest))
    with pytest.raises(profile.ProfileError, match="100001"):
        profile.pack(array("q", bytes(8 * (longest + 1))), good(longest + 1), 300)


def test_gaps_and_constants_cost_almost_nothing(profile: ModuleType) -> None:
    values = array("q", [500 + i * i % 97 for i in range(96)])
    plain = len(profile.pack(values, good(96), 900))
    gap = good(96)
    gap[40:60] = array("H", [1] * 20)
    assert len(profile.pack(values, gap, 900)) <= plain + 6
    assert len(profile.pack(array("q", [0] * 96), good(96), 900)) <= 7
    night = array("q", [0] * 40 + [300, 900, 1400, 900, 300] + [0] * 51)
    assert len(profile.pack(night, good(96), 900)) <= 28


@pytest.mark.parametrize("count", [96, 288, 1440, 8640])
def test_what_says_nothing_costs_nothing_however_long(profile: ModuleType, count: int) -> None:
    for value in (0, 5, -(2**63)):
        assert len(profile.pack(array("q", [value] * count), good(count), 60)) <= 20
    steady = profile.pack(array("q", range(0, 25 * count, 25)), good(count), 60)
    assert len(steady) <= 16 + count // 64  # a bit for eight intervals
    missing = array("H", [1] * count)
    assert len(profile.pack(array("q", bytes(8 * count)), missing, 60)) <= 13
    holes = good(count)
    for first in range(10, count, count // 4):
        holes[first : first + 7] = array("H", [1] * 7)
    assert len(profile.pack(array("q", [5] * count), holes, 60)) <= 34


@pytest.mark.parametrize(("bits", "most"), [(12, 1.75), (32, 4.8), (64, 8.8)])
def test_noise_costs_little_more_than_its_bits(profile: ModuleType, bits: int, most: float) -> None:
    values = np.random.default_rng(bits).integers(-(2**63), 2**63, 96 * 20, np.int64) >> 64 - bits
    blocks = profile.pack_each(values, np.zeros(len(values), np.uint16), 900, 96)
    assert sum(map(len, blocks)) / len(values) < most
    found = np.empty_like(values)
    profile.unpack_into(blocks, found, np.empty(len(values), np.uint16), 900)
    assert np.array_equal(found, values)


@pytest.mark.parametrize("unit", [1, 2, 3, 7, 11, 13, 30, 143, 2039, 2048, 2053, 86_400])
def test_a_common_unit_is_found_and_only_where_there_is_one(profile: ModuleType, unit: int) -> None:
    rng = np.random.default_rng(unit)
    for high in (2, 50, 5000):
        counts = rng.integers(0, high, 96)
        counts[:2] = (0, 1)
        for offset in (0, 1):
            block = profile.pack(counts * unit + offset, np.zeros(96, np.uint16), 900)
            assert profile_reference.read(block)[0] == (counts * unit + offset).tolist()
            assert bool(block[0] & 8) == (unit > 1)
        counts[50] = counts[49]
        spoilt = counts * unit
        spoilt[50] += 1
        assert not profile.pack(spoilt, np.zeros(96, np.uint16), 900)[0] & 8


@pytest.mark.parametrize(("column", "most"), [("active", 1.32), ("inductive", 1.2), ("capacitive", 0.6)])
def test_octets_per_reading_of_a_real_load(profile: ModuleType, column: str, most: float) -> None:
    with LOAD.open(encoding="utf-8", newline="") as file:
        counts = [int(row[column]) for row in csv.DictReader(file)]
    size = 0
    for first in range(0, len(counts), 96):
        day = array("q", counts[first : first + 96])
        block = profile.pack(day, good(len(day)), 900)
        size += len(block)
        assert profile.unpack(block)[0] == day
    assert size / len(counts) < most


def test_takes_numpy_and_refuses_other_types(profile: ModuleType) -> None:
    block = profile.pack(np.arange(4, dtype=np.int64), np.zeros(4, np.uint16), 900)
    assert list(profile.unpack(np.frombuffer(block, np.uint8))[0]) == [0, 1, 2, 3]
    for values in (np.arange(4.0), np.arange(4, dtype=np.int32), np.arange(8)[::2], np.zeros((2, 2), np.int64), [1, 2]):
        with pytest.raises(TypeError, match="values must be"):
            profile.pack(values, good(4), 900)
    with pytest.raises(TypeError, match="flags must be"):
        profile.pack(array("q", [1]), b"\0", 900)


@pytest.mark.parametrize(
    ("count", "flags", "step", "says"),
    [(0, 0, 900, "1..100000"), (2, 3, 900, "2 values and 3 flags"), (1, 1, 0, "not 0"), (1, 1, 86_401, "86401")],
)
def test_refuses_to_pack(profile: ModuleType, count: int, flags: int, step: int, says: str) -> None:
    with pytest.raises(profile.ProfileError, match=says):
        profile.pack(array("q", bytes(8 * count)), good(flags), step)


def test_the_missing_flag_is_the_shared_one(profile: ModuleType) -> None:
    assert profile.MISSING == Quality.MISSING


# -- damage ----------------------------------------------------------------------------------------------------------

SAMPLE_PARTS = [(317, 0, 3), (402, 0, 1), (0, 1, 2), (5000, 2, 1), (-(2**40), 0, 1), (77, 0, 9)]


def test_every_truncation_and_every_bit_is_noticed(profile: ModuleType) -> None:
    block = profile.pack(*series(SAMPLE_PARTS), 900)
    for length in range(len(block)):
        with pytest.raises(profile.ProfileError):
            profile.unpack(block[:length])
    for bit in range(8 * len(block)):
        damaged = bytearray(block)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(profile.ProfileError):
            profile.unpack(damaged)
        with pytest.raises(profile.ProfileError):
            profile.header(damaged)


@settings(max_examples=60)
@given(parts=runs, data=st.data())
def test_any_block_cut_or_changed_is_refused(
    profile: ModuleType, parts: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    block = profile.pack(*series(parts), 300)
    damaged = bytearray(block)
    damaged[data.draw(st.integers(0, len(block) - 1))] ^= data.draw(st.integers(1, 255))
    room, flags = array("q", bytes(8 * 500)), good(500)
    for wrong in (block[: data.draw(st.integers(0, len(block) - 1))], bytes(damaged), block + b"\0"):
        for read in (profile.unpack, profile.header, lambda it: profile.unpack_into([it], room, flags, 300)):
            with pytest.raises(profile.ProfileError):
                read(wrong)


@given(data=st.binary(max_size=80))
def test_random_octets(profile: ModuleType, data: bytes) -> None:
    with pytest.raises(profile.ProfileError):
        profile.unpack(data)


@settings(max_examples=300)
@given(data=st.data())
def test_wrong_content_under_a_right_checksum(profile: ModuleType, data: st.DataObject) -> None:
    """What a faulty or hostile peer could send: a typed error or a block as long as its header says, never more."""
    body = bytearray(profile.pack(*series(SAMPLE_PARTS), 900)[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if kind == "set":
            body[at] = data.draw(st.integers(0, 255))
        elif kind == "cut" and len(body) > 5:
            del body[at:]
            body += data.draw(st.binary(max_size=4))
        else:
            body[at:at] = data.draw(st.binary(max_size=10))
        if not body:
            body = bytearray(b"\1")
    block = with_crc(bytes(body))
    try:
        values, flags, step = profile.unpack(block)
    except profile.ProfileError:
        return
    assert (len(values), step) == profile.header(block)
    assert len(flags) == len(values)
    assert canonical(values, flags) == values


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("21 01 00", "version 2"),
        ("18 01 00", "scheme 08"),
        ("11 07 00", "grid 7"),
        ("11 00 00 01 00", "0 intervals"),
        ("11 00 A18D06 01 00", "100001 intervals"),
        ("11 00 01 81A305 00", "86401 s"),
        ("11 00 01 01 FFFFFFFFFFFFFFFFFF02", "64 bits"),
        ("10 01", "no value is present"),
        ("14 00 01 01 0101 00", "1 octets are left over"),
        ("15 00 02 01 0000 00", "run of 0"),
        ("15 00 02 01 0300 00", "run of 3"),
        ("15 00 02 01 0280800400", "flags 10000"),
        ("15 00 02 01 0201 00", "all intervals as missing"),
        ("19 00 02 01 00 01", "units of 1"),
        ("11 00 02 01", "middle"),
        ("12 00 04 01 00 D5CE", "middle"),
        ("12 00 04 01 00 D5CE00 00", "1 octets are left over"),
        ("12 00 04 01 00 D5CE01", "other bits than 0"),
        ("11 00 01 01 00 00", "1 octets are left over"),
    ],
)
def test_each_refusal_says_what_is_wrong(profile: ModuleType, body: str, says: str) -> None:
    with pytest.raises(profile.ProfileError, match=says):
        profile.unpack(with_crc(bytes.fromhex(body)))


def test_both_compilations_write_and_read_the_same(profile: ModuleType) -> None:
    """The second one is for processors with AVX2; what it wrote, all must read."""
    if not hasattr(profile, "_use_wide"):
        assert str(profile.__file__).endswith(".py")
        return
    if not profile._use_wide(True):
        pytest.skip("this processor has no AVX2")
    rng = np.random.default_rng(8)
    all_values = [rng.integers(-high, high, 500) * unit for high in (1, 9, 700, 2**18, 2**40) for unit in (1, 10)]
    all_values.append(np.where(rng.random(500) < 0.01, 2**62, np.arange(500)))
    flags = (rng.random(500) < 0.02).astype(np.uint16)
    for values in all_values:
        for count in (1, 9, 96, 500):
            wide = profile.pack_each(values, flags, 900, count)
            read = [profile.unpack(block) for block in wide]
            assert not profile._use_wide(False)
            try:
                assert profile.pack_each(values, flags, 900, count) == wide
                assert [profile.unpack(block) for block in wide] == read
            finally:
                profile._use_wide(True)


# -- many blocks -----------------------------------------------------------------------------------------------------


def test_a_long_series_in_blocks_and_back(profile: ModuleType) -> None:
    values = array("q", [i * i % 977 - 300 for i in range(1000)])
    flags = array("H", [2 if i % 300 < 4 else 0 for i in range(1000)])
    blocks = profile.pack_each(values, flags, 900, 96)
    assert blocks == [profile.pack(values[i : i + 96], flags[i : i + 96], 900) for i in range(0, 1000, 96)]
    for kind in (bytes, bytearray, memoryview):
        found, marks = np.full(1003, 7, np.int64), np.full(1001, 7, np.uint16)
        ends = profile.unpack_into([kind(block) for block in blocks], found, marks, 900)
        assert list(ends) == [*range(96, 1000, 96), 1000]
        assert list(found) == [*values, 7, 7, 7]
        assert list(marks) == [*flags, 7]


@given(parts=st.lists(runs, max_size=6))
def test_many_blocks_are_the_blocks_one_by_one(profile: ModuleType, parts: list[list[tuple[int, int, int]]]) -> None:
    all_values, all_flags, blocks = array("q"), array("H"), []
    for part in parts:
        values, flags = series(part)
        blocks.append(profile.pack(values, flags, 300))
        all_values += canonical(values, flags)
        all_flags += flags
    found, marks = array("q", bytes(8 * len(all_values))), array("H", bytes(2 * len(all_values)))
    ends = profile.unpack_into(blocks, found, marks, 300)
    assert (found, marks) == (all_values, all_flags)
    assert list(ends)[-1:] == ([len(found)] if blocks else [])


def test_many_blocks_refused(profile: ModuleType) -> None:
    block, other = profile.pack(array("q", [1, 2]), good(2), 900), profile.pack(array("q", [1]), good(1), 60)
    room = array("q", bytes(24))
    for blocks, says in (
        ([block, other], "block 1: .* of 60 s stands where intervals of 900 s"),
        ([block, block], "block 1: .* more than the 3 intervals"),
        ([block, block[:-1]], "block 1: .*damaged"),
        ([b""], "block 0: 0 octets"),
    ):
        with pytest.raises(profile.ProfileError, match=says):
            profile.unpack_into(blocks, room, good(3), 900)
    with pytest.raises(TypeError, match="writable"):
        profile.unpack_into([block], memoryview(bytes(16)).cast("q"), good(2), 900)
    with pytest.raises(TypeError, match="flags must be"):
        profile.unpack_into([block], room, room, 900)
    with pytest.raises(profile.ProfileError, match="not 0"):
        profile.pack_each(room, good(3), 900, 0)
