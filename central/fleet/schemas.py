"""Shapes of gateways at work and of commands to them."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from central.api.query import instant_text, optional_text
from central.api.schemas import Input, InstantIn, Output, seconds
from central.fleet.models import GatewayHealth, ModuleHealth
from central.fleet.service import DEFAULT_LIFETIME, MAX_LIFETIME, READ_KINDS, CommandView
from central.registry.service import GatewayView
from shared.wire import (
    Action,
    ApplyConfig,
    CloseBill,
    LineState,
    MeterState,
    ReadNow,
    ReadRange,
    SetClock,
    SetForward,
    TestForward,
)

WireKey = Annotated[str, Meta(min_length=1, max_length=64)]
Lifetime = Annotated[
    int, Meta(ge=1, le=MAX_LIFETIME, description="Seconds within which the gateway must get the command")
]


class LineOut(Output):
    """One line of a gateway as it last told."""

    line: str
    state: str
    owner: str
    queue: int
    error: str
    since: str | None

    @classmethod
    def of(cls, line: LineState) -> "LineOut":
        return cls(
            line=line.line, state=line.state, owner=line.owner, queue=line.queue, error=line.error,
            since=instant_text(line.since) if line.since else None,
        )  # fmt: skip


class MeterStateOut(Output):
    """One meter as its gateway last saw it."""

    meter: str
    line: str
    state: str
    protocol: str
    last_ok: str | None
    error: str
    module: str
    missing: int

    @classmethod
    def of(cls, meter: MeterState) -> "MeterStateOut":
        return cls(
            meter=meter.meter, line=meter.line, state=meter.state, protocol=meter.protocol,
            last_ok=optional_text(meter.last_ok), error=meter.error, module=meter.module, missing=meter.missing,
        )  # fmt: skip


class GatewayOut(Output):
    """A gateway and its last word."""

    key: str
    name: str
    place: str
    latitude: float | None
    longitude: float | None
    online: bool
    contact_at: str | None
    meters: int
    version: str
    spool_rows: int | None
    alarms: list[str]
    created_at: str

    @classmethod
    def of(cls, view: GatewayView) -> "GatewayOut":
        row, told = view.gateway, view.summary
        return cls(
            key=row.key, name=row.name, place=row.place, latitude=row.latitude, longitude=row.longitude,
            online=view.online, contact_at=optional_text(view.live.contact_at) if view.live else None,
            meters=view.meters, version=told.version if told else "",
            spool_rows=told.spool_rows if told else None, alarms=told.alarms if told else [],
            created_at=instant_text(row.created_at),
        )  # fmt: skip


class GatewayDetail(Output):
    """A gateway with its lines and meters as it last told."""

    gateway: GatewayOut
    state_at: str | None
    started_at: str | None
    config_hash: str
    lines: list[LineOut]
    meters: list[MeterStateOut]

    @classmethod
    def of(cls, view: GatewayView) -> "GatewayDetail":
        state = view.state
        return cls(
            gateway=GatewayOut.of(view), state_at=optional_text(state.at) if state else None,
            started_at=optional_text(state.started_at) if state else None,
            config_hash=view.live.config_hash if view.live else "",
            lines=[LineOut.of(line) for line in state.lines] if state else [],
            meters=[MeterStateOut.of(meter) for meter in state.meters] if state else [],
        )  # fmt: skip


class ConfigurationOut(Output):
    """The configuration a gateway last told to be in force, secrets masked; both are empty before its first word.

    To change it, send ``apply_config`` with the changed ``toml`` and this ``hash`` as ``base``.
    """

    gateway: str
    hash: str
    toml: str

    @classmethod
    def of(cls, view: GatewayView) -> "ConfigurationOut":
        live = view.live
        return cls(
            gateway=view.gateway.key, hash=live.config_hash if live else "", toml=live.config if live else ""
        )  # fmt: skip


class HealthOut(Output):
    """Health of a gateway at one instant."""

    at: str
    spool_rows: int
    rss_bytes: int
    clock_offset_ms: float | None

    @classmethod
    def of(cls, row: GatewayHealth) -> "HealthOut":
        return cls(
            at=instant_text(row.at), spool_rows=row.spool_rows, rss_bytes=row.rss_bytes,
            clock_offset_ms=row.clock_offset_ms,
        )  # fmt: skip


class ModuleHealthOut(Output):
    """Temperature (degC) and signal of a communication module at one instant; null where it cannot tell."""

    at: str
    temperature: float | None
    signal_dbm: float | None
    signal_percent: float | None

    @classmethod
    def of(cls, row: ModuleHealth) -> "ModuleHealthOut":
        return cls(
            at=instant_text(row.at), temperature=row.temperature, signal_dbm=row.signal_dbm,
            signal_percent=row.signal_percent,
        )  # fmt: skip


class Series(Output):
    """Health over [from, to)."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class GatewayHealthOut(Series):
    items: list[HealthOut]


