"""Bills and the calendar of one meter, in the API."""

import time
from typing import Annotated, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.api.problems import invalid
from central.api.query import parse_month
from central.metering import bills
from central.metering.bill_schemas import BillingOut, CalendarOut
from central.metering.calendar_month import calendar_month
from central.registry.service import get_meter
from shared.intervals import local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_DELIVERED, MEASURANDS, Process, Quantity, QuantityError

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Key = FromPath[str]

#: What there may be bills of: energies by their number C.
ENERGIES: Final = frozenset(c for c in MEASURANDS if c < 10)


class BillController(Controller):
    """What a meter came to by billing period, and its days."""

    path = "/meters/{key:str}"
    tags = ("meters",)

    @get("/billing")
    async def get_billing(
        self,
        db: Db,
        principal: Who,
        key: Key,
        periods: Annotated[
            int, QueryParameter(ge=1, le=bills.MOST_PERIODS, description="Billing periods, the open one included")
        ] = 3,
        quantity: Annotated[str, QueryParameter(description="OBIS code C.8.0 of an energy", max_length=16)] = str(
            ACTIVE_DELIVERED
        ),
    ) -> BillingOut:
        """Return consumption and maximum demand by post for the billing periods of the lot, the open one projected.

        By the difference of registers where they are read by post about both ends of a period, else by the load
        profile. ``projected`` is an estimate: consumption to date x days of the period / days counted so far.
        """
        view = await get_meter(db, principal.tenant_id, key)
        found = await bills.billing(db, view, count=periods, quantity=_energy(quantity))
        return BillingOut.of(view.meter.key, view.zone, found)

    @get("/calendar")
    async def get_calendar(
        self,
        db: Db,
        principal: Who,
        key: Key,
        month: Annotated[
            str | None, QueryParameter(description="Local month YYYY-MM, the running one unless given", max_length=16)
        ] = None,
    ) -> CalendarOut:
        """Return each local day of a month: read or not, share of its profile, billing date or not."""
        view = await get_meter(db, principal.tenant_id, key)
        today = local_date(int(time.time()), zone_of(view.zone))
        first = parse_month(month) if month is not None else today.replace(day=1)
        if not 1970 < first.year < 9999:
            raise invalid("month", f"{month} is outside 1971 to 9998")
        return CalendarOut.of(view.meter.key, view.zone, await calendar_month(db, view, first))


def _energy(text: str) -> Quantity:
    try:
        quantity = Quantity.parse(text)
    except QuantityError as error:
        raise invalid("quantity", str(error)) from error
    if quantity.d != Process.CUMULATIVE or quantity.e or quantity.c not in ENERGIES:
        raise invalid("quantity", f"{text} is no energy C.{int(Process.CUMULATIVE)}.0 with C 1 to 9")
    return quantity
