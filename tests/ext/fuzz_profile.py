"""Hostile blocks against the compiled codec under Address- and UndefinedBehaviorSanitizer; not part of the suite.

python -m tests.ext.fuzz_profile --seconds 600      (needs gcc or clang; docs/fuzzing.md has what was run)

The codec is compiled with the sanitizers into a temporary folder and loaded by a second process, which mutates sound
blocks, makes others up, gives nearly all of them a right CRC and reads them in every way there is. An answer must be a
typed error or as many intervals as the block says; what was read is packed and read again; a sample of answers is
compared with those of the Python source. Ends at the first finding, with the block as hexadecimal digits.
"""

import argparse
import importlib.util
import os
import random
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

from ext._build import DIRECTIVES
from tests.ext.builds import EXT, load_source

SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1 -fPIC -shared"
#: Longer blocks are rare: they are slow, and do nothing that short ones do not.
LONG = 2000
#: One input in so many is also read by the Python source.
SAMPLE = 40
ROOM = 1 << 16


def build(folder: Path) -> tuple[Path, str]:
    """Compile the codec with sanitizers; return the module and the libraries a process must load before it."""
    from Cython.Build import cythonize
    from setuptools import Extension  # type: ignore[import-untyped]

    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        sys.exit("a compiler with sanitizers is needed: gcc or clang")
    os.chdir(EXT.parent)
    extension = Extension("ext.profile", ["ext/profile.pyx"])
    cythonize(  # type: ignore[no-untyped-call]
        [extension], build_dir=str(folder), compiler_directives=DIRECTIVES, force=True, quiet=True
    )
    module = folder / "profile.so"
    headers = sysconfig.get_paths()["include"]
    command = [compiler, *shlex.split(SANITIZE), f"-I{headers}", f"{folder}/ext/profile.c", "-o", str(module)]
    subprocess.run(command, check=True)
    names = ["libasan.so", "libubsan.so"] if "gcc" in compiler else ["libclang_rt.asan-x86_64.so"]
    found = [subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip() for name in names]
    return module, " ".join(found)


# -- inputs ----------------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(rng: random.Random) -> int:
    """Return a number of any size up to 65 bits, often at an edge."""
    return max(0, (1 << rng.randrange(66)) + rng.choice((-1, 0, 0, 1, rng.getrandbits(6))))


def profile_of(rng: random.Random) -> tuple["array[int]", "array[int]"]:
    """Return values and flags as meters, or nobody, would give them."""
    count = rng.choice((1, 2, 7, 8, 9, 16, 17, 24, 48, 96, 96, 96, 97, 288, rng.randrange(1, 400)))
    high = 1 << rng.choice((1, 3, 6, 9, 12, 15, 18, 19, 20, 30, 45, 63))
    unit = rng.choice((1, 1, 1, 10, 60, 1000)) if high < 1 << 50 else 1
    kind = rng.randrange(5)
    values, last = array("q"), 0
    for _ in range(count):
        fresh = rng.randrange(-high, high)
        if kind == 0:
            last = fresh
        elif kind == 1:
            last = last + abs(fresh) // 2 & (1 << 52) - 1
        elif kind == 2:
            last = fresh if rng.random() < 0.1 else last
        elif kind == 3:
            last = fresh if rng.random() < 0.1 else 0
        else:
            last = max(-high, min(high - 1, last + rng.randrange(-3, 4)))
        values.append(last * unit)
    flags = array("H", bytes(2 * count))
    for _ in range(rng.choice((0, 0, 0, 1, 2, 8))):
        first, flag = rng.randrange(count), rng.choice((1, 1, 2, 257, 0xFFFF))
        for i in range(first, min(count, first + rng.choice((1, 1, 3, 40)))):
            flags[i] = flag
    return values, flags


