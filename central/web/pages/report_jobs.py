"""Reports in the background, regular ones and saved views, as people order them on the pages."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.response import File, Redirect, Response

from central.accounts.guards import narrow
from central.accounts.permissions import Permission, may
from central.errors import Refused
from central.reports import jobs, schedules, views
from central.reports.catalogue import report_of
from central.reports.controllers import job_file
from central.reports.jobs import Order, Wanted
from central.reports.parameters import NAMES, parse
from central.reports.schedules import When
from central.reports.scope import scope_of
from central.web import report_words
from central.web.forms import Db, Web, Who, field, fields
from central.web.i18n import current
from central.web.render import page

_JOBS = 12
_HERE = "/reports"


@get("/reports/jobs/list")
async def report_jobs(request: Web, db: Db, principal: Who) -> Response[str]:
    """The list of jobs, for refreshing."""
    found = (await jobs.find(db, principal, limit=_JOBS)).items
    return page(request, "reports/jobs.html", jobs=found, words=report_words)


@get("/reports/jobs/{job_id:int}/file")
async def report_job_file(request: Web, db: Db, principal: Who, job_id: FromPath[int]) -> File:
    """The file of a job that is done."""
    return job_file(request, await jobs.get(db, principal, job_id))


@post("/reports/jobs", opt=may(Permission.READ))
async def order_report(request: Web, db: Db, principal: Who) -> Redirect:
    """Have what is shown made in the background."""
    form = await fields(request)
    scope = scope_of(principal, request.app.state.settings.reports, int(time.time()))
    order = _order(form, "title")
    if order.recipients:
        narrow(db, principal, Permission.MAIL)
    await jobs.submit(db, principal, scope, field(form, "report", 64), _wanted(form), order)
    return Redirect(f"{_HERE}#jobs", status_code=303)


@post("/reports/jobs/{job_id:int}/cancel", opt=may(Permission.READ), status_code=200)
async def cancel_report(request: Web, db: Db, principal: Who, job_id: FromPath[int]) -> Response[str]:
    """Cancel a job, and show the list again."""
    await jobs.cancel(db, principal, job_id, int(time.time()))
    found = (await jobs.find(db, principal, limit=_JOBS)).items
    return page(request, "reports/jobs.html", jobs=found, words=report_words)


@post("/reports/jobs/{job_id:int}/remove", opt=may(Permission.READ), status_code=200)
async def remove_report(request: Web, db: Db, principal: Who, job_id: FromPath[int]) -> Response[str]:
    """Remove a job with its file, and show the list again."""
    await jobs.remove(db, principal, job_id, jobs.folder_of(request.app.state.settings.data_dir))
    found = (await jobs.find(db, principal, limit=_JOBS)).items
    return page(request, "reports/jobs.html", jobs=found, words=report_words)


@post("/reports/schedules", opt=may(Permission.MAIL))
async def schedule_report(request: Web, db: Db, principal: Who) -> Redirect:
    """Have what is shown made regularly."""
    form = await fields(request)
    scope = scope_of(principal, request.app.state.settings.reports, int(time.time()))
    cadence = field(form, "cadence", 16)
    if cadence not in schedules.CADENCES:
        raise Refused("cadence", f"{cadence!r} is not one of {', '.join(schedules.CADENCES)}")
    day = _whole(form, "month_day" if cadence == "monthly" else "week_day", 0) if cadence != "daily" else 0
    when = When(msgspec.convert(cadence, schedules.Cadence), day, _whole(form, "hour", 6))
    key = field(form, "report", 64)
    await schedules.enter(db, principal, scope, key, _wanted(form), _order(form, "name"), when)
    return Redirect(f"{_HERE}#schedules", status_code=303)


@post("/reports/schedules/{schedule_id:int}/switch", opt=may(Permission.MAIL))
async def switch_schedule(request: Web, db: Db, principal: Who, schedule_id: FromPath[int]) -> Redirect:
    """Pause a regular report, or take it up again."""
    enabled = field(await fields(request), "enabled", 1) == "1"
    scope = scope_of(principal, request.app.state.settings.reports, int(time.time()))
    await schedules.switch(db, principal, schedule_id, enabled, scope)
    return Redirect(f"{_HERE}#schedules", status_code=303)


@post("/reports/schedules/{schedule_id:int}/remove", opt=may(Permission.READ))
async def remove_schedule(request: Web, db: Db, principal: Who, schedule_id: FromPath[int]) -> Redirect:
    """Remove a regular report."""
    await schedules.remove(db, principal, schedule_id)
    return Redirect(f"{_HERE}#schedules", status_code=303)


@post("/reports/{key:str}/views", opt=may(Permission.READ))
async def save_view(request: Web, db: Db, principal: Who, key: FromPath[str]) -> Redirect:
    """Save the arrangement of the grid and the filters under a name."""
    form = await fields(request)
    try:
        view = msgspec.json.decode(field(form, "view", 100_000), type=views.View)
    except msgspec.MsgspecError as error:
        raise Refused("view", str(error)) from error
    view.default = field(form, "default", 1) == "1"
    pairs = _pairs(form)
    view.query = pairs
    saved = await views.save(db, principal, key, field(form, "name"), view)
    query = urlencode([*pairs, ("view", saved.id)])
    return Redirect(f"{_HERE}/{quote(key)}?{query}", status_code=303)


@post("/reports/{key:str}/views/{view_id:int}/remove", opt=may(Permission.READ))
async def remove_view(request: Web, db: Db, principal: Who, key: FromPath[str], view_id: FromPath[int]) -> Redirect:
    """Remove a saved view."""
    await views.remove(db, principal, view_id)
    return Redirect(f"{_HERE}/{quote(report_of(key).key)}", status_code=303)


def _pairs(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = parse_qsl(field(form, "query", 20_000), keep_blank_values=False)
    return [(name, value) for name, value in found if name in NAMES]


def _wanted(form: Mapping[str, Any]) -> Wanted:
    """What is shown: the page's query, the grid's columns and sort."""
    filters = parse(_pairs(form), report_of(field(form, "report", 64)).parameters)
    columns = tuple(key for key in field(form, "columns", 20_000).split(",") if key)
    return Wanted(filters, columns, field(form, "sort", 64))


def _order(form: Mapping[str, Any], title: str) -> Order:
    recipients = field(form, "recipients", 5000).replace(",", " ").replace(";", " ").split()
    return Order(
        form=field(form, "format", 8), language=current().code, recipients=tuple(recipients), title=field(form, title)
    )


def _whole(form: Mapping[str, Any], name: str, otherwise: int) -> int:
    text = field(form, name, 4)
    return int(text) if text.isascii() and text.isdigit() else otherwise
