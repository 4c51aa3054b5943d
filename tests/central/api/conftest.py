"""The application over SQLite and PostgreSQL, with a tenant that has one of everything and one that has nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from httpx import ASGITransport, AsyncClient
from litestar.testing import AsyncTestClient

from central.settings import DatabaseSettings, Settings
from central.store.engine import Database
from tests.central.application import application
from tests.central.world import Side, bearer, make_side, running


@pytest_asyncio.fixture
async def ours(database: Database) -> Side:
    return await make_side(database, "ours")


@pytest_asyncio.fixture
async def theirs(database: Database, ours: Side) -> Side:
    return await make_side(database, "theirs", filled=False)


@pytest_asyncio.fixture
async def client(database: Database, database_url: str, ours: Side) -> AsyncIterator[AsyncTestClient[Any]]:
    async with running(database_url) as client:
        yield client


@pytest_asyncio.fixture
async def program(database: Database, database_url: str, ours: Side, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    """A program with a key that may write, and any number of requests at once."""
    app = application(Settings(database=DatabaseSettings(url=database_url), data_dir=str(tmp_path / "data")))
    transport = ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with AsyncClient(transport=transport, base_url="http://testserver", headers=bearer(ours.write_key)) as found:
        yield found
    await app.state.database.close()
