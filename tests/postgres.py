"""A private PostgreSQL cluster for tests: its own folder, a free port of 127.0.0.1, ended with the session."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from tests.ports import free_port, wait_for_port

#: Debian's places, newest first; 15 is what Debian 12 has.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_ACCOUNT = "postgres"


def binaries() -> Path | None:
    """The folder of initdb and postgres; None when PostgreSQL is not installed."""
    found = next((path for path in _FOLDERS if (path / "initdb").exists()), None) or shutil.which("initdb")
    return Path(found).resolve().parent if isinstance(found, str) else found


class Cluster:
    """One server, with ``settings`` as ``name=value``. It refuses to run as root, so root's tests run it as the account
    ``postgres``."""

    def __init__(self, *settings: str) -> None:
        where = binaries()
        assert where is not None, "PostgreSQL is not installed: apt-get install postgresql"
        self._bin = where
        self._folder = Path(tempfile.mkdtemp(prefix="metergate-pg-"))
        self._root = os.geteuid() == 0
        self._settings = settings
        if self._root:
            account = pwd.getpwnam(_ACCOUNT)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self.port = free_port()
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._run("initdb", "-D", f"{self._folder}/data", "-A", "trust", "-U", _ACCOUNT, "-E", "UTF8", "--no-sync")
            self.start()
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start and wait until it accepts."""
        options = ["-D", f"{self._folder}/data", "-p", str(self.port), "-k", str(self._folder)]
        settings = "listen_addresses=127.0.0.1", "fsync=off", "max_connections=100", "lc_messages=C", *self._settings
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as("postgres", *options, *(part for each in settings for part in ("-c", each))),
                stdout=log, stderr=log, cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        wait_for_port(self.port, 30)
        while subprocess.run(
            [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        ).returncode:
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")[-2000:]

    def stop(self, immediate: bool = False) -> None:
        """End the server; ``immediate``: like a crash, recovered from its log at the next start."""
        if self._process is not None:
            pid = int((self._folder / "data/postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, signal.SIGQUIT if immediate else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        self.stop(immediate=True)
        shutil.rmtree(self._folder)

    def new_database(self, like: str | None = None) -> str:
        """Create an empty database, or one that is ``like`` another (its URL), to which nobody is connected."""
        name = f"test_{os.getpid()}_{next(self._names)}"
        template = () if like is None else ("-T", like.rpartition("/")[2])
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _ACCOUNT, *template, name)
        return f"postgresql+asyncpg://{_ACCOUNT}@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected: a thousand of them at the end would take a minute."""
        name = url.rpartition("/")[2]
        self._run("dropdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _ACCOUNT, "--force", name)

    def _as(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._bin / program), *arguments]
        return ["runuser", "-u", _ACCOUNT, "--", *command] if self._root else command

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(self._as(program, *arguments), capture_output=True, cwd=self._folder, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr.decode(errors='replace')}"
