"""Logging in through an identity provider: OpenID Connect, code flow with PKCE (S256), state and nonce.

OAuth 2 and the claims' rules are Authlib's, signatures joserfc's. What the provider says of itself (discovery, keys) is
kept an hour; keys are fetched anew when a token is signed with one not known, at most once a minute.
"""

import secrets
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from central.accounts.errors import ProviderRefused
from central.settings import OidcSettings, secret

#: Signatures by a key only the provider has; "none" and those by a shared secret are not taken.
ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
#: Clocks of provider and server may differ by so much, s.
LEEWAY_S: Final = 60
_TIMEOUT_S: Final = 10.0
_KEPT_S: Final = 3600
_KEYS_AGAIN_S: Final = 60
_LONGEST_ANSWER: Final = 1 << 20


class Begun(NamedTuple):
    """A login on its way: where the browser goes, and what it must bring back; kept in a cookie of that browser."""

    url: str
    state: str
    nonce: str
    verifier: str


class Provider:
    """One identity provider. ``transport`` is for tests."""

    def __init__(self, settings: OidcSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self._secret = secret(settings.client_secret_file, "oidc.client_secret_file") or ""
        self._transport = transport
        self._verify = ssl.create_default_context(cafile=settings.ca_file or None)
        self._metadata: Mapping[str, Any] = {}
        self._keys: KeySet | None = None
        self._told_at = self._keys_at = 0.0

    async def begin(self, redirect_uri: str) -> Begun:
        """Where to send a browser; raises :class:`ProviderRefused` when the provider is not in reach."""
        async with self._client() as client:
            metadata = await self._discover(client)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = prepare_grant_uri(
            _endpoint(metadata, "authorization_endpoint"), client_id=self.settings.client_id, response_type="code",
            redirect_uri=redirect_uri, scope=self.settings.scopes, state=state, nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier), code_challenge_method="S256",
        )  # fmt: skip
        return Begun(url, state, nonce, verifier)

    async def finish(self, begun: Begun, answer: Mapping[str, str], redirect_uri: str, now: int) -> dict[str, Any]:
        """Claims of the person who came back with ``answer`` (the query); raises :class:`ProviderRefused`."""
        if not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise ProviderRefused("the state is not the one this browser was sent with")
        if answer.get("iss", self.settings.issuer) != self.settings.issuer:  # RFC 9207
            raise ProviderRefused("another issuer answered")
        code = answer.get("code")
        if not code:
            raise ProviderRefused(f"no code came: {answer.get('error', 'no error either')[:100]!r}")
        async with self._client() as client:
            metadata = await self._discover(client)
            tokens = await self._exchange(client, metadata, code, begun.verifier, redirect_uri)
            claims = await self._checked(client, metadata, tokens, begun.nonce, now)
            if self.settings.login_claim not in claims and "userinfo_endpoint" in metadata:
                claims |= await self._userinfo(client, metadata, tokens, claims["sub"])
        return claims

    async def _exchange(
        self, client: httpx.AsyncClient, metadata: Mapping[str, Any], code: str, verifier: str, redirect_uri: str
    ) -> dict[str, Any]:
        url = _endpoint(metadata, "token_endpoint")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
                "code_verifier": verifier}  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        auth = ClientAuth(self.settings.client_id, self._secret, method if self._secret else "none")
        url, headers, body = auth.prepare("POST", url, headers, urlencode(form))
        return await _json(client, client.build_request("POST", url, headers=headers, content=body))

    async def _checked(
        self, client: httpx.AsyncClient, metadata: Mapping[str, Any], tokens: Mapping[str, Any], nonce: str, now: int
    ) -> dict[str, Any]:
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise ProviderRefused("there is no id_token in its answer: is 'openid' among the scopes?")
        try:
            decoded = await self._decoded(client, metadata, token)
            options = {
                "iss": {"essential": True, "value": self.settings.issuer},
                "aud": {"essential": True, "value": self.settings.client_id},
            }
            params = {"nonce": nonce, "client_id": self.settings.client_id, "access_token": tokens.get("access_token")}
            claims = CodeIDToken(decoded.claims, decoded.header, options, params)
            claims.validate(now, LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderRefused(f"the id_token is not valid: {error}"[:300]) from error
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise ProviderRefused("the id_token names nobody")
        return dict(claims)

    async def _decoded(self, client: httpx.AsyncClient, metadata: Mapping[str, Any], token: str) -> jwt.Token:
        try:
            return jwt.decode(token, await self._keyset(client, metadata), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            if time.monotonic() - self._keys_at < _KEYS_AGAIN_S:
                raise
        self._keys = None  # it may sign with a new key
        return jwt.decode(token, await self._keyset(client, metadata), algorithms=ALGORITHMS)

    async def _keyset(self, client: httpx.AsyncClient, metadata: Mapping[str, Any]) -> KeySet:
        if self._keys is None:
            found: Any = await _json(client, client.build_request("GET", _endpoint(metadata, "jwks_uri")))
            self._keys, self._keys_at = KeySet.import_key_set(found), time.monotonic()
        return self._keys

    async def _userinfo(
        self, client: httpx.AsyncClient, metadata: Mapping[str, Any], tokens: Mapping[str, Any], sub: str
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
        request = client.build_request("GET", _endpoint(metadata, "userinfo_endpoint"), headers=headers)
        found = await _json(client, request)
        if found.get("sub") != sub:  # OpenID Connect Core 5.3.2
            raise ProviderRefused("its userinfo is about somebody else")
        return found

    async def _discover(self, client: httpx.AsyncClient) -> Mapping[str, Any]:
        if not self._metadata or time.monotonic() - self._told_at > _KEPT_S:
            url = get_well_known_url(self.settings.issuer, external=True)
            found = await _json(client, client.build_request("GET", url))
            if found.get("issuer") != self.settings.issuer:
                raise ProviderRefused(
                    f"it calls itself {str(found.get('issuer'))[:200]!r}, oidc.issuer is {self.settings.issuer!r}"
                )
            self._metadata, self._told_at, self._keys = found, time.monotonic(), None
        return self._metadata

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=_TIMEOUT_S, verify=self._verify, transport=self._transport)


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    found = metadata.get(name)
    if not isinstance(found, str) or not found.startswith(("https://", "http://")):
        raise ProviderRefused(f"it names no {name}")
    return found


async def _json(client: httpx.AsyncClient, request: httpx.Request) -> dict[str, Any]:
    """The JSON object answered; raises :class:`ProviderRefused`, never with what was sent or answered but an error."""
    where = request.url.copy_with(query=None)
    try:
        answer = await client.send(request)
        found = answer.json() if len(answer.content) <= _LONGEST_ANSWER else None
    except httpx.HTTPError as error:
        raise ProviderRefused(f"{where} is not in reach: {type(error).__name__}") from error
    except ValueError:
        found = None
    if answer.status_code >= 400 and isinstance(found, dict) and "error" in found:
        raise ProviderRefused(f"{where} refused: {str(found['error'])[:100]!r}")
    if answer.status_code != 200 or not isinstance(found, dict):
        raise ProviderRefused(f"{where} answered {answer.status_code} without a JSON object")
    return found
