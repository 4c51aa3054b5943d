"""What people do with enrolments: make and revoke codes, approve, refuse, bring a certificate; and what they see."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import passwords
from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.accounts.reach import is_part
from central.audit.service import Author, record
from central.enrolment.certificates import Issuer, check_certificate, read_request
from central.enrolment.codes import new_code
from central.enrolment.models import Enrolment
from central.enrolment.states import after
from central.errors import Conflict, NotFound, OutOfReach, Refused
from central.registry import changes, entry
from central.registry.kinds import GATEWAY
from central.registry.models import Gateway
from central.settings import SettingsError
from central.store.pages import Page, bounded
from shared.ids import IdError, check_id

#: Codes of one tenant that may be open at once.
MOST_OPEN: Final = 500
_NO_ID: Final = 1 << 63


class CannotSign(Conflict):
    """Central's issuer cannot be used; ``reason`` says why."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(f"Central cannot sign: {reason}.")
        self.reason = reason


class NewCode(NamedTuple):
    """A code as it is shown, this once."""

    view: "View"
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """An enrolment and the id of its gateway."""

    row: Enrolment
    gateway: str

    @property
    def state(self) -> str:
        """The stored state, or ``expired`` for a code nobody has used in its time."""
        over = self.row.state == "open" and self.row.expires_at <= time.time()
        return "expired" if over else self.row.state


async def make_code(
    db: AsyncSession, who: Principal, key: str, hours: int, *, new: bool = False, reserved: Collection[str] = ()
) -> NewCode:
    """Make a code for a gateway; with ``new`` the gateway is entered into the registry where it is not in it yet.

    Raises :class:`Refused` (also for the names ``reserved``), :class:`OutOfReach` (a new gateway needs the permission
    everywhere), :class:`Conflict`.
    """
    try:
        check_id(key, "gateway")
    except IdError as error:
        raise Refused("gateway", str(error)) from error
    if key in reserved:
        raise Refused("gateway", f"{key!r} is central's own name at the broker: choose another")
    gateway = await _gateway(db, who, key, new=new)
    now = int(time.time())
    open_ones = select(func.count()).where(
        Enrolment.tenant_id == who.tenant_id, Enrolment.state == "open", Enrolment.expires_at > now
    )
    if (await db.scalar(open_ones) or 0) >= MOST_OPEN:
        raise Conflict(f"{MOST_OPEN} codes are open already: revoke those that nobody needs.")
    for _ in range(5):
        code = new_code()
        row = Enrolment(
            tenant_id=who.tenant_id, gateway_id=gateway.id, state="open", prefix=code.prefix, tries=0,
            code_hash=await passwords.hash_password(code.text), created_at=now, created_by=who.author,
            expires_at=now + hours * 3600, csr="", fingerprint="", address="", decided_by="", reason="",
            certificate="", chain="",
        )  # fmt: skip
        try:
            async with db.begin_nested():
                db.add(row)
        except IntegrityError:  # 32**5 first halves: another code has this one
            continue
        told = {"code": f"{code.prefix}-…", "expires_at": row.expires_at}
        record(db, who, "created", "enrolment", key, object_id=row.id, after=told)
        return NewCode(View(row, key), code.text)
    raise Conflict("No free code was found: revoke or wait for some of those that are open.")


async def _gateway(db: AsyncSession, who: Principal, key: str, *, new: bool) -> Gateway:
    try:
        gateway = await entry.get(db, who.tenant_id, Gateway, key)
    except NotFound:
        if not new:
            raise Refused("gateway", f"there is no gateway {key!r}: say that it is new to enter it") from None
        if not who.everywhere(Permission.ENROLMENT):
            raise OutOfReach("gateway") from None
        await changes.put(db, who, GATEWAY, key, {"name": key})
        return await entry.get(db, who.tenant_id, Gateway, key)
    if is_part(db, gateway.id):
        raise OutOfReach("gateway")
    return gateway


async def enrolments(
    db: AsyncSession, who: Principal, *, states: Collection[str] = (), gateway: str | None = None,
    after: int | None = None, limit: int = 100,
) -> Page[View]:  # fmt: skip
    """Enrolments, newest first; ``states`` as of :class:`View` (none named: all)."""
    limit, now = bounded(limit), int(time.time())
    query = _views(who.tenant_id).order_by(Enrolment.id.desc())
    if states:
        wanted: ColumnElement[bool] = Enrolment.state.in_([each for each in states if each not in ("open", "expired")])
        if "open" in states:
            wanted |= (Enrolment.state == "open") & (Enrolment.expires_at > now)
        if "expired" in states:
            wanted |= (Enrolment.state == "open") & (Enrolment.expires_at <= now)
        query = query.where(wanted)
    if gateway is not None:
        query = query.where(Gateway.key == gateway)
    if after is not None:
        query = query.where(Enrolment.id < after)
    rows = [View(row, key) for row, key in await db.execute(query.limit(limit + 1))]
    return Page(rows[:limit], str(rows[limit - 1].row.id) if len(rows) > limit else None)


