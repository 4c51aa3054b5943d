"""Webhooks: which programs are told what, whether they take it, and what was sent to them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response

from central.accounts.permissions import Permission, may
from central.errors import CentralError, Conflict
from central.web.forms import Db, Web, Who, field, fields
from central.web.i18n import gettext
from central.web.render import page
from central.web.views.webhooks import delivery_line, kind_words
from central.webhooks import service
from central.webhooks.kinds import Kind

NEEDS: Final = may(Permission.SETTINGS)
_ROWS: Final = 50
Number = FromPath[int]
State = Annotated[str, QueryParameter(name="state", max_length=16)]
After = Annotated[str, QueryParameter(max_length=18)]


@get("/webhooks", opt=NEEDS)
async def webhooks(request: Web, db: Db, principal: Who) -> Response[str]:
    """All of them, and a form for another."""
    return await _list(request, db, principal)


@post("/webhooks", opt=NEEDS, status_code=200)
async def add_webhook(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Tell a program from now on; then its page, with the secret."""
    form = await fields(request)
    url, kinds = field(form, "url", 501), _kinds(form)
    try:
        row = await service.create(db, principal, url, kinds)
    except CentralError as error:
        return await _list(request, db, principal, 422, _problem(error), url, kinds)
    return await _one(request, db, principal, row.id, secret=row.secret)


@get("/webhooks/{number:int}", opt=NEEDS)
async def webhook(
    request: Web,
    db: Db,
    principal: Who,
    number: Number,
    which: State = "",
    after: After = "",
) -> Response[str]:
    """One webhook: what it wants, and its deliveries, newest first."""
    return await _one(request, db, principal, number, state=which, after=after)


@get("/webhooks/{number:int}/deliveries", opt=NEEDS)
async def webhook_deliveries(
    request: Web,
    db: Db,
    principal: Who,
    number: Number,
    which: State = "",
    after: After = "",
) -> Response[str]:
    """The deliveries alone, for refreshing."""
    context = await _deliveries(db, principal, number, which, after)
    return page(request, "parts/webhook_deliveries.html", **context)


@post("/webhooks/{number:int}", opt=NEEDS, status_code=200)
async def change_webhook(request: Web, db: Db, principal: Who, number: Number) -> Response[Any]:
    """Change where it leads, what it wants, and whether it is on."""
    form = await fields(request)
    try:
        await service.change(
            db, principal, number, url=field(form, "url", 501), kinds=_kinds(form), enabled=bool(field(form, "enabled"))
        )
    except CentralError as error:
        return await _one(request, db, principal, number, 422, _problem(error))
    return Redirect(f"/webhooks/{number}", status_code=303)


@post("/webhooks/{number:int}/ping", opt=NEEDS, status_code=200)
async def ping_webhook(request: Web, db: Db, principal: Who, number: Number) -> Response[Any]:
    """Send a message that says nothing but that it came."""
    try:
        await service.ping(db, principal, number)
    except CentralError as error:
        return await _one(request, db, principal, number, 422, _problem(error))
    return Redirect(f"/webhooks/{number}", status_code=303)


@post("/webhooks/{number:int}/secret", opt=NEEDS, status_code=200)
async def rotate_webhook(request: Web, db: Db, principal: Who, number: Number) -> Response[str]:
    """A new secret, shown this once."""
    row = await service.rotate(db, principal, number)
    return await _one(request, db, principal, number, secret=row.secret)


@post("/webhooks/{number:int}/remove", opt=NEEDS, status_code=303)
async def remove_webhook(db: Db, principal: Who, number: Number) -> Redirect:
    """Tell the program no more."""
    await service.remove(db, principal, number)
    return Redirect("/webhooks", status_code=303)


@post("/webhooks/{number:int}/deliveries/{delivery:int}", opt=NEEDS, status_code=303)
async def redeliver_webhook(db: Db, principal: Who, number: Number, delivery: FromPath[int]) -> Redirect:
    """Send a message again."""
    await service.redeliver(db, principal, number, delivery)
    return Redirect(f"/webhooks/{number}", status_code=303)


def _kinds(form: Mapping[str, Any]) -> list[str]:
    """The kinds that are ticked; all of them are the same as none: also those of later versions."""
    found = [each for each in Kind if field(form, f"kind-{each}")]
    return [] if len(found) == len(Kind) or field(form, "every") else [str(each) for each in found]


def _problem(error: CentralError) -> str:
    if isinstance(error, Conflict):
        return gettext("There are as many webhooks as there may be; remove one first.")
    if getattr(error, "field", "") == "enabled":
        return gettext("It is switched off: nothing is sent to it.")
    return gettext(
        "A web address such as https://example.org/hook, without a password in it. Only who has the settings of the"
        " whole utility may enter one."
    )


async def _list(
    request: Web, db: Db, principal: Who, status: int = 200, problem: str = "", url: str = "",
    kinds: list[str] | None = None,
) -> Response[str]:  # fmt: skip
    rows = await service.webhooks(db, principal)
    return page(
        request, "webhooks/list.html", status, rows=rows, counts=await service.counts(db, principal), problem=problem,
        url=url, kinds=kinds or [], kind_words=kind_words(),
    )  # fmt: skip


async def _one(
    request: Web, db: Db, principal: Who, number: int, status: int = 200, problem: str = "", secret: str = "",
    state: str = "", after: str = "",
) -> Response[str]:  # fmt: skip
    context = await _deliveries(db, principal, number, state, after)
    return page(
        request, "webhooks/one.html", status, problem=problem, secret=secret, kind_words=kind_words(), **context
    )


async def _deliveries(db: Db, principal: Who, number: int, state: str, after: str) -> dict[str, Any]:
    row = await service.get(db, principal, number)
    wanted = state if state in service.STATES else None
    found = await service.deliveries(
        db, principal, number, state=wanted, after=int(after) if after.isdecimal() else None, limit=_ROWS
    )
    lines = [delivery_line(each) for each in found.items]
    counts = await service.counts(db, principal)
    return {
        "row": row, "kinds": row.kinds.split(), "lines": lines, "next": found.next, "state": wanted or "",
        "after": after, "waiting": any(each.waiting for each in lines), "counts": counts[number],
    }  # fmt: skip
