"""The two trees of the navigation, one level at a time: by communication and by business.

A node is named by a letter and ids: ``g`` gateway, ``l`` line, ``x`` module, ``b`` group, ``c`` customer. Levels are
paged by key: ``after`` names the last node shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from sqlalchemy import ColumnElement, and_, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import NotFound
from central.fleet.models import GatewayLive
from central.fleet.states import decode_state, meter_states
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Meter,
    MeteringPoint,
)
from central.store.lists import is_one_of, is_one_of_texts
from central.web import labels
from central.web.i18n import gettext, ngettext
from shared.wire import GatewayState, MeterState

#: Nodes of one page of a level.
LIMIT: Final = 60


@dataclass(frozen=True, slots=True)
class Node:
    """``state``: code of a state in words and colour, as ``(words, colour)``; ``branch``: it can be opened."""

    id: str
    icon: str
    label: str
    note: str = ""
    href: str = ""
    state: tuple[str, str] | None = None
    branch: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What a gateway last told of its meters; ``decoded`` keeps the states of each gateway, decoded once."""

    live: GatewayLive | None
    decoded: dict[int, dict[str, MeterState]]

    def of_meter(self, key: str) -> tuple[str, str]:
        """Words and colour of a meter's state for people."""
        if self.live is None:
            return labels.state(labels.METER_STATES, "unknown")
        if self.live.gateway_id not in self.decoded:
            self.decoded[self.live.gateway_id] = meter_states(decode_state(self.live))
        told = self.decoded[self.live.gateway_id].get(key)
        code = "unknown" if told is None else told.state if self.live.online else "offline"
        return labels.state(labels.METER_STATES, code)


class Level(NamedTuple):
    """One page of a level; ``after`` None: it was the last."""

    nodes: Sequence[Node]
    after: str | None


async def communication(db: AsyncSession, tenant_id: int, node: str, after: str) -> Level:
    """Children of a node of the communication view; "" is the root. Raises :class:`NotFound`."""
    if not node:
        return await _gateways(db, tenant_id, after)
    kind, gateway_id, rest = _parse(node, "glx")
    gateway = await db.get(Gateway, gateway_id)
    if gateway is None or gateway.tenant_id != tenant_id:
        raise NotFound("gateway", gateway_id)
    live = await db.get(GatewayLive, gateway_id)
    state = decode_state(live)
    lines = _lines(state)
    if kind == "g" and lines:
        return await _line_nodes(db, gateway_id, state, lines, live is not None and live.online)
    told = _Told(live, {gateway_id: meter_states(state)})
    if kind == "x":
        module, _, line = rest.partition(".")
        where = [Installation.module_id == _number(module), *_on_line(db, gateway_id, lines, line, module=True)]
        return await _meters(db, where, after, told)
    line = rest if kind == "l" else ""
    return await _modules(db, gateway_id, _on_line(db, gateway_id, lines, line, module=False), line, after, told)


async def business(db: AsyncSession, tenant_id: int, node: str, after: str, *, everywhere: bool) -> Level:
    """Children of a node of the business view; "" is the root: groups above which there is none within reach."""
    if node.startswith("c"):
        return await _customer_meters(db, tenant_id, _parse(node, "c")[1])
    group_id = _parse(node, "b")[1] if node else None
    nodes: list[Node] = []
    if not after.startswith("c"):
        groups = await _subgroups(db, tenant_id, group_id, after, everywhere)
        nodes = [
            Node(f"b{each.id}", "folder", each.name, href=f"/groups/{each.id}", branch=True) for each in groups[:LIMIT]
        ]
        if len(groups) > LIMIT:
            return Level(nodes, nodes[-1].id)
    room = LIMIT - len(nodes)
    customers = await _members(db, tenant_id, group_id, after, everywhere, room)
    nodes += [
        Node(f"c{i}", "user", name or key, key if name else "", f"/customers/{quote(key, safe='')}", branch=True)
        for i, name, key in customers[:room]
    ]
    return Level(nodes, nodes[-1].id if len(customers) > room and nodes else None)


async def states(
    db: AsyncSession, tenant_id: int, gateways: Collection[int], meters: Collection[int]
) -> dict[str, tuple[str, str]]:
    """State of gateways and meters that are on screen, by node id."""
    lives = {row.gateway_id: row for row in await db.scalars(
        select(GatewayLive).join(Gateway, Gateway.id == GatewayLive.gateway_id)
        .where(Gateway.tenant_id == tenant_id, is_one_of(db, GatewayLive.gateway_id, gateways))
    )}  # fmt: skip
    found = {f"g{each}": _gateway_state(lives.get(each)) for each in gateways}
    rows = await db.execute(
        select(Meter.id, Meter.key, GatewayLive)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == Meter.gateway_id)
        .where(Meter.tenant_id == tenant_id, is_one_of(db, Meter.id, meters))
    )
    decoded: dict[int, dict[str, MeterState]] = {}
    for meter_id, key, live in rows:
        found[f"m{meter_id}"] = _Told(live, decoded).of_meter(key)
    return found


