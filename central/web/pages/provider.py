"""Login through the identity provider: away to it, and back."""

import base64
import time
from typing import Any

import msgspec
import structlog
from litestar import get
from litestar.exceptions import NotFoundException
from litestar.response import Redirect, Response

from central.accounts.arrivals import arrive
from central.accounts.cookies import keep_login, kept_login, set_session
from central.accounts.errors import ProviderRefused
from central.accounts.oidc import Begun, Provider
from central.accounts.service import TenantOf
from central.settings import Settings
from central.web.forms import Web, address, database
from central.web.messages import account_problem
from central.web.pages.access import login_form, safe_path

_log = structlog.get_logger("central.web")
_CALLBACK = "/login/provider/back"


class Kept(msgspec.Struct, array_like=True):
    """What the browser keeps meanwhile, in a cookie that no script reads and no other site sends."""

    state: str
    nonce: str
    verifier: str
    target: str


@get("/login/provider", opt={"public": True})
async def away(request: Web) -> Response[Any]:
    """Send the browser to the provider."""
    target = safe_path(request.query_params.get("next", "/"))[:500]
    try:
        begun = await _provider(request).begin(_redirect_uri(request))
    except ProviderRefused as error:
        return _refused(request, error, target)
    answer: Response[Any] = Redirect(begun.url, status_code=303)
    keep_login(answer, request, _pack(Kept(begun.state, begun.nonce, begun.verifier, target)))
    return answer


@get(_CALLBACK, opt={"public": True})
async def back(request: Web) -> Response[Any]:
    """Take what it says and open a session."""
    provider, now = _provider(request), int(time.time())
    kept = _unpack(kept_login(request))
    settings: Settings = request.app.state.settings
    try:
        begun = Begun("", kept.state, kept.nonce, kept.verifier)
        if not kept.state:
            raise ProviderRefused("this browser was not sent there from here, or long ago")
        query = {name: request.query_params[name][:4000] for name in request.query_params}
        claims = await provider.finish(begun, query, _redirect_uri(request), now)
        new = await arrive(
            database(request), settings.oidc, TenantOf(settings.tenant, settings.tenant_name, settings.zone), claims,
            address=address(request), agent=request.headers.get("user-agent", ""), now=now,
        )  # fmt: skip
    except ProviderRefused as error:
        answer = _refused(request, error, kept.target)
        keep_login(answer, request, "")
        return answer
    done: Response[Any] = Redirect(safe_path(kept.target or "/"), status_code=303)
    set_session(done, request, new.token)
    keep_login(done, request, "")
    return done


def _provider(request: Web) -> Provider:
    found = request.app.state.provider
    if not isinstance(found, Provider):
        raise NotFoundException("No identity provider is set up here.")
    return found


def _refused(request: Web, error: ProviderRefused, target: str) -> Response[Any]:
    _log.warning("login through the identity provider refused", reason=error.reason, address=address(request))
    return login_form(request, 401, target=target, problem=account_problem(error))


def _redirect_uri(request: Web) -> str:
    base = request.app.state.settings.web.base_url or str(request.base_url)
    return base.rstrip("/") + _CALLBACK


def _pack(kept: Kept) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(kept)).decode().rstrip("=")


def _unpack(text: str) -> Kept:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Kept)
    except (ValueError, msgspec.MsgspecError):
        return Kept("", "", "", "/")
