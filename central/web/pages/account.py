"""A person's own pages: language, password, API keys."""

import time
from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response

from central.accounts import keys
from central.accounts.errors import AccountError
from central.accounts.permissions import PERSON, Permission, words
from central.accounts.service import change_password, set_language
from central.errors import NotFound
from central.web import i18n
from central.web.forms import Db, Web, Who, database, field, fields
from central.web.i18n import gettext
from central.web.messages import account_problem
from central.web.pages.access import remember_language
from central.web.render import page


@get("/profile", opt=PERSON)
async def profile(request: Web) -> Response[str]:
    """Language and password."""
    return page(request, "account/profile.html", problem="", done="")


@post("/profile/language", opt=PERSON, status_code=303)
async def save_language(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Keep the language of the user's pages."""
    code = field(await fields(request), "language", 8)
    await set_language(db, principal, code if code in i18n.LANGUAGES else "")
    answer: Response[Any] = Redirect("/profile", status_code=303)
    remember_language(answer, request, code)
    return answer


@post("/profile/password", opt=PERSON, status_code=200)
async def save_password(request: Web, principal: Who) -> Response[str]:
    """Change the password; other sessions end."""
    form = await fields(request)
    try:
        await change_password(
            database(request), principal, field(form, "old", 1000, strip=False), field(form, "new", 1000, strip=False)
        )
    except AccountError as error:
        return page(request, "account/profile.html", 422, problem=account_problem(error), done="")
    return page(request, "account/profile.html", problem="", done=gettext("The password is changed."))


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
    _, secret = await keys.create_key(
        db, principal, name, permissions="" if field(form, "can_write") == "1" else words([Permission.READ]), now=now,
        expires_at=now + int(days) * 86400 if days != "0" else None,
    )  # fmt: skip
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
    return page(request, "account/keys.html", status, keys=rows, secret=secret, problem=problem)
