"""What the aggregator's backup on PostgreSQL writes into its settings, given to a real server: archive and way back."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from jinja2 import Environment

from tests.postgres import Cluster, binaries
from tests.provisioning.tools import ROLES

pytestmark = [
    pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed: apt-get install postgresql"),
    pytest.mark.timeout(120),
]


def rendered(name: str, folder: Path) -> str:
    """A template of the role central, for PostgreSQL and backups in ``folder``."""
    values = {"central_backup_folder": str(folder), "central_database": "postgresql", "central_units": []}
    text = (ROLES / "central/templates" / name).read_text()
    return Environment(trim_blocks=True).from_string(text).render(**values, ansible_managed="", central_backup_keep=3)


def archive_command(folder: Path) -> str:
    found = re.search(r"^archive_command = '(.*)'$", rendered("postgresql.conf.j2", folder), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of backups that the server's account may write to."""
    with TemporaryDirectory(prefix="metergate-backups-") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "wal").mkdir()
        (place / "wal").chmod(0o777)
        yield place


def psql(url: str, statement: str) -> str:
    plain = url.replace("+asyncpg", "")
    done = subprocess.run(["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", statement, plain],
                          capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
    return done.stdout.strip()


def test_a_file_is_archived_once_whatever_happens(tmp_path: Path) -> None:
    """Again the same is well, another of the same name is refused, and what was there stays."""
    (tmp_path / "wal").mkdir()
    file = tmp_path / "segment"

    def archived() -> int:
        command = archive_command(tmp_path).replace("%p", str(file)).replace("%f", "0001")
        return subprocess.run(["sh", "-c", command], check=False).returncode

    file.write_bytes(b"first" * 1000)
    assert archived() == 0
    packed = (tmp_path / "wal/0001.gz").read_bytes()
    assert archived() == 0
    file.write_bytes(b"other" * 1000)
    assert archived() != 0
    assert (tmp_path / "wal/0001.gz").read_bytes() == packed
    (tmp_path / "wal/0002.part").write_bytes(b"left by a cut")
    assert [path.name for path in (tmp_path / "wal").glob("*.gz")] == ["0001.gz"]


def test_the_way_back_goes_up_to_the_last_change(folder: Path) -> None:
    """From the base through packed files of the archive, then through what lies beside the database put aside."""
    cluster = Cluster("archive_mode=on", f"archive_command={archive_command(folder)}")
    try:
        url = cluster.new_database()
        psql(url, "CREATE TABLE said (word text)")
        server, programs = cluster._folder, binaries()
        assert programs is not None
        base = server / "base-backup"
        where = ["-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres"]
        made = [str(programs / "pg_basebackup"), *where, "-D", str(base), "-c", "fast", "-X", "stream"]
        subprocess.run(made, check=True, timeout=60)
        psql(url, "INSERT INTO said VALUES ('in the archive')")
        psql(url, "SELECT pg_switch_wal()")
        psql(url, "INSERT INTO said VALUES ('not yet archived')")
        cluster.stop(immediate=True)
        assert list((folder / "wal").glob("*.gz")), "nothing was archived"
        (server / "data").rename(server / "main.before-1")
        base.rename(server / "data")
        line = next(
            line for line in rendered("metergate-restore.j2", folder).splitlines() if "restore_command = " in line
        )
        with (server / "data/postgresql.auto.conf").open("a") as settings:
            settings.write(line.replace("/var/lib/postgresql/15/", f"{server}/") + "\n")
        (server / "data/recovery.signal").touch()
        for path in (server / "data", *(server / "data").rglob("*")):
            shutil.chown(path, (server / "main.before-1").owner(), (server / "main.before-1").group())
        cluster.start()
        assert psql(url, "SELECT word FROM said ORDER BY word").split("\n") == ["in the archive", "not yet archived"]
    finally:
        cluster.remove()
