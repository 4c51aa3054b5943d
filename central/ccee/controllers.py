"""What the CCEE did at meters, in the API; report R7."""

import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, about_cursor, answer, decode
from central.api.query import open_span, parse_choice, parse_day, wanted
from central.api.schemas import Page
from central.ccee import captures, expectation, export, forwards, overview, service
from central.ccee.schemas import (
    BoardOut,
    CceeMeterOut,
    ComparisonOut,
    ConnectionDetailOut,
    ConnectionOut,
    DayOut,
    ExpectedIn,
    ForwardOut,
    MeterDaysOut,
    MeterWeekOut,
    VerdictOut,
    WeekOut,
)
from central.ccee.verdicts import VERDICTS
from central.errors import Refused
from central.registry import entry
from central.registry.models import Gateway, Meter
from central.registry.service import MeterView, get_meter
from central.settings import CceeSettings
from central.store.engine import Database
from shared.intervals import local_date
from shared.intervals import zone as zone_of

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
Key = FromPath[str]
From = Annotated[str | None, QueryParameter(name="from", description="First instant: RFC 3339 or seconds since 1970")]
To = Annotated[str | None, QueryParameter(name="to", description="Instant after the last one")]
MeterKey = Annotated[str | None, QueryParameter(description="Key of a meter")]
GatewayKey = Annotated[str | None, QueryParameter(description="Key of a gateway")]
Day = Annotated[str | None, QueryParameter(description="Local day YYYY-MM-DD, today unless given", max_length=16)]

JSON: Final = "application/json"
CSV: Final = "text/csv"
PCAPNG: Final = "application/x-pcapng"
OCTETS: Final = "application/octet-stream"
TABLE_TYPES: Final = (JSON, CSV)
CAPTURE_TYPES: Final = (PCAPNG, OCTETS)
MODES: Final = ("exclusive", "shared", "self_test")
_CSV_TYPE: Final = f"{CSV}; charset=utf-8; header=present"
#: Rows fetched at once for an export.
_CHUNK: Final = 1000


