"""Databases for central's tests: every test that asks for one runs on SQLite and on PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from central.store.engine import Database, open_url
from central.store.migrate import migrate, require_current
from tests.postgres import Cluster, binaries


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A private PostgreSQL server, one per session."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    cluster = Cluster("autovacuum=off")  # it would look after each of some thousand databases once a minute
    yield cluster
    cluster.remove()


async def _migrate(url: str) -> None:
    database = open_url(url)
    await migrate(database)
    await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with this program's schema, to be copied: migrating takes longer than most tests."""
    file = tmp_path_factory.mktemp("template") / "central.sqlite"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres: Cluster) -> str:
    """URL of a database with this program's schema, to be copied."""
    url = postgres.new_database()
    asyncio.run(_migrate(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database; of one with this program's schema for a test that asks for ``database`` as well."""
    migrated = "database" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "central.sqlite"
        if migrated:
            shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite+aiosqlite:///{file}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.new_database(request.getfixturevalue("postgres_template") if migrated else None)
    yield url
    cluster.drop(url)


@pytest_asyncio.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """A database without tables."""
    database = open_url(database_url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def database(empty_database: Database) -> Database:
    """A database with this program's schema."""
    await require_current(empty_database)
    return empty_database
