"""Where somebody may act, and the one place that keeps to it: every query of a session is limited to its reach.

A session whose ``info`` holds a :class:`Reach` sees only rows within it, whatever is asked and through whichever join:
what is out of reach does not exist for it. Handlers get such a session (``central.app``) for the permission they need,
so a person who may read everything and command one gateway finds only that gateway when commanding.

What such a session writes has to lie within its reach too, after the change: nothing is entered or moved to where its
person may not act, a gateway shared with others is not changed by who reaches only some of its meters, and what belongs
to the tenant as a whole is not changed at all. Core statements (``X.__table__``) know no reach.

The tenant is not part of this: queries name it themselves, and are tested for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, event, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria

from central.alarms.models import Alarm
from central.ccee.models import CceeCapture, CceeConnection, CceeMeter
from central.enrolment.models import Enrolment
from central.errors import OutOfReach
from central.fleet.models import FleetCommand, GatewayHealth, GatewayLive, ModuleHealth
from central.metering.models import Event, MeterMonth, ProfileSeries, RegisterSet, Snapshot
from central.registry.groups import subtree
from central.registry.models import (
    Activity,
    ActivityClass,
    CommercialActivity,
    CommunicationModule,
    Customer,
    CustomerGroup,
    DaylightSaving,
    Gateway,
    Holiday,
    HolidayGroup,
    HolidayMember,
    Installation,
    InstallationStatus,
    Lot,
    LotDate,
    Meter,
    MeteringPoint,
    MeterModel,
    OpeningHours,
    SearchWord,
    Supply,
    Tariff,
)
from central.store.engine import READS

REACH: Final = "reach"
_FULL: Final = "reach in full"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a permission holds: everywhere in the tenant, or in the subtrees of groups and at gateways."""

    everywhere: bool = False
    groups: frozenset[int] = frozenset()
    gateways: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.groups or self.gateways)


NOWHERE: Final = Reach()
EVERYWHERE: Final = Reach(everywhere=True)


def _groups(reach: Reach) -> Any:
    """The ids of groups, written into the statement: it names them many times, and parameters are limited."""
    return bindparam(None, sorted(reach.groups), expanding=True, literal_execute=True, unique=True)


def customer_ids(reach: Reach) -> Any:
    """Select the ids of customers of the groups within reach, and of those measured at gateways within reach."""
    table, point, installed, meter = _tables()
    of_groups = select(table.c.id).where(table.c.group_id.in_(_groups(reach)))
    if not reach.gateways:
        return of_groups
    of_gateways = (
        select(point.c.customer_id)
        .join(installed, installed.c.point_id == point.c.id)
        .join(meter, meter.c.id == installed.c.meter_id)
        .where(meter.c.gateway_id.in_(sorted(reach.gateways)), installed.c.ends_at.is_(None))
    )
    return union(of_groups, of_gateways)


def point_ids(reach: Reach) -> Any:
    """Select the ids of points of the groups' customers, and of those where a meter of the gateways sits now."""
    table, point, installed, meter = _tables()
    of_groups = (
        select(point.c.id).join(table, table.c.id == point.c.customer_id).where(table.c.group_id.in_(_groups(reach)))
    )
    if not reach.gateways:
        return of_groups
    of_gateways = (
        select(installed.c.point_id)
        .join(meter, meter.c.id == installed.c.meter_id)
        .where(meter.c.gateway_id.in_(sorted(reach.gateways)), installed.c.ends_at.is_(None))
    )
    return union(of_groups, of_gateways)


def meter_ids(reach: Reach) -> Any:
    """Select the ids of meters installed now at customers of the groups, and of all meters of the gateways."""
    table, point, installed, meter = _tables()
    of_groups = (
        select(installed.c.meter_id)
        .join(point, point.c.id == installed.c.point_id)
        .join(table, table.c.id == point.c.customer_id)
        .where(table.c.group_id.in_(_groups(reach)), installed.c.ends_at.is_(None))
    )
    if not reach.gateways:
        return of_groups
    return union(of_groups, select(meter.c.id).where(meter.c.gateway_id.in_(sorted(reach.gateways))))


def gateway_ids(reach: Reach) -> Any:
    """Select the ids of the gateways granted, and of those that read meters of the groups' customers."""
    meter = Meter.__table__
    read_by = select(meter.c.gateway_id).where(meter.c.id.in_(meter_ids(Reach(groups=reach.groups))))
    gateway = Gateway.__table__
    return union(select(gateway.c.id).where(gateway.c.id.in_(sorted(reach.gateways))), read_by)


def _module_ids(reach: Reach) -> Any:
    module = CommunicationModule.__table__
    return select(module.c.id).where(module.c.gateway_id.in_(gateway_ids(reach)))


def _tables() -> tuple[Any, Any, Any, Any]:
    return Customer.__table__, MeteringPoint.__table__, Installation.__table__, Meter.__table__