def _parse(node: str, kinds: str) -> tuple[str, int, str]:
    """Kind, first id and the rest of a node's name; raises :class:`NotFound`."""
    number, _, rest = node[1:].partition(".")
    if not node or node[0] not in kinds:
        raise NotFound("node", node[:40])
    return node[0], _number(number), rest


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound("node", text[:40])
    return int(text)


async def _gateways(db: AsyncSession, tenant_id: int, after: str) -> Level:
    query = (
        select(Gateway, GatewayLive)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == Gateway.id)
        .where(Gateway.tenant_id == tenant_id)
        .order_by(Gateway.name, Gateway.id)
        .limit(LIMIT + 1)
    )
    if after:
        last = await db.get(Gateway, _parse(after, "g")[1])
        if last is not None:
            query = query.where(tuple_(Gateway.name, Gateway.id) > tuple_(literal(last.name), literal(last.id)))
    rows = (await db.execute(query)).all()
    nodes = [
        Node(
            f"g{gateway.id}", "router", gateway.name or gateway.key, "", f"/gateways/{gateway.key}",
            _gateway_state(live), branch=True,
        )
        for gateway, live in rows[:LIMIT]
    ]  # fmt: skip
    return Level(nodes, nodes[-1].id if len(rows) > LIMIT else None)


def _gateway_state(live: GatewayLive | None) -> tuple[str, str]:
    return labels.state(labels.GATEWAY_STATES, "never" if live is None else "online" if live.online else "offline")


def _lines(state: GatewayState | None) -> dict[str, list[str]]:
    """Keys of the meters on each line, in the order in which the gateway tells its lines."""
    if state is None:
        return {}
    found: dict[str, list[str]] = {line.line: [] for line in state.lines}
    for meter in state.meters:
        found.setdefault(meter.line, []).append(meter.meter)
    return found


async def _line_nodes(
    db: AsyncSession, gateway_id: int, state: GatewayState | None, lines: dict[str, list[str]], online: bool
) -> Level:
    told = {line.line: line.state for line in state.lines} if state else {}
    nodes = [
        Node(
            f"l{gateway_id}.{line}", "plug-connected", line or gettext("Line not told"),
            ngettext("%(num)d meter", "%(num)d meters", len(keys)) % {"num": len(keys)},
            state=labels.state(labels.LINE_STATES, told[line]) if line in told and online else None, branch=bool(keys),
        )
        for line, keys in lines.items()
    ]  # fmt: skip
    others = select(Meter.id).where(*_on_line(db, gateway_id, lines, "", module=False)).limit(1)
    if "" not in lines and await db.scalar(others) is not None:
        nodes.append(Node(f"l{gateway_id}.", "plug-connected-x", gettext("Line not told"), branch=True))
    return Level(nodes, None)


def _on_line(
    db: AsyncSession, gateway_id: int, lines: dict[str, list[str]], line: str, *, module: bool
) -> list[ColumnElement[bool]]:
    """Conditions on ``Meter``: it is read by the gateway through a line; "" is what its gateway does not tell of."""
    found = [Meter.gateway_id == gateway_id]
    if line:
        found.append(is_one_of_texts(db, Meter.key, lines.get(line, [])))
    elif lines and not module:
        found.append(~is_one_of_texts(db, Meter.key, [key for name, keys in lines.items() if name for key in keys]))
    return found


async def _modules(
    db: AsyncSession, gateway_id: int, where: Sequence[ColumnElement[bool]], line: str, after: str,
    told: _Told,
) -> Level:  # fmt: skip
    """Modules through which meters of a line are reached, then its meters without one."""
    still = and_(Installation.meter_id == Meter.id, Installation.ends_at.is_(None))
    nodes: list[Node] = []
    if not after.startswith("m"):
        used = select(Installation.module_id).join(Meter, still).where(*where, Installation.module_id.is_not(None))
        query = select(CommunicationModule).where(CommunicationModule.id.in_(used))
        shown = _number(_parse(after, "x")[2].partition(".")[0]) if after else None
        if shown is not None and (last := await db.get(CommunicationModule, shown)):
            query = query.where(CommunicationModule.key > last.key)
        modules = (await db.scalars(query.order_by(CommunicationModule.key).limit(LIMIT + 1))).all()
        nodes = [
            Node(
                f"x{gateway_id}.{each.id}.{line}", "antenna", each.key, each.name if each.name != each.key else "",
                f"/modules/{each.id}", branch=True,
            )
            for each in modules[:LIMIT]
        ]  # fmt: skip
        if len(modules) > LIMIT:
            return Level(nodes, nodes[-1].id)
    bare = await _meters(
        db, [*where, Installation.module_id.is_(None)], after if after.startswith("m") else "", told, LIMIT - len(nodes)
    )
    return Level([*nodes, *bare.nodes], bare.after or (nodes[-1].id if bare.after == "" else None))


