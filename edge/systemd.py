"""sd_notify without a library: READY, STATUS, WATCHDOG, STOPPING on the socket that systemd names."""

import os
import socket
from collections.abc import Mapping


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send ``KEY=value`` lines to systemd; False when it does not listen (not started by it)."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto("\n".join(lines).encode(), address)
        except OSError:  # systemd was restarted or the socket is not ours: notifying is a courtesy
            return False
    return True


def watchdog_interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two signs of life: half of what systemd allows; None when it does not watch this process."""
    try:
        allowed = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        watched = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return None
    return allowed / 2 if allowed > 0 and watched == os.getpid() else None