#: What limits each table. Tables that are not here belong to the tenant as a whole (models, lots, holidays ...), or are
#: only reached through a row that is.
_LIMITS: Final[dict[Any, Callable[[Any, Reach], ColumnElement[bool]]]] = {
    CustomerGroup: lambda t, reach: t.id.in_(_groups(reach)),
    Customer: lambda t, reach: t.id.in_(customer_ids(reach)),
    MeteringPoint: lambda t, reach: t.id.in_(point_ids(reach)),
    Meter: lambda t, reach: t.id.in_(meter_ids(reach)),
    Gateway: lambda t, reach: t.id.in_(gateway_ids(reach)),
    GatewayLive: lambda t, reach: t.gateway_id.in_(gateway_ids(reach)),
    GatewayHealth: lambda t, reach: t.gateway_id.in_(gateway_ids(reach)),
    CommunicationModule: lambda t, reach: t.id.in_(_module_ids(reach)),
    ModuleHealth: lambda t, reach: t.module_id.in_(_module_ids(reach)),
    Installation: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    Supply: lambda t, reach: t.customer_id.in_(customer_ids(reach)),
    ProfileSeries: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    MeterMonth: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    RegisterSet: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    Snapshot: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    Event: lambda t, reach: or_(
        t.meter_id.in_(meter_ids(reach)), t.meter_id.is_(None) & t.gateway_id.in_(sorted(reach.gateways))
    ),
    FleetCommand: lambda t, reach: or_(
        t.meter_id.in_(meter_ids(reach)), t.meter_id.is_(None) & t.gateway_id.in_(sorted(reach.gateways))
    ),
    Enrolment: lambda t, reach: t.gateway_id.in_(sorted(reach.gateways)),
    Alarm: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    CceeConnection: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    CceeCapture: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    CceeMeter: lambda t, reach: t.meter_id.in_(meter_ids(reach)),
    SearchWord: lambda t, reach: or_(
        (t.kind == SearchWord.CUSTOMER) & t.object_id.in_(customer_ids(reach)),
        (t.kind == SearchWord.METER) & t.object_id.in_(meter_ids(reach)),
        (t.kind == SearchWord.MODULE) & t.object_id.in_(_module_ids(reach)),
        (t.kind == SearchWord.GROUP) & t.object_id.in_(_groups(reach)),
        (t.kind == SearchWord.GATEWAY) & t.object_id.in_(gateway_ids(reach)),
        (t.kind == SearchWord.POINT) & t.object_id.in_(point_ids(reach)),
    ),
}


def is_limited(table: Any) -> bool:
    """Whether rows of a table can be out of somebody's reach; else they belong to the whole tenant."""
    return table in _LIMITS


#: Tables of the tenant as a whole: nobody changes them whose right holds only in a part of it.
_WHOLE: Final = (
    MeterModel, Lot, LotDate, Holiday, HolidayGroup, HolidayMember, DaylightSaving, Tariff, InstallationStatus,
    Activity, CommercialActivity, ActivityClass, OpeningHours,
)  # fmt: skip
#: Objects that are looked at after a change: what people enter, and orders. The rest follows from these.
_ENTERED: Final = (CustomerGroup, Customer, MeteringPoint, Meter, Installation, Supply, FleetCommand, Enrolment)


def is_part(session: AsyncSession, gateway_id: int) -> bool:
    """Whether this session reaches a gateway only through some of its meters: the rest of it is not its business."""
    reach: Reach | None = session.info.get(REACH)
    return reach is not None and not reach.everywhere and gateway_id not in reach.gateways


def _in_full(session: Session, reach: Reach) -> Reach:
    """The reach with every group below those granted; looked up once where nothing is written meanwhile."""
    if not reach.groups:
        return reach
    known: tuple[Reach, Reach] | None = session.info.get(_FULL)
    if known is None or known[0] is not reach:
        found = session.connection().execute(subtree(reach.groups)).scalars()
        known = reach, replace(reach, groups=frozenset(found))
        if session.info.get(READS):
            session.info[_FULL] = known
    return known[1]


@event.listens_for(Session, "do_orm_execute")
def _keep_to_reach(state: ORMExecuteState) -> None:
    reach: Reach | None = state.session.info.get(REACH)
    if reach is None or reach.everywhere or not (state.is_select or state.is_update or state.is_delete):
        return
    if state.is_column_load or state.is_relationship_load:
        return
    reach = _in_full(state.session, reach)
    state.statement = state.statement.options(
        *(with_loader_criteria(table, limit(table, reach), include_aliases=True) for table, limit in _LIMITS.items())
    )


@event.listens_for(Session, "after_flush")
def _stay_within_reach(session: Session, _context: UOWTransaction) -> None:
    """Refuse what was written beyond the reach; the transaction ends with it."""
    reach: Reach | None = session.info.get(REACH)
    if reach is None or reach.everywhere:
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        gateway_id = row.id if isinstance(row, Gateway) else getattr(row, "gateway_id", None)
        shared = isinstance(row, (Gateway, CommunicationModule)) and gateway_id not in reach.gateways
        if isinstance(row, _WHOLE) or shared:
            raise OutOfReach(row.__tablename__)
    for kind in _ENTERED:
        # what has ended stays where it was: a meter may be taken out of one's own place
        written = (row for row in (*session.new, *session.dirty) if isinstance(row, kind))
        ids = {row.id for row in written if getattr(row, "ends_at", None) is None}
        if ids - set(session.scalars(select(kind.id).where(kind.id.in_(ids)))):
            raise OutOfReach(kind.__tablename__)
