"""Child processes of the demonstration: started with a log of their own, watched, ended in order."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: A child that was asked to end has this long before it is killed.
STOP_SECONDS: Final = 10.0
#: Lines of a failed child's log that are shown.
TAIL_LINES: Final = 15


class ChildFailed(Exception):
    """A child did not become ready, or ended by itself; the text holds the end of its log."""


class Child:
    """One running program: output into ``log``, a process group of its own so that Ctrl-C reaches only us."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Exit code, None while it runs."""
        return self._process.poll()

    def require_running(self) -> None:
        """Raise :class:`ChildFailed` with the end of the log if it has ended."""
        if (code := self.ended) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise ChildFailed(f"{self.name} ended with code {code}; the end of {self.log}:\n" + "\n".join(lines))

    def require_success(self, seconds: float = 60.0) -> None:
        """Wait for its end; raise :class:`ChildFailed` unless that comes in time and with code 0."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ChildFailed(f"{self.name} is not done after {seconds:.0f} s; see {self.log}") from None
        if code:
            self.require_running()

    def wait_for_port(self, port: int, seconds: float = 30.0) -> None:
        """Wait until something accepts connections at 127.0.0.1:``port``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.require_running()
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise ChildFailed(f"{self.name} does not listen on port {port} after {seconds:.0f} s; see {self.log}")

    def wait_for_lines(self, count: int, seconds: float = 30.0) -> list[str]:
        """Wait for ``count`` whole lines of output and return them."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.require_running()
            lines = self.log.read_text(errors="replace").splitlines(keepends=True)
            if len(lines) >= count and lines[count - 1].endswith("\n"):
                return [line.rstrip("\n") for line in lines[:count]]
            time.sleep(0.05)
        raise ChildFailed(f"{self.name} did not say that it is ready within {seconds:.0f} s; see {self.log}")

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self._process.kill()
        self._process.wait()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, then end it."""
        if self.ended is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def metergate(*arguments: str) -> list[str]:
    """Command line of our own command in this very environment."""
    return [sys.executable, "-m", "metergate", *arguments]


def free_port(preferred: int = 0) -> int:
    """Return ``preferred`` if nothing listens there, else a port the system chose."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ChildFailed("no free port on 127.0.0.1")
