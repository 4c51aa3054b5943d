"""Write what gateways told of themselves through their stream: telemetry and results of commands."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.fleet.models import FleetCommand, GatewayHealth, GatewayLive, ModuleHealth
from central.store.upsert import upsert
from shared.wire import GatewayTelemetry, Result, encode


async def store_telemetry(
    session: AsyncSession, rows: Sequence[tuple[int, int, GatewayTelemetry, Sequence[tuple[int, Any]]]]
) -> None:
    """Store (tenant, gateway, telemetry, [(module id, its telemetry)]); the same instant again replaces."""
    gateways = [
        {
            "tenant_id": tenant_id, "gateway_id": gateway_id, "at": telemetry.at, "spool_rows": telemetry.spool_rows,
            "rss_bytes": telemetry.rss_bytes, "clock_offset_ms": telemetry.clock_offset_ms, "data": encode(telemetry),
        }
        for tenant_id, gateway_id, telemetry, _ in rows
    ]  # fmt: skip
    modules = [
        {
            "tenant_id": tenant_id, "module_id": module_id, "at": telemetry.at, "temperature": module.temperature,
            "signal_dbm": module.signal_dbm, "signal_percent": module.signal_percent,
        }
        for tenant_id, _, telemetry, all_modules in rows
        for module_id, module in all_modules
    ]  # fmt: skip
    if gateways:
        figures = ("spool_rows", "rss_bytes", "clock_offset_ms", "data")
        await session.execute(upsert(session, GatewayHealth, update=figures), gateways)
    if modules:
        signals = ("temperature", "signal_dbm", "signal_percent")
        await session.execute(upsert(session, ModuleHealth, update=signals), modules)


async def finish_command(session: AsyncSession, gateway_id: int, result: Result, now: int) -> bool:
    """Write a command's final answer; False when this gateway was never given such a command.

    An answer that comes after the command was taken for expired still counts: it is what happened. A second answer
    changes nothing.
    """
    given = FleetCommand.id == result.command, FleetCommand.gateway_id == gateway_id
    if await session.scalar(select(FleetCommand.id).where(*given)) is None:
        return False
    await session.execute(
        update(FleetCommand)
        .where(*given, FleetCommand.result.is_(None))
        .values(
            status="done" if result.ok else "failed",
            code=result.code,
            message=result.message,
            result=encode(result),
            finished_at=now,
        )
    )
    return True


async def note_contact(session: AsyncSession, gateway_ids: Sequence[int], now: int) -> None:
    """Remember that these gateways were heard."""
    rows = [
        {"gateway_id": gateway_id, "online": False, "contact_at": now, "config": "", "config_hash": ""}
        for gateway_id in sorted(gateway_ids)
    ]
    if rows:
        await session.execute(upsert(session, GatewayLive, update=("contact_at",)), rows)
