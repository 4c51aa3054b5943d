"""At which meters the CCEE is expected, and up to when gateways have told everything."""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.audit.service import Author, record
from central.ccee.models import CceeMeter
from central.fleet.models import GatewayHealth, GatewayLive
from central.fleet.states import decode_state
from central.ingest.models import Stream, StreamPart
from central.registry.models import Gateway, Meter
from central.store.chunks import chunks
from central.store.upsert import upsert

#: Gateways silent for longer than this have told nothing, s.
_LONGEST_SILENCE = 14 * 86400


def is_expected(row: CceeMeter | None, start: int) -> bool:
    """Whether the CCEE is expected in a window that begins at ``start``: by a person's word, else by a forward."""
    if row is None:
        return False
    if row.expected is not None:
        return row.expected and (row.said_at or 0) <= start
    return row.forward_since is not None and row.forward_since <= start


async def set_expected(session: AsyncSession, who: Author, meter: Meter, expected: bool | None, now: int) -> CceeMeter:
    """Say whether the CCEE reads this meter; None: by its forward."""
    before = await session.get(CceeMeter, meter.id)
    record(session, who, "changed", "ccee_meter", meter.key, object_id=meter.id,
           before={"expected": before.expected if before else None}, after={"expected": expected})  # fmt: skip
    row = {
        "meter_id": meter.id, "tenant_id": who.tenant_id, "expected": expected, "said_by": who.author[:200],
        "said_at": now,
    }  # fmt: skip
    await session.execute(upsert(session, CceeMeter, update=("expected", "said_by", "said_at")), [row])
    found = await session.get(CceeMeter, meter.id, populate_existing=True)
    assert found is not None  # noqa: S101 - it has just been entered
    return found


async def expectation(session: AsyncSession, meter_id: int) -> CceeMeter | None:
    """What is known of a meter; None: neither word nor forward."""
    return await session.get(CceeMeter, meter_id)


async def note_forwards(session: AsyncSession, now: int | None = None) -> None:
    """Remember since when gateways tell of forwards, and forget those that they tell of no more."""
    at = int(time.time()) if now is None else now
    lives = select(GatewayLive, Gateway.tenant_id).join(Gateway, Gateway.id == GatewayLive.gateway_id)
    named: dict[int, set[str]] = {}
    for live, tenant_id in (await session.execute(lives)).all():
        state = decode_state(live)
        if state is not None:
            named.setdefault(tenant_id, set()).update(each.meter for each in state.forwards)
    rows: list[dict[str, Any]] = []
    for tenant_id, keys in named.items():
        for some in chunks(sorted(keys), 1000):
            query = select(Meter.id).where(Meter.tenant_id == tenant_id, Meter.key.in_(some))
            rows += [
                {"meter_id": meter_id, "tenant_id": tenant_id, "said_by": "", "forward_since": at}
                for meter_id in await session.scalars(query)
            ]
    known = {row.meter_id: row.forward_since for row in await session.scalars(select(CceeMeter))}
    fresh = [row for row in rows if known.get(row["meter_id"]) is None]
    if fresh:
        await session.execute(upsert(session, CceeMeter, update=("forward_since",)), fresh)
    with_forward = {row["meter_id"] for row in rows}
    gone = sorted(meter_id for meter_id, since in known.items() if since is not None and meter_id not in with_forward)
    for some_ids in chunks(gone, 1000):
        await session.execute(update(CceeMeter).where(CceeMeter.meter_id.in_(some_ids)).values(forward_since=None))


async def heard(session: AsyncSession, tenant_id: int, now: int) -> Mapping[int, int]:
    """Up to when each gateway (by id) has told everything: its newest health row, unless rows before it are missing."""
    health = (
        select(GatewayHealth.gateway_id, func.max(GatewayHealth.at))
        .where(GatewayHealth.tenant_id == tenant_id, GatewayHealth.at >= now - _LONGEST_SILENCE)
        .group_by(GatewayHealth.gateway_id)
    )
    gapped = set(await session.scalars(select(StreamPart.spool_id).distinct()))
    streams = select(Stream.gateway_id, Stream.spool_id).where(Stream.tenant_id == tenant_id).order_by(Stream.last_at)
    newest = {row[0]: row[1] for row in (await session.execute(streams)).all()}
    return {
        gateway_id: at
        for gateway_id, at in (await session.execute(health)).all()
        if newest.get(gateway_id) not in gapped
    }
