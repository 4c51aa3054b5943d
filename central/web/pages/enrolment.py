"""Letting gateways in: make a code, compare the fingerprint, approve or refuse."""

from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response

from central.accounts.permissions import Permission, may
from central.accounts.reach import is_part
from central.enrolment import service
from central.enrolment.command import enrol_command, issuer_of, reserved_names, server_address
from central.enrolment.states import PENDING
from central.errors import CentralError, Conflict, NotFound, OutOfReach
from central.registry import service as registry
from central.web.forms import Db, Web, Who, field, fields
from central.web.i18n import gettext
from central.web.qr import drawing
from central.web.render import page
from central.web.views import enrolment as views

NEEDS: Final = may(Permission.ENROLMENT)
#: What is over and still listed; what waits is listed whole.
_OVER: Final = 20
Number = FromPath[int]
Chosen = Annotated[str, QueryParameter(name="gateway", max_length=64)]
Was = Annotated[str, QueryParameter(max_length=16)]


@get("/enrolment", opt=NEEDS)
async def enrolments(request: Web, db: Db, principal: Who, gateway: Chosen = "") -> Response[str]:
    """What waits, open codes, and a form for another; ``gateway`` fills it."""
    return await _list(request, db, principal, gateway=gateway)


@get("/enrolment/list", opt=NEEDS)
async def enrolments_list(request: Web, db: Db, principal: Who) -> Response[str]:
    """The list alone, for refreshing."""
    return page(request, "enrolment/rows.html", **await _sections(db, principal))


@post("/enrolment", opt=NEEDS, status_code=200)
async def make_code(request: Web, db: Db, principal: Who) -> Response[Any]:
    """Make a code, then its page with the code, this once."""
    form = await fields(request)
    key, new = field(form, "gateway", 65), bool(field(form, "new"))
    hours = request.app.state.settings.enrolment.code_hours
    try:
        command_of = enrol_command(request)
        made = await service.make_code(db, principal, key, hours, new=new, reserved=reserved_names(request))
    except CentralError as error:
        return await _list(request, db, principal, 422, _problem(error, key, new), key, new)
    command = command_of(made.text)
    code = {"text": made.text, "command": command, "drawing": drawing(command)}
    return _one(request, made.view, code=code)


@get("/enrolment/{number:int}", opt=NEEDS)
async def enrolment(request: Web, db: Db, principal: Who, number: Number) -> Response[Any]:
    """One enrolment: how it stands, and what may be decided."""
    return _one(request, await service.get(db, principal, number))


@get("/enrolment/{number:int}/state", opt=NEEDS)
async def enrolment_state(request: Web, db: Db, principal: Who, number: Number, was: Was = "") -> Response[Any]:
    """How it stands, for refreshing; the whole page anew once the state is another."""
    line = views.line(await service.get(db, principal, number))
    if was and line.step != was:
        return Response(None, status_code=204, headers={"HX-Redirect": f"/enrolment/{number}"})
    return page(request, "enrolment/state.html", line=line)


@post("/enrolment/{number:int}/approve", opt=NEEDS, status_code=200)
async def approve(request: Web, db: Db, principal: Who, number: Number) -> Response[Any]:
    """Let the gateway in."""
    try:
        await service.approve(db, principal, number, issuer_of(request))
    except Conflict as error:
        return await _refused(request, db, principal, number, error)
    return Redirect(f"/enrolment/{number}", status_code=303)


@post("/enrolment/{number:int}/refuse", opt=NEEDS, status_code=200)
async def refuse(request: Web, db: Db, principal: Who, number: Number) -> Response[Any]:
    """Turn the gateway down; it is told why."""
    reason = field(await fields(request), "reason", 300)
    try:
        await service.refuse(db, principal, number, reason)
    except Conflict as error:
        return await _refused(request, db, principal, number, error)
    return Redirect(f"/enrolment/{number}", status_code=303)


@post("/enrolment/{number:int}/revoke", opt=NEEDS, status_code=200)
async def revoke(request: Web, db: Db, principal: Who, number: Number) -> Response[Any]:
    """Make a code void."""
    try:
        await service.revoke(db, principal, number)
    except Conflict as error:
        return await _refused(request, db, principal, number, error)
    return Redirect("/enrolment", status_code=303)


async def _refused(request: Web, db: Db, principal: Who, number: int, error: Conflict) -> Response[str]:
    words = (
        gettext("It cannot be signed here: %(reason)s") % {"reason": error.reason}
        if isinstance(error, service.CannotSign)
        else gettext("Somebody else has decided meanwhile, or the gateway went on: this is how it stands now.")
    )
    return _one(request, await service.get(db, principal, number), 409, problem=words)


def _one(
    request: Web, view: service.View, status: int = 200, *, code: dict[str, Any] | None = None, problem: str = ""
) -> Response[str]:
    return page(
        request, "enrolment/one.html", status, line=views.line(view), code=code, problem=problem,
        server=server_address(request),
    )  # fmt: skip


async def _list(
    request: Web, db: Db, principal: Who, status: int = 200, problem: str = "", gateway: str = "", new: bool = False
) -> Response[str]:
    known = (await registry.find_gateways(db, principal.tenant_id, limit=1000)).items
    keys = [(each.gateway.key, each.gateway.name) for each in known if not is_part(db, each.gateway.id)]
    return page(
        request, "enrolment/list.html", status, problem=problem, gateway=gateway, new=new, known=keys,
        everywhere=principal.everywhere(Permission.ENROLMENT),
        hours=request.app.state.settings.enrolment.code_hours, **await _sections(db, principal),
    )  # fmt: skip


async def _sections(db: Db, principal: Who) -> dict[str, Any]:
    pending = (await service.enrolments(db, principal, states=PENDING, limit=1000)).items
    over = ("expired", "issued", "refused", "revoked", "locked")
    return views.sections([*pending, *(await service.enrolments(db, principal, states=over, limit=_OVER)).items])


def _problem(error: CentralError, key: str, new: bool) -> str:
    match error:
        case OutOfReach() | NotFound():
            return gettext("You may let in only gateways that are wholly yours.")
        case Conflict():
            return str(error)
        case _ if key and not new and "say that it is new" in str(error):
            return gettext("There is no gateway %(key)s yet. Tick that it is new to enter it.") % {"key": key}
        case _ if "own name at the broker" in str(error):
            return gettext("%(key)s is the aggregator's own name at the broker: choose another.") % {"key": key}
        case _:
            return gettext("An id has 1 to 48 letters without accents, digits, - _ and dots, a letter or digit first.")
