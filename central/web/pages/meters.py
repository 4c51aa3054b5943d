"""The list of meters: page, grid data, and the same as CSV."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Response

from central.accounts.principal import Principal
from central.metering.last_days import last_days
from central.metering.service import EventView
from central.registry import service as registry
from central.registry.service import MeterFilter, MeterView
from central.sheets import safe_cell
from central.web import labels
from central.web.forms import Db, Search, Web, Who
from central.web.i18n import N_, current, gettext
from central.web.render import page
from central.web.told import told
from central.web.views.availability import STRIP_DAYS, Cell, strip
from central.web.views.banners import meter_state
from central.web.views.event_details import detail
from shared.intervals import day_range, local_date
from shared.intervals import zone as zone_of

_MAX_PAGE: Final = 100
_MAX_EXPORT: Final = 100_000
_CHUNK: Final = 1000
#: Events of one kind within so many seconds are one line of a list; so many of their places are named.
_TOGETHER: Final = 3600
_PLACES: Final = 4
_COLUMNS: Final = (
    N_("Key"), N_("Serial"), N_("Name"), N_("Customer"), N_("Metering point"), N_("State"), N_("Last reading"),
    N_("Availability"), N_("Gateway"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MeterLine:
    """A meter as lists show it; ``share`` held of the strip's days, None when nothing was to be expected."""

    key: str
    serial: str
    name: str
    view: MeterView
    state: str
    words: str
    strip: Sequence[Cell]
    strip_label: str
    share: float | None


@dataclass(frozen=True, slots=True)
class EventLine:
    kind: str
    at: int
    until: int | None
    meter: str
    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class EventGroup:
    """The same thing at several places within an hour; ``first`` is the newest of them."""

    first: EventLine
    count: int
    places: Sequence[tuple[str, str]]
    more: int


@get("/meters")
async def meters(request: Web, db: Db, principal: Who) -> Response[str]:
    """The page; the grid asks for its rows itself."""
    gateways = (await registry.find_gateways(db, principal.tenant_id, limit=1000)).items
    words = {
        "meter": gettext("Meter"), "point": gettext("Metering point"), "state": gettext("State"),
        "last": gettext("Last reading"), "availability": gettext("Last 14 days"), "gateway": gettext("Gateway"),
        "empty": gettext("No meter found. Meters appear with the gateway that reads them."),
        "pagination": {
            "first": "«", "last": "»", "prev": "‹", "next": "›",
            "first_title": gettext("First page"), "last_title": gettext("Last page"),
            "prev_title": gettext("Page before"), "next_title": gettext("Next page"), "all": gettext("All"),
            "page_size": gettext("Rows"), "page_title": gettext("Page"),
            "counter": {"showing": "", "of": gettext("of"), "rows": gettext("meters"), "pages": gettext("pages")},
        },
    }  # fmt: skip
    query = request.query_params
    return page(
        request, "meters.html", words=words, gateways=gateways, search=query.get("q", "")[:100],
        gateway=query.get("gateway", ""), query=request.url.query,
    )  # fmt: skip


