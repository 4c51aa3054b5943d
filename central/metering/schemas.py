"""Shapes of what was measured. ``value`` is a float to look at; ``raw`` with ``scale``, or ``exact``, is the truth."""

from datetime import date
from fractions import Fraction
from typing import Any

import msgspec

from central.api.exact import decimal_text
from central.api.query import instant_text, optional_text
from central.api.schemas import Output, Scale
from central.metering.availability import DayAvailability
from central.metering.consumption import Demand, MonthConsumption, PostConsumption
from central.metering.registers import Register, RegisterReadingView
from central.metering.series import Series
from central.metering.service import ChannelInfo, EventView
from central.metering.snapshots import SnapshotView
from shared.quality import Quality
from shared.quantities import POST_LABELS


class ChannelOut(Output):
    """A recorded channel: first and last local day held, newest step in seconds."""

    channel: str
    label: str
    unit: str
    first: date
    last: date
    step: int

    @classmethod
    def of(cls, info: ChannelInfo) -> "ChannelOut":
        return cls(
            channel=str(info.quantity),
            label=info.quantity.label,
            unit=info.quantity.unit,
            first=info.first,
            last=info.last,
            step=info.step,
        )


class RegisterOut(Output):
    """One register; ``at`` is the instant of a maximum, where the meter tells."""

    quantity: str
    label: str
    post: int
    unit: str
    value: float
    raw: int
    scale: Scale
    at: str | None

    @classmethod
    def of(cls, register: Register) -> "RegisterOut":
        quantity = register.quantity
        return cls(
            quantity=str(quantity),
            label=quantity.label,
            post=quantity.e,
            unit=quantity.unit,
            value=float(register.value),
            raw=register.raw,
            scale=_scale(register.scale),
            at=optional_text(register.at),
        )


class RegisterReadingOut(Output):
    """All registers at one instant; ``period`` 0 running, 1 closed by the reset at ``reset_at``."""

    at: str
    read_at: str
    period: int
    resets: int | None
    reset_at: str | None
    registers: list[RegisterOut]

    @classmethod
    def of(cls, view: RegisterReadingView) -> "RegisterReadingOut":
        return cls(
            at=instant_text(view.at),
            read_at=instant_text(view.read_at),
            period=view.period,
            resets=view.resets,
            reset_at=optional_text(view.reset_at),
            registers=[RegisterOut.of(register) for register in view.registers],
        )


class QuantityOut(Output):
    label: str
    unit: str


class SnapshotOut(Output):
    """Values at one instant by OBIS code; null where the meter could not tell."""

    at: str
    values: dict[str, float | None]


class InstantaneousOut(Output):
    """Snapshots, oldest first, and what their codes mean."""

    quantities: dict[str, QuantityOut]
    items: list[SnapshotOut]

    @classmethod
    def of(cls, views: list[SnapshotView]) -> "InstantaneousOut":
        known = {quantity for view in views for quantity in view.values}
        return cls(
            quantities={str(q): QuantityOut(label=q.label, unit=q.unit) for q in sorted(known)},
            items=[
                SnapshotOut(at=instant_text(view.at), values={str(q): value for q, value in view.values.items()})
                for view in views
            ],
        )


class EventOut(Output):
    """Something that happened at or to a meter or its gateway; ``until`` for what lasts."""

    id: int
    meter: str | None
    gateway: str | None
    kind: str
    at: str
    until: str | None
    detail: dict[str, Any]
    received_at: str

    @classmethod
    def of(cls, view: EventView) -> "EventOut":
        return cls(
            id=view.id,
            meter=view.meter,
            gateway=view.gateway,
            kind=view.kind,
            at=instant_text(view.at),
            until=optional_text(view.until),
            detail=view.detail,
            received_at=instant_text(view.received_at),
        )


class DayOut(Output):
    """How complete a local day is: intervals held of those expected by now; ``share`` null before the day begins."""

    day: date
    expected: int
    whole: int
    held: int
    missing: int
    share: float | None
    flags: int
    quality: list[str]
    registers: bool
    step: int

    @classmethod
    def of(cls, day: DayAvailability) -> "DayOut":
        return cls(
            day=day.day,
            expected=day.expected,
            whole=day.whole,
            held=day.held,
            missing=day.missing,
            share=day.share,
            flags=day.flags,
            quality=quality_names(day.flags),
            registers=day.registers,
            step=day.step,
        )