def mutated(rng: random.Random, corpus: list[bytes]) -> bytes:
    """Return a sound block's octets (without CRC) after a few changes."""
    body = bytearray(rng.choice(corpus)[:-4])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(body)) if rng.random() < 0.6 else rng.randrange(min(12, len(body)))
        kind = rng.randrange(7)
        if kind == 0:
            body[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            body[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del body[at : at + rng.choice((1, 1, 2, 9))]
        elif kind == 3:
            body[at:at] = rng.randbytes(rng.choice((1, 1, 2, 9, 30)))
        elif kind == 4:
            body[at : at + 1] = varint(number(rng))
        elif kind == 5:
            other = rng.choice(corpus)
            body[at:] = other[rng.randrange(len(other)) : -4]
        else:
            body[at:] = rng.choice((b"", b"\0", b"\xff")) * rng.randrange(1, 40)
        if not body:
            body = bytearray(b"\x11")
    return bytes(body)


def forged(rng: random.Random, corpus: list[bytes]) -> bytes:
    """Return a made-up block without CRC: each field plausible, the body noise."""
    scheme = rng.randrange(16)
    out = bytes([0x10 | scheme])
    count = 96
    if rng.random() < 0.4:
        out += bytes([rng.choice((1, 1, 2, 3, 4, 5, 6, 7, 0xFF))])
    else:
        count = rng.randrange(1, 70) if rng.random() < 0.9 else number(rng) % 120_000
        out += b"\0" + varint(count) + varint(rng.choice((1, 60, 900, 86_400, number(rng))))
    if scheme & 4:
        left = count
        while left > 0 and len(out) < 200:
            run = min(left, rng.choice((1, 2, 5, left, left, rng.randrange(1, 9))))
            out += varint(run if rng.random() < 0.99 else number(rng)) + varint(rng.choice((0, 0, 1, 2, 0xFFFF)))
            left -= run
    if scheme & 3:
        out += varint(number(rng))
    if scheme & 8:
        out += varint(rng.choice((2, 10, number(rng))))
    fill = rng.choice((b"\0", b"\xff", b"\x55", b""))
    size = rng.choice((0, 1, 3, 10, 60, 130, 400))
    return out + (fill * size if fill else rng.randbytes(size))


# -- the process under the sanitizers --------------------------------------------------------------------------------


def answer(work: Callable[[], Any], error: type[Exception]) -> Any:
    """Return what ``work`` gives, or its error's text; anything but a typed error ends the run."""
    try:
        return work()
    except error as fault:
        return str(fault)


def check(compiled: ModuleType, source: ModuleType | None, block: bytes) -> bool:
    """Read a block in every way; return whether it was sound."""
    found = answer(lambda: compiled.unpack(block), compiled.ProfileError)
    top = answer(lambda: compiled.header(block), compiled.ProfileError)
    assert answer(lambda: compiled.unpack(bytearray(block)), compiled.ProfileError) == found
    if not isinstance(top, str):
        count, step = top
        values, flags = array("q", bytes(8 * count)), array("H", bytes(2 * count))
        many = answer(lambda: compiled.unpack_into([block], values, flags, step), compiled.ProfileError)
        assert many == (f"block 0: {found}" if isinstance(found, str) else array("q", [count]))
        if not isinstance(found, str):
            assert (values, flags, step) == found
            again = compiled.pack(*found)
            assert compiled.unpack(again) == found
            assert source is None or source.pack(*found) == again
    if source is not None and (isinstance(top, str) or top[0] <= LONG):
        assert answer(lambda: source.unpack(block), source.ProfileError) == found
    return not isinstance(found, str)


def attack(module: Path, seconds: float, seed: int, trace: Path) -> None:
    """Feed inputs until the time is over; the one under test always stands in ``trace``."""
    spec = importlib.util.spec_from_file_location("ext.profile", module)
    assert spec is not None
    assert spec.loader is not None
    compiled = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiled)
    source, rng = load_source("profile"), random.Random(seed)
    inputs = sound = compared = 0
    corpus: list[bytes] = []
    until = time.monotonic() + seconds
    with trace.open("wb", buffering=0) as file:
        while time.monotonic() < until:
            compiled._use_wide(inputs % 2 == 0)
            values, flags = profile_of(rng)
            corpus = [*corpus[-200:], compiled.pack(values, flags, rng.choice((60, 300, 900)))]
            compiled.pack_each(values, flags, 900, rng.randrange(1, 100))
            for _ in range(100):
                body = (mutated if rng.random() < 0.7 else forged)(rng, corpus)
                right = rng.random() < 0.98
                block = body + crc32(body).to_bytes(4, "little") if right else body
                file.seek(0)
                file.write(f"{block.hex()}\n".encode())
                sampled = inputs % SAMPLE == 0
                sound += check(compiled, source if sampled else None, block)
                compared += sampled
                inputs += 1
    print(f"{inputs} blocks read, {sound} of them sound, {compared} compared with the Python source")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--module", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.module:
        attack(options.module, options.seconds, options.seed, options.trace)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        module, libraries = build(folder)
        trace = folder / "block"
        command = [sys.executable, "-m", __spec__.name, "--module", str(module), "--trace", str(trace)]
        command += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
        environment = os.environ | {
            "LD_PRELOAD": libraries,
            "PYTHONMALLOC": "malloc",  # so that each object has its own guarded memory
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
        if subprocess.run(command, env=environment, check=False).returncode:
            sys.exit(f"found something with seed {options.seed}, at the block\n{trace.read_text().splitlines()[0]}")


if __name__ == "__main__":
    main()
