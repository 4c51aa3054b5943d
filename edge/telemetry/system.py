"""The computer's own figures: memory, disk, load, temperature, clock. Paths and commands are arguments."""

import asyncio
import ctypes
import ctypes.util
import os
import shutil
from pathlib import Path
from typing import Final

COMMAND_TIMEOUT: Final = 5.0  # s
_TIME_ERROR: Final = 5  # adjtimex: the clock is not synchronised
_STA_NANO: Final = 0x2000


def rss_bytes(proc: Path = Path("/proc")) -> int:
    """Resident memory of this process."""
    pages = int((proc / "self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_free_bytes(proc: Path = Path("/proc")) -> int:
    """Memory that programs can still have, as the kernel estimates it; 0 when it does not say."""
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def load(proc: Path = Path("/proc")) -> float:
    """Load average of the last minute; 0 when the kernel does not say (a sandbox may hide it)."""
    return float((_text(proc / "loadavg") or "0").split()[0])


def disk_free_bytes(path: Path) -> int:
    """Bytes that we may still write on the disk of ``path``."""
    return shutil.disk_usage(path).free


def board_temperature(sys: Path = Path("/sys")) -> float | None:
    """Temperature of the board in degC: the CPU's zone where named, else the warmest sensor; None without any."""
    named: list[float] = []
    found: list[float] = []
    for zone in sorted((sys / "class/thermal").glob("thermal_zone*")):
        value = _millidegrees(zone / "temp")
        if value is not None:
            kind = _text(zone / "type").lower()
            (named if any(word in kind for word in ("cpu", "soc", "pkg")) else found).append(value)
    if not named and not found:
        for sensor in sorted((sys / "class/hwmon").glob("hwmon*/temp*_input")):
            value = _millidegrees(sensor)
            if value is not None:
                found.append(value)
    return max(named or found, default=None)


async def clock_offset_ms(chronyc: str = "chronyc") -> float | None:
    """How far the system clock is from true time in ms, positive = ahead, by chrony or the kernel; else None."""
    answer = await run(chronyc, "-c", "tracking")
    if answer is not None:
        return _chrony_offset(answer)
    return _kernel_offset()


async def run(*command: str, timeout: float = COMMAND_TIMEOUT) -> str | None:
    """Standard output of a command that succeeds in time, else None. The command may be absent."""
    if shutil.which(command[0]) is None:
        return None
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(timeout):
            out, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode("utf-8", "replace") if process.returncode == 0 else None


def _chrony_offset(tracking: str) -> float | None:
    """Field 5 of ``chronyc -c tracking``: system time in s, positive = fast of NTP time; None when not synchronised."""
    fields = tracking.strip().split(",")
    if len(fields) < 14 or fields[13] == "Not synchronised":
        return None
    try:
        return round(float(fields[4]) * 1000.0, 3)
    except ValueError:
        return None


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def _kernel_offset() -> float | None:
    """What adjtimex says, None when the clock is not synchronised or the call is not allowed."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    timex = _Timex()
    state = adjtimex(ctypes.byref(timex))
    if state in (-1, _TIME_ERROR):
        return None
    return float(timex.offset) / (1e6 if timex.status & _STA_NANO else 1e3)


def _millidegrees(path: Path) -> float | None:
    try:
        value = int(_text(path)) / 1000.0
    except ValueError:
        return None
    return value if -60.0 <= value <= 200.0 else None  # some sensors answer nonsense until they are warm


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # sensors of switched-off parts refuse to be read
        return ""
