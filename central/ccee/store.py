"""Write what gateways told of the CCEE's connections; alarms follow in the same transaction."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.alarms import service as alarms
from central.ccee.captures import decode_part
from central.ccee.conditions import CODES, Session, conditions
from central.ccee.models import CceeCapture, CceeConnection
from central.ccee.verdicts import GOOD, NO_CONNECTION, SELF_TEST, SOURCE, Outcome, codes, outcome
from central.store.upsert import upsert
from shared.wire import ForwardCapture, ForwardConnection

_KEYS: Final = ("tenant_id", "meter_id", "forward", "started_ms")


async def store_connections(
    session: AsyncSession, connections: Sequence[tuple[int, int, int, ForwardConnection]], now: int
) -> None:
    """Store (tenant, meter, gateway, connection) and judge the meters anew; one that is held changes nothing.

    The meters are locked by who calls, so that two batches of one meter are judged one after the other.
    """
    if not connections:
        return
    rows = [
        {
            "tenant_id": tenant_id, "meter_id": meter_id, "gateway_id": gateway_id, "forward": each.forward,
            "mode": each.mode, "source": each.source, "listen": each.listen, "started_ms": each.started_ms,
            "ended_ms": each.ended_ms, "sent": each.sent, "received": each.received,
            "first_byte_ms": each.first_byte_ms, "longest_silence_ms": each.longest_silence_ms,
            "close_reason": each.close_reason, "protocol": each.protocol, "verdict": each.verdict,
            "outcome": str(outcome(each)),
            "codes": " ".join(codes(each)), "reason": each.reason, "serial": each.serial,
            "clock_offset_ms": each.clock_offset_ms, "range_start": each.range_start, "range_end": each.range_end,
            "delivered_end": each.delivered_end, "more": each.more,
            "exchanges": msgspec.msgpack.encode(each.exchanges),
            "constants": msgspec.json.encode(each.constants, order="sorted").decode(),
            "facts": msgspec.json.encode(each.facts, order="sorted").decode(), "received_at": now,
        }
        for tenant_id, meter_id, gateway_id, each in connections
    ]  # fmt: skip
    await session.execute(upsert(session, CceeConnection, keys=_KEYS), rows)
    earliest: dict[tuple[int, int], int] = {}
    for tenant_id, meter_id, _, each in connections:
        place = tenant_id, meter_id
        earliest[place] = min(each.started_ms, earliest.get(place, each.started_ms))
    for (tenant_id, meter_id), since in sorted(earliest.items()):
        await judge(session, tenant_id, meter_id, since, now)


async def store_captures(session: AsyncSession, captures: Sequence[tuple[int, int, ForwardCapture]]) -> None:
    """Store (tenant, meter, part of a capture); one that is held changes nothing."""
    rows = [
        {
            "tenant_id": tenant_id, "meter_id": meter_id, "started_ms": each.started_ms, "part": each.part,
            "parts": each.parts, "data": each.data,
        }
        for tenant_id, meter_id, each in captures
    ]  # fmt: skip
    if rows:
        await session.execute(upsert(session, CceeCapture), rows)


def check_connection(connection: ForwardConnection) -> None:
    """Raise ValueError for a connection that ends before it starts."""
    if connection.ended_ms < connection.started_ms:
        raise ValueError(f"the connection ends {connection.started_ms - connection.ended_ms} ms before it starts")


def check_capture(capture: ForwardCapture) -> None:
    """Raise ValueError for a capture that could not be read back."""
    decode_part(capture.data)


async def judge(session: AsyncSession, tenant_id: int, meter_id: int, since: int, now: int) -> None:
    """Bring a meter's alarms in step with its sessions, as far as one started at ``since`` (ms) can change them."""
    each = CceeConnection
    of_meter = each.tenant_id == tenant_id, each.meter_id == meter_id
    # before a session that is good in every respect nothing can change
    clean = select(func.max(each.started_ms)).where(
        *of_meter, each.mode != SELF_TEST, each.codes == GOOD, each.started_ms < since
    )
    start = await session.scalar(clean) or 0
    query = select(
        each.started_ms, each.ended_ms, each.mode, each.verdict, each.outcome, each.reason, each.codes
    ).where(*of_meter, each.started_ms >= start)  # fmt: skip
    sessions = sorted(Session(*row) for row in await session.execute(query))
    await alarms.reconcile(
        session, tenant_id, SOURCE, meter_id, conditions(sessions), codes=CODES, since=start, now=now
    )
    await _missing(session, tenant_id, meter_id, sessions, now)


async def _missing(session: AsyncSession, tenant_id: int, meter_id: int, sessions: Sequence[Session], now: int) -> None:
    """An alarm of a missing connection (I01): withdrawn when one in its window arrives late, closed by a success.

    Its key is the start of the window it is about, its instant of opening the end of it (both s).
    """
    ccee = [each for each in sessions if not each.is_test]
    for row in await alarms.active(session, tenant_id, SOURCE, meter_id, NO_CONNECTION):
        start, end = (row.key or 0) * 1000, row.opened_at * 1000
        if any(start <= each.started_ms < end for each in ccee):
            await alarms.withdraw(session, row, now)
            continue
        success = next((s for s in ccee if s.started_ms >= end and s.outcome == Outcome.OK), None)
        if success is not None:
            await alarms.close(session, row, success.ended_ms // 1000, now)
