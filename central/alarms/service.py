"""Alarms: a source says which conditions hold, people acknowledge, subscribers are told.

A source hands over all conditions of one meter from some key on (:func:`reconcile`); what is stored is made to agree,
so that the order in which the source learned of things does not matter and nothing is raised twice.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.alarms.models import Alarm, AlarmNotice, AlarmSubscription
from central.alarms.severity import Severity
from central.api.query import instant_text, optional_text
from central.audit.service import Author, record
from central.errors import Conflict, NotFound, Refused
from central.registry.models import Meter
from central.store.pages import Page, bounded, place
from central.store.upsert import upsert
from central.webhooks import outbox
from central.webhooks.kinds import Kind

STATES: Final = ("open", "acknowledged", "closed")
ACTIVE: Final = "active"  # open or acknowledged
_MOST_NOTE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds or held. An alarm of ``code`` whose key lies in [first, until) is the same one."""

    code: str
    severity: Severity
    key: int
    first: int
    until: int
    opened_at: int
    closed_at: int | None
    text: str


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm with its meter's key and names. ``withdrawn``: its source took it back."""

    id: int
    source: str
    code: str
    meter: str
    meter_name: str
    severity: Severity
    state: str
    text: str
    opened_at: int
    raised_at: int
    closed_at: int | None
    acknowledged_at: int | None
    acknowledged_by: str
    note: str
    withdrawn: bool


async def reconcile(
    session: AsyncSession,
    tenant_id: int,
    source: str,
    meter_id: int,
    conditions: Iterable[Condition],
    *,
    codes: Collection[str],
    since: int,
    now: int,
) -> None:
    """Make a meter's alarms of these codes, keys from ``since`` on, agree with ``conditions``; who calls has locked it.

    A condition that is over when it becomes known is entered closed and nobody is woken. An alarm that nothing supports
    any more is withdrawn: closed, without key. A closed alarm never opens again.
    """
    query = select(Alarm).where(
        Alarm.tenant_id == tenant_id, Alarm.source == source, Alarm.meter_id == meter_id, Alarm.key >= since,
        Alarm.code.in_(sorted(codes)),
    )  # fmt: skip
    left = {row.id: row for row in await session.scalars(query)}
    for condition in conditions:
        row = next((each for each in left.values() if _is(each, condition)), None)
        if row is None:
            await _enter(session, tenant_id, source, meter_id, condition, now)
            continue
        del left[row.id]
        row.key, row.opened_at, row.text = condition.key, condition.opened_at, condition.text
        if condition.closed_at is not None:
            await _close(session, row, condition.closed_at, now)
    for row in left.values():
        await withdraw(session, row, now)
    await session.flush()


async def raise_once(
    session: AsyncSession, tenant_id: int, source: str, meter_id: int, condition: Condition, now: int
) -> bool:
    """Enter an alarm unless one of this code is active at the meter or this key was entered before; True: entered."""
    same = select(Alarm.id).where(
        Alarm.tenant_id == tenant_id, Alarm.source == source, Alarm.meter_id == meter_id, Alarm.code == condition.code,
        (Alarm.key == condition.key) | (Alarm.state != "closed"),
    )  # fmt: skip
    if await session.scalar(same.limit(1)) is not None:
        return False
    await _enter(session, tenant_id, source, meter_id, condition, now)
    return True


async def active(session: AsyncSession, tenant_id: int, source: str, meter_id: int, code: str) -> Sequence[Alarm]:
    """Alarms of one code at a meter that are not closed."""
    query = select(Alarm).where(
        Alarm.tenant_id == tenant_id, Alarm.source == source, Alarm.meter_id == meter_id, Alarm.code == code,
        Alarm.state != "closed",
    )  # fmt: skip
    return (await session.scalars(query)).all()


async def close(session: AsyncSession, row: Alarm, at: int, now: int) -> None:
    """The condition ended at ``at``."""
    await _close(session, row, at, now)
    await session.flush()


async def withdraw(session: AsyncSession, row: Alarm, now: int) -> None:
    """The condition turned out not to have been one."""
    row.key = None
    await close(session, row, max(row.opened_at, now), now)


async def alarms(
    session: AsyncSession,
    tenant_id: int,
    *,
    state: str | None = None,
    source: str | None = None,
    code: str | None = None,
    meter_id: int | None = None,
    least: Severity = Severity.NOTICE,
    after: str | None = None,
    limit: int = 50,
) -> Page[AlarmView]:
    """Alarms, newest first; ``state`` one of :data:`STATES` or :data:`ACTIVE`; ``after`` the ``next`` of a page."""
    limit = bounded(limit)
    # "+ 0": one meter's few are sorted; the index of the whole tenant, which has this order, would be walked through
    opened = Alarm.opened_at if meter_id is None else Alarm.opened_at + 0
    query = _alarms(tenant_id).where(Alarm.severity >= int(least)).order_by(opened.desc(), Alarm.id.desc())
    for column, value in ((Alarm.source, source), (Alarm.code, code), (Alarm.meter_id, meter_id)):
        if value is not None:
            query = query.where(column == value)
    if state is not None:
        query = query.where(Alarm.state != "closed" if state == ACTIVE else Alarm.state == state)
    if after is not None:
        at, row_id = place(after)
        query = query.where((Alarm.opened_at < at) | ((Alarm.opened_at == at) & (Alarm.id < row_id)))
    rows = (await session.execute(query.limit(limit + 1))).all()
    views = [_view(row) for row in rows[:limit]]
    return Page(views, f"{views[-1].opened_at}-{views[-1].id}" if len(rows) > limit else None)


