"""Make a fleet: the registry in one transaction, then readings, meters some hundreds at a time.

A fleet that was begun says so in the audit log, with all it follows from. Begun again with the same parameters it goes
on after the last block that is there, since each is written whole or not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.audit.models import AuditEntry
from central.errors import CentralError
from central.metering.days import Blocks
from central.metering.models import MeterMonth, RegisterSet
from central.registry.models import CommunicationModule, Gateway, Meter
from central.seed import registry
from central.seed.bulk import insert_rows
from central.seed.energy import block
from central.seed.live import write_live
from central.seed.plan import Parameters, Plan
from central.seed.profiles import add_profiles
from central.seed.readings import MONTH_COLUMNS, REGISTER_COLUMNS, month_rows, register_rows
from central.store.engine import Database

#: Meters whose readings are written in one transaction: some hundred thousand rows.
METERS: Final = 250
_ACTION: Final = "seed"

Told = Callable[[int, int], None]


class SeedRefused(CentralError):
    """The tenant has something that a fleet would be mixed with; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: rows of registers, and whether the fleet was complete before it."""

    registers: int
    complete: bool


async def seed(database: Database, tenant: Tenant, wanted: Parameters, *, beside: bool = False, told: Told) -> Outcome:
    """Make the fleet, or what is missing of it; ``told`` gets customers done and all, in the order of the work.

    Raises :class:`SeedRefused` for a tenant that has meters of its own (unless ``beside``) or another fleet.
    """
    async with database.write() as session:
        found = await _begun(session, tenant.id)
        if found is None:
            await _refuse_others(session, tenant, beside)
            plan = Plan(wanted)
            base = await registry.bases(session)
            await _write_registry(session, plan, tenant.id, base, wanted)
        elif msgspec.structs.replace(found[0], now=wanted.now, zone=wanted.zone) != wanted:
            have = found[0]
            raise SeedRefused(
                f"tenant {tenant.key!r} has a fleet of {have.customers} customers, {have.months} months, seed "
                f"{have.seed} and {have.profiles} profiles already: give the same to finish it, or another tenant"
            )
        else:
            plan, base = Plan(found[0]), found[1]
    done = await _next_block(database, plan, base)
    complete, rows = done >= plan.meters, 0
    for first in range(done, plan.meters, METERS):
        last = min(first + METERS, plan.meters)
        rows += await _write_block(database, plan, tenant.id, base, first, last)
        told(last, plan.meters)
    if rows and database.dialect == "postgresql":  # so much at once that its own upkeep would come too late
        async with database.write() as session:
            await session.execute(text("ANALYZE"))
    return Outcome(rows, complete)


async def _begun(session: AsyncSession, tenant: int) -> tuple[Parameters, registry.Bases] | None:
    query = select(AuditEntry.after).where(AuditEntry.tenant_id == tenant, AuditEntry.action == _ACTION)
    text = await session.scalar(query.limit(1))
    if text is None:
        return None
    about = msgspec.json.decode(text)
    return msgspec.convert(about["parameters"], Parameters), registry.Bases(**about["bases"])


async def _refuse_others(session: AsyncSession, tenant: Tenant, beside: bool) -> None:
    meters = await session.scalar(select(func.count()).select_from(Meter).where(Meter.tenant_id == tenant.id))
    if meters and not beside:
        raise SeedRefused(
            f"tenant {tenant.key!r} has {meters} meters: a generated fleet would be mixed with them for ever. "
            "Give another --tenant, or --beside if that is meant"
        )
    for kind, key in (
        (Meter, Plan.meter_key(0)),
        (Gateway, Plan.gateway_key(0)),
        (CommunicationModule, Plan.module_key(0)),
    ):
        if await session.scalar(select(kind.id).where(kind.tenant_id == tenant.id, kind.key == key)):
            raise SeedRefused(
                f"tenant {tenant.key!r} has a {kind.__tablename__} {key!r}, as a fleet's first one is called"
            )


async def _write_registry(
    session: AsyncSession, plan: Plan, tenant: int, base: registry.Bases, wanted: Parameters
) -> None:
    await registry.write_lists(session, plan, tenant, base)
    for first in range(0, plan.of.customers, registry.BLOCK):
        last = min(first + registry.BLOCK, plan.of.customers)
        await registry.write_customers(session, plan, tenant, base, first, last)
    await registry.write_words(session, plan, tenant, base)
    for gateway in range(len(plan.gateway_ends)):
        await write_live(session, plan, tenant, base, gateway)
    about = {"parameters": wanted, "bases": base}
    session.add(
        AuditEntry(
            tenant_id=tenant, at=wanted.now, user_id=None, author="metergate central seed", address="", action=_ACTION,
            kind="tenant", object_id=tenant, key="", before="{}", after=msgspec.json.encode(about).decode(),
        )
    )  # fmt: skip


async def _next_block(database: Database, plan: Plan, base: registry.Bases) -> int:
    """The first meter of the first block that is not there."""
    query = select(func.max(MeterMonth.meter_id)).where(
        MeterMonth.meter_id.between(base.meter, base.meter + plan.meters - 1)
    )
    async with database.read() as session:
        last = await session.scalar(query)
    if last is None:
        return 0
    return min(plan.meters, ((last - base.meter) // METERS + 1) * METERS)


async def _write_block(database: Database, plan: Plan, tenant: int, base: registry.Bases, first: int, last: int) -> int:
    part = block(plan, first, last)
    async with database.write() as session:
        rows = await insert_rows(session, RegisterSet, REGISTER_COLUMNS, register_rows(plan, part, tenant, base.meter))
        await insert_rows(session, MeterMonth, MONTH_COLUMNS, month_rows(plan, part, tenant, base.meter))
        blocks = Blocks()
        if add_profiles(plan, part, tenant, base.meter, blocks):
            await blocks.store(session, plan.of.now)
    return rows
