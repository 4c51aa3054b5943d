"""Sheets in the API: bring a file, see what it would do, apply it; and every list as a sheet."""

from pathlib import Path
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from central import sheets
from central.accounts.guards import narrow
from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.problems import invalid
from central.api.query import parse_choice
from central.api.schemas import Input, Output
from central.errors import Refused
from central.registry import combined, imports, uploads
from central.registry.imports import Checked
from central.registry.kinds import BY_NAME, KINDS, Kind
from central.web.registry_words import headings

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]

FileName = Annotated[str, QueryParameter(name="name", max_length=200, description="What the file is called")]

#: Refused rows that an answer lists; the file of all of them has the rest.
_LISTED: Final = 1000
FORMATS: Final = ("csv", "xlsx")


class ImportIn(Input):
    """``all_or_nothing``: nothing is taken while a row is refused; else the good rows are."""

    all_or_nothing: bool = True


class ImportFault(Output):
    """What is wrong in one row (the header is row 1), and what to do."""

    row: int
    column: str
    value: str
    message: str


class ImportOut(Output):
    """What a file would do, or did: rows new, changed, the same and refused; at most 1000 faults are listed."""

    id: str
    kind: str
    name: str
    applied: bool
    new: int
    changed: int
    same: int
    refused: int
    errors: list[ImportFault]


class ImportController(Controller):
    """Files into the registry. A file that was brought is kept for a day, and checked again when it is applied."""

    path = "/imports"
    tags = ("registry",)

    @post("/combined", status_code=201, opt=may(Permission.REGISTRY))
    async def import_combined(self, request: Asked, db: Db, principal: Who, name: FileName = "") -> ImportOut:
        """Bring a sheet of customers with their meters as the body; says what it would do. Nothing is changed yet."""
        return await bring(request, db, principal, combined.NAME, name)

    @get("/{import_id:str}")
    async def get_import(self, request: Asked, db: Db, principal: Who, import_id: FromPath[str]) -> ImportOut:
        """Return what a file that was brought would do now."""
        require_changes(principal)
        upload, data = uploads.find(folder(request), principal.tenant_id, principal.user_id, import_id)
        permit(db, principal, upload.kind)
        return _answer(upload, await check(db, principal, upload.kind, data), applied=False)

    @get("/{import_id:str}/refused", media_type=sheets.CSV)
    async def get_refused(self, request: Asked, db: Db, principal: Who, import_id: FromPath[str]) -> Response[bytes]:
        """Return the refused rows as CSV, each with its reasons: to be corrected and brought again."""
        require_changes(principal)
        upload, data = uploads.find(folder(request), principal.tenant_id, principal.user_id, import_id)
        permit(db, principal, upload.kind)
        checked = await check(db, principal, upload.kind, data)
        body = b"".join(sheets.csv_lines(refused_rows(checked, [fault_text(row) for row in checked.refused])))
        return Response(body, media_type="text/csv; charset=utf-8", headers=attachment("refused.csv"))

    @post("/{import_id:str}/apply", status_code=200, opt=may(Permission.READ))
    async def apply_import(
        self, request: Asked, db: Db, principal: Who, import_id: FromPath[str], data: JSONBody[ImportIn]
    ) -> ImportOut:
        """Take the file, checked anew: all of it or nothing, or the good rows. ``applied`` says whether it was."""
        require_changes(principal)
        upload, content = uploads.find(folder(request), principal.tenant_id, principal.user_id, import_id)
        permit(db, principal, upload.kind)
        checked = await check(db, principal, upload.kind, content)
        refused = bool(checked.faults or (data.all_or_nothing and checked.refused))
        await imports.carry_out(db, principal, upload.kind, checked, all_or_nothing=data.all_or_nothing)
        if not refused:
            uploads.drop(folder(request), upload.token)
        return _answer(upload, checked, applied=not refused)

    @delete("/{import_id:str}", opt=may(Permission.READ))
    async def delete_import(self, request: Asked, db: Db, principal: Who, import_id: FromPath[str]) -> None:
        """Drop a file that was brought."""
        require_changes(principal)
        upload, _ = uploads.find(folder(request), principal.tenant_id, principal.user_id, import_id)
        permit(db, principal, upload.kind)
        uploads.drop(folder(request), upload.token)


