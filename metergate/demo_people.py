"""The people of the demonstration: who is missing is entered, each with a role and where it holds."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import User
from central.accounts.passwords import hash_password
from central.accounts.roles import grant
from central.accounts.service import TenantOf, ensure_tenant
from central.registry.models import CustomerGroup, Gateway
from central.settings import load
from central.store.engine import Database, open_database
from metergate.demo_plan import PEOPLE, TENANT, ZONE


async def enter(database: Database, password: str) -> None:
    """Enter all who are missing, with one password; groups and gateways they are bound to have to be there."""
    stored, now = await hash_password(password), int(time.time())
    async with database.write() as db:
        tenant = (await ensure_tenant(db, TenantOf(TENANT, TENANT, ZONE))).id
        there = set(await db.scalars(select(User.login)))
        for person in PEOPLE:
            if person.login in there:
                continue
            user = User(
                tenant_id=tenant, login=person.login, name=person.name, password_hash=stored, created_at=now
            )  # fmt: skip
            db.add(user)
            await db.flush()
            group = await _id_of(db, tenant, CustomerGroup, CustomerGroup.name, person.group)
            gateway = await _id_of(db, tenant, Gateway, Gateway.key, person.gateway)
            await grant(db, user, person.role, group_id=group, gateway_id=gateway)


async def _id_of(db: AsyncSession, tenant: int, kind: Any, column: Any, value: str) -> int | None:
    if not value:
        return None
    return int((await db.scalars(select(kind.id).where(kind.tenant_id == tenant, column == value))).one())


async def main(file: str) -> None:
    database = open_database(load())
    try:
        await enter(database, Path(file).read_text().split("\n", 1)[0])
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
