"""The CCEE's channel at a glance: one night of every meter, and how the weeks go."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Response

from central.alarms import service as alarms
from central.alarms.severity import Severity
from central.ccee import overview
from central.ccee.expectation import expectation
from central.ccee.forwards import LastSuccess, forward_of, last_success
from central.ccee.overview import BoardLine, Week
from central.registry import service as registry
from central.registry.service import MeterView
from central.settings import CceeSettings
from central.web.forms import Db, Search, Web, Who
from central.web.render import page
from central.web.views import nights
from central.web.views.availability import Cell
from shared.intervals import local_date
from shared.intervals import zone as zone_of
from shared.wire import ForwardState

#: Meters on one page of the night, weeks in the small chart.
_ROWS: Final = 50
_WEEKS: Final = 8
_NIGHTS: Final = 14  # on a meter's page
_CHUNK: Final = 1000
Chosen = Annotated[str, QueryParameter(max_length=10)]


@dataclass(frozen=True, slots=True)
class Card:
    """The CCEE at one meter: its forward (None: its gateway tells of none), last nights, last successes, this week."""

    forward: ForwardState | None
    cells: Sequence[Cell]
    last: LastSuccess
    week: Week


@get("/ccee")
async def ccee(
    request: Web, db: Db, principal: Who, day: Chosen = "", q: Search = "", gateway: Search = "", show: Chosen = "",
    number: Annotated[int, QueryParameter(name="page", ge=1, le=100_000)] = 1,
) -> Response[str]:  # fmt: skip
    """The whole page."""
    return page(request, "ccee/night.html", **await _night(request, db, principal, day, q, gateway, show, number))


@get("/ccee/night")
async def ccee_night(
    request: Web, db: Db, principal: Who, day: Chosen = "", q: Search = "", gateway: Search = "", show: Chosen = "",
    number: Annotated[int, QueryParameter(name="page", ge=1, le=100_000)] = 1,
) -> Response[str]:  # fmt: skip
    """Figures and strips, for refreshing."""
    return page(request, "ccee/board.html", **await _night(request, db, principal, day, q, gateway, show, number))


def ccee_settings(request: Web) -> CceeSettings:
    """When the CCEE is expected, as the server is set."""
    found: CceeSettings = request.app.state.settings.ccee
    return found


async def meter_card(request: Web, db: Db, view: MeterView, now: int) -> Card | None:
    """What a meter's page says of the CCEE; None where it is neither expected nor was ever there."""
    forward = await forward_of(db, view.meter)
    last = await last_success(db, view.meter.tenant_id, view.meter, view.live, forward)
    known = await expectation(db, view.meter.id)
    if forward is None and last.ccee is None and not (known and known.expected):
        return None
    today = local_date(now, zone_of(view.zone))
    days = await overview.meter_days(db, view, today - timedelta(days=_NIGHTS - 1), today, ccee_settings(request), now)
    (week,) = await overview.weeks(db, view.meter.tenant_id, view.zone, today, 1, view.meter.id)
    return Card(forward, nights.cells(days), last, week)


async def _night(
    request: Web, db: Db, principal: Who, chosen: str, search: str, gateway: str, show: str, number: int
) -> dict[str, Any]:
    now, tenant = int(time.time()), principal.tenant_id
    settings = ccee_settings(request)
    today = local_date(now, zone_of(principal.zone))
    day = nights.nearest(chosen, today)
    show = show if show in nights.SHOWN else ""
    lines = [line for line in await board_lines(db, tenant, day, settings, now) if _matches(line, search, gateway)]
    rows = [line for line in lines if not show or line.day.status in nights.SHOWN[show]]
    pages = max(1, -(-len(rows) // _ROWS))
    number = min(number, pages)
    found = await overview.weeks(db, tenant, principal.zone, day, _WEEKS)
    opened = (await alarms.alarms(db, tenant, state=alarms.ACTIVE, source="ccee", limit=_CHUNK)).items
    return {
        "gateways": (await registry.find_gateways(db, tenant, limit=_CHUNK)).items,
        "day": day,
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1) if day < today else None,
        "today": today,
        "totals": nights.totals(lines),
        "rows": [nights.night(line, now) for line in rows[(number - 1) * _ROWS : number * _ROWS]],
        "found": len(rows),
        "first": (number - 1) * _ROWS + 1,
        "number": number,
        "pages": pages,
        "hours": nights.hours(settings.window_from, settings.window_to),
        "weeks": found,
        "open_alarms": len(opened),
        "critical": sum(1 for each in opened if each.severity is Severity.CRITICAL),
        "chosen": {"day": day.isoformat() if day != today else "", "q": search, "gateway": gateway, "show": show},
    }


async def board_lines(db: Db, tenant_id: int, day: date, settings: CceeSettings, now: int) -> Sequence[BoardLine]:
    """All meters of a day: figures and filters need every one of them."""
    found: list[BoardLine] = []
    after: str | None = None
    while True:
        step = await overview.board(db, tenant_id, day, settings, now, after=after, limit=_CHUNK)
        found += step.items
        after = step.next
        if after is None:
            return found


def _matches(line: BoardLine, search: str, gateway: str) -> bool:
    place = " ".join((line.meter, line.meter_name, line.point, line.gateway)).casefold()
    return (not gateway or line.gateway == gateway) and all(word in place for word in search.casefold()[:100].split())
