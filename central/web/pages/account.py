"""A person's own pages: language, password, sessions, API keys."""

import time
from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response

from central.accounts import keys, sessions
from central.accounts.errors import AccountError
from central.accounts.passwords import MIN_LENGTH
from central.accounts.permissions import PERSON, Permission
from central.accounts.service import change_password, set_language
from central.accounts.users import get_user
from central.errors import NotFound, Refused
from central.web import i18n
from central.web.forms import Db, Web, Who, database, field, fields
from central.web.i18n import gettext
from central.web.messages import account_problem, rights_problem
from central.web.pages.access import remember_language
from central.web.render import page
from central.web.views.people import session_lines


@get("/profile", opt=PERSON)
async def profile(request: Web, db: Db, principal: Who) -> Response[str]:
    """Language, password, second factor, and where one is logged in."""
    return await profile_page(request, db, principal)


@post("/profile/language", opt=PERSON, status_code=303)
async def save_language(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Keep the language of the user's pages."""
    code = field(await fields(request), "language", 8)
    await set_language(db, principal, code if code in i18n.LANGUAGES else "")
    answer: Response[Any] = Redirect("/profile", status_code=303)
    remember_language(answer, request, code)
    return answer


@post("/profile/password", opt=PERSON, status_code=200)
async def save_password(request: Web, db: Db, principal: Who) -> Response[str]:
    """Change the password; other sessions end."""
    form = await fields(request)
    try:
        await change_password(
            database(request), principal, field(form, "old", 1000, strip=False), field(form, "new", 1000, strip=False)
        )
    except AccountError as error:
        return await profile_page(request, db, principal, 422, problem=account_problem(error))
    return await profile_page(request, db, principal, done=gettext("The password is changed."))


@post("/profile/sessions/end", opt=PERSON, status_code=303)
async def end_others(db: Db, principal: Who) -> Redirect:
    """End all other sessions."""
    await sessions.close_own_others(db, principal)
    return Redirect("/profile", status_code=303)


@post("/profile/sessions/{session_id:str}/end", opt=PERSON, status_code=303)
async def end_session(db: Db, principal: Who, session_id: FromPath[str]) -> Redirect:
    """End one session."""
    await sessions.close_one(db, principal, principal.user_id, session_id, int(time.time()))
    return Redirect("/profile", status_code=303)


async def profile_page(
    request: Web, db: Db, principal: Who, status: int = 200, *, problem: str = "", done: str = ""
) -> Response[str]:
    """The page, with what went wrong or well."""
    user = await get_user(db, principal.tenant_id, principal.user_id)
    rows = await sessions.list_sessions(db, user.id, int(time.time()))
    return page(
        request, "account/profile.html", status, problem=problem, done=done, user=user,
        sessions=session_lines(rows, principal), recovery=len(user.recovery.split()), low=MIN_LENGTH,
    )  # fmt: skip


@get("/keys", opt=PERSON)
async def list_keys(request: Web, db: Db, principal: Who) -> Response[str]:
    """API keys of the user, of the whole tenant for administrators."""
    return await _keys_page(request, db, principal)


@post("/keys", opt=PERSON, status_code=200)
async def make_key(request: Web, db: Db, principal: Who) -> Response[str]:
    """Make a key and show it, this once."""
    form = await fields(request)
    name, days, now = field(form, "name"), field(form, "days", 5), int(time.time())
    if not name or days not in ("0", "30", "90", "365"):
        return await _keys_page(request, db, principal, status=422, problem=gettext("A key needs a name."))
    try:
        limit = keys.scope(principal, [each for each in Permission if field(form, f"may_{each}") == "1"])
    except Refused as error:
        return await _keys_page(request, db, principal, status=422, problem=rights_problem(error))
    _, secret = await keys.create_key(
        db, principal, name, permissions=limit, now=now, expires_at=now + int(days) * 86400 if days != "0" else None
    )
    return await _keys_page(request, db, principal, secret=secret)


@post("/keys/{key_id:int}/revoke", opt=PERSON, status_code=303)
async def revoke_key(db: Db, principal: Who, key_id: FromPath[int]) -> Redirect:
    """Revoke a key for good."""
    if await keys.revoke_key(db, principal, key_id, int(time.time())) is None:
        raise NotFound("key", key_id)
    return Redirect("/keys", status_code=303)


async def _keys_page(
    request: Web, db: Db, principal: Who, *, status: int = 200, secret: str = "", problem: str = ""
) -> Response[str]:
    rows = await keys.list_keys(db, principal)
    return page(
        request, "account/keys.html", status, keys=rows, secret=secret, problem=problem,
        own=[each for each in Permission if each in principal.permissions],
    )  # fmt: skip
