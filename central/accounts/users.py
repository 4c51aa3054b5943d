"""People of a tenant, managed by those who may: enter, change, disable, unlock, reset, grant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts import passwords, roles, second_factor
from central.accounts.errors import AccountConflict
from central.accounts.models import Grant, User
from central.accounts.permissions import parse
from central.accounts.principal import Principal
from central.accounts.rules import hold_tenant, require_above, require_administrator, require_covering
from central.accounts.service import login_name, new_user
from central.accounts.sessions import close_all
from central.audit.service import record
from central.errors import NotFound, Refused
from central.registry.models import CustomerGroup, Gateway
from central.store.pages import Page, bounded

STATES: Final = ("enabled", "disabled", "locked")
_MOST_GRANTS: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role holds: in the whole tenant unless a group (with all below it) or a gateway is named."""

    group_id: int | None = None
    gateway_id: int | None = None


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant with the names of its place; both empty: the whole tenant."""

    row: Grant
    group: str
    gateway: str


async def list_users(
    db: AsyncSession, tenant_id: int, search: str = "", *, state: str = "", now: int = 0, after: str | None = None,
    limit: int = 50,
) -> Page[User]:  # fmt: skip
    """Users in order of their login; every word of the search in login, name or e-mail; ``state`` of STATES."""
    limit = bounded(limit)
    query = select(User).where(User.tenant_id == tenant_id).order_by(User.login).limit(limit + 1)
    for word in search.split():
        places = (User.login, User.name, User.email)
        query = query.where(or_(*(each.icontains(word, autoescape=True) for each in places)))
    if state == "locked":
        query = query.where(User.locked_until > now)
    elif state:
        query = query.where(User.disabled_at.is_(None) if state == "enabled" else User.disabled_at.is_not(None))
    if after is not None:
        query = query.where(User.login > after)
    rows = (await db.scalars(query)).all()
    return Page(rows[:limit], rows[limit - 1].login if len(rows) > limit else None)


async def get_user(db: AsyncSession, tenant_id: int, user_id: int) -> User:
    """One user of the tenant; raises :class:`NotFound`."""
    user = await db.get(User, user_id)
    if user is None or user.tenant_id != tenant_id:
        raise NotFound("user", user_id)
    return user


async def add_user(
    db: AsyncSession, who: Principal, login: str, name: str, password: str, *, email: str = "", now: int
) -> User:
    """Enter somebody, without rights yet; ``password`` "": they come through the identity provider only.

    Raises :class:`AccountError`.
    """
    login = login_name(login)
    stored = await _hashed(password, login)
    user = new_user(who.tenant_id, login, name, stored, now, email.strip())
    try:
        async with db.begin_nested():
            db.add(user)
    except IntegrityError as error:
        raise AccountConflict(f"Login name {login!r} is taken.") from error
    await db.refresh(user)
    after = {"name": user.name, "email": user.email, "has_password": bool(stored)}
    record(db, who, "created", "user", login, object_id=user.id, after=after)
    return user


async def edit_user(
    db: AsyncSession, who: Principal, user_id: int, *, name: str | None = None, email: str | None = None
) -> User:
    """Change name and e-mail; raises :class:`NotFound`, :class:`BeyondOwnRights`."""
    user = await _managed(db, who, user_id)
    before = {"name": user.name, "email": user.email}
    if name is not None:
        user.name = name.strip()[:200] or user.login
    if email is not None:
        user.email = email.strip()[:200]
    after = {"name": user.name, "email": user.email}
    record(db, who, "changed", "user", user.login, object_id=user.id, before=before, after=after)
    return user


async def set_disabled(db: AsyncSession, who: Principal, user_id: int, disabled: bool, now: int) -> User:
    """Shut somebody out, their sessions end and their keys open nothing; or let them in again.

    Raises :class:`NotFound`, :class:`BeyondOwnRights`, :class:`Conflict` (nobody could manage accounts any more).
    """
    await hold_tenant(db, who.tenant_id)
    user = await _managed(db, who, user_id)
    if disabled == (user.disabled_at is not None):
        return user
    user.disabled_at = now if disabled else None
    if disabled:
        await close_all(db, user.id)
        await require_administrator(db, who.tenant_id)
    record(db, who, "changed", "user", user.login, object_id=user.id, before={"disabled": not disabled},
           after={"disabled": disabled})  # fmt: skip
    return user


async def unlock(db: AsyncSession, who: Principal, user_id: int) -> User:
    """Forget failed tries: the next one is looked at at once."""
    user = await _managed(db, who, user_id)
    if user.failed_logins:
        record(db, who, "unlocked", "user", user.login, object_id=user.id, before={"failures": user.failed_logins})
    user.failed_logins, user.locked_until = 0, None
    return user


async def reset_password(db: AsyncSession, who: Principal, user_id: int, password: str) -> User:
    """Set somebody's password ("": none, they come through the identity provider); all their sessions end.

    Raises :class:`NotFound`, :class:`BeyondOwnRights`, :class:`PasswordRefused`.
    """
    user = await _managed(db, who, user_id)
    had = bool(user.password_hash)
    user.password_hash = await _hashed(password, user.login)
    user.failed_logins, user.locked_until = 0, None
    await close_all(db, user.id)
    record(db, who, "password-reset", "user", user.login, object_id=user.id, before={"has_password": had},
           after={"has_password": bool(password)})  # fmt: skip
    return user


async def reset_second_factor(db: AsyncSession, who: Principal, user_id: int) -> User:
    """Take somebody's second factor away: their app is lost, and the recovery codes too."""
    user = await _managed(db, who, user_id)
    if user.totp_secret:
        record(db, who, "changed", "user", user.login, object_id=user.id, before={"second_factor": True},
               after={"second_factor": False})  # fmt: skip
    second_factor.clear(user)
    return user


