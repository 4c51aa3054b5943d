"""A second reader of profile blocks, written from the format's description alone: texts of bits, no cleverness."""

from collections.abc import Iterator
from zlib import crc32


def read(block: bytes) -> tuple[list[int], list[int], int]:
    """Return (values, flags, step) of a sound block; it is not made to survive others."""
    assert crc32(block[:-4]).to_bytes(4, "little") == block[-4:]
    assert block[0] == 1
    scheme = block[1]
    rest = list(block[2:-4])
    count, step = _varint(rest), _varint(rest)
    flags: list[int] = []
    while scheme & 4 and len(flags) < count:
        length = _varint(rest)
        flags += [_varint(rest)] * length
    flags = flags or [0] * count
    present = count - sum(flag & 1 for flag in flags)
    if scheme & 3 == 0:
        return [0] * count, flags, step
    base = _signed(_varint(rest))
    bits = iter("".join(f"{octet:08b}" for octet in rest))
    if scheme & 3 == 1:
        values = [base]
        for residual in _residuals(bits, present - 1):
            values.append(_wrap(values[-1] + _signed(residual)))
    else:
        values = [_wrap(base + residual) for residual in _residuals(bits, present)]
    assert set(bits) <= {"0"}
    queue = iter(values)
    return [0 if flag & 1 else next(queue) for flag in flags], flags, step


def _varint(octets: list[int]) -> int:
    octet = octets.pop(0)
    return octet if octet < 128 else octet - 128 + 128 * _varint(octets)


def _signed(zigzag: int) -> int:
    return -(zigzag + 1) // 2 if zigzag % 2 else zigzag // 2


def _wrap(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _take(bits: Iterator[str], width: int) -> str:
    return "".join(next(bits) for _ in range(width))


def _ones(bits: Iterator[str], limit: int) -> int:
    count = 0
    while count < limit and next(bits) == "1":
        count += 1
    return count


def _residuals(bits: Iterator[str], count: int) -> list[int]:
    found: list[int] = []
    mean = 4 * 256
    after_zero = True
    while len(found) < count:
        extra = 0
        if after_zero:
            width = _ones(bits, 99)
            found += [0] * (int("1" + _take(bits, width), 2) - 1)
            if len(found) == count:
                break
            extra = 1
        k = ((mean // 4) * 2 // 3).bit_length()
        quotient = _ones(bits, 16)
        if quotient < 16:
            residual = quotient * 2**k + int("0" + _take(bits, k), 2)
        else:
            residual = int(_take(bits, int(_take(bits, 6), 2) + 1), 2)
        residual += extra
        mean += min(residual, 2**30) - mean // 4
        found.append(residual)
        after_zero = residual == 0
    return found