@get("/data/meters")
async def meters_data(
    db: Db, principal: Who, q: Search = "", gateway: Search = "",
    number: Annotated[int, QueryParameter(name="page", ge=1, le=100_000)] = 1,
    size: Annotated[int, QueryParameter(ge=1)] = 25,
) -> dict[str, Any]:  # fmt: skip
    """One page of the grid."""
    size = min(size, _MAX_PAGE)
    wanted = await _filter(db, principal, q, gateway)
    total = await registry.count_meters(db, principal.tenant_id, wanted)
    before = (number - 1) * size
    found = await registry.find_meters(db, principal.tenant_id, wanted, offset=before, limit=size)
    rows = [_row(line, principal) for line in await meter_lines(db, principal, found.items)]
    return {"last_page": max(1, -(-total // size)), "last_row": total, "data": rows}


@get("/meters.csv")
async def meters_csv(db: Db, principal: Who, q: Search = "", gateway: Search = "") -> Response[bytes]:
    """Everything the search finds, the way a spreadsheet in the reader's language opens it."""
    wanted = await _filter(db, principal, q, gateway)
    comma = current().code != "en"
    target = io.StringIO()
    writer = csv.writer(target, delimiter=";" if comma else ",", lineterminator="\r\n")
    writer.writerow(gettext(words) for words in _COLUMNS)
    after: str | None = None
    for _ in range(_MAX_EXPORT // _CHUNK):
        found = await registry.find_meters(db, principal.tenant_id, wanted, after=after, limit=_CHUNK)
        for line in await meter_lines(db, principal, found.items):
            writer.writerow(safe_cell(cell) for cell in _export(line, principal))
        after = found.next
        if after is None:
            break
    headers = {"Content-Disposition": 'attachment; filename="meters.csv"'}
    return Response(target.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


async def meter_lines(db: Db, principal: Who, views: Sequence[MeterView]) -> list[MeterLine]:
    """Lines of the given meters with the availability of their last days."""
    now = int(time.time())
    today = local_date(now, zone_of(principal.zone))
    found = await last_days(
        db, principal.tenant_id, (view.meter.id for view in views),
        today - timedelta(days=STRIP_DAYS), today + timedelta(days=1),
    )  # fmt: skip
    return [_line(view, found.held.get(view.meter.id, {}), now, view.meter.id in found.registers) for view in views]


def event_lines(events: Sequence[EventView], tz: ZoneInfo, serials: Mapping[str, str] | None = None) -> list[EventLine]:
    """Lines of events; with ``serials`` each names its meter or gateway."""
    return [
        EventLine(
            kind=event.kind,
            at=event.at,
            until=event.until,
            meter=event.meter or "" if serials is not None else "",
            place=serials.get(event.meter or "", event.meter or event.gateway or "") if serials is not None else "",
            detail=detail(event.kind, event.detail, tz),
        )
        for event in events
    ]


def event_groups(lines: Sequence[EventLine]) -> list[EventGroup]:
    """Gather lines, newest first, of one kind within an hour of the newest; spans of one place stay apart."""
    gathered: list[list[EventLine]] = []
    for line in lines:
        home = next((group for group in gathered if _together(group, line)), None)
        if home is None:
            gathered.append([line])
        else:
            home.append(line)
    found = []
    for group in gathered:
        places = list(dict.fromkeys((line.meter, line.place) for line in group if line.place))
        found.append(EventGroup(group[0], len(group), places[:_PLACES], len(places[_PLACES:])))
    return found


def _together(group: Sequence[EventLine], line: EventLine) -> bool:
    return (
        group[0].kind == line.kind
        and group[0].at - line.at <= _TOGETHER
        and not (line.until and any(other.place == line.place for other in group))
    )


def _line(view: MeterView, held: dict[Any, int], now: int, registers: bool) -> MeterLine:
    tz = zone_of(view.zone)
    today = local_date(now, tz)
    if registers and today not in held:
        now = day_range(today, tz).start  # its registers may still be read today
    since = min([local_date(view.meter.created_at, tz), *held])
    cells = strip(held, today, since, tz, now)
    expected = have = 0
    for day in (today - timedelta(days=n) for n in range(STRIP_DAYS)):
        start, end = day_range(day, tz)
        if day >= since and (length := min(end, now // 3600 * 3600) - start) > 0:
            expected, have = expected + length, have + min(length, held.get(day, 0))
    share = have / expected if expected else None
    state = meter_state(view)
    words = told(view.live.error) if view.live and view.live.error else (view.customer.name if view.customer else "")
    return MeterLine(
        view.meter.key, view.meter.serial, view.label if view.label != view.meter.serial else "", view, state, words,
        cells, gettext("Last 14 days: %(share)s") % {"share": current().percent(share, 1)}, share,
    )  # fmt: skip


def _row(line: MeterLine, principal: Principal) -> dict[str, Any]:
    view, now = line.view, int(time.time())
    words, colour = labels.state(labels.METER_STATES, line.state)
    last = view.live.last_ok if view.live else None
    return {
        "key": line.key,
        "serial": line.serial,
        "name": line.name,
        "customer": (view.customer.name or view.customer.external_key) if view.customer else "",
        "point": view.point.name if view.point else "",
        "state": words,
        "colour": colour,
        "last": current().ago(last, now),
        "lastExact": current().instant(last, zone_of(principal.zone)),
        "strip": [{"css": cell.css, "title": cell.title} for cell in line.strip],
        "stripLabel": line.strip_label,
        "gateway": view.gateway.key if view.gateway else "",
        "gatewayName": (view.gateway.name or view.gateway.key) if view.gateway else "",
    }


def _export(line: MeterLine, principal: Principal) -> list[str]:
    view = line.view
    last = view.live.last_ok if view.live else None
    return [
        line.key,
        line.serial,
        line.name,
        (view.customer.name or view.customer.external_key) if view.customer else "",
        view.point.name if view.point else "",
        labels.state(labels.METER_STATES, line.state)[0],
        current().instant(last, zone_of(principal.zone)) if last else "",
        current().percent(line.share, 1) if line.share is not None else "",
        view.gateway.key if view.gateway else "",
    ]


async def _filter(db: Db, principal: Who, search: str, gateway: str) -> MeterFilter:
    """The search's filter; a gateway that is not ours finds nothing."""
    gateway_id = None
    if gateway:
        gateway_id = (await registry.get_gateway(db, principal.tenant_id, gateway)).gateway.id
    return MeterFilter(search=search[:100], gateway_id=gateway_id)
