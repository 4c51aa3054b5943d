"""What the demonstration enters before anything runs: registry, people with their roles and reach."""

from pathlib import Path

from sqlalchemy import select

from central.accounts.models import Grant, Tenant, User
from central.accounts.passwords import verify
from central.accounts.permissions import Permission
from central.accounts.principal import Principal
from central.accounts.service import TenantOf, ensure_tenant
from central.registry import importer
from central.registry.models import Meter
from central.store.engine import open_url
from central.store.migrate import migrate
from metergate.demo_people import enter
from metergate.demo_plan import PEOPLE, TENANT, ZONE, registry_toml


async def test_people_and_what_they_see(tmp_path: Path) -> None:
    database = open_url(f"sqlite+aiosqlite:///{tmp_path / 'demo.sqlite'}")
    await migrate(database)
    async with database.write() as db:
        tenant = await ensure_tenant(db, TenantOf(TENANT, TENANT, ZONE))
        await importer.import_registry(db, tenant.id, importer.parse(registry_toml()))
        db.add(Meter(tenant_id=tenant.id, key="other", serial="1", created_at=0))
    await enter(database, "three blue horses")
    await enter(database, "another password")  # a later start changes nobody
    async with database.read() as db:
        users = {user.login: user for user in await db.scalars(select(User))}
        assert set(users) == {person.login for person in PEOPLE}
        assert await verify(users["admin"].password_hash, "three blue horses")
        assert len((await db.scalars(select(Grant))).all()) == len(PEOPLE)
        assert (await db.scalars(select(Tenant))).one().zone == ZONE
    for login, seen in (("admin", 13), ("operador", 13), ("campo", 6), ("consulta", 12)):
        reach = Principal.of_session(users[login], "", b"").reach(Permission.READ)
        async with database.read(reach=reach) as db:
            assert len((await db.scalars(select(Meter))).all()) == seen, login
    assert Principal.of_session(users["campo"], "", b"").may(Permission.COMMAND)
    assert not Principal.of_session(users["consulta"], "", b"").may(Permission.COMMAND)
    await database.close()
