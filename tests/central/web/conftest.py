"""The whole application over a seeded SQLite file; one per session, pages do not change what others look at."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from central.app import create_app
from central.settings import DatabaseSettings, Settings
from central.store.engine import open_url
from central.store.migrate import migrate
from central.web import assets
from tests.central.web.browser import address, browser, desk, phone
from tests.central.web.seed import LOGIN, PASSWORD, ZONE, seed

__all__ = ["address", "browser", "desk", "phone"]

Client = TestClient[Any]
HTML = {"accept": "text/html"}


@pytest.fixture(scope="session", autouse=True)
def libraries() -> None:
    """Pages without their libraries are half tested."""
    if not assets.is_current():
        pytest.skip("the web libraries are not built: python -m central.web.assets")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a seeded database."""
    folder = tmp_path_factory.mktemp("web")
    url = f"sqlite+aiosqlite:///{folder / 'central.sqlite'}"

    async def prepare() -> None:
        database = open_url(url)
        await migrate(database)
        await seed(database, int(time.time()))
        await database.close()

    asyncio.run(prepare())
    return Settings(database=DatabaseSettings(url=url), data_dir=str(folder), tenant="demo", zone=ZONE.key)


@pytest.fixture(scope="session")
def running(settings: Settings) -> Iterator[Client]:
    """The application, started."""
    with TestClient(create_app(settings, follow=False)) as client:
        yield client


@pytest.fixture
def stranger(running: Client) -> Client:
    """A browser without a session that reads English."""
    running.cookies.clear()
    running.headers["accept-language"] = "en"
    return running


@pytest.fixture(scope="session")
def session(running: Client) -> dict[str, str]:
    """Cookies of one login, for all tests that do not end it."""
    running.cookies.clear()
    log_in(running)
    return dict(running.cookies.items())


@pytest.fixture
def client(session: dict[str, str], stranger: Client) -> Client:
    """The same browser with a session; where a test has ended it, with a new one."""
    stranger.cookies.update(session)
    if stranger.get("/alarms/count", headers=HTML, follow_redirects=False).status_code != 200:
        stranger.cookies.clear()
        log_in(stranger)
        session.clear()
        session.update(stranger.cookies.items())
    return stranger


def log_in(client: Client, login: str = LOGIN, password: str = PASSWORD) -> None:
    answer = client.post("/login", data={"login": login, "password": password}, follow_redirects=False)
    assert answer.status_code == 303, answer.text


def csrf(client: Client) -> str:
    """The token that pages of this session carry."""
    return str(client.get("/profile", headers=HTML).text.split('name="_csrf" value="')[1].split('"')[0])


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Client]:
    """The application over a database without users."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'empty.sqlite'}"

    async def prepare() -> None:
        database = open_url(url)
        await migrate(database)
        await database.close()

    asyncio.run(prepare())
    settings = Settings(database=DatabaseSettings(url=url), tenant="nova", tenant_name="Nova")
    with TestClient(create_app(settings, follow=False)) as client:
        yield client
