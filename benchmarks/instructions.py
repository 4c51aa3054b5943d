"""Instructions that kernels take, counted by valgrind: the same in each run, however busy the machine is.

python -m benchmarks.instructions [NAME...]             counts, and writes results/instructions.json
python -m benchmarks.instructions --check [NAME...]     counts, and names what grew by more than 3 %

Each case runs in a process of its own, a number of times and twice as often: the difference is the kernel's own, with
its call. Figures of another processor or compiler are not comparable; the file says which were its own. A new case is
one line of ``CASES``.
"""

import argparse
import gc
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

RESULT: Final = Path(__file__).parent / "results" / "instructions.json"
#: What the same program may differ by from run to run, with room.
GROWTH: Final = 0.03
REPEATS: Final = 40


class Case(NamedTuple):
    items: int
    unit: str
    #: Returns what is run again and again; called once, in the process that is counted.
    work: Callable[[], Callable[[], Any]]


def kernel(name: str) -> Any:
    """Return a compiled kernel; with little else imported, for all of it is counted."""
    module = importlib.import_module(f"ext.{name}")
    if not str(module.__file__).endswith(".so"):
        raise SystemExit(f"ext.{name} is not compiled: a C compiler is needed, then pip install -e .")
    return module


@cache
def curve(count: int, high: int = 900) -> "array[int]":
    """Return counts that rise and fall as a load does, the same ones always."""
    values, number = array("q"), 7
    for i in range(count):
        number = number * 1_103_515_245 + 12_345 & 0x7FFFFFFF
        values.append(high * (96 - abs(i % 192 - 96)) // 96 + number % (high // 4))
    return values


def flags(count: int) -> "array[int]":
    return array("H", bytes(2 * count))


def blocks(count: int) -> list[bytes]:
    found: list[bytes] = kernel("profile").pack_each(curve(count), flags(count), 900, 96)
    return found


def lookup() -> Any:
    from shared.calendar_builders import brazil_calendar
    from shared.slots import month_lookup

    return month_lookup(brazil_calendar(), 900, date(2018, 1, 1))


def bill() -> Callable[[], Any]:
    slots = lookup()
    first = slots.begin * slots.step
    starts = array("q", range(first, first + 900 * 2880, 900))
    columns = array("i", [1] * 2880), starts, array("i", curve(2880))
    return partial(kernel("billing").bill, *columns, slots, 4)


def bill_series() -> Callable[[], Any]:
    slots = lookup()
    return partial(kernel("billing").bill_series, curve(2880), flags(2880), slots.begin * slots.step, slots, 1, 4)


def call(module: str, name: str, *given: Any) -> Callable[[], Any]:
    return partial(getattr(kernel(module), name), *given)


CASES: Final[dict[str, Case]] = {
    "profile.pack": Case(96, "reading", lambda: call("profile", "pack", curve(96), flags(96), 900)),
    "profile.unpack": Case(96, "reading", lambda: call("profile", "unpack", blocks(96)[0])),
    "profile.pack_each": Case(4800, "reading", lambda: call("profile", "pack_each", curve(4800), flags(4800), 900, 96)),
    "profile.unpack_into": Case(
        4800, "reading", lambda: call("profile", "unpack_into", blocks(4800), array("q", curve(4800)), flags(4800), 900)
    ),
    "billing.bill": Case(2880, "sample", bill),
    "billing.bill_series": Case(2880, "sample", bill_series),
    "checksums.crc16_arc": Case(256, "octet", lambda: call("checksums", "crc16_arc", bytes(range(256)))),
    "bcd.decode_each": Case(24, "register", lambda: call("bcd", "decode_each", bytes.fromhex("0123456789") * 24, 5)),
    "nibbles.unpack": Case(166, "word", lambda: call("nibbles", "unpack", bytes(range(249)))),
    "series.add": Case(
        2880, "interval", lambda: call("series", "add", curve(2880)[:], flags(2880), curve(2880), flags(2880), 1)
    ),
    "series.gaps": Case(2880, "interval", lambda: call("series", "gaps", flags(2880), 1)),
    "series.sliding": Case(2880, "interval", lambda: call("series", "sliding", curve(2880), flags(2880), 1, 3)),
}


def run(name: str, times: int) -> None:
    """Do a case's work; this is what valgrind counts."""
    work = CASES[name].work()
    work()
    for _ in range(times):
        work()


def total(name: str, times: int) -> int:
    """Return the instructions of a whole process that runs a case so many times."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-m"]
        command += ["benchmarks.instructions", "--run", name, str(times)]
        environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: valgrind says\n{done.stderr}")
        found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
        if not found:
            raise SystemExit(f"{name}: valgrind wrote no total")
        return int(found[1])


def counted(name: str) -> dict[str, Any]:
    """Return a case's entry of the result file."""
    case = CASES[name]
    own = total(name, 2 * REPEATS) - total(name, REPEATS)
    return {"instructions": round(own / REPEATS / case.items, 2), "unit": case.unit}


def grown(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return a line for each case that takes more than :data:`GROWTH` more than it did."""
    found = []
    for name, entry in now.items():
        if name in before:
            was, is_now = before[name]["instructions"], entry["instructions"]
            if is_now > was * (1 + GROWTH):
                found.append(f"{name}: {is_now} instructions per {entry['unit']}, was {was}: +{is_now / was - 1:.1%}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}")
    parser.add_argument("--check", action="store_true", help="compare with results/instructions.json, write nothing")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        gc.disable()
        run(options.run[0], int(options.run[1]))
        return
    if unknown := set(options.names) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if shutil.which("valgrind") is None:
        parser.error("valgrind is missing: apt-get install valgrind")
    names = options.names or list(CASES)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        now = dict(zip(names, pool.map(counted, names), strict=True))
    for name, entry in now.items():
        print(f"{name:24}{entry['instructions']:10.2f} per {entry['unit']}")
    from benchmarks.report import machine  # not counted

    before = json.loads(RESULT.read_text())["per item"] if RESULT.exists() else {}
    if options.check:
        if worse := grown(before, now):
            raise SystemExit("\n".join(worse))
        return
    kept = {name: (before | now)[name] for name in CASES if name in before | now}
    RESULT.write_text(json.dumps({"machine": machine(), "per item": kept}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
