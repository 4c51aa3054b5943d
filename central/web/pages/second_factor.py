"""A person's second factor: set up by QR code, turned off, recovery codes made anew."""

from typing import Any

from litestar import get, post
from litestar.response import Redirect, Response

from central.accounts import second_factor, totp
from central.accounts.errors import AccountError
from central.accounts.permissions import PERSON
from central.accounts.users import get_user
from central.web.forms import Db, Web, Who, database, field, fields
from central.web.messages import account_problem
from central.web.pages.account import profile_page
from central.web.qr import drawing
from central.web.render import page

_ISSUER = "Metergate"


@get("/profile/second-factor", opt=PERSON)
async def set_up(request: Web, db: Db, principal: Who) -> Response[Any]:
    """A new secret as QR code; nothing is kept before its first code has come."""
    user = await get_user(db, principal.tenant_id, principal.user_id)
    if user.totp_secret or not user.password_hash:
        return Redirect("/profile", status_code=303)
    return _set_up(request, principal, totp.new_secret())


@post("/profile/second-factor", opt=PERSON, status_code=200)
async def turn_on(request: Web, principal: Who) -> Response[Any]:
    """Turn it on, and show the recovery codes this once."""
    form = await fields(request)
    secret = field(form, "secret", 64)
    try:
        codes = await second_factor.turn_on(
            database(request), principal, field(form, "password", 1000, strip=False), secret, field(form, "code", 20)
        )
    except AccountError as error:
        return _set_up(request, principal, secret if totp.is_secret(secret) else totp.new_secret(), error)
    return page(request, "account/recovery.html", codes=codes)


@post("/profile/second-factor/off", opt=PERSON, status_code=200)
async def turn_off(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Ask for no code any more."""
    form = await fields(request)
    try:
        await second_factor.turn_off(database(request), principal, field(form, "password", 1000, strip=False))
    except AccountError as error:
        return await profile_page(request, db, principal, 422, problem=account_problem(error))
    return Redirect("/profile", status_code=303)


@post("/profile/second-factor/recovery", opt=PERSON, status_code=200)
async def renew(request: Web, db: Db, principal: Who) -> Response[Any]:
    """New recovery codes, shown this once."""
    form = await fields(request)
    try:
        codes = await second_factor.renew_recovery(
            database(request), principal, field(form, "password", 1000, strip=False)
        )
    except AccountError as error:
        return await profile_page(request, db, principal, 422, problem=account_problem(error))
    return page(request, "account/recovery.html", codes=codes)


def _set_up(request: Web, principal: Who, secret: str, error: AccountError | None = None) -> Response[Any]:
    address = totp.address(secret, principal.login, f"{_ISSUER} {principal.tenant_name}")
    return page(
        request, "account/second_factor.html", 422 if error else 200, secret=secret, address=address,
        drawing=drawing(address), problem=account_problem(error) if error else "",
    )  # fmt: skip