async def get_alarm(session: AsyncSession, tenant_id: int, alarm_id: int) -> AlarmView:
    """One alarm; raises :class:`NotFound`."""
    row = (await session.execute(_alarms(tenant_id).where(Alarm.id == alarm_id))).one_or_none()
    if row is None:
        raise NotFound("alarm", alarm_id)
    return _view(row)


async def acknowledge(session: AsyncSession, who: Author, alarm_id: int, *, note: str, now: int) -> AlarmView:
    """Somebody takes care of an open alarm: who, when, and what they say.

    Raises :class:`Conflict` when somebody else has, :class:`Refused` when it is closed.
    """
    if len(note) > _MOST_NOTE:
        raise Refused("note", f"has more than {_MOST_NOTE} characters")
    taken: Any = await session.execute(
        update(Alarm)
        .where(Alarm.tenant_id == who.tenant_id, Alarm.id == alarm_id, Alarm.state == "open")
        .values(state="acknowledged", acknowledged_at=now, acknowledged_by=who.author[:200], note=note)
    )
    found = await get_alarm(session, who.tenant_id, alarm_id)
    if not taken.rowcount:
        if found.state == "closed":
            raise Refused("state", "the alarm is closed: there is nothing left to acknowledge")
        raise Conflict(f"{found.acknowledged_by} has acknowledged it already.")
    record(session, who, "acknowledged", "alarm", found.meter, object_id=alarm_id,
           after={"code": found.code, "note": note})  # fmt: skip
    return found


def _is(row: Alarm, condition: Condition) -> bool:
    return row.code == condition.code and row.key is not None and condition.first <= row.key < condition.until


async def _enter(
    session: AsyncSession, tenant_id: int, source: str, meter_id: int, condition: Condition, now: int
) -> None:
    row = Alarm(
        tenant_id=tenant_id, source=source, code=condition.code, meter_id=meter_id, key=condition.key,
        severity=int(condition.severity), state="open" if condition.closed_at is None else "closed",
        text=condition.text, opened_at=condition.opened_at, raised_at=now, closed_at=condition.closed_at,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    if condition.closed_at is None:
        await _publish(session, row, Kind.ALARM_OPENED)
        wanted = select(AlarmSubscription.id).where(
            AlarmSubscription.tenant_id == tenant_id, AlarmSubscription.least <= row.severity
        )
        await _tell(session, row, "opened", (await session.scalars(wanted)).all(), now)


async def _close(session: AsyncSession, row: Alarm, at: int, now: int) -> None:
    row.closed_at = at
    if row.state == "closed":
        return
    row.state = "closed"
    await _publish(session, row, Kind.ALARM_CLOSED)
    told = select(AlarmNotice.subscription_id).where(AlarmNotice.alarm_id == row.id, AlarmNotice.what == "opened")
    await _tell(session, row, "closed", (await session.scalars(told)).all(), now)


async def _publish(session: AsyncSession, row: Alarm, kind: Kind) -> None:
    """Tell webhooks, in the transaction of the change."""
    if hooks := await outbox.listening(session, row.tenant_id, kind):
        meter = await session.get_one(Meter, row.meter_id)
        event = {
            "alarm": row.id, "source": row.source, "code": row.code, "severity": Severity(row.severity).word,
            "state": row.state, "text": row.text, "meter": meter.key, "meter_name": meter.name or meter.serial,
            "opened_at": instant_text(row.opened_at), "closed_at": optional_text(row.closed_at),
        }  # fmt: skip
        await outbox.put(session, hooks, kind, [event])


async def _tell(session: AsyncSession, row: Alarm, what: str, subscriptions: Sequence[int], now: int) -> None:
    rows = [
        {
            "alarm_id": row.id, "subscription_id": each, "what": what, "state": "queued", "tries": 0, "next_at": now,
            "error": "",
        }
        for each in subscriptions
    ]  # fmt: skip
    if rows:
        keys = ("alarm_id", "subscription_id", "what")
        await session.execute(upsert(session, AlarmNotice, keys=keys), rows)


def _alarms(tenant_id: int) -> Any:
    return (
        select(Alarm, Meter.key, Meter.name, Meter.serial)
        .join(Meter, Meter.id == Alarm.meter_id)
        .where(Alarm.tenant_id == tenant_id)
        .execution_options(populate_existing=True)
    )


def _view(row: Any) -> AlarmView:
    alarm: Alarm = row[0]
    return AlarmView(
        id=alarm.id, source=alarm.source, code=alarm.code, meter=row[1], meter_name=row[2] or row[3],
        severity=Severity(alarm.severity), state=alarm.state, text=alarm.text, opened_at=alarm.opened_at,
        raised_at=alarm.raised_at, closed_at=alarm.closed_at, acknowledged_at=alarm.acknowledged_at,
        acknowledged_by=alarm.acknowledged_by, note=alarm.note, withdrawn=alarm.key is None,
    )  # fmt: skip
