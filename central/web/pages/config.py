"""A gateway's configuration, changed from afar: write, look at the difference, apply, follow what becomes of it."""

import difflib
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Response

from central.accounts.permissions import Permission, may
from central.errors import CentralError, NotFound
from central.fleet import service as fleet
from central.fleet.service import CommandView
from central.registry import service as registry
from central.registry.service import GatewayView
from central.web.forms import Db, Key, Web, Who, field, fields
from central.web.i18n import gettext
from central.web.messages import service_problem
from central.web.render import page
from central.web.views.outcome import Problem, outcome
from shared.wire import ApplyConfig

NEEDS: Final = may(Permission.CONTROL)
#: What ``ApplyConfig`` carries at most.
_LONGEST: Final = 200_000
#: What a request carries at most; a text is never cut short.
_BODY: Final = 8 << 20
_AROUND: Final = 3  # unchanged lines shown around a change


@dataclass(frozen=True, slots=True)
class DiffLine:
    """``sign`` is "+", "-", "" for what stays, "@" where lines are left out."""

    sign: str
    text: str


@get("/gateways/{key:str}/config", opt=NEEDS)
async def edit(
    request: Web, db: Db, principal: Who, key: Key, again: Annotated[str, QueryParameter(max_length=64)] = ""
) -> Response[str]:
    """The editor over what is in force, or over what an earlier command wanted (``again``)."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    problems: Sequence[Problem] = ()
    text = view.live.config if view.live else ""
    if again:
        command, action = await _applied(db, principal, view, again)
        text, problems = action.toml, outcome(command).problems
    return _editor(request, view, text, problems=problems)


@post("/gateways/{key:str}/config/check", opt=NEEDS, status_code=200)
async def check(request: Web, db: Db, principal: Who, key: Key) -> Response[str]:
    """The difference to what is in force, to be confirmed; the editor again when there is nothing to send."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    form = await fields(request)
    text, base = _text(form), field(form, "base", 100)
    problem = _refusal(view, text, base)
    if problem:
        return _editor(request, view, text, 422, problem)
    return page(
        request, "config/check.html", view=view, text=text, base=base, command=secrets.token_hex(12),
        diff=difference(view.live.config if view.live else "", text),
    )  # fmt: skip


@post("/gateways/{key:str}/config", opt=NEEDS, status_code=200)
async def apply(request: Web, db: Db, principal: Who, key: Key) -> Response[Any]:
    """Send it, once however often the button is pressed; then on to what becomes of it. ``back`` is the editor."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    form = await fields(request)
    text, base, command_id = _text(form), field(form, "base", 100), field(form, "command", 24)
    if field(form, "back"):
        return _editor(request, view, text)
    try:
        await fleet.get_command(db, principal.tenant_id, command_id)
    except NotFound:
        problem = _refusal(view, text, base) or await _send(db, principal, view, ApplyConfig(text, base), command_id)
        if problem:
            return _editor(request, view, text, 422, problem)
    return Redirect(f"/gateways/{key}/config/{command_id}", status_code=303)


@get("/gateways/{key:str}/config/{command_id:str}")
async def applied(request: Web, db: Db, principal: Who, key: Key, command_id: FromPath[str]) -> Response[str]:
    """What became of it."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    return page(request, "config/applied.html", **await _state(db, principal, view, command_id))


@get("/gateways/{key:str}/config/{command_id:str}/state")
async def applied_state(request: Web, db: Db, principal: Who, key: Key, command_id: FromPath[str]) -> Response[str]:
    """The same, for refreshing."""
    view = await registry.get_gateway(db, principal.tenant_id, key)
    return page(request, "parts/config_state.html", **await _state(db, principal, view, command_id))


def difference(old: str, new: str) -> list[DiffLine]:
    """Lines that go and come, with some that stay around them."""
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=_AROUND))[2:]
    return [
        DiffLine("@", "") if line.startswith("@@") else DiffLine(line[0].strip(), line[1:])
        for number, line in enumerate(lines)
        if number or not line.startswith("@@")
    ]


def editable(view: GatewayView) -> bool:
    """Whether the gateway has told a configuration that can be edited here; it may have had to keep it back."""
    try:
        return view.live is not None and "gateway" in tomllib.loads(view.live.config)
    except tomllib.TOMLDecodeError:
        return False


def _text(form: Any) -> str:
    """The text as the gateway has it: browsers send CR LF."""
    text = field(form, "toml", _BODY, strip=False).replace("\r\n", "\n")
    return text if text.endswith("\n") else text + "\n"


def _refusal(view: GatewayView, text: str, base: str) -> str:
    """Why this is not worth sending; "" when it is."""
    if not editable(view) or view.live is None:
        return gettext("The gateway has not told its configuration; without it nothing can be changed here.")
    if len(text) > _LONGEST:
        return gettext("This is longer than %(number)s characters: the gateway would not take it.") % {
            "number": _LONGEST
        }
    if base != view.live.config_hash:
        return gettext(
            "Another configuration has come into force since you began. Your text is kept; look at the difference again"
            " before you apply it."
        )
    if text == view.live.config:
        return gettext("This is what is in force already.")
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return gettext("this is not TOML: %(error)s") % {"error": error}
    return ""


async def _send(db: Db, principal: Who, view: GatewayView, action: ApplyConfig, command_id: str) -> str:
    try:
        await fleet.order(db, principal, view.gateway, action, command_id=command_id or None)
    except CentralError as error:
        return service_problem(error)
    return ""


async def _applied(db: Db, principal: Who, view: GatewayView, command_id: str) -> tuple[CommandView, ApplyConfig]:
    command = await fleet.get_command(db, principal.tenant_id, command_id)
    if command.row.gateway_id != view.gateway.id or not isinstance(command.action, ApplyConfig):
        raise NotFound("command", command_id)
    return command, command.action


async def _state(db: Db, principal: Who, view: GatewayView, command_id: str) -> dict[str, Any]:
    command, action = await _applied(db, principal, view, command_id)
    lines = action.toml.splitlines()
    found = outcome(command)
    return {
        "view": view,
        "command": command,
        "open": command.row.status in ("queued", "sent"),
        "trial": any(alarm.startswith("config_trial") for alarm in view.state.alarms) if view.state else False,
        "outcome": found,
        "problems": _quoted(found.problems, lines),
        "state_url": f"/gateways/{view.gateway.key}/config/{command.row.id}/state",
    }


def _quoted(problems: Sequence[Problem], lines: Sequence[str]) -> list[tuple[Problem, str]]:
    """Each problem with the line it is about."""
    return [
        (problem, lines[problem.line - 1].strip() if 0 < problem.line <= len(lines) else "") for problem in problems
    ]


def _editor(
    request: Web, view: GatewayView, text: str, status: int = 200, problem: str = "", problems: Sequence[Problem] = ()
) -> Response[str]:
    return page(
        request, "config/edit.html", status, view=view, text=text, problem=problem,
        problems=_quoted(problems, text.splitlines()), editable=editable(view),
        base=view.live.config_hash if view.live else "",
    )  # fmt: skip
