"""Who manages whom: the last administrator, no more than one has, places of roles; what the audit log says of it."""

import time
from typing import Any

import pytest
from sqlalchemy import select

from central.accounts import keys, roles, sessions, users
from central.accounts.errors import (
    AccountConflict,
    BeyondOwnRights,
    LastAdministrator,
    LoginRefused,
    PasswordRefused,
    RoleInUse,
    RoleStays,
)
from central.accounts.models import User
from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.accounts.service import login
from central.accounts.throttle import FREE_TRIES, LoginGate
from central.accounts.users import Place
from central.audit.models import AuditEntry
from central.audit.search import AuditFilter, changes, search
from central.errors import Conflict, NotFound, Refused
from central.store.engine import Database
from tests.central.world import FAR, Side, add_far, make_side

NOW = int(time.time())
WORD = "a long enough word"


async def who(database: Database, user_id: int) -> Principal:
    """The principal of a user, as a new request finds it."""
    async with database.read() as db:
        return Principal.of_session(await db.get_one(User, user_id), "", b"", "10.0.0.9")


async def manager(database: Database, side: Side, role: str = "manager", *permissions: str) -> Principal:
    """Somebody with a role of their own in the whole tenant."""
    admin = await who(database, side.admin.id)
    async with database.write() as db:
        await roles.create_role(db, admin, role, "", permissions or ("read", "accounts"))
        user = await users.add_user(db, admin, f"{role}@ours", "", WORD, now=NOW)
        await users.add_grant(db, admin, user.id, role, Place())
    return await who(database, user.id)


