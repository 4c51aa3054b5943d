"""A real mosquitto for tests: started, stopped, killed with its queues lost, on a free port of 127.0.0.1."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port, wait_for_port

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Broker:
    """One broker process. ``settings`` are further lines of mosquitto.conf, such as ``max_queued_messages 10``.

    The port stays the same over restarts. Queues, sessions and retained messages survive ``stop`` (they are saved), and
    are gone after ``kill(lose_queues=True)``, as after the loss of the machine.
    """

    folder: Path
    settings: tuple[str, ...] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "mosquitto.log"

    @property
    def store(self) -> Path:
        return self.folder / "mosquitto.db"

    def start(self) -> None:
        """Start and wait until it accepts; RuntimeError with its log when it ends at once."""
        if MOSQUITTO is None:
            raise RuntimeError("mosquitto is not installed: apt-get install mosquitto")
        assert self.process is None, "the broker runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        lines = (
            "user root",  # it would drop to its own user, who may not write into the test's folder
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 3600",
            *self.settings,
        )
        config.write_text("\n".join(lines) + "\n")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([MOSQUITTO, "-v", "-c", str(config)], stdout=log, stderr=log)
        try:
            wait_for_port(self.port)
        except TimeoutError:
            self.kill()
            raise RuntimeError(f"mosquitto does not start: {self.log.read_text(errors='replace')[-2000:]}") from None

    def stop(self) -> None:
        """End it in order: everything it holds is saved."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self, *, lose_queues: bool = True) -> None:
        """SIGKILL; ``lose_queues`` removes what it had saved too, so that the next start is an empty broker."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
        if lose_queues:
            self.store.unlink(missing_ok=True)

    def restart(self, *, lose_queues: bool = True) -> None:
        self.kill(lose_queues=lose_queues)
        self.start()