class ExportController(Controller):
    """Lists as sheets that can be imported back unchanged."""

    path = "/exports"
    tags = ("registry",)

    @get("/{kind:str}", media_type=sheets.CSV)
    async def export_list(
        self,
        db: Db,
        principal: Who,
        kind: FromPath[str],
        search: Annotated[str, QueryParameter(name="q", max_length=200)] = "",
        form: Annotated[str, QueryParameter(name="format", description="csv or xlsx")] = "csv",
    ) -> Response[Any]:
        """Return all entries of a kind (customer, meter ...) as CSV or XLSX."""
        if kind not in BY_NAME:
            raise invalid("kind", f"{kind[:64]!r} is not one of {', '.join(sorted(BY_NAME))}")
        parse_choice(form, "format", FORMATS)
        wanted = BY_NAME[kind]
        rows = [imports.columns_of(wanted)]
        rows += [row async for row in imports.exported(db, principal.tenant_id, wanted, search=search)]
        return download(rows, wanted.path, form, ",")


async def bring(request: Asked, db: AsyncSession, principal: Principal, kind: str, name: str) -> ImportOut:
    """Keep the body as a file and answer what it would do."""
    permit(db, principal, kind)
    data = await request.body()
    upload = uploads.keep(folder(request), principal.tenant_id, principal.user_id, kind, name, data)
    try:
        return _answer(upload, await check(db, principal, kind, data), applied=False)
    except Refused:
        uploads.drop(folder(request), upload.token)
        raise


def import_route(kind: Kind) -> Any:
    """The handler that takes a file of one kind."""

    async def handler(request: Asked, db: Db, principal: Who, name: FileName = "") -> ImportOut:
        return await bring(request, db, principal, kind.name, name)

    handler.__name__ = handler.__qualname__ = f"import_{kind.path.replace('-', '_')}"
    handler.__doc__ = (
        f"Bring a CSV file or a spreadsheet of {kind.label} entries as the body; answers what it would do. Nothing is "
        "changed before it is applied."
    )
    return post("/imports", status_code=201, opt=may(kind.permission))(handler)


def require_changes(principal: Principal) -> None:
    """Refuse who may change nothing of the registry, before saying whether a file is there."""
    if not (principal.may(Permission.REGISTRY) or principal.may(Permission.BILLING)):
        raise PermissionDeniedException("This needs the permission 'registry' or 'billing'.")


def permit(db: AsyncSession, principal: Principal, kind: str) -> None:
    """Keep the session to where rows of this kind may be changed; raises when that is nowhere, or it is no kind."""
    known = (*(one.name for one in KINDS), combined.NAME)
    if kind not in known:
        raise invalid("kind", f"{kind[:64]!r} is not one of {', '.join(sorted(known))}")
    narrow(db, principal, BY_NAME[kind].permission if kind in BY_NAME else Permission.REGISTRY)


async def check(db: AsyncSession, principal: Principal, kind: str, data: bytes) -> Checked:
    """What a file would do; raises :class:`Refused` when it is no table."""
    try:
        table = sheets.read(data)
    except sheets.SheetError as error:
        raise Refused("file", str(error)) from error
    if len(table) < 2:
        raise Refused("file", "has no rows below its header")
    if kind == combined.NAME:
        return await combined.check(db, principal, table, headings(kind))
    return await imports.check(db, principal.tenant_id, BY_NAME[kind], table, headings(kind))


def folder(request: Asked) -> Path:
    """Where files wait for being applied."""
    return Path(request.app.state.settings.data_dir) / "uploads"


def refused_rows(checked: Checked, reasons: list[str]) -> list[list[str]]:
    """The refused rows with a column of reasons, the header first."""
    width = len(checked.header)
    rows = [[*checked.header, "reason"]]
    for row, reason in zip(checked.refused, reasons, strict=True):
        rows.append([*row.cells[:width], *[""] * (width - len(row.cells)), reason])
    return rows


def fault_text(row: imports.SheetRow) -> str:
    """All that is wrong with a row, in English."""
    return "; ".join(f"{fault.field}: {fault.text}" for fault in row.faults)


def download(rows: list[list[str]], name: str, form: str, delimiter: str) -> Response[Any]:
    """A sheet as an answer."""
    if form == "xlsx":
        return Response(sheets.xlsx(rows, name), media_type=sheets.XLSX, headers=attachment(f"{name}.xlsx"))
    lines = sheets.csv_lines(rows, delimiter)
    return Stream(lines, media_type="text/csv; charset=utf-8", headers=attachment(f"{name}.csv"))


def attachment(name: str) -> dict[str, str]:
    """The header that makes browsers save a file."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _answer(upload: uploads.Upload, checked: Checked, *, applied: bool) -> ImportOut:
    errors = [ImportFault(1, fault.field, fault.given, fault.text) for fault in checked.faults]
    errors += [
        ImportFault(row.number, fault.field, fault.given, fault.text) for row in checked.refused for fault in row.faults
    ]
    return ImportOut(upload.token, upload.kind, upload.name, applied, errors=errors[:_LISTED], **checked.counts)
