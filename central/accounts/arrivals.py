"""Who comes from the identity provider: find the user, or enter one, agree on the roles, open a session.

A user entered without a password waits for their first arrival under their login name; one with a password is never
taken over. With a roles claim the provider decides which roles somebody has in the whole tenant; roles in groups and at
gateways stay as they were given here.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import roles
from central.accounts.errors import AccountError, LastAdministrator, ProviderRefused
from central.accounts.models import Grant, Tenant, User
from central.accounts.principal import Principal
from central.accounts.rules import hold_tenant, require_administrator
from central.accounts.service import TenantOf, count_users, login_name, new_user
from central.accounts.sessions import NewSession, open_session
from central.audit.service import Program, record
from central.errors import NotFound
from central.settings import OidcSettings
from central.store.engine import Database

_log = structlog.get_logger("central.accounts")
_LONGEST_SUBJECT = 300
_VIEWER = "viewer"


async def arrive(
    database: Database, settings: OidcSettings, tenant: TenantOf, claims: Mapping[str, Any], *, address: str,
    agent: str, now: int,
) -> NewSession:  # fmt: skip
    """Open a session for checked claims; raises :class:`ProviderRefused`."""
    subject = f"{settings.issuer} {claims['sub']}"
    if len(subject) > _LONGEST_SUBJECT:
        raise ProviderRefused("its name for this person is too long")
    async with database.write() as db:
        query = select(User).join(Tenant, Tenant.id == User.tenant_id).where(Tenant.key == tenant.key)
        user = await db.scalar(query.where(User.subject == subject))
        if user is None:
            user = await _first_time(db, settings, tenant, claims, now)
            user.subject = subject
            record(db, _by(user, address), "linked", "user", user.login, object_id=user.id,
                   after={"provider": settings.issuer})  # fmt: skip
        if user.disabled_at is not None:
            raise ProviderRefused("this user is disabled here")
        if settings.roles_claim:
            await _agree(db, user, settings, claims, address)
        who = Principal.of_session(user, "", b"", address)
        record(db, who, "logged-in", "user", user.login, object_id=user.id, after={"provider": settings.issuer})
        return await open_session(db, user, address, agent, now)


async def _first_time(
    db: AsyncSession, settings: OidcSettings, tenant: TenantOf, claims: Mapping[str, Any], now: int
) -> User:
    login = _login(settings, claims)
    found: User | None = await db.scalar(select(User).where(User.login == login))
    if found is not None:
        if found.tenant.key != tenant.key or found.password_hash or found.subject:
            raise ProviderRefused("the login name belongs to somebody who does not come from there")
        return found
    if settings.unknown == "refuse":
        raise ProviderRefused("nobody here has this login name (oidc.unknown = 'refuse')")
    if not await count_users(db):
        raise ProviderRefused("the first administrator has to be made first")
    owner = (await db.scalars(select(Tenant).where(Tenant.key == tenant.key))).one()
    name, email = (str(claims.get(each, ""))[:200] for each in ("name", "email"))
    user = new_user(owner.id, login, name, "", now, email)
    db.add(user)
    await db.flush()
    await roles.grant(db, user, _VIEWER)
    await db.refresh(user)
    record(db, _by(user, ""), "created", "user", login, object_id=user.id,
           after={"name": user.name, "email": email, "grants": [_VIEWER]})  # fmt: skip
    return user


def _login(settings: OidcSettings, claims: Mapping[str, Any]) -> str:
    text = claims.get(settings.login_claim)
    if not isinstance(text, str):
        raise ProviderRefused(f"it does not tell the claim {settings.login_claim!r} (oidc.login_claim, oidc.scopes)")
    if settings.login_claim == "email" and claims.get("email_verified") is False:
        raise ProviderRefused("it has not verified this e-mail address")
    try:
        return login_name(text)
    except AccountError as error:
        raise ProviderRefused(f"its {settings.login_claim!r} is no login name") from error


async def _agree(db: AsyncSession, user: User, settings: OidcSettings, claims: Mapping[str, Any], address: str) -> None:
    """Make the roles in the whole tenant those that the claim names; the last administrator stays one."""
    told = claims.get(settings.roles_claim, [])
    values = {told} if isinstance(told, str) else {each for each in told if isinstance(each, str)}
    wanted = {role for value, role in settings.role_map.items() if value in values}
    if not wanted and settings.unknown == _VIEWER:
        wanted = {_VIEWER}
    held = {each.role.key: each for each in user.grants if each.group_id is None and each.gateway_id is None}
    by = _by(user, address)
    for key in sorted(wanted - held.keys()):
        try:
            await roles.grant(db, user, key)
        except NotFound:
            _log.warning("oidc.roles names a role that is not here", role=key)
            continue
        record(db, by, "granted", "user", user.login, object_id=user.id, after={"role": key, "where": "everywhere"})
    for key in sorted(held.keys() - wanted):
        await _withdraw(db, by, user, held[key])
    await db.refresh(user, ["grants"])


async def _withdraw(db: AsyncSession, by: Program, user: User, row: Grant) -> None:
    await hold_tenant(db, user.tenant_id)
    try:
        async with db.begin_nested():
            await db.delete(row)
            await require_administrator(db, user.tenant_id)
    except LastAdministrator:
        _log.warning("the identity provider would take away the last administrator; the role stays", login=user.login)
        return
    before = {"role": row.role.key, "where": "everywhere"}
    record(db, by, "withdrawn", "user", user.login, object_id=user.id, before=before)


def _by(user: User, address: str) -> Program:
    return Program(user.tenant_id, "identity provider", address, user.id)
