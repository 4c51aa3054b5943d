"""Login through an identity provider: against one we did not write, and against one that lies."""

import asyncio
import base64
import contextlib
import hmac
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select

from central.accounts.arrivals import arrive
from central.accounts.errors import ProviderRefused
from central.accounts.models import User
from central.accounts.oidc import Provider
from central.accounts.service import TenantOf
from central.accounts.sessions import find_session
from central.audit.models import AuditEntry
from central.settings import OidcSettings, SettingsError, load
from central.store.engine import Database
from tests.central.world import make_side, running

TENANT = TenantOf("ours", "Ours", "America/Sao_Paulo")
ISSUER = "https://login.example.org"
BACK = "https://meters.example.org/login/provider/back"
PAGE = {"Accept": "text/html"}


class Liar:
    """A provider that can be told to lie; ``change`` alters the claims before they are signed."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
        self.published = [self.key]
        self.change: Callable[[dict[str, Any]], None] = lambda claims: None
        self.header = {"alg": "RS256", "kid": "one"}
        self.signing: Any = self.key
        self.sign = self._signed
        self.nonce = ""
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks", "userinfo_endpoint": f"{ISSUER}/userinfo",
        }  # fmt: skip
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self.metadata)
            case "/jwks":
                return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.published]})
            case "/userinfo":
                return httpx.Response(200, json={"sub": "1", "preferred_username": "ana"})
            case "/token":
                now = int(time.time())
                claims: dict[str, Any] = {
                    "iss": ISSUER, "sub": "1", "aud": "metergate", "iat": now, "exp": now + 300, "nonce": self.nonce,
                }  # fmt: skip
                self.change(claims)
                token = self.sign(claims)
                return httpx.Response(200, json={"access_token": "a", "token_type": "Bearer", "id_token": token})
        return httpx.Response(404)

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(self.header, claims, self.signing, algorithms=["RS256", "ES256"])

    async def login(self, provider: Provider, **answer: str) -> dict[str, Any]:
        begun = await provider.begin(BACK)
        self.nonce = begun.nonce
        said = {"code": "c", "state": begun.state} | answer
        return await provider.finish(begun, said, BACK, int(time.time()))


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
def provider(liar: Liar) -> Provider:
    return Provider(OidcSettings(issuer=ISSUER, client_id="metergate"), httpx.MockTransport(liar))


async def test_the_flow_as_the_standard_has_it(liar: Liar, provider: Provider, tmp_path: Path) -> None:
    begun = await provider.begin(BACK)
    asked = dict(parse_qsl(urlsplit(begun.url).query))
    assert asked | {"code_challenge": ""} == {
        "client_id": "metergate", "response_type": "code", "redirect_uri": BACK, "scope": "openid profile email",
        "state": begun.state, "nonce": begun.nonce, "code_challenge": "", "code_challenge_method": "S256",
    }  # fmt: skip
    claims = await liar.login(provider, iss=ISSUER)
    assert (claims["sub"], claims["preferred_username"]) == ("1", "ana"), "what the token lacks comes from userinfo"
    form = dict(parse_qsl(next(each for each in liar.asked if each.url.path == "/token").content.decode()))
    assert form["grant_type"] == "authorization_code"
    assert "code_verifier" in form
    secret = tmp_path / "secret"
    secret.write_text("s3cret/+\n")
    named = OidcSettings(issuer=ISSUER, client_id="metergate", client_secret_file=str(secret))
    await liar.login(Provider(named, httpx.MockTransport(liar)))
    last = [each for each in liar.asked if each.url.path == "/token"][-1]
    assert last.headers["authorization"].startswith("Basic ")
    assert "s3cret" not in last.content.decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(nonce="other"), "nonce"),
        (lambda c: c.pop("nonce"), "nonce"),
        (lambda c: c.update(aud="somebody-else"), "aud"),
        (lambda c: c.update(aud=["metergate", "other"]), "azp"),
        (lambda c: c.update(iss="https://evil.example"), "iss"),
        (lambda c: c.update(exp=int(time.time()) - 120), "expired"),
        (lambda c: c.update(iat=int(time.time()) + 3600), "future"),
        (lambda c: c.update(nbf=int(time.time()) + 3600), "nbf|not valid"),
        (lambda c: c.pop("exp"), "exp"),
        (lambda c: c.pop("sub"), "sub"),
        (lambda c: c.update(sub=""), "names nobody"),
        (lambda c: c.update(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"),
    ],
)
async def test_wrong_claims_are_refused(liar: Liar, provider: Provider, change: Any, reason: str) -> None:
    liar.change = change
    with pytest.raises(ProviderRefused) as refused:
        await liar.login(provider)
    assert re.search(reason, refused.value.reason), refused.value.reason


async def test_wrong_signatures_are_refused(liar: Liar, provider: Provider) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "one"})
    for header, key in (
        ({"alg": "RS256", "kid": "one"}, stranger),
        ({"alg": "RS256", "kid": "none such"}, stranger),
        ({"alg": "ES256", "kid": "one"}, ECKey.generate_key("P-256")),
    ):
        liar.header, liar.signing = header, key
        with pytest.raises(ProviderRefused, match="cannot be accepted"):
            await liar.login(provider)


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
async def test_the_public_key_is_no_password(liar: Liar, provider: Provider, algorithm: str) -> None:
    """The two classic forgeries: HMAC with the published key, and no signature at all."""

    def forge(claims: dict[str, Any]) -> str:
        parts = [_base64(msgspec.json.encode(each)) for each in ({"alg": algorithm, "kid": "one"}, claims)]
        text = ".".join(parts)
        mac = hmac.digest(liar.key.as_pem(private=False), text.encode(), "sha256") if algorithm == "HS256" else b""
        return f"{text}.{_base64(mac)}"

    liar.sign = forge
    with pytest.raises(ProviderRefused) as refused:
        await liar.login(provider)
    assert "not valid" in refused.value.reason


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_new_keys_are_fetched(liar: Liar, provider: Provider) -> None:
    await liar.login(provider)
    new = RSAKey.generate_key(2048, {"kid": "two", "alg": "RS256", "use": "sig"})
    liar.published, liar.signing, liar.header = [liar.key, new], new, {"alg": "RS256", "kid": "two"}
    with pytest.raises(ProviderRefused):  # they were fetched a moment ago
        await liar.login(provider)
    provider._keys_at -= 100
    assert (await liar.login(provider))["sub"] == "1"


async def test_other_lies(liar: Liar, provider: Provider) -> None:
    for answer in ({"state": "other"}, {"iss": "https://evil.example"}, {"code": ""}):
        with pytest.raises(ProviderRefused):
            await liar.login(provider, **answer)
    for name, value in (("issuer", "https://evil.example"), ("token_endpoint", None), ("jwks_uri", "file:///x")):
        other = Liar()
        other.metadata[name] = value
        with pytest.raises(ProviderRefused):
            await other.login(Provider(OidcSettings(issuer=ISSUER, client_id="m"), httpx.MockTransport(other)))
    liar.change = lambda claims: claims.update(sub="2")  # its userinfo is about "1"
    with pytest.raises(ProviderRefused):
        await liar.login(provider)

    def broken(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no way")

    with pytest.raises(ProviderRefused, match="cannot be accepted"):
        await Provider(OidcSettings(issuer=ISSUER, client_id="m"), httpx.MockTransport(broken)).begin(BACK)


SETTINGS = OidcSettings(
    issuer=ISSUER, client_id="m", roles_claim="groups", roles="chiefs=administrator, crew=field", unknown="viewer"
)


async def come(database: Database, settings: OidcSettings, **claims: Any) -> User:
    told = {"sub": "1", "preferred_username": "ana"} | claims
    now = int(time.time())
    new = await arrive(database, settings, TENANT, told, address="10.0.0.1", agent="t", now=now)
    principal = await find_session(database, new.token, now)
    assert principal is not None
    async with database.read() as db:
        return await db.get_one(User, principal.user_id)


def role_keys(user: User) -> list[str]:
    return sorted(each.role.key for each in user.grants)


async def test_who_is_let_in(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    refusing = OidcSettings(issuer=ISSUER, client_id="m")
    with pytest.raises(ProviderRefused):
        await come(database, refusing)
    async with database.write() as db:
        admin = await db.get_one(User, side.admin.id)
        admin.password_hash = "$argon2id$x"
    with pytest.raises(ProviderRefused):  # somebody with a password is not taken over
        await come(database, refusing, preferred_username="ADMIN@ours")
    linked = await come(database, refusing, preferred_username="viewer@ours")  # entered without one: is awaited
    assert (linked.id, linked.subject) == (side.viewer.id, f"{ISSUER} 1")
    again = await come(database, refusing, preferred_username="renamed there")
    assert again.id == side.viewer.id
    with pytest.raises(ProviderRefused):  # another person of that name there
        await come(database, refusing, sub="2", preferred_username="viewer@ours")
    with pytest.raises(ProviderRefused):
        await come(database, refusing, sub="3", preferred_username=["x"])
    by_mail = OidcSettings(issuer=ISSUER, client_id="m", login_claim="email", unknown="viewer")
    with pytest.raises(ProviderRefused):
        await come(database, by_mail, sub="4", email="eve@example.org", email_verified=False)
    new = await come(database, by_mail, sub="4", email="Eve@example.org", name="Eve")
    assert (new.login, new.name, new.password_hash, role_keys(new)) == ("eve@example.org", "Eve", "", ["viewer"])
    async with database.write() as db:
        (await db.get_one(User, new.id)).disabled_at = 1
    with pytest.raises(ProviderRefused):
        await come(database, by_mail, sub="4")


async def test_the_provider_decides_on_roles(database: Database) -> None:
    await make_side(database, "ours", filled=False)
    assert role_keys(await come(database, SETTINGS, groups=["crew", "others"])) == ["field"]
    assert role_keys(await come(database, SETTINGS, groups="chiefs")) == ["administrator"]
    assert role_keys(await come(database, SETTINGS, groups=[])) == ["viewer"]
    async with database.read() as db:
        rows = await db.scalars(select(AuditEntry.action).where(AuditEntry.author == "identity provider"))
        assert {"created", "linked", "granted", "withdrawn"} <= set(rows)


async def test_the_last_administrator_stays_one(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    user = await come(database, SETTINGS, groups=["chiefs"])
    async with database.write() as db:
        (await db.get_one(User, side.admin.id)).disabled_at = 1
    assert role_keys(await come(database, SETTINGS, groups=["crew"])) == ["administrator", "field"]
    assert user.login == "ana"


async def test_nobody_is_entered_before_the_first_administrator(database: Database) -> None:
    with pytest.raises(ProviderRefused):
        await come(database, SETTINGS)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"METERGATE_OIDC_ISSUER": "http://login.example.org", "METERGATE_OIDC_CLIENT_ID": "m"}, "https"),
        ({"METERGATE_OIDC_ISSUER": ISSUER}, "client_id"),
        ({"METERGATE_OIDC_ISSUER": ISSUER, "METERGATE_OIDC_CLIENT_ID": "m", "METERGATE_OIDC_SCOPES": "x"}, "openid"),
        ({"METERGATE_OIDC_ISSUER": ISSUER, "METERGATE_OIDC_CLIENT_ID": "m", "METERGATE_OIDC_ROLES": "a=b"}, "both"),
        ({"METERGATE_OIDC_ISSUER": ISSUER, "METERGATE_OIDC_CLIENT_ID": "m", "METERGATE_OIDC_ROLES": "a",
          "METERGATE_OIDC_ROLES_CLAIM": "groups"}, "value=role"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work(values: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(environ=values)


@contextlib.asynccontextmanager
async def foreign_provider() -> AsyncIterator[str]:
    """``oidc-provider-mock``, Authlib's server side in a process of its own; its issuer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "oidc_provider_mock", "-H", "127.0.0.1", "-p", str(port), "--require-nonce", "true"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        issuer = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{issuer}/.well-known/openid-configuration")).status_code == 200:
                        break
                assert process.returncode is None, "the provider ended"
                await asyncio.sleep(0.1)
        yield issuer
    finally:
        process.terminate()
        await process.wait()


