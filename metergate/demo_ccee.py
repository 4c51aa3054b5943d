"""The CCEE of the demonstration: reads some meters through their forwarded ports now and then."""

import signal
import subprocess
import sys
import time
from typing import Final

from metergate.processes import metergate

#: The gateways want to have begun before, and to read for themselves between.
FIRST_AFTER: Final = 45.0
EVERY: Final = 900.0


def read(folder: str, places: list[str]) -> None:
    """Read each ``serial@port`` once, one after the other; what comes of it is the gateways' to tell."""
    for place in places:
        serial, _, port = place.partition("@")
        audit = metergate("field", "--folder", folder, "audit", f"127.0.0.1:{port}", "--serial", serial)
        subprocess.run(audit, check=False)  # noqa: S603 - our own program


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(FIRST_AFTER)
    while True:
        read(sys.argv[1], sys.argv[2:])
        time.sleep(EVERY)
