"""Sheets into the registry on the page: choose a file, see what it would do, apply it."""

from dataclasses import dataclass
from typing import Any, Final

from litestar import get, post
from litestar.datastructures import UploadFile
from litestar.response import Redirect, Response

from central import sheets
from central.accounts.permissions import Permission, may
from central.errors import Conflict, Refused
from central.registry import combined, imports, uploads
from central.registry.file_controllers import attachment, check, download, folder, permit, refused_rows
from central.registry.imports import Checked, SheetRow
from central.registry.kinds import BY_NAME
from central.web import registry_words as words
from central.web.forms import Db, Key, Web, Who, fields
from central.web.i18n import gettext
from central.web.render import page

READS: Final = may(Permission.READ)
#: Rows and faults that a preview shows; the file of refused rows has all of them.
_FIRST, _FAULTS = 10, 200


@dataclass(frozen=True, slots=True)
class Wrong:
    row: int
    column: str
    value: str
    words: str


@get("/registry/import/{kind:str}")
async def registry_import(request: Web, db: Db, principal: Who, kind: Key) -> Response[str]:
    """Choose a file; says which columns it may have."""
    permit(db, principal, kind)
    return _choose(request, kind, "", 200)


@get("/registry/import/{kind:str}/template")
async def registry_template(db: Db, principal: Who, kind: Key) -> Response[Any]:
    """An empty sheet with the headings."""
    permit(db, principal, kind)
    return download([words.header(kind)], kind, "xlsx", "")


@post("/registry/import/{kind:str}", opt=READS, status_code=200)
async def registry_bring(request: Web, db: Db, principal: Who, kind: Key) -> Response[Any]:
    """Take the file in and show what it would do."""
    permit(db, principal, kind)
    sent = (await fields(request)).get("file")
    data, name = (await sent.read(), sent.filename) if isinstance(sent, UploadFile) else (b"", "")
    try:
        upload = uploads.keep(folder(request), principal.tenant_id, principal.user_id, kind, name, data)
        await check(db, principal, kind, data)
    except Refused as error:
        return _choose(request, kind, f"{words.label('', error.field)}: {error.message}", 422)
    return Redirect(f"/registry/import/{kind}/{upload.token}", status_code=303)


@get("/registry/import/{kind:str}/{token:str}")
async def registry_preview(request: Web, db: Db, principal: Who, kind: Key, token: Key) -> Response[str]:
    """What the file would do: how many rows are new, changed, the same and refused, and why."""
    upload, checked = await _checked(request, db, principal, kind, token)
    return page(request, "registry/preview.html", **_shown(kind, upload, checked), problem="", done=None)


@get("/registry/import/{kind:str}/{token:str}/refused")
async def registry_refused(request: Web, db: Db, principal: Who, kind: Key, token: Key) -> Response[bytes]:
    """The refused rows with their reasons, to be corrected and brought again."""
    _, checked = await _checked(request, db, principal, kind, token)
    rows = refused_rows(checked, [_reason(kind, row) for row in checked.refused])
    rows[0][-1] = words.label("", "reason")
    body = b"".join(sheets.csv_lines(rows, words.here()))
    return Response(body, media_type="text/csv; charset=utf-8", headers=attachment("refused.csv"))


@post("/registry/import/{kind:str}/{token:str}", opt=READS, status_code=200)
async def registry_apply(request: Web, db: Db, principal: Who, kind: Key, token: Key) -> Response[Any]:
    """Take the file: everything or nothing, or the good rows."""
    upload, checked = await _checked(request, db, principal, kind, token)
    whole = (await fields(request)).get("how") != "good"
    if checked.faults or (whole and checked.refused):
        problem = gettext("Nothing was taken: there are refused rows.")
        return page(request, "registry/preview.html", 422, **_shown(kind, upload, checked), problem=problem, done=None)
    try:
        async with db.begin_nested():
            counts = await imports.carry_out(db, principal, kind, checked, all_or_nothing=whole)
    except (Conflict, Refused) as error:
        return page(
            request, "registry/preview.html", 422, **_shown(kind, upload, checked), problem=str(error), done=None
        )
    if not checked.refused:
        uploads.drop(folder(request), upload.token)
    return page(request, "registry/preview.html", **_shown(kind, upload, checked), problem="", done=counts)


async def _checked(request: Web, db: Db, principal: Who, kind: str, token: str) -> tuple[uploads.Upload, Checked]:
    permit(db, principal, kind)
    upload, data = uploads.find(folder(request), principal.tenant_id, principal.user_id, token)
    return upload, await check(db, principal, kind, data)


def _choose(request: Web, kind: str, problem: str, status: int) -> Response[str]:
    columns = [(name, words.label(kind, name), words.hint(kind, name)) for name in words.columns(kind)]
    return page(
        request, "registry/import.html", status, kind=BY_NAME.get(kind), name=kind, words=words, columns=columns,
        problem=problem, most=uploads.MAX_BYTES >> 20, combined=combined.NAME,
    )  # fmt: skip


def _shown(kind: str, upload: uploads.Upload, checked: Checked) -> dict[str, Any]:
    wrong = [Wrong(1, _column(kind, f.field), f.given, words.fault(f)) for f in checked.faults]
    wrong += [
        Wrong(row.number, _column(kind, fault.field), fault.given, words.fault(fault))
        for row in checked.refused for fault in row.faults
    ]  # fmt: skip
    return {
        "kind": BY_NAME.get(kind), "name": kind, "words": words, "upload": upload, "checked": checked,
        "counts": checked.counts, "first": checked.rows[:_FIRST], "wrong": wrong[:_FAULTS], "faults": len(wrong),
        "headings": [_column(kind, name) for name in checked.columns], "combined": combined.NAME,
    }  # fmt: skip


def _column(kind: str, name: str) -> str:
    return words.label(kind, name) if name in words.columns(kind) else name


def _reason(kind: str, row: SheetRow) -> str:
    return "; ".join(f"{_column(kind, fault.field)}: {words.fault(fault)}" for fault in row.faults)
