"""What meters measured, in the API."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, about_cursor, answer, decode
from central.api.problems import invalid, nearest
from central.api.query import open_span, parse_choice, parse_month, parse_span, wanted
from central.api.schemas import Page
from central.errors import Refused
from central.metering import service
from central.metering.export import arrow_stream, csv_head, csv_rows
from central.metering.schemas import (
    AvailabilityOut,
    ChannelOut,
    ConsumptionOut,
    DayOut,
    DemandMonthOut,
    DemandMonthsOut,
    EventOut,
    InstantaneousOut,
    MonthOut,
    ProfileOut,
    RegisterReadingOut,
)
from central.registry.service import MeterView, get_meter
from central.store.engine import Database
from shared.intervals import local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_PROFILE, Process, Quantity, QuantityError
from shared.wire import EVENT_KINDS

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
Key = FromPath[str]
From = Annotated[str | None, QueryParameter(name="from", description="First instant: RFC 3339 or seconds since 1970")]
To = Annotated[str | None, QueryParameter(name="to", description="Instant after the last one; now unless given")]
Channel = Annotated[str, QueryParameter(description="OBIS code C.29.0 of a profile channel", max_length=16)]
Months = Annotated[int, QueryParameter(ge=1, le=36, description="Local months back, the running one included")]

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
MSGPACK: Final = "application/vnd.msgpack"
#: The second name of msgpack is older and still much used.
PROFILE_TYPES: Final = (JSON, CSV, ARROW, MSGPACK, "application/msgpack")

_DAY: Final = 86400
MAX_PROFILE_S: Final = 800 * _DAY  # what one answer holds in memory
MAX_STREAM_S: Final = 3700 * _DAY
_CHUNK_S: Final = 64 * _DAY


class ReadingController(Controller):
    """Readings of one meter."""

    path = "/meters/{key:str}"
    tags = ("meters",)

    @get("/channels")
    async def list_channels(self, db: Db, principal: Who, key: Key) -> Page[ChannelOut]:
        """List the profile channels of which something is held."""
        view = await get_meter(db, principal.tenant_id, key)
        return Page([ChannelOut.of(info) for info in await service.channels(db, view)])

    @get("/registers")
    async def list_registers(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        key: Key,
        start: From = None,
        end: To = None,
        period: Annotated[
            int | None, QueryParameter(ge=0, le=1, description="0 running, 1 closed by a demand reset")
        ] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[RegisterReadingOut]]:
        """List register readings, newest first."""
        view = await get_meter(db, principal.tenant_id, key)
        first, last = open_span(start, end)
        try:
            rows = await service.register_readings(
                db, view, start=first, end=last, period=period, after=decode(cursor), limit=limit
            )
        except Refused as error:
            raise about_cursor(error) from error
        return answer(request, rows, RegisterReadingOut.of)

    @get("/instantaneous")
    async def get_instantaneous(
        self, db: Db, principal: Who, key: Key, start: From = None, end: To = None
    ) -> InstantaneousOut:
        """Return the last instantaneous values, or with ``from`` those of a range of at most 31 days (newest 2000)."""
        view = await get_meter(db, principal.tenant_id, key)
        if start is None and end is None:
            last = await service.last_snapshot(db, view)
            return InstantaneousOut.of([last] if last else [])
        span = parse_span(start, end, longest=31 * _DAY, default=_DAY)
        return InstantaneousOut.of(list(await service.snapshots(db, view, *span)))

    @get("/events")
    async def list_events(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        key: Key,
        kind: Annotated[str | None, QueryParameter(description=", ".join(EVENT_KINDS))] = None,
        start: From = None,
        end: To = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[EventOut]]:
        """List what happened at or to a meter, newest first."""
        view = await get_meter(db, principal.tenant_id, key)
        first, last = open_span(start, end)
        if kind is not None:
            parse_choice(kind, "kind", EVENT_KINDS)
        try:
            rows = await service.events(
                db,
                principal.tenant_id,
                meter_id=view.meter.id,
                kind=kind,
                start=first,
                end=last,
                after=decode(cursor),
                limit=limit,
            )
        except Refused as error:
            raise about_cursor(error) from error
        return answer(request, rows, EventOut.of)

    @get("/availability")
    async def get_availability(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        key: Key,
        month: Annotated[
            str | None, QueryParameter(description="Local month YYYY-MM, the running one unless given", max_length=16)
        ] = None,
        channel: Channel = str(ACTIVE_PROFILE),
    ) -> AvailabilityOut:
        """Return each local day of a month: intervals held of those expected by now."""
        view = await get_meter(db, principal.tenant_id, key)
        quantity = await _channel(db, view, channel)
        first = parse_month(month) if month is not None else _this_month(view)
        if not 1970 < first.year < 9999:
            raise invalid("month", f"{month} is outside 1971 to 9998")
        days = await service.availability(db, view, first.year, first.month, channel=quantity)
        return AvailabilityOut(
            meter=view.meter.key,
            channel=str(quantity),
            zone=view.zone,
            month=f"{first:%Y-%m}",
            days=[DayOut.of(day) for day in days],
        )

    @get("/consumption")
    async def get_consumption(
        self, db: Db, principal: Who, key: Key, months: Months = 3, channel: Channel = str(ACTIVE_PROFILE)
    ) -> ConsumptionOut:
        """Return energy by post for the last local months, oldest first, with the maximum demand of each post."""
        view = await get_meter(db, principal.tenant_id, key)
        quantity = await _channel(db, view, channel)
        found = await service.consumption_by_post(db, view, months=months, channel=quantity)
        return ConsumptionOut(
            meter=view.meter.key, channel=str(quantity), zone=view.zone, months=[MonthOut.of(month) for month in found]
        )

    @get("/demand")
    async def get_demand(
        self, db: Db, principal: Who, key: Key, months: Months = 3, channel: Channel = str(ACTIVE_PROFILE)
    ) -> DemandMonthsOut:
        """Return the maximum demand by post, with its instant, for the last local months, oldest first."""
        view = await get_meter(db, principal.tenant_id, key)
        quantity = await _channel(db, view, channel)
        found = await service.consumption_by_post(db, view, months=months, channel=quantity)
        return DemandMonthsOut(
            meter=view.meter.key,
            channel=str(quantity),
            zone=view.zone,
            months=[DemandMonthOut.of(month) for month in found],
        )

    @get("/profile", opt={"offers": PROFILE_TYPES})
    async def get_profile(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        key: Key,
        channel: Channel = str(ACTIVE_PROFILE),
        start: From = None,
        end: To = None,
    ) -> Response[ProfileOut]:
        """Return the load profile of one channel, the last day unless a range is given.

        By ``Accept``: JSON, msgpack (``application/vnd.msgpack``, same shape), Arrow IPC stream
        (``application/vnd.apache.arrow.stream``: start, value, raw, flags), each up to 800 days; or ``text/csv``,
        streamed, up to 3700 days. Stamps are the *start* of an interval. What is not held is null, with its flags.
        """
        kind = wanted(request, PROFILE_TYPES)
        longest = MAX_STREAM_S if kind == CSV else MAX_PROFILE_S
        first, last = parse_span(start, end, longest=longest, default=_DAY)
        view = await get_meter(db, principal.tenant_id, key)
        quantity = await _channel(db, view, channel)
        if kind == CSV:
            return _csv_answer(request, view, quantity, first, last)
        series = await service.profile(db, view, quantity, first, last)
        headers = {"Vary": "Accept"}
        if kind == ARROW:
            return Response(arrow_stream(view.meter.key, series), media_type=ARROW, headers=headers)  # type: ignore[arg-type]
        body = ProfileOut.of(view.meter.key, view.zone, series)
        if kind == JSON:
            return Response(body, headers=headers)
        return Response(msgspec.msgpack.encode(body), media_type=kind, headers=headers)  # type: ignore[arg-type]


def _csv_answer(request: Asked, view: MeterView, quantity: Quantity, first: int, last: int) -> Response[Any]:
    name = f"{view.meter.key}_{quantity}_{first}-{last}.csv"
    return Stream(
        _csv_stream(request.app.state.database, view, quantity, first, last),
        media_type=f"{CSV}; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"},
    )


async def _csv_stream(
    database: Database, view: MeterView, quantity: Quantity, first: int, last: int
) -> AsyncIterator[bytes]:
    """One view of the database for the whole stream; a chunk of it in memory at a time."""
    yield csv_head()
    async with database.read() as db:
        done = 0
        for low, high in _chunks(first, last):
            series = await service.profile(db, view, quantity, low, high)
            yield csv_rows(series.part(max(series.start, done), series.end))
            done = series.end


def _chunks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cut at UTC midnights, which are ends of intervals whatever the step."""
    while first < last:
        cut = min(last, (first // _DAY) * _DAY + _CHUNK_S)
        yield first, cut
        first = cut


async def _channel(db: AsyncSession, view: MeterView, text: str) -> Quantity:
    """A profile channel that the meter has; any, while nothing is held of it yet."""
    try:
        quantity = Quantity.parse(text)
    except QuantityError as error:
        raise invalid("channel", str(error)) from error
    if quantity.d != Process.PROFILE:
        raise invalid("channel", f"{text} is not a profile channel C.{int(Process.PROFILE)}.0")
    known = [str(info.quantity) for info in await service.channels(db, view)]
    if known and str(quantity) not in known:
        raise invalid(
            "channel", f"{text} is not recorded by this meter; known are {', '.join(known)}", nearest(text, known)
        )
    return quantity


def _this_month(view: MeterView) -> date:
    return local_date(int(time.time()), zone_of(view.zone)).replace(day=1)