async def add_grant(db: AsyncSession, who: Principal, user_id: int, role_key: str, place: Place) -> Grant:
    """Give somebody a role somewhere; having it there already changes nothing.

    Raises :class:`NotFound`, :class:`Refused`, :class:`BeyondOwnRights`.
    """
    user = await _managed(db, who, user_id)
    role = await roles.get_role(db, who.tenant_id, role_key)
    name = await _place_name(db, who.tenant_id, place)
    await require_covering(db, who, parse(role.permissions), place.group_id, place.gateway_id)
    same = (each for each in user.grants if (each.role_id, each.group_id, each.gateway_id) == (role.id, *_ids(place)))
    if (found := next(same, None)) is not None:
        return found
    if len(user.grants) >= _MOST_GRANTS:
        raise Refused("grants", f"nobody has more than {_MOST_GRANTS}: give a role in a group further up")
    row = await roles.grant(db, user, role_key, group_id=place.group_id, gateway_id=place.gateway_id)
    await db.refresh(user, ["grants"])
    record(db, who, "granted", "user", user.login, object_id=user.id, after={"role": role_key, "where": name})
    return row


async def remove_grant(db: AsyncSession, who: Principal, user_id: int, grant_id: int) -> None:
    """Take a role from somebody; raises :class:`NotFound`, :class:`BeyondOwnRights`, :class:`Conflict`."""
    await hold_tenant(db, who.tenant_id)
    user = await _managed(db, who, user_id)
    row = next((each for each in user.grants if each.id == grant_id), None)
    if row is None:
        raise NotFound("grant", grant_id)
    name = await _place_name(db, who.tenant_id, Place(row.group_id, row.gateway_id))
    record(db, who, "withdrawn", "user", user.login, object_id=user.id, before={"role": row.role.key, "where": name})
    user.grants.remove(row)
    await require_administrator(db, who.tenant_id)


async def end_sessions(db: AsyncSession, who: Principal, user_id: int) -> None:
    """End all sessions of somebody."""
    user = await _managed(db, who, user_id)
    await close_all(db, user.id)
    record(db, who, "sessions-ended", "user", user.login, object_id=user.id)


async def grant_views(db: AsyncSession, user: User) -> Sequence[GrantView]:
    """A user's grants with the names of their places."""
    groups = {each.group_id for each in user.grants if each.group_id is not None}
    gateways = {each.gateway_id for each in user.grants if each.gateway_id is not None}
    in_groups = select(CustomerGroup.id, CustomerGroup.name).where(CustomerGroup.id.in_(groups))
    at_gateways = select(Gateway.id, Gateway.key).where(Gateway.id.in_(gateways))
    group_names: dict[int | None, str] = {row[0]: row[1] for row in await db.execute(in_groups)}
    gateway_names: dict[int | None, str] = {row[0]: row[1] for row in await db.execute(at_gateways)}
    return [
        GrantView(each, group_names.get(each.group_id, ""), gateway_names.get(each.gateway_id, ""))
        for each in sorted(user.grants, key=lambda each: each.id)
    ]


async def count_by_state(db: AsyncSession, tenant_id: int, now: int) -> dict[str, int]:
    """How many users there are, and how many of them are disabled and locked now."""
    query = select(
        func.count(), func.count(User.disabled_at), func.count().filter(User.locked_until > now)
    ).where(User.tenant_id == tenant_id)  # fmt: skip
    users, disabled, locked = (await db.execute(query)).one()
    return {"users": users, "disabled": disabled, "locked": locked}


async def _managed(db: AsyncSession, who: Principal, user_id: int) -> User:
    """The user to be changed, locked until the end; nobody changes who has more rights than they."""
    user = await db.scalar(
        select(User).where(User.id == user_id, User.tenant_id == who.tenant_id).with_for_update(of=User)
    )
    if user is None:
        raise NotFound("user", user_id)
    await require_above(db, who, user)
    return user


async def _place_name(db: AsyncSession, tenant_id: int, place: Place) -> str:
    """What the audit log calls a place; raises :class:`Refused` when there is none such."""
    if place.group_id is not None and place.gateway_id is not None:
        raise Refused("gateway", "a role holds in a group or at a gateway: name one of them")
    if place.group_id is not None:
        group = await db.get(CustomerGroup, place.group_id)
        if group is None or group.tenant_id != tenant_id:
            raise Refused("group", f"there is no group {place.group_id}")
        return f"group {group.name}"
    if place.gateway_id is not None:
        gateway = await db.get(Gateway, place.gateway_id)
        if gateway is None or gateway.tenant_id != tenant_id:
            raise Refused("gateway", f"there is no gateway {place.gateway_id}")
        return f"gateway {gateway.key}"
    return "everywhere"


def _ids(place: Place) -> tuple[int | None, int | None]:
    return place.group_id, place.gateway_id


async def _hashed(password: str, login: str) -> str:
    if not password:
        return ""
    passwords.check_new(password, login)
    return await passwords.hash_password(password)
