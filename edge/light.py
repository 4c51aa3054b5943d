"""A lamp for who stands at the gateway without a laptop: an LED of the kernel's, in groups of flashes.

One flash: all is well. Two: the broker is not reached. Three: a meter is not read. Four: both. A lamp that does not
flash belongs to a program that does not run.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LEDS: Final = Path("/sys/class/leds")
#: Seconds lit, dark within a group, and dark between groups.
LIT, DARK, PAUSE = 0.15, 0.35, 2.0


def flashes(*, connected: bool, silent: int) -> int:
    """How often to flash: ``silent`` is the number of meters that are not read."""
    return 1 + (not connected) + 2 * (silent > 0)


async def flash(led: Path, count: Callable[[], int]) -> None:
    """Flash ``count()`` times, again and again, until cancelled; then dark. What cannot be used is logged once."""
    brightness = led / "brightness"
    with contextlib.suppress(OSError):  # where udev has done it, only the brightness is ours
        (led / "trigger").write_text("none")
    try:
        full = (led / "max_brightness").read_text().strip()
        try:
            while True:
                for _ in range(count()):
                    brightness.write_text(full)
                    await asyncio.sleep(LIT)
                    brightness.write_text("0")
                    await asyncio.sleep(DARK)
                await asyncio.sleep(PAUSE)
        finally:
            brightness.write_text("0")
    except OSError as error:
        known = ", ".join(sorted(path.name for path in led.parent.glob("*"))) or "none"
        log.warning("no lamp", led=led.name, error=str(error), known=known)