class ModuleSeriesOut(Series):
    items: list[ModuleHealthOut]


class ReadNowIn(Input, tag="read_now", tag_field="kind"):
    """Read these kinds of one meter now: registers, profile, instantaneous, events."""

    meter: WireKey
    kinds: Annotated[list[str], Meta(min_length=1, max_length=8)] = msgspec.field(
        default_factory=lambda: list(READ_KINDS)
    )
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return ReadNow(self.meter, self.kinds)


class ReadRangeIn(Input, tag="read_range", tag_field="kind"):
    """Read the profile of one meter again for [from, to)."""

    meter: WireKey
    start: InstantIn = msgspec.field(name="from")
    end: InstantIn = msgspec.field(name="to")
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return ReadRange(self.meter, seconds(self.start), seconds(self.end))


class SetClockIn(Input, tag="set_clock", tag_field="kind"):
    """Set a meter's clock to the gateway's, if it is off by at most ``max_shift`` seconds."""

    meter: WireKey
    max_shift: Annotated[int, Meta(ge=1, le=86400)] = 300
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return SetClock(self.meter, self.max_shift)


class ApplyConfigIn(Input, tag="apply_config", tag_field="kind"):
    """Replace the gateway's configuration (administrators); ``base`` is the hash it was made from."""

    toml: Annotated[str, Meta(min_length=1, max_length=200_000)]
    base: str = ""
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return ApplyConfig(self.toml, self.base)


class CloseBillIn(Input, tag="close_bill", tag_field="kind"):
    """Demand reset (administrators); ``confirm`` is the meter's serial, typed again. It cannot be undone."""

    meter: WireKey
    confirm: WireKey
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return CloseBill(self.meter, self.confirm)


class SetForwardIn(Input, tag="set_forward", tag_field="kind"):
    """Open or change a meter's forwarded port, or close it without ``toml`` (administrators); ``base`` as above."""

    meter: WireKey
    toml: Annotated[str, Meta(max_length=20_000)] = ""
    base: str = ""
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return SetForward(self.meter, self.toml, self.base)


class TestForwardIn(Input, tag="test_forward", tag_field="kind"):
    """Try a meter's forwarded port now, as the CCEE would."""

    meter: WireKey
    lifetime: Lifetime = DEFAULT_LIFETIME

    def action(self) -> Action:
        return TestForward(self.meter)


CommandIn = ReadNowIn | ReadRangeIn | SetClockIn | ApplyConfigIn | CloseBillIn | SetForwardIn | TestForwardIn
CONTROLLING = (ApplyConfigIn, CloseBillIn, SetForwardIn)


class CommandOut(Output):
    """A command and what became of it; ``status``: queued, sent, done, failed, expired."""

    id: str
    gateway: str
    meter: str | None
    kind: str
    by: str
    status: str
    issued_at: str
    expires_at: str
    sent_at: str | None
    finished_at: str | None
    sends: int
    code: str
    message: str
    data: dict[str, Any]

    @classmethod
    def of(cls, view: CommandView) -> "CommandOut":
        row = view.row
        return cls(
            id=row.id, gateway=view.gateway, meter=view.meter, kind=row.kind, by=row.by, status=row.status,
            issued_at=instant_text(row.issued_at), expires_at=instant_text(row.expires_at),
            sent_at=optional_text(row.sent_at), finished_at=optional_text(row.finished_at), sends=row.sends,
            code=row.code, message=row.message, data=view.result.data if view.result else {},
        )  # fmt: skip
