"""The plan of forwarded ports, as gateways last told it, and when a meter was last read well."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.reach import is_part
from central.ccee.models import CceeConnection
from central.ccee.verdicts import SELF_TEST, Outcome
from central.fleet.models import GatewayLive
from central.fleet.states import decode_state, meter_states
from central.registry.models import Gateway, Meter
from shared.wire import ForwardState, MeterState

#: The plan looks so far back for a success of the CCEE, s; what lies before is known from the gateway, if at all.
_LOOKED_BACK: Final = 40 * 86400


@dataclass(frozen=True, slots=True)
class ForwardLine:
    """One forwarded port. ``last_ccee_ok``, ``last_own_ok``: the later of what the gateway says and what is held."""

    gateway: str
    gateway_name: str
    online: bool
    meter: str
    meter_name: str
    state: ForwardState
    last_ccee_ok: int | None
    last_own_ok: int | None


@dataclass(frozen=True, slots=True)
class LastSuccess:
    """Last instants (UTC s) at which the CCEE, the self-test as CCEE, and our own reading succeeded."""

    ccee: int | None
    self_test: int | None
    own: int | None


async def forwards(
    session: AsyncSession, tenant_id: int, now: int, gateway_id: int | None = None
) -> Sequence[ForwardLine]:
    """All forwards of the fleet, or of one gateway, in order of gateway and port."""
    query = (
        select(GatewayLive, Gateway.key, Gateway.name)
        .join(Gateway, Gateway.id == GatewayLive.gateway_id)
        .where(Gateway.tenant_id == tenant_id)
        .order_by(Gateway.key)
    )
    if gateway_id is not None:
        query = query.where(Gateway.id == gateway_id)
    ccee = await _last(session, tenant_id, now, gateway_id)
    names: dict[str, str] = {
        row[0]: row[1] or row[2]
        for row in (
            await session.execute(select(Meter.key, Meter.name, Meter.serial).where(Meter.tenant_id == tenant_id))
        ).all()
    }
    lines = []
    for live, key, name in (await session.execute(query)).all():
        state = decode_state(live)
        meters = meter_states(state)
        for each in sorted(state.forwards if state else (), key=lambda each: (each.listen, each.meter)):
            if each.meter not in names and is_part(session, live.gateway_id):
                continue
            own = meters.get(each.meter)
            lines.append(
                ForwardLine(
                    key, name, live.online, each.meter, names.get(each.meter, each.meter), each,
                    latest(each.last_ccee_ok, ccee.get(each.meter)),
                    latest(each.last_own_ok, own.last_ok if own else None),
                )
            )  # fmt: skip
    return lines


async def last_success(
    session: AsyncSession, tenant_id: int, meter: Meter, state: MeterState | None, forward: ForwardState | None
) -> LastSuccess:
    """When a meter was last read well, without touching its line (F9)."""
    query = _successes(tenant_id).where(CceeConnection.meter_id == meter.id)
    ccee = await session.scalar(query.where(CceeConnection.mode != SELF_TEST))
    tested = await session.scalar(query.where(CceeConnection.mode == SELF_TEST))
    return LastSuccess(
        latest(_seconds(ccee), forward.last_ccee_ok if forward else None),
        _seconds(tested),
        latest(state.last_ok if state else None, forward.last_own_ok if forward else None),
    )


async def forward_of(session: AsyncSession, meter: Meter) -> ForwardState | None:
    """The forward of one meter as its gateway last told it."""
    if meter.gateway_id is None:
        return None
    state = decode_state(await session.get(GatewayLive, meter.gateway_id))
    return next((each for each in (state.forwards if state else ()) if each.meter == meter.key), None)


def latest(*instants: int | None) -> int | None:
    """The latest of instants of which some are not known."""
    return max((each for each in instants if each is not None), default=None)


async def _last(session: AsyncSession, tenant_id: int, now: int, gateway_id: int | None) -> dict[str, int]:
    query = (
        select(Meter.key, func.max(CceeConnection.ended_ms))
        .join(Meter, Meter.id == CceeConnection.meter_id)
        .where(
            CceeConnection.tenant_id == tenant_id, CceeConnection.outcome == str(Outcome.OK),
            CceeConnection.mode != SELF_TEST,
        )
        .group_by(Meter.key)
    )  # fmt: skip
    if gateway_id is not None:
        query = query.where(CceeConnection.gateway_id == gateway_id)
    return {row[0]: row[1] // 1000 for row in (await session.execute(query)).all()}


def _successes(tenant_id: int) -> Any:
    return select(func.max(CceeConnection.ended_ms)).where(
        CceeConnection.tenant_id == tenant_id, CceeConnection.outcome == str(Outcome.OK)
    )


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // 1000
