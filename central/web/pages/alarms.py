"""Alarms: the list, acknowledging one, their number in the navigation, and who is told of them."""

import time
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response

from central.accounts.permissions import Permission, may
from central.alarms import service, subscriptions
from central.alarms.severity import Severity
from central.errors import CentralError, Conflict, Refused
from central.web.forms import Db, Web, Who, field, fields
from central.web.i18n import gettext
from central.web.render import page
from central.web.views.alarms import line

NEEDS: Final = may(Permission.SETTINGS)
_MOST: Final = 1000
_ROWS: Final = 50
State = Annotated[str, QueryParameter(name="state", max_length=16)]


@get("/alarms")
async def alarms(
    request: Web, db: Db, principal: Who, which: State = "", after: Annotated[str, QueryParameter(max_length=40)] = ""
) -> Response[str]:
    """What is open, the gravest first; or what is closed, newest first."""
    return await _page(request, db, principal, "closed" if which == "closed" else "active", after)


@post("/alarms/{alarm_id:int}/acknowledge", opt=may(Permission.ALARMS), status_code=200)
async def acknowledge(request: Web, db: Db, principal: Who, alarm_id: FromPath[int]) -> Response[Any]:
    """Somebody takes care of it."""
    note = field(await fields(request), "note", 2000)
    try:
        await service.acknowledge(db, principal, alarm_id, note=note, now=int(time.time()))
    except (Conflict, Refused) as error:
        problem = gettext("Somebody else was quicker, or the alarm is closed by now.")
        return await _page(request, db, principal, "active", "", 409 if isinstance(error, Conflict) else 422, problem)
    return Redirect("/alarms", status_code=303)


@get("/alarms/count")
async def alarms_count(request: Web, db: Db, principal: Who) -> Response[str]:
    """How many are open, for the navigation."""
    found = (await service.alarms(db, principal.tenant_id, state="open", limit=_MOST)).items
    worst = max((each.severity for each in found), default=Severity.NOTICE)
    return page(request, "alarms/count.html", count=len(found), worst=worst)


@get("/alarms/subscriptions", opt=NEEDS)
async def alarm_subscriptions(request: Web, db: Db, principal: Who) -> Response[str]:
    """Who is told."""
    return await _subscriptions(request, db, principal)


@post("/alarms/subscriptions", opt=NEEDS, status_code=200)
async def subscribe(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Tell somebody from now on; the secret of a program is shown with it."""
    form = await fields(request)
    kind, target, least = field(form, "kind", 16), field(form, "target", 501), field(form, "least", 2)
    try:
        severity = Severity(int(least)) if least.isdigit() else Severity.WARNING
        row = await subscriptions.subscribe(db, principal, kind, target, severity, now=int(time.time()))
    except (CentralError, ValueError) as error:
        if isinstance(error, Conflict):
            problem = gettext("This address is told already; remove that line first.")
        else:
            problem = gettext(
                "An e-mail address such as ana@example.org, or a web address such as https://example.org/alarms."
            )
        return await _subscriptions(request, db, principal, 422, problem, kind, target)
    return await _subscriptions(request, db, principal, secret=row.secret)


@post("/alarms/subscriptions/{number:int}/remove", opt=NEEDS, status_code=303)
async def unsubscribe(db: Db, principal: Who, number: FromPath[int]) -> Redirect:
    """Tell them no more."""
    await subscriptions.unsubscribe(db, principal, number)
    return Redirect("/alarms/subscriptions", status_code=303)


async def _page(
    request: Web, db: Db, principal: Who, state: str, after: str, status: int = 200, problem: str = ""
) -> Response[str]:
    active = state == "active"
    found = await service.alarms(
        db, principal.tenant_id, state=service.ACTIVE if active else "closed", after=after or None,
        limit=_MOST if active else _ROWS,
    )  # fmt: skip
    rows = sorted(found.items, key=lambda each: (-each.severity, each.state != "open")) if active else found.items
    lines = [line(each) for each in rows]
    counts = {severity: sum(1 for each in rows if each.severity is severity) for severity in reversed(Severity)}
    return page(
        request, "alarms/list.html", status, lines=lines, next=found.next, active=active, after=after, counts=counts,
        problem=problem,
    )  # fmt: skip


async def _subscriptions(
    request: Web, db: Db, principal: Who, status: int = 200, problem: str = "", kind: str = "email", target: str = "",
    secret: str = "",
) -> Response[str]:  # fmt: skip
    found = await subscriptions.subscriptions(db, principal.tenant_id)
    rows = [(row, Severity(row.least)) for row in found]
    return page(
        request, "alarms/subscriptions.html", status, rows=rows, problem=problem, kind=kind, target=target,
        secret=secret, severities=list(reversed(Severity)),
    )  # fmt: skip