class AvailabilityOut(Output):
    meter: str
    channel: str
    zone: str
    month: str
    days: list[DayOut]


class DemandOut(Output):
    """A maximum: mean power over ``seconds`` beginning at ``at``."""

    value: float
    exact: str
    at: str
    seconds: int

    @classmethod
    def of(cls, demand: Demand) -> "DemandOut":
        return cls(
            value=float(demand.value),
            exact=decimal_text(demand.value),
            at=instant_text(demand.at),
            seconds=demand.seconds,
        )


class PostOut(Output):
    """Energy of one post (0: all) over ``intervals`` that counted; ``gaps`` could not be counted.

    ``load_factor`` is their mean demand / ``maximum``, null without a positive maximum.
    """

    post: int
    label: str
    energy: float
    exact: str
    intervals: int
    gaps: int
    maximum: DemandOut | None
    load_factor: float | None

    @classmethod
    def of(cls, post: PostConsumption) -> "PostOut":
        return cls(
            post=post.post,
            label=POST_LABELS.get(post.post, str(post.post)),
            energy=float(post.energy),
            exact=decimal_text(post.energy),
            intervals=post.intervals,
            gaps=post.gaps,
            maximum=DemandOut.of(post.maximum) if post.maximum else None,
            load_factor=None if post.load_factor is None else float(post.load_factor),
        )


class MonthOut(Output):
    """A local month up to now."""

    month: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    unit: str
    demand_unit: str
    expected: int
    complete: bool
    posts: list[PostOut]

    @classmethod
    def of(cls, month: MonthConsumption) -> "MonthOut":
        return cls(
            month=f"{month.first:%Y-%m}",
            start=instant_text(month.start),
            end=instant_text(month.end),
            unit=month.unit,
            demand_unit=month.demand_unit,
            expected=month.expected,
            complete=month.complete,
            posts=[PostOut.of(post) for _, post in sorted(month.posts.items())],
        )


class ConsumptionOut(Output):
    meter: str
    channel: str
    zone: str
    months: list[MonthOut]


class MaximumOut(Output):
    """Maximum demand of one post in one month; null when nothing could be counted."""

    post: int
    label: str
    maximum: DemandOut | None


class DemandMonthOut(Output):
    month: str
    unit: str
    complete: bool
    posts: list[MaximumOut]

    @classmethod
    def of(cls, month: MonthConsumption) -> "DemandMonthOut":
        whole = MonthOut.of(month)
        return cls(
            month=whole.month,
            unit=whole.demand_unit,
            complete=whole.complete,
            posts=[MaximumOut(post=p.post, label=p.label, maximum=p.maximum) for p in whole.posts],
        )


class DemandMonthsOut(Output):
    meter: str
    channel: str
    zone: str
    months: list[DemandMonthOut]


class ProfileOut(Output):
    """Consecutive intervals: number i covers [from + i x step, from + (i + 1) x step), named by its start.

    ``raw[i]`` x scale = ``values[i]`` in ``unit``, at the meter's primary side; null is missing. ``flags[i]`` is the
    bit mask of ``quality``.
    """

    meter: str
    channel: str
    label: str
    unit: str
    zone: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    step: int
    stamp: str
    scale: Scale
    quality: dict[str, int]
    values: list[float | None]
    raw: list[int | None]
    flags: list[int]

    @classmethod
    def of(cls, meter: str, zone: str, series: Series) -> "ProfileOut":
        held = series.held.tolist()
        return cls(
            meter=meter,
            channel=str(series.quantity),
            label=series.quantity.label,
            unit=series.unit,
            zone=zone,
            start=instant_text(series.start),
            end=instant_text(series.end),
            step=series.step,
            stamp="interval_start",
            scale=Scale(series.num, series.den),
            quality=QUALITY_BITS,
            values=[v if h else None for v, h in zip(series.units().tolist(), held, strict=True)],
            raw=[v if h else None for v, h in zip(series.values.tolist(), held, strict=True)],
            flags=series.flags.tolist(),
        )


QUALITY_BITS = {str(flag.name).lower(): int(flag) for flag in Quality}


def quality_names(flags: int) -> list[str]:
    """Names of the bits of a mask."""
    return [name for name, bit in QUALITY_BITS.items() if flags & bit]


def _scale(value: Fraction) -> Scale:
    return Scale(value.numerator, value.denominator)