async def waiting(db: AsyncSession, who: Principal) -> int:
    """How many requests wait for approval."""
    query = select(func.count()).where(Enrolment.tenant_id == who.tenant_id, Enrolment.state == "waiting")
    return await db.scalar(query) or 0


async def get(db: AsyncSession, who: Principal, enrolment_id: int) -> View:
    """One enrolment; raises :class:`NotFound`."""
    return await _get(db, who, enrolment_id)


async def approve(db: AsyncSession, who: Principal, enrolment_id: int, issuer: Issuer | None) -> View:
    """Let a gateway in: signed at once with an issuer, else it waits for the authority. Raises :class:`Conflict`."""
    view = await _get(db, who, enrolment_id, change=True)
    row, now = view.row, int(time.time())
    state, certificate = after(row.state, "approve"), ""
    if issuer is not None:
        try:
            certificate = issuer.sign(read_request(row.csr, view.gateway), view.gateway, now)
        except SettingsError as error:
            raise CannotSign(error) from error
    row.state, row.decided_at, row.decided_by = state, now, who.author
    _note(db, who, "approved", view)
    if issuer is not None:
        _issue(db, who, view, certificate, issuer.chain, now)
    return view


async def refuse(db: AsyncSession, who: Principal, enrolment_id: int, reason: str = "") -> View:
    """Turn a request down, or take an approval back before it is signed; the gateway is told the reason."""
    view = await _get(db, who, enrolment_id, change=True)
    row = view.row
    row.state, row.reason = after(row.state, "refuse"), reason.strip()[:300]
    row.decided_at, row.decided_by = int(time.time()), who.author
    _note(db, who, "declined", view, reason=row.reason)
    return view


async def revoke(db: AsyncSession, who: Principal, enrolment_id: int) -> View:
    """Make a code void that nobody has used; revoking again changes nothing."""
    view = await _get(db, who, enrolment_id, change=True)
    if view.row.state != "revoked":
        view.row.state = after(view.row.state, "revoke")
        view.row.decided_at, view.row.decided_by = int(time.time()), who.author
        _note(db, who, "revoked", view)
    return view


async def bring(db: AsyncSession, who: Principal, enrolment_id: int, certificate: str, chain: str) -> View:
    """Take the certificate that the authority made of an approved request; the same again changes nothing.

    Raises :class:`Refused` when it is for another key or name, or the chain does not hold; :class:`Conflict`.
    """
    view = await _get(db, who, enrolment_id, change=True)
    row, now = view.row, int(time.time())
    if row.state == "issued" and (row.certificate, row.chain) == (certificate, chain):
        return view
    after(row.state, "issue")
    check_certificate(certificate, chain, row.fingerprint, view.gateway, now)
    _issue(db, who, view, certificate, chain, now)
    return view


def _issue(db: AsyncSession, who: Author, view: View, certificate: str, chain: str, now: int) -> None:
    row = view.row
    row.state = after(row.state, "issue")
    row.certificate, row.chain, row.issued_at = certificate, chain, now
    _note(db, who, "issued", view)


def _note(db: AsyncSession, who: Author, action: str, view: View, **more: str) -> None:
    told = {"fingerprint": view.row.fingerprint} if view.row.fingerprint else {"code": f"{view.row.prefix}-…"}
    record(db, who, action, "enrolment", view.gateway, object_id=view.row.id, after=told | more)


async def _get(db: AsyncSession, who: Principal, enrolment_id: int, *, change: bool = False) -> View:
    query = _views(who.tenant_id).where(Enrolment.id == enrolment_id)
    if change:
        query = query.with_for_update(of=Enrolment)
    found = (await db.execute(query)).one_or_none() if enrolment_id < _NO_ID else None
    if found is None:
        raise NotFound("enrolment", enrolment_id)
    return View(*found)


def _views(tenant_id: int) -> Any:
    return (
        select(Enrolment, Gateway.key)
        .join(Gateway, Gateway.id == Enrolment.gateway_id)
        .where(Enrolment.tenant_id == tenant_id)
    )
