"""Shapes of bills and of a month's days. ``energy`` is a float to look at, ``exact`` the truth."""

from datetime import date
from fractions import Fraction

from central.api.exact import decimal_text
from central.api.query import instant_text, optional_text
from central.api.schemas import Output
from central.metering.bill_view import Maximum, PeriodBill, PostBill
from central.metering.bills import Billing
from central.metering.calendar_month import CalendarMonth
from central.registry.lots import Period
from shared.quantities import POST_LABELS, Process


class FigureOut(Output):
    value: float
    exact: str

    @classmethod
    def of(cls, value: Fraction | None) -> "FigureOut | None":
        return None if value is None else cls(float(value), decimal_text(value))


class BillMaximumOut(Output):
    """A maximum demand; ``at`` null where the meter does not tell its instant."""

    value: float
    exact: str
    at: str | None

    @classmethod
    def of(cls, maximum: Maximum | None) -> "BillMaximumOut | None":
        if maximum is None:
            return None
        return cls(float(maximum.value), decimal_text(maximum.value), optional_text(maximum.at))


class BillPostOut(Output):
    """One post (0: all). ``projected``: an estimate to the end of the open period, null where there is none."""

    post: int
    label: str
    energy: FigureOut | None
    maximum: BillMaximumOut | None
    projected: FigureOut | None

    @classmethod
    def of(cls, post: PostBill) -> "BillPostOut":
        return cls(
            post=post.post,
            label=POST_LABELS.get(post.post, str(post.post)),
            energy=FigureOut.of(post.energy),
            maximum=BillMaximumOut.of(post.maximum),
            projected=FigureOut.of(post.projected),
        )


class BillPeriodOut(Output):
    """Local days ``first_day`` to ``last_day``. Counted are the seconds from ``counted_from`` to ``counted_to`` without
    gaps, by ``source`` (registers, profile or nothing, ""); ``partial``: readings reach over a part of the period only.
    """

    month: str
    first_day: date
    last_day: date
    open: bool
    source: str
    demand_source: str
    counted_from: str | None
    counted_to: str | None
    counted_seconds: int
    gaps: int
    partial: bool
    posts: list[BillPostOut]

    @classmethod
    def of(cls, month: date, period: Period, bill: PeriodBill) -> "BillPeriodOut":
        return cls(
            month=f"{month:%Y-%m}",
            first_day=period.first_day,
            last_day=period.last_day,
            open=bill.open,
            source=bill.source,
            demand_source=bill.demand_source,
            counted_from=optional_text(bill.since),
            counted_to=optional_text(bill.until),
            counted_seconds=bill.counted,
            gaps=bill.gaps,
            partial=bill.partial,
            posts=[BillPostOut.of(post) for _, post in sorted(bill.posts.items())],
        )


class BillingOut(Output):
    """Billing periods, oldest first, the open one last; ``lot`` null: calendar months."""

    meter: str
    quantity: str
    unit: str
    demand_unit: str
    zone: str
    lot: str | None
    last_reading: str | None
    bill_date: str
    periods: list[BillPeriodOut]

    @classmethod
    def of(cls, meter: str, zone: str, billing: Billing) -> "BillingOut":
        return cls(
            meter=meter,
            quantity=str(billing.quantity),
            unit=billing.quantity.unit,
            demand_unit=billing.quantity.with_process(Process.MAXIMUM_DEMAND).unit,
            zone=zone,
            lot=billing.lot.key if billing.lot else None,
            last_reading=optional_text(billing.read_at),
            bill_date=instant_text(billing.bills[-1].end),
            periods=[BillPeriodOut.of(billing.month(period), period, bill) for period, bill in billing.pairs],
        )


class CalendarDayOut(Output):
    """``profile`` is the share of the intervals held of those expected by now; null before the day and without one."""

    day: date
    registers: bool
    missed: bool
    profile: float | None
    billing_date: bool


class CalendarOut(Output):
    """``read`` of ``expected`` days have a register reading: today counts once it has one."""

    meter: str
    zone: str
    month: str
    today: date
    read: int
    expected: int
    availability: float | None
    profile: float | None
    days: list[CalendarDayOut]

    @classmethod
    def of(cls, meter: str, zone: str, month: CalendarMonth) -> "CalendarOut":
        return cls(
            meter=meter,
            zone=zone,
            month=f"{month.days[0].day:%Y-%m}",
            today=month.today,
            read=month.read,
            expected=month.expected,
            availability=month.availability,
            profile=month.share,
            days=[
                CalendarDayOut(
                    day=day.day,
                    registers=day.registers,
                    missed=month.missed(day),
                    profile=day.share if month.profile and day.day >= month.since else None,
                    billing_date=day.day in month.bill_days,
                )
                for day in month.days
            ],
        )