class CceeController(Controller):
    """What the market operator did at each meter."""

    path = "/ccee"
    tags = ("ccee",)

    @get("/connections", opt={"offers": TABLE_TYPES})
    async def list_connections(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        meter: MeterKey = None,
        gateway: GatewayKey = None,
        verdict: Annotated[str | None, QueryParameter(description=", ".join(VERDICTS), max_length=32)] = None,
        mode: Annotated[str | None, QueryParameter(description=", ".join(MODES))] = None,
        failed: Annotated[bool, QueryParameter(description="Only sessions that failed")] = False,
        start: From = None,
        end: To = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[ConnectionOut]]:
        """List connections through forwarded ports, newest first; as ``text/csv`` all of them, streamed."""
        first, last = open_span(start, end)
        if verdict is not None:
            parse_choice(verdict, "verdict", tuple(VERDICTS))
        if mode is not None:
            parse_choice(mode, "mode", MODES)
        found = service.ConnectionFilter(
            meter_id=await entry.refer(db, principal.tenant_id, Meter, meter, "meter"),
            gateway_id=await entry.refer(db, principal.tenant_id, Gateway, gateway, "gateway"),
            verdict=verdict, mode=mode, failed=failed, start=first, end=last,
        )  # fmt: skip
        after = decode(cursor)
        if wanted(request, TABLE_TYPES) == CSV:
            stream = _connections_csv(request.app.state.database, principal, found)
            return _csv(stream, "ccee-connections.csv")
        try:
            rows = await service.connections(db, principal.tenant_id, found, after=after, limit=limit)
        except Refused as error:
            raise about_cursor(error) from error
        return answer(request, rows, ConnectionOut.of)

    @get("/connections/{connection_id:int}")
    async def get_connection(self, db: Db, principal: Who, connection_id: FromPath[int]) -> ConnectionDetailOut:
        """Return one connection with its questions and answers."""
        return ConnectionDetailOut.of(await service.get_connection(db, principal.tenant_id, connection_id))

    @get("/connections/{connection_id:int}/capture", opt={"offers": CAPTURE_TYPES}, media_type=PCAPNG)
    async def get_capture(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        connection_id: FromPath[int],
        side: Annotated[str | None, QueryParameter(description="client or meter: plain octets of one side")] = None,
    ) -> Response[bytes]:
        """Return the octets of a connection, passwords masked: as pcapng for Wireshark, or plain.

        By ``Accept``: ``application/x-pcapng`` (default) or ``application/octet-stream``. 404 when they are kept no
        more.
        """
        if side is not None:
            parse_choice(side, "side", tuple(captures.SIDES))
        kind = wanted(request, CAPTURE_TYPES)
        view, kept = await service.octets(db, principal.tenant_id, connection_id)
        plain = kind == OCTETS or side is not None
        body = captures.raw(kept, side) if plain else service.pcapng(view, kept)
        name = f"ccee-{view.row.id}.{'bin' if plain else 'pcapng'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
        return Response(body, media_type=OCTETS if plain else PCAPNG, headers=headers)

    @get("/connections/{connection_id:int}/comparison")
    async def get_comparison(self, db: Db, principal: Who, connection_id: FromPath[int]) -> ComparisonOut | None:
        """Return what a connection read beside what is held here; null when it told no range."""
        found = await service.compare(db, principal.tenant_id, connection_id)
        return ComparisonOut.of(found) if found else None

    @get("/days")
    async def list_days(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        day: Day = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[BoardOut]]:
        """List what was expected and seen on a local day, meter by meter: every one expected or seen."""
        wanted_day = _day(day, principal.zone)
        now = int(time.time())
        rows = await overview.board(
            db, principal.tenant_id, wanted_day, _settings(request), now, after=decode(cursor), limit=limit
        )
        return answer(request, rows, BoardOut.of)

    @get("/meters/{key:str}")
    async def get_ccee_meter(self, db: Db, principal: Who, key: Key) -> CceeMeterOut:
        """Return whether the CCEE is expected at a meter, and when it was last read well."""
        return await _meter(db, await get_meter(db, principal.tenant_id, key))

    @patch("/meters/{key:str}", opt=may(Permission.CONTROL))
    async def patch_ccee_meter(self, db: Db, principal: Who, key: Key, data: JSONBody[ExpectedIn]) -> CceeMeterOut:
        """Say whether the CCEE is expected at a meter; null: where its gateway tells of a forward."""
        view = await get_meter(db, principal.tenant_id, key)
        await expectation.set_expected(db, principal, view.meter, data.expected, int(time.time()))
        return await _meter(db, view)

    @get("/meters/{key:str}/days")
    async def list_meter_days(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        key: Key,
        first: Annotated[str | None, QueryParameter(description="First local day YYYY-MM-DD", max_length=16)] = None,
        last: Annotated[str | None, QueryParameter(description="Last one, today unless given", max_length=16)] = None,
    ) -> MeterDaysOut:
        """Return the days of one meter, the last week unless days are given; at most 366."""
        view = await get_meter(db, principal.tenant_id, key)
        to = _day(last, view.zone, "last")
        since = parse_day(first, "first") if first is not None else overview.days_before(to, 6)
        found = await overview.meter_days(db, view, since, to, _settings(request), int(time.time()))
        return MeterDaysOut(view.meter.key, view.zone, [DayOut.of(each) for each in found])

    @get("/weeks", opt={"offers": TABLE_TYPES})
    async def list_weeks(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        weeks: Annotated[
            int, QueryParameter(ge=1, le=overview.MAX_WEEKS, description="So many, the last one given")
        ] = 8,
        day: Day = None,
        meter: MeterKey = None,
    ) -> Response[Page[WeekOut]]:
        """Return sessions and success rate by week, oldest first: of all meters or of one. Also as ``text/csv``."""
        meter_id = await entry.refer(db, principal.tenant_id, Meter, meter, "meter")
        last = _day(day, principal.zone)
        found = await overview.weeks(db, principal.tenant_id, principal.zone, last, weeks, meter_id)
        items = [WeekOut.of(each) for each in found]
        if wanted(request, TABLE_TYPES) == CSV:
            rows = [export.week_head(), *(export.week_cells(each) for each in items)]
            return _csv(_once(export.lines(rows)), "ccee-weeks.csv")
        return Response(Page(items), headers={"Vary": "Accept"})

    @get("/weeks/meters", opt={"offers": TABLE_TYPES})
    async def list_meter_weeks(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        day: Day = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[MeterWeekOut]]:
        """List the week of a local day meter by meter; as ``text/csv`` all of them, streamed."""
        wanted_day = _day(day, principal.zone)
        if wanted(request, TABLE_TYPES) == CSV:
            stream = _weeks_csv(request.app.state.database, principal, wanted_day)
            return _csv(stream, f"ccee-week-{overview.monday(wanted_day)}.csv")
        rows = await overview.weeks_by_meter(
            db, principal.tenant_id, principal.zone, wanted_day, after=decode(cursor), limit=limit
        )
        return answer(request, rows, MeterWeekOut.of)

    @get("/forwards")
    async def list_forwards(self, db: Db, principal: Who, gateway: GatewayKey = None) -> Page[ForwardOut]:
        """Return the plan of forwarded ports, as gateways last told it."""
        gateway_id = await entry.refer(db, principal.tenant_id, Gateway, gateway, "gateway")
        lines = await forwards.forwards(db, principal.tenant_id, int(time.time()), gateway_id)
        return Page([ForwardOut.of(line) for line in lines])

    @get("/verdicts")
    async def list_verdicts(self) -> Page[VerdictOut]:
        """Return what each verdict means, and what to do."""
        return Page([VerdictOut.of(each) for each in VERDICTS.values()])


