"""What a dashboard and its widgets go by: the date and the gateways of the address, else those a person keeps."""

import time

from sqlalchemy import select

from central.accounts.models import Preference
from central.metering.months import Selection
from central.registry.models import Gateway
from central.store.upsert import upsert
from central.web.forms import Db, Web, Who
from central.web.views import dashboard
from central.web.views.dashboard import Board, Scope
from central.web.views.nights import nearest
from shared.intervals import local_date
from shared.intervals import zone as zone_of


async def scope_of(request: Web, db: Db, principal: Who, board: Board | None = None) -> tuple[Scope, Selection]:
    """The scope of a request and its meters; gateways that are not there, or out of reach, are left out.

    Without any ``gateway=`` the gateways kept in ``board`` hold; an empty one means all.
    """
    today = local_date(int(time.time()), zone_of(principal.zone))
    day = nearest(request.query_params.get("date", "")[:10], today)
    asked = request.query_params.getall("gateway", [])
    keys = [key for key in asked if key] if asked or board is None else board.gateways
    if not keys:
        return Scope(day, today), Selection()
    query = select(Gateway.id, Gateway.key).where(
        Gateway.tenant_id == principal.tenant_id, Gateway.key.in_(keys[: dashboard.MOST_GATEWAYS])
    )
    found = (await db.execute(query.order_by(Gateway.key))).all()
    return Scope(day, today, tuple(key for _, key in found)), Selection(gateways=tuple(each for each, _ in found))


async def load_board(db: Db, principal: Who) -> Board:
    """What a person keeps of the dashboard."""
    query = select(Preference.data).where(
        Preference.user_id == principal.user_id, Preference.name == dashboard.PREFERENCE
    )
    return dashboard.read(await db.scalar(query))


async def save_board(db: Db, principal: Who, board: Board) -> None:
    """Keep it."""
    values = {"user_id": principal.user_id, "name": dashboard.PREFERENCE, "data": dashboard.write(board)}
    await db.execute(upsert(db, Preference, update=("data",)), [values])
