"""The application over SQLite and PostgreSQL, with a tenant that has one of everything and one that has nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from litestar.testing import AsyncTestClient

from central.store.engine import Database
from tests.central.world import Side, make_side, running


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