async def _meter(db: AsyncSession, view: MeterView) -> CceeMeterOut:
    forward = await forwards.forward_of(db, view.meter)
    last = await forwards.last_success(db, view.meter.tenant_id, view.meter, view.live, forward)
    return CceeMeterOut.of(view.meter.key, await expectation.expectation(db, view.meter.id), last)


def _settings(request: Asked) -> CceeSettings:
    settings: CceeSettings = request.app.state.settings.ccee
    return settings


def _day(text: str | None, zone: str, name: str = "day") -> date:
    return parse_day(text, name) if text is not None else local_date(int(time.time()), zone_of(zone))


def _csv(stream: AsyncIterator[bytes], name: str) -> Response[Any]:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
    return Stream(stream, media_type=_CSV_TYPE, headers=headers)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _connections_csv(
    database: Database, principal: Principal, found: service.ConnectionFilter
) -> AsyncIterator[bytes]:
    """One view of the database for the whole stream; a chunk of it in memory at a time."""
    yield export.lines([export.CONNECTION_HEAD])
    async with database.read(reach=principal.reach(Permission.READ)) as db:
        after: str | None = None
        while True:
            page = await service.connections(db, principal.tenant_id, found, after=after, limit=_CHUNK)
            yield export.lines(export.connection_cells(ConnectionOut.of(each)) for each in page.items)
            db.expunge_all()
            if (after := page.next) is None:
                return


async def _weeks_csv(database: Database, principal: Principal, day: date) -> AsyncIterator[bytes]:
    yield export.lines([export.week_head("meter", "meter_name")])
    async with database.read(reach=principal.reach(Permission.READ)) as db:
        after: str | None = None
        while True:
            page = await overview.weeks_by_meter(
                db, principal.tenant_id, principal.zone, day, after=after, limit=_CHUNK
            )
            yield export.lines(
                [each.meter, each.meter_name, *export.week_cells(WeekOut.of(each.week))] for each in page.items
            )
            if (after := page.next) is None:
                return
