"""What gateways and modules said of late, what happened to meters, and open alarms."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from central.alarms.models import Alarm
from central.alarms.severity import Severity
from central.fleet.models import GatewayHealth, GatewayLive, ModuleHealth
from central.fleet.states import summarise
from central.metering.models import Event
from central.metering.store import digest
from central.seed.bulk import insert_dicts, insert_rows
from central.seed.chance import among, noise, uniform
from central.seed.energy import stopped_on
from central.seed.plan import Plan
from central.seed.registry import Bases
from shared.wire import GatewayState, GatewayTelemetry, LineState, MeterState, ModuleTelemetry, encode

#: Modules told how they are at these times of the last days, s before now.
_TOLD: Final = tuple(range(0, 7 * 86400, 43_200))
_LINES: Final = 4
_SILENT_AFTER: Final = 2 * 86400
_SILENT: Final = "meter {}: command 21 was sent 7 times without an answer"
#: Meters to one open alarm.
_PER_ALARM: Final = 2500


async def write_live(session: AsyncSession, plan: Plan, tenant: int, base: Bases, number: int) -> None:
    """All of one gateway and of the modules and meters behind it."""
    ends = plan.gateway_ends
    first, last = int(ends[number - 1]) if number else 0, int(ends[number])
    customers = np.arange(first, last, dtype=np.int64)
    rng = noise(plan.of.seed, "live", number)
    chance = float(uniform(plan.of.seed, "online", np.array([number]))[0])
    now = plan.of.now
    online = chance > 0.04 or number == 0
    contact = now - int(rng.integers(5, 90)) if online else now - int(rng.integers(3 * 3600, 6 * 86400))
    state = _state(plan, customers, contact, online, rng)
    live = {
        "gateway_id": base.gateway + number, "online": online, "contact_at": contact,
        "changed_at": contact if not online else now - int(rng.integers(86400, 40 * 86400)), "state": encode(state),
        "summary": msgspec.msgpack.encode(summarise(state)), "config": "", "config_hash": "",
    }  # fmt: skip
    await insert_dicts(session, GatewayLive, [live])
    await insert_rows(session, GatewayHealth, _HEALTH, _gateway_health(plan, tenant, base, number, contact, rng))
    await insert_rows(session, ModuleHealth, _MODULE, _module_health(tenant, base, customers, contact, rng))
    await insert_rows(session, Event, _EVENT, _events(plan, tenant, base, number, customers, rng))
    alarms = [n for n in customers.tolist() if n % _PER_ALARM == 17]
    if alarms:
        await insert_dicts(session, Alarm, (_alarm(plan, tenant, base, n) for n in alarms))


def _state(plan: Plan, customers: Any, at: int, online: bool, rng: Any) -> GatewayState:
    stopped, days = stopped_on(plan, customers).tolist(), len(plan.days)
    meters = []
    for n, until in zip(customers.tolist(), stopped, strict=True):
        quiet = until < days
        last = (
            None
            if until == 0
            else int(plan.midnights[min(until, days - 1)])
            if quiet
            else at - int(rng.integers(0, 3600))
        )
        state = "new" if until == 0 else "unreachable" if quiet else "ok" if rng.random() > 0.01 else "stale"
        meters.append(
            MeterState(
                plan.meter_key(n), f"rf-{n % _LINES + 1}", state, "abnt", last,
                _SILENT.format(plan.meter_key(n)) if state == "unreachable" else "", plan.module_key(n),
            )
        )  # fmt: skip
    lines = [LineState(f"rf-{n + 1}", "idle", since=at - 600) for n in range(_LINES)]
    return GatewayState(
        at=at, online=online, version="0.1.0", spool_id=rng.bytes(16),
        started_at=at - int(rng.integers(86400, 90 * 86400)), spool_rows=int(rng.integers(0, 40)),
        lines=lines, meters=meters,
    )  # fmt: skip


_HEALTH: Final = ("tenant_id", "gateway_id", "at", "spool_rows", "rss_bytes", "clock_offset_ms", "data")
_MODULE: Final = ("tenant_id", "module_id", "at", "temperature", "signal_dbm", "signal_percent")
_EVENT: Final = ("tenant_id", "meter_id", "gateway_id", "at", "until", "kind", "detail", "digest", "received_at")


def _gateway_health(
    plan: Plan, tenant: int, base: Bases, number: int, contact: int, rng: Any
) -> Iterator[tuple[Any, ...]]:
    for ago in range(0, 7 * 86400, 3600):
        at, rows = contact - ago, int(rng.integers(0, 60))
        modem = ModuleTelemetry(f"{plan.gateway_key(number)}-lte", round(float(rng.normal(44, 4)), 1), -75.0)
        told = GatewayTelemetry(
            at, 30 * 86400 - ago, 58 << 20, 300 << 20, 5 << 30, round(float(rng.uniform(0.1, 0.9)), 2), rows,
            rows * 180, round(float(rng.normal(0, 3)), 2), [modem],
        )  # fmt: skip
        yield tenant, base.gateway + number, at, rows, told.rss_bytes, told.clock_offset_ms, encode(told)


def _module_health(tenant: int, base: Bases, customers: Any, contact: int, rng: Any) -> Iterator[tuple[Any, ...]]:
    shape = len(customers), len(_TOLD)
    usual = rng.normal(-88, 9, (len(customers), 1))
    signal = np.clip(usual + rng.normal(0, 2, shape), -120, -50).round(1).tolist()
    temperature = (rng.normal(36, 5, (len(customers), 1)) + rng.normal(0, 3, shape)).round(1).tolist()
    for i, n in enumerate(customers.tolist()):
        for j in range(len(_TOLD) - 1, -1, -1):
            yield tenant, base.module + n, contact - _TOLD[j], temperature[i][j], signal[i][j], None


def _events(plan: Plan, tenant: int, base: Bases, number: int, customers: Any, rng: Any) -> Iterator[tuple[Any, ...]]:
    """Outages, some of a whole street, and what meters say now and then."""
    span = plan.of.now - plan.start
    for n in customers.tolist():
        for _ in range(int(rng.poisson(0.25))):
            kind = str(rng.choice(["outage", "outage", "outage", "clock_set", "meter_unreachable", "occurrence"]))
            at = plan.start + int(rng.integers(0, max(1, span)))
            until = at + int(rng.integers(60, 5 * 3600)) if kind == "outage" else None
            yield tenant, base.meter + n, base.gateway + number, at, until, kind, "{}", digest(b"{}"), at + 60


def _alarm(plan: Plan, tenant: int, base: Bases, number: int) -> dict[str, Any]:
    at = plan.of.now - int(among(plan.of.seed, "alarm", np.array([number]), 3 * 86400)[0]) - 600
    return {
        "tenant_id": tenant, "source": "ccee", "code": "I11", "meter_id": base.meter + number, "key": at * 1000,
        "severity": int(Severity.SERIOUS), "state": "open", "text": "", "opened_at": at, "raised_at": at + 60,
        "closed_at": None, "acknowledged_at": None, "acknowledged_by": "", "note": "",
    }  # fmt: skip
