"""A second reader of profile blocks, written from the format's description alone: texts of bits, no cleverness.

Only the two tables of code lengths are taken from the codec: they are part of the format.
"""

from collections.abc import Iterator
from zlib import crc32

from ext._profile_format import NEXT_LENGTHS, SYMBOL_LENGTHS

DAYS = [900, 300, 3600, 1800, 600, 60]


def read(block: bytes) -> tuple[list[int], list[int], int]:
    """Return (values, flags, step) of a sound block; it is not made to survive others."""
    assert crc32(block[:-4]).to_bytes(4, "little") == block[-4:]
    assert block[0] >> 4 == 1
    scheme, grid = block[0] % 16, block[1]
    rest = list(block[2:-4])
    if grid:
        step = DAYS[grid - 1]
        count = 86400 // step
    else:
        count, step = _varint(rest), _varint(rest)
    flags: list[int] = []
    while scheme & 4 and len(flags) < count:
        length = _varint(rest)
        flags += [_varint(rest)] * length
    flags = flags or [0] * count
    present = count - sum(flag & 1 for flag in flags)
    if scheme & 3 == 0:
        assert not rest
        return [0] * count, flags, step
    base = _signed(_varint(rest))
    unit = _varint(rest) if scheme & 8 else 1
    if scheme & 3 == 2:
        values = [_wrap(base + unit * residual) for residual in _residuals(rest, present)]
    else:
        values, last = [base], 0
        for residual in _residuals(rest, present - 1):
            last = _signed(residual) + (last if scheme & 3 == 3 else 0)
            values.append(_wrap(values[-1] + unit * last))
    queue = iter(values)
    return [0 if flag & 1 else next(queue) for flag in flags], flags, step


def _varint(octets: list[int]) -> int:
    octet = octets.pop(0)
    return octet if octet < 128 else octet - 128 + 128 * _varint(octets)


def _signed(zigzag: int) -> int:
    return -(zigzag + 1) // 2 if zigzag % 2 else zigzag // 2


def _wrap(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _canonical(lengths: str) -> dict[str, int]:
    """Return {code word as text: symbol}, numbered as RFC 1951 §3.2.2 does it."""
    counts = [sum(digit == str(length) for digit in lengths) if length else 0 for length in range(10)]
    code, nexts = 0, [0]
    for length in range(1, 10):
        code = (code + counts[length - 1]) * 2
        nexts.append(code)
    found = {}
    for symbol, digit in enumerate(lengths):
        if digit != "0":
            found[f"{nexts[int(digit)]:0{digit}b}"] = symbol
            nexts[int(digit)] += 1
    return found or {"": 0}


CLASSES = [_canonical(lengths) for lengths in NEXT_LENGTHS]
SYMBOLS = [_canonical(lengths) for lengths in SYMBOL_LENGTHS]


def _take(bits: Iterator[str], width: int) -> int:
    return int("0" + "".join(next(bits) for _ in range(width)), 2)


def _code(bits: Iterator[str], words: dict[str, int]) -> int:
    word = ""
    while word not in words:
        word += next(bits)
    return words[word]


def _residuals(octets: list[int], count: int) -> list[int]:
    if not octets:
        return [0] * count
    texts = ["".join(f"{octet:08b}" for octet in order) for order in (octets, octets[::-1])]
    strings = [iter(text) for text in texts]
    found: list[int] = []
    own = 16
    for group in range(-(-count // 8)):
        bits = strings[group % 2]
        own = _code(bits, CLASSES[own])
        for _ in range(min(8, count - len(found))):
            symbol = _code(bits, SYMBOLS[own])
            if symbol < 2:
                found.append(symbol)
            elif symbol < 38:
                found.append((2 + symbol % 2) * 2 ** (symbol // 2 - 1) + _take(bits, symbol // 2 - 1))
            else:
                length = _take(bits, 6)
                found.append(2**length + _take(bits, length))
    left = ["".join(bits) for bits in strings]  # the other string's octets and less than one octet of 0
    used = [len(text) - len(rest) for text, rest in zip(texts, left, strict=True)]
    assert sum(-(-bits // 8) for bits in used) == len(octets)
    assert not any("1" in rest[: -bits % 8] for rest, bits in zip(left, used, strict=True))
    return found
