"""Connections of the CCEE: the list, the same as CSV, and one of them with its conversation and its octets."""

import csv
import io
from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Response

from central.accounts.principal import Principal
from central.ccee import service
from central.ccee.service import ConnectionDetail, ConnectionFilter, ConnectionView
from central.ccee.verdicts import VERDICTS
from central.errors import NotFound, Refused
from central.registry import service as registry
from central.sheets import safe_cell
from central.web import ccee_words as words
from central.web import labels
from central.web.forms import Db, Search, Web, Who
from central.web.i18n import N_, current, gettext
from central.web.pages.ccee import Chosen
from central.web.pages.meter import commands_of
from central.web.render import page
from central.web.told import told
from central.web.views import dialogue
from shared.intervals import day_range
from shared.intervals import zone as zone_of

_ROWS: Final = 50
_CHUNK: Final = 1000
_MAX_EXPORT: Final = 100_000
_COLUMNS: Final = (
    N_("Start"), N_("End"), N_("Meter"), N_("Gateway"), N_("Mode"), N_("Source"), N_("Verdict"), N_("Meaning"),
    N_("Reason"), N_("Octets asked"), N_("Octets answered"), N_("Serial"), N_("Clock off by (s)"), N_("Range from"),
    N_("Range to"), N_("Delivered to"),
)  # fmt: skip


After = Annotated[str, QueryParameter(max_length=40)]


@get("/ccee/connections")
async def connections(
    request: Web, db: Db, principal: Who, meter: Search = "", gateway: Search = "", verdict: Chosen = "",
    first: Annotated[str, QueryParameter(name="from", max_length=10)] = "",
    last: Annotated[str, QueryParameter(name="to", max_length=10)] = "",
    failed: Chosen = "", after: After = "",
) -> Response[str]:  # fmt: skip
    """One page of the list, newest first."""
    wanted = await _filter(db, principal, meter, gateway, verdict, first, last, failed)
    found = None
    if wanted is not None:
        found = await service.connections(db, principal.tenant_id, wanted, after=after or None, limit=_ROWS)
    chosen = {"meter": meter, "gateway": gateway, "verdict": verdict, "from": first, "to": last, "failed": failed}
    query = urlencode({name: value for name, value in chosen.items() if value})
    return page(
        request, "ccee/connections.html", rows=found.items if found else [], next=found.next if found else None,
        after=after, chosen=chosen, query=query, verdicts=[code for code in VERDICTS if code.startswith("I")],
        gateways=(await registry.find_gateways(db, principal.tenant_id, limit=_CHUNK)).items,
        took=dialogue.took, octets=dialogue.octets,
    )  # fmt: skip


@get("/ccee/connections.csv")
async def connections_csv(
    db: Db, principal: Who, meter: Search = "", gateway: Search = "", verdict: Chosen = "",
    first: Annotated[str, QueryParameter(name="from", max_length=10)] = "",
    last: Annotated[str, QueryParameter(name="to", max_length=10)] = "",
    failed: Chosen = "",
) -> Response[bytes]:  # fmt: skip
    """Everything the filters find, the way a spreadsheet in the reader's language opens it."""
    wanted = await _filter(db, principal, meter, gateway, verdict, first, last, failed)
    target = io.StringIO()
    writer = csv.writer(target, delimiter="," if current().code == "en" else ";", lineterminator="\r\n")
    writer.writerow(gettext(each) for each in _COLUMNS)
    after: str | None = None
    for _ in range(_MAX_EXPORT // _CHUNK if wanted is not None else 0):
        found = await service.connections(db, principal.tenant_id, wanted, after=after, limit=_CHUNK)
        for view in found.items:
            writer.writerow(safe_cell(cell) for cell in _export(view, principal))
        after = found.next
        if after is None:
            break
    headers = {"Content-Disposition": 'attachment; filename="ccee-connections.csv"'}
    return Response(target.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


@get("/ccee/connections/{connection_id:int}")
async def connection(request: Web, db: Db, principal: Who, connection_id: FromPath[int]) -> Response[str]:
    """One connection as a conversation."""
    detail = await service.get_connection(db, principal.tenant_id, connection_id)
    meter = await registry.get_meter(db, principal.tenant_id, detail.view.meter)
    try:
        compared = await service.compare(db, principal.tenant_id, connection_id)
    except Refused:  # a range of years is drawn nowhere
        compared = None
    row = detail.view.row
    return page(
        request, "ccee/connection.html", zone=zone_of(meter.zone), detail=detail, view=detail.view, row=row,
        meter=meter, reason=told(row.reason), also=_also(detail), dialogue=dialogue.dialogue(detail), compared=compared,
        bars=dialogue.comparison(compared) if compared else [], took=dialogue.took, octets=dialogue.octets,
        tone=words.tone(row.verdict, row.outcome),
        **await commands_of(request, db, principal, meter),
    )  # fmt: skip


@get("/ccee/connections/{connection_id:int}/capture.pcapng")
async def capture(db: Db, principal: Who, connection_id: FromPath[int]) -> Response[bytes]:
    """Its octets for Wireshark."""
    view, kept = await service.octets(db, principal.tenant_id, connection_id)
    name = f"ccee-{view.meter}-{view.row.started_ms}.pcapng"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(service.pcapng(view, kept), media_type="application/octet-stream", headers=headers)


def _also(detail: ConnectionDetail) -> list[tuple[str, str]]:
    """(code, what the gateway said) of the verdicts that hold beside the first."""
    said = {str(each[0]): str(each[-1]) for each in detail.facts.get("also", []) if isinstance(each, list) and each}
    return [(code, told(said[code])) for code in detail.view.row.codes.split()[1:] if code in said]


async def _filter(
    db: Db, principal: Principal, meter: str, gateway: str, verdict: str, first: str, last: str, failed: str
) -> ConnectionFilter | None:
    """What was chosen; None where a meter or gateway is named that is not there: then nothing is found."""
    tz = zone_of(principal.zone)
    start, end = _day(first), _day(last)
    try:
        meter_id = (await registry.get_meter(db, principal.tenant_id, meter)).meter.id if meter else None
        gateway_id = (await registry.get_gateway(db, principal.tenant_id, gateway)).gateway.id if gateway else None
    except NotFound:
        return None
    return ConnectionFilter(
        meter_id=meter_id, gateway_id=gateway_id, verdict=verdict or None, failed=failed == "1",
        start=day_range(start, tz).start if start else None, end=day_range(end, tz).end if end else None,
    )  # fmt: skip


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _export(view: ConnectionView, principal: Principal) -> list[str]:
    row, tz = view.row, zone_of(principal.zone)
    offset = row.clock_offset_ms
    return [
        current().instant(row.started_ms // 1000, tz, seconds=True),
        current().instant(row.ended_ms // 1000, tz, seconds=True),
        view.meter, view.gateway, labels.word(labels.FORWARD_MODES, row.mode), row.source, row.verdict,
        words.title(row.verdict), told(row.reason), str(row.sent), str(row.received), row.serial,
        current().number(offset / 1000, 1) if offset is not None else "",
        *(current().instant(at, tz) if at else "" for at in (row.range_start, row.range_end, row.delivered_end)),
    ]  # fmt: skip