async def test_with_a_provider_we_did_not_write(database: Database, database_url: str, tmp_path: Path) -> None:
    """The whole way as a browser goes it; then the same answer again, a forged state, and another browser."""
    await make_side(database, "ours", filled=False)
    secret = tmp_path / "secret"
    secret.write_text("a client's secret\n")
    async with foreign_provider() as issuer:
        oidc = OidcSettings(
            issuer=issuer, client_id="metergate", client_secret_file=str(secret), login_claim="email", unknown="viewer",
            label="Utility account",
        )  # fmt: skip
        async with running(database_url, oidc=oidc, tenant="ours") as client, httpx.AsyncClient() as browser:
            assert "Utility account" in (await client.get("/login", headers=PAGE)).text
            away = await client.get("/login/provider?next=/meters", headers=PAGE, follow_redirects=False)
            assert away.status_code == 303
            assert "httponly" in away.headers["set-cookie"].lower()
            consent = await browser.post(away.headers["location"], data={"sub": "bia@example.org"})
            back = urlsplit(consent.headers["location"])
            assert back.path == "/login/provider/back"
            stolen = f"{back.path}?{back.query}"
            client.cookies.clear()
            assert (await client.get(stolen, headers=PAGE, follow_redirects=False)).status_code == 401
            cookie = away.headers["set-cookie"].split(";")[0]
            forged = stolen.replace("state=", "state=x")
            answer = await client.get(forged, headers=PAGE | {"Cookie": cookie}, follow_redirects=False)
            assert answer.status_code == 401
            answer = await client.get(stolen, headers=PAGE | {"Cookie": cookie}, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, "/meters"), answer.text
            me = (await client.get("/api/v1/me")).json()
            assert (me["login"], me["permissions"]) == ("bia@example.org", ["read"])
            client.cookies.clear()
            again = await client.get(stolen, headers=PAGE | {"Cookie": cookie}, follow_redirects=False)
            assert again.status_code == 401, "a code is taken once"


async def test_without_a_provider_there_is_no_way(database: Database, database_url: str) -> None:
    async with running(database_url) as client:
        for path in ("/login/provider", "/login/provider/back?code=x&state=y"):
            assert (await client.get(path, headers=PAGE, follow_redirects=False)).status_code == 404