async def test_the_last_administrator_stays(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin = await who(database, side.admin.id)
    grant = (await _user(database, side.admin.id)).grants[0].id
    attempts: list[Any] = [
        lambda db: users.set_disabled(db, admin, side.admin.id, True, NOW),
        lambda db: users.remove_grant(db, admin, side.admin.id, grant),
        lambda db: roles.edit_role(db, admin, "administrator", permissions=["read"]),
    ]
    for attempt in attempts:
        with pytest.raises(LastAdministrator):
            async with database.write() as db:
                await attempt(db)
    assert (await who(database, side.admin.id)).everywhere("accounts")
    async with database.write() as db:  # one in a group only is none
        await users.add_grant(db, admin, side.viewer.id, "administrator", Place())
        await users.set_disabled(db, admin, side.admin.id, True, NOW)
    assert (await who(database, side.viewer.id)).everywhere("accounts")


async def test_in_a_part_accounts_count_for_nothing(database: Database) -> None:
    side = await make_side(database, "ours")
    admin = await who(database, side.admin.id)
    async with database.write() as db:
        user = await users.add_user(db, admin, "part@ours", "", WORD, now=NOW)
        await users.add_grant(db, admin, user.id, "administrator", Place(group_id=side.ids["group"]))
    part = await who(database, user.id)
    assert part.permissions == {
        Permission.READ, Permission.REGISTRY, Permission.COMMAND, Permission.CONTROL, Permission.ENROLMENT,
        Permission.ALARMS, Permission.MAIL,
    }  # fmt: skip
    with pytest.raises(LastAdministrator):
        async with database.write() as db:
            await users.set_disabled(db, admin, side.admin.id, True, NOW)


async def test_nobody_gives_or_rules_over_more_than_they_have(database: Database) -> None:
    side = await make_side(database, "ours")
    far = await add_far(database, side)
    admin, small = await who(database, side.admin.id), await manager(database, side)
    async with database.write() as db:
        viewer = await users.add_user(db, admin, "v@ours", "", WORD, now=NOW)
        await users.add_grant(db, admin, small.user_id, "operator", Place(group_id=side.ids["group"]))
    small = await who(database, small.user_id)
    refused: list[Any] = [
        lambda db: users.add_grant(db, small, viewer.id, "administrator", Place()),
        lambda db: users.add_grant(db, small, viewer.id, "operator", Place()),
        lambda db: users.add_grant(db, small, viewer.id, "operator", Place(group_id=far["group"])),
        lambda db: users.add_grant(db, small, viewer.id, "operator", Place(gateway_id=far["gateway"])),
        lambda db: roles.create_role(db, small, "mine", "", ["control"]),
        lambda db: roles.edit_role(db, small, "manager", permissions=["read", "accounts", "audit"]),
        lambda db: users.reset_password(db, small, side.admin.id, "another long word"),
        lambda db: users.reset_second_factor(db, small, side.admin.id),
        lambda db: users.set_disabled(db, small, side.viewer.id, True, NOW),
        lambda db: users.edit_user(db, small, side.admin.id, email="mine@evil.example"),
    ]
    for attempt in refused:
        with pytest.raises(BeyondOwnRights):
            async with database.write() as db:
                await attempt(db)
    async with database.write() as db:
        await users.add_grant(db, small, viewer.id, "viewer", Place())
        await users.add_grant(db, small, viewer.id, "operator", Place(group_id=side.ids["group"]))
        await users.reset_password(db, small, viewer.id, "another long word")
        for place in (Place(group_id=1 << 40), Place(gateway_id=1 << 40), Place(1, 1)):
            with pytest.raises(Refused):
                await users.add_grant(db, small, viewer.id, "viewer", place)
        with pytest.raises(NotFound):
            await users.add_grant(db, small, viewer.id, "nothing", Place())


async def test_a_key_that_manages_accounts_rules_over_nobody_mightier(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin = await who(database, side.admin.id)
    async with database.write() as db:
        _, text = await keys.create_key(
            db, admin, "k", permissions=keys.scope(admin, ["accounts", "read"]), expires_at=None, now=NOW
        )
        with pytest.raises(Refused):
            keys.scope(admin, [])
    key = await keys.find_key(database, text, NOW)
    assert key is not None
    assert key.permissions == {Permission.ACCOUNTS, Permission.READ}
    with pytest.raises(BeyondOwnRights):
        async with database.write() as db:
            await users.reset_password(db, key, side.admin.id, "another long word")


async def test_tenants_do_not_meet(database: Database) -> None:
    ours, theirs = await make_side(database, "ours", filled=False), await make_side(database, "theirs", filled=False)
    admin = await who(database, theirs.admin.id)
    async with database.write() as db:
        for attempt in (users.unlock, users.end_sessions, users.reset_second_factor):
            with pytest.raises(NotFound):
                await attempt(db, admin, ours.viewer.id)
        with pytest.raises(NotFound):
            await users.get_user(db, admin.tenant_id, ours.viewer.id)
        assert [row.login for row in (await users.list_users(db, admin.tenant_id)).items] == [
            "admin@theirs", "viewer@theirs",
        ]  # fmt: skip
        with pytest.raises(AccountConflict):
            await users.add_user(db, admin, "ADMIN@ours", "", WORD, now=NOW)


async def test_roles_of_ones_own(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin = await who(database, side.admin.id)
    async with database.write() as db:
        await roles.create_role(db, admin, "night", "Night shift", ["alarms", "read"])
        with pytest.raises(Conflict):
            await roles.create_role(db, admin, "night", "", ["read"])
        for key, permissions in (("Night", ["read"]), ("", ["read"]), ("x" * 65, ["read"]), ("ok", ["fly"])):
            with pytest.raises(Refused):
                await roles.create_role(db, admin, key, "", permissions)
        row = await users.add_grant(db, admin, side.viewer.id, "night", Place())
        with pytest.raises(RoleInUse) as used:
            await roles.delete_role(db, admin, "night")
        assert used.value.holders == ["viewer@ours"]
        with pytest.raises(RoleStays):
            await roles.delete_role(db, admin, "viewer")
    assert (await who(database, side.viewer.id)).may("alarms")
    async with database.write() as db:
        await roles.edit_role(db, admin, "night", permissions=["read", "audit"])
        assert [(role.key, count) for role, count in await roles.list_roles(db, admin.tenant_id)][-1] == ("night", 1)
    assert (await who(database, side.viewer.id)).may("audit")
    async with database.write() as db:
        await users.remove_grant(db, admin, side.viewer.id, row.id)
        await roles.delete_role(db, admin, "night")


async def test_disabled_locked_and_reset(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin, gate = await who(database, side.admin.id), LoginGate()
    async with database.write() as db:
        user = await users.add_user(db, admin, "ana@ours", "Ana", WORD, email="ana@example.org", now=NOW)
        with pytest.raises(PasswordRefused):
            await users.reset_password(db, admin, user.id, "short")

    async def come(word: str) -> str:
        return (await login(database, gate, "ana@ours", word, address="1", agent="t", now=NOW)).token

    for _ in range(FREE_TRIES):
        with pytest.raises(LoginRefused):
            await come("wrong")
    async with database.write() as db:
        assert (await users.count_by_state(db, admin.tenant_id, NOW))["locked"] == 1
        assert [row.login for row in (await users.list_users(db, admin.tenant_id, state="locked", now=NOW)).items] == [
            "ana@ours"
        ]
        await users.unlock(db, admin, user.id)
    token = await come(WORD)
    async with database.write() as db:
        await users.set_disabled(db, admin, user.id, True, NOW)
    assert await sessions.find_session(database, token, NOW) is None
    async with database.write() as db:
        await users.set_disabled(db, admin, user.id, False, NOW)
        await users.reset_password(db, admin, user.id, "")
    for word in (WORD, "", "nobody has this password"):  # without a password nothing is right
        with pytest.raises(LoginRefused):
            await come(word)


async def test_sessions_end_one_by_one(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin, viewer = await who(database, side.admin.id), await who(database, side.viewer.id)
    async with database.write() as db:
        second = await sessions.open_session(db, await db.get_one(User, viewer.user_id), "10.1.1.1", "Firefox", NOW)
        found = await sessions.list_sessions(db, viewer.user_id, NOW)
        names = {sessions.session_id(row) for row in found}
        assert len(names) == 2
        assert second.token not in str(names)
        with pytest.raises(NotFound):
            await sessions.close_one(db, admin, admin.user_id, names.copy().pop(), NOW)
        for name in names:
            await sessions.close_one(db, viewer, viewer.user_id, name, NOW)
        assert await sessions.list_sessions(db, viewer.user_id, NOW) == []


async def test_everything_is_in_the_audit_log_and_no_secret(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin = await who(database, side.admin.id)
    async with database.write() as db:
        user = await users.add_user(db, admin, "ana@ours", "Ana", WORD, now=NOW)
        await users.add_grant(db, admin, user.id, "viewer", Place())
        await users.edit_user(db, admin, user.id, name="Ana Maria")
        await users.reset_password(db, admin, user.id, "another long word")
        await users.set_disabled(db, admin, user.id, True, NOW)
    with pytest.raises(LoginRefused):
        await login(database, LoginGate(), "ana@ours", "wrong word here", address="10.2.2.2", agent="t", now=NOW)
    async with database.read() as db:
        rows = (await db.scalars(select(AuditEntry).where(AuditEntry.key == "ana@ours").order_by(AuditEntry.id))).all()
        assert [row.action for row in rows] == [
            "created", "granted", "changed", "password-reset", "changed", "refused",
        ]  # fmt: skip
        assert {(row.author, row.address) for row in rows[:5]} == {("admin@ours", "10.0.0.9")}
        assert (rows[5].author, rows[5].address) == ("ana@ours", "10.2.2.2")
        assert [(each.field, each.old, each.new) for each in changes(rows[2])] == [("name", "Ana", "Ana Maria")]
        stored = " ".join(row.before + row.after for row in rows)
        assert not any(word in stored for word in (WORD, "another long word", "wrong word", "argon2"))
        found = await search(db, admin.tenant_id, AuditFilter(text="ana maria", who="ADMIN"))
        assert [row.id for row in found.items] == [rows[2].id]


async def test_search_pages_and_filters(database: Database) -> None:
    side = await make_side(database, "ours", filled=False)
    admin = await who(database, side.admin.id)
    async with database.write() as db:
        user = await users.add_user(db, admin, "ana@ours", "0", WORD, now=NOW)
        for number in range(1, 8):
            await users.edit_user(db, admin, user.id, name=f"100%_{number}")
    async with database.read() as db:
        wanted = AuditFilter(kind="user", key="ana@ours", action="changed", start=NOW - 60, end=NOW + 600)
        seen, after = [], None
        while True:
            found = await search(db, admin.tenant_id, wanted, after=after, limit=3)
            seen += [changes(row)[0].new for row in found.items]
            if (after := found.next) is None:
                break
        assert seen == [f"100%_{number}" for number in range(7, 0, -1)]
        for nothing in (AuditFilter(text="100__"), AuditFilter(end=1), AuditFilter(object_id=-1), AuditFilter(who=FAR)):
            assert (await search(db, admin.tenant_id, nothing)).items == []
        assert (await search(db, admin.tenant_id + 1, wanted)).items == []
        with pytest.raises(Refused):
            await search(db, admin.tenant_id, wanted, after="x")


async def _user(database: Database, user_id: int) -> User:
    async with database.read() as db:
        return await db.get_one(User, user_id)