async def _meters(
    db: AsyncSession, where: Sequence[ColumnElement[bool]], after: str, told: _Told, limit: int = LIMIT
) -> Level:
    query = (
        select(Meter.id, Meter.key, Meter.serial, Customer.name)
        .outerjoin(Installation, and_(Installation.meter_id == Meter.id, Installation.ends_at.is_(None)))
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .outerjoin(Customer, Customer.id == MeteringPoint.customer_id)
        .where(*where)
        .order_by(Meter.key)
        .limit(limit + 1)
    )
    if after and (last := await db.get(Meter, _parse(after, "m")[1])):
        query = query.where(Meter.key > last.key)
    rows = (await db.execute(query)).all()
    nodes = [
        _meter_node(meter_id, key, serial, customer or "", told.of_meter(key))
        for meter_id, key, serial, customer in rows[:limit]
    ]
    return Level(nodes, (nodes[-1].id if nodes else "") if len(rows) > limit else None)


def _meter_node(meter_id: int, key: str, serial: str, note: str, state: tuple[str, str]) -> Node:
    return Node(f"m{meter_id}", "gauge", serial, note, f"/meters/{key}", state)


async def _subgroups(
    db: AsyncSession, tenant_id: int, group_id: int | None, after: str, everywhere: bool
) -> Sequence[CustomerGroup]:
    query = select(CustomerGroup).where(
        CustomerGroup.tenant_id == tenant_id, _below(CustomerGroup.parent_id, group_id, everywhere)
    )
    if after and (last := await db.get(CustomerGroup, _parse(after, "b")[1])):
        query = query.where(tuple_(CustomerGroup.name, CustomerGroup.id) > tuple_(literal(last.name), literal(last.id)))
    return (await db.scalars(query.order_by(CustomerGroup.name, CustomerGroup.id).limit(LIMIT + 1))).all()


async def _members(
    db: AsyncSession, tenant_id: int, group_id: int | None, after: str, everywhere: bool, room: int
) -> Sequence[Any]:
    query = select(Customer.id, Customer.name, Customer.external_key).where(
        Customer.tenant_id == tenant_id, _below(Customer.group_id, group_id, everywhere)
    )
    if after.startswith("c") and (last := await db.get(Customer, _parse(after, "c")[1])):
        query = query.where(tuple_(Customer.name, Customer.id) > tuple_(literal(last.name), literal(last.id)))
    return (await db.execute(query.order_by(Customer.name, Customer.id).limit(room + 1))).all()


def _below(column: Any, group_id: int | None, everywhere: bool) -> ColumnElement[bool]:
    """Condition: directly in a group; None: in none that can be seen."""
    if group_id is not None:
        return column == group_id  # type: ignore[no-any-return]
    return column.is_(None) if everywhere else or_(column.is_(None), column.not_in(select(CustomerGroup.id)))


async def _customer_meters(db: AsyncSession, tenant_id: int, customer_id: int) -> Level:
    query = (
        select(MeteringPoint.id, MeteringPoint.name, Meter.id, Meter.key, Meter.serial, GatewayLive)
        .outerjoin(Installation, and_(Installation.point_id == MeteringPoint.id, Installation.ends_at.is_(None)))
        .outerjoin(Meter, Meter.id == Installation.meter_id)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == Meter.gateway_id)
        .where(MeteringPoint.tenant_id == tenant_id, MeteringPoint.customer_id == customer_id)
        .order_by(MeteringPoint.name, MeteringPoint.id)
        .limit(LIMIT)
    )
    decoded: dict[int, dict[str, MeterState]] = {}
    nodes = []
    for point_id, point, meter_id, key, serial, live in (await db.execute(query)).all():
        if key is None:
            nodes.append(Node(f"p{point_id}", "map-pin", point, gettext("no meter")))
            continue
        nodes.append(_meter_node(meter_id, key, serial, point, _Told(live, decoded).of_meter(key)))
    return Level(nodes, None)
