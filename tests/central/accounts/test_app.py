"""The application as a whole: strangers to the login, cookies, first run, start and end."""

import asyncio
import socket
from typing import Any

import pytest
import structlog
from litestar.testing import AsyncTestClient

from central.app import create_app
from central.settings import BrokerSettings, DatabaseSettings, Settings, WebSettings
from central.store.engine import Database, open_url
from central.store.migrate import SchemaError
from tests.central.world import make_side, person, running

PAGE = {"Accept": "text/html"}


async def test_strangers_are_sent_to_the_login(database: Database, database_url: str) -> None:
    await make_side(database, "ours", filled=False)
    async with running(database_url) as client:
        answer = await client.get("/?x=1", headers=PAGE, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/%3Fx%3D1")
        partial = await client.get("/", headers={"HX-Request": "true"}, follow_redirects=False)
        assert partial.headers["hx-redirect"] == "/login"
        data = await client.get("/", headers={"Accept": "application/json"}, follow_redirects=False)
        assert (data.status_code, data.headers["content-type"]) == (401, "application/problem+json")
        nothing = await client.get("/no/such/page", headers=PAGE)
        assert nothing.status_code == 404
        assert nothing.headers["content-type"].startswith("text/html")


async def test_first_run_then_login_and_logout(database: Database, database_url: str) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(database_url) as client:
            code = next(entry["code"] for entry in logs if "code" in entry)
            form = {"code": code, "login": "ana", "name": "Ana", "password": "a long enough word"}
            wrong = await client.post("/setup", data=form | {"code": "0"}, headers=PAGE)
            assert wrong.status_code in (403, 422)
            cross = await client.post("/setup", data=form, headers=PAGE | {"Sec-Fetch-Site": "cross-site"})
            assert cross.status_code == 403
            made = await client.post("/setup", data=form, headers=PAGE, follow_redirects=False)
            assert made.status_code == 303
            again = await client.post("/setup", data=form, headers=PAGE, follow_redirects=False)
            assert again.status_code in (303, 403, 422)
            assert (await client.get("/login", headers=PAGE, follow_redirects=False)).status_code in (200, 303)
            client.cookies.clear()
            bad = await client.post("/login", data={"login": "ana", "password": "wrong"}, headers=PAGE)
            assert bad.status_code == 401
            right = {"login": "ana", "password": form["password"], "next": "//evil.example/"}
            good = await client.post("/login", data=right, headers=PAGE, follow_redirects=False)
            assert (good.status_code, good.headers["location"]) == (303, "/")
            cookie = good.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=lax" in cookie
            assert "; secure" not in cookie
            assert (await client.get("/", headers=PAGE)).status_code == 200
            assert (await client.post("/logout", headers=PAGE, follow_redirects=False)).status_code == 403
            me = (await client.get("/api/v1/me")).json()
            assert (me["login"], me["tenant"], me["admin"]) == ("ana", "default", True)
    assert form["password"] not in str(logs)


async def test_cookies_behind_tls(database: Database, database_url: str) -> None:
    side = await make_side(database, "ours", filled=False)
    web = WebSettings(base_url="https://meters.example")
    async with running(database_url, web=web) as client:
        assert (await client.get("/api/v1/me", headers=person(side.session))).status_code == 401
        headers = {"Cookie": f"__Host-mg_session={side.session.token}", "X-CSRF-Token": side.session.csrf}
        answer = await client.get("/api/v1/me", headers=headers)
        assert answer.status_code == 200
        assert "max-age" in answer.headers["strict-transport-security"]
        made = await client.post(
            "/api/v1/groups", json={"name": "x"}, headers=headers | {"Origin": "https://meters.example"}
        )
        assert made.status_code == 201


async def test_an_old_database_is_refused(empty_database: Database, database_url: str) -> None:
    app = create_app(Settings(database=DatabaseSettings(url=database_url)), follow=False)
    with pytest.raises((SchemaError, ExceptionGroup), match=r"migrate|unhandled"):
        async with AsyncTestClient(app):
            pass


async def test_parts_beside_the_pages_end_with_them(database: Database, database_url: str) -> None:
    """Without a broker in reach: pages are served, and the end comes at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(database=DatabaseSettings(url=database_url), broker=BrokerSettings(port=port))
    before = asyncio.all_tasks()
    async with AsyncTestClient[Any](create_app(settings, ingest=True)) as client:
        assert (await client.get("/healthz")).status_code == 200
    await asyncio.sleep(0)
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()


async def test_health_says_when_the_database_is_gone(database_url: str, database: Database) -> None:
    async with running(database_url) as client:
        client.app.state.database = open_url("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        answer = await client.get("/healthz")
        await client.app.state.database.close()
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
