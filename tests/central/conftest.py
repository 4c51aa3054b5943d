"""Databases for central's tests: every test that asks for one runs on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from central.store.engine import Database, open_url
from central.store.migrate import migrate
from tests.postgres import Cluster, binaries


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A private PostgreSQL server, one per session."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.new_database()


@pytest_asyncio.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """A database without tables."""
    database = open_url(database_url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def database(empty_database: Database) -> Database:
    """A database with this program's schema."""
    await migrate(empty_database)
    return empty_database
