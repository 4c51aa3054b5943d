"""The gateway's configuration, declared: names, types, bounds, defaults. Times are seconds unless named otherwise."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge.spool.settings import SpoolSettings
from edge.uplink.settings import UplinkSettings
from shared.ids import ID_PATTERN

Id = Annotated[str, Meta(pattern=ID_PATTERN, max_length=48)]
Text = Annotated[str, Meta(min_length=1, max_length=400)]
Period = Annotated[int, Meta(ge=0, le=30 * 86400)]  # 0 = never


class Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base of every table of the file: unknown keys are refused."""


class Uplink(UplinkSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker. ``password_file`` keeps the password out of this file; TLS unless switched off."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    tls: bool = True
    password_file: str | None = None


class Spool(SpoolSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local cache; the gateway's socket and its decisions lie beside ``path``."""

    path: Text


class Log(Table, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Light(Table, frozen=True):
    """The lamp that shows how things are: ``led`` is a name under ``/sys/class/leds``; without it none is used."""

    led: Annotated[str, Meta(max_length=64, pattern=r"^([^/\s.][^/\s]*)?$")] = ""


class Permissions(Table, frozen=True):
    """What commands from the aggregator may do here, whatever else allows it."""

    set_clock: bool = True
    apply_config: bool = True
    close_bill: bool = False  # demand reset; the meter's own setting must allow it too


class Remote(Table, frozen=True):
    """``apply_grace``: s to reach the broker after a new configuration, before the previous one comes back."""

    apply_grace: Annotated[int, Meta(ge=5, le=3600)] = 120


class Schedule(Table, frozen=True):
    """Seconds between readings of each kind, 0 = never; missing intervals are asked for ``backfill_days`` back.

    A meter's clock that is off by more than ``clock_tolerance`` s is reported. Meters that CCEE reads over the
    same line are asked for profile and back-fill outside ``ccee_window`` (local time; empty: at any time).
    """

    profile: Period = 900
    registers: Period = 3600
    instantaneous: Period = 60
    events: Period = 3600
    clock: Period = 86400
    backfill_days: Annotated[int, Meta(ge=0, le=400)] = 37
    clock_tolerance: Annotated[int, Meta(ge=1, le=86400)] = 30
    ccee_window: Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$")] = "00:00-10:00"


class MeterSchedule(Table, frozen=True):
    """A meter's own values; what is left out comes from ``[schedule]``."""

    profile: Period | None = None
    registers: Period | None = None
    instantaneous: Period | None = None
    events: Period | None = None
    clock: Period | None = None
    backfill_days: Annotated[int, Meta(ge=0, le=400)] | None = None
    clock_tolerance: Annotated[int, Meta(ge=1, le=86400)] | None = None
    ccee_window: Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$")] | None = None


class Forward(Table, frozen=True, kw_only=True):
    """The way of CCEE to one meter: a port here, forwarded to the meter's line or to ``target``.

    ``allow``: networks that may connect; nobody else, so an empty list closes the door. ``target``: ``host:port`` of a
    meter on the utility's own network, or the name of a line that only CCEE uses; the meter's own line without.
    shared: CCEE pre-empts our own reading. exclusive: nobody else uses the path. ``interface``: the only one that is
    listened on. ``flush_ms``: octets of a serial line go on after so long a silence; 0 = each at once.
    """

    port: Annotated[int, Meta(ge=1, le=65535)]
    listen: Annotated[str, Meta(min_length=1, max_length=64)] = "0.0.0.0"  # noqa: S104  # who may come is ``allow``'s
    interface: Annotated[str, Meta(max_length=15, pattern=r"^[^\s/]*$")] = ""
    allow: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=64)] = []
    mode: Literal["exclusive", "shared"] = "shared"
    target: Annotated[str, Meta(max_length=260, pattern=r"^(\S+:[0-9]{1,5})?$|^[A-Za-z0-9][\w.\-]{0,47}$")] = ""
    idle_seconds: Annotated[int, Meta(ge=5, le=86400)] = 120
    total_seconds: Annotated[int, Meta(ge=10, le=86400)] = 3600
    resume_seconds: Annotated[int, Meta(ge=0, le=3600)] = 30  # own reading rests so long after CCEE has gone
    flush_ms: Annotated[int, Meta(ge=0, le=50)] = 5
    capture: bool = True
    self_test_hours: Annotated[int, Meta(ge=0, le=168)] = 6  # 0 = only on command


class Module(Table, frozen=True):
    """A communication module whose temperature and signal are reported.

    modemmanager: ``device`` is the modem's index or D-Bus path ("any" = the first). at: ``device`` is a serial port of
    the modem that nobody else uses. board: the computer's own sensors. simulated: made-up curves, for demonstrations.
    """

    name: Id
    kind: Literal["modemmanager", "at", "board", "simulated"]
    device: str = ""
    baud: Annotated[int, Meta(ge=300, le=4_000_000)] = 115200
    temperature_command: Annotated[str, Meta(max_length=40, pattern="^(AT.*)?$")] = ""  # answer's first number is degC
    temperature_scale: Annotated[float, Meta(gt=0, le=1)] = 1.0


class LineBase(Table, frozen=True, tag_field="kind"):
    name: Id
    enabled: bool = True
    idle_close: Annotated[float, Meta(ge=0, le=86400)] = 0.0  # close after so long without use; 0 = stay open


class TcpLine(LineBase, tag="tcp", frozen=True, kw_only=True):
    """A transparent byte pipe over TCP; ``address`` is ``host:port`` (``[v6]:port``)."""

    address: Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.%\w]+\]|[^:\s]+):[0-9]{1,5}$", max_length=260)]
    connect_timeout: Annotated[float, Meta(gt=0, le=120)] = 10.0

    @property
    def host_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class SerialLine(LineBase, tag="serial", frozen=True, kw_only=True):
    """A serial port or pseudo-terminal; ``address`` is the device. ``rts``/``dtr`` feed some optical adapters."""

    address: Annotated[str, Meta(pattern="^/", max_length=400)]
    baud: Annotated[int, Meta(ge=50, le=4_000_000)] = 9600
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    rts: bool = True
    dtr: bool = True


Line = TcpLine | SerialLine


class Meter(Table, frozen=True):
    """One meter. ``id`` names it everywhere, ``serial`` is what it must answer; ``settings`` belong to the driver.

    ``line`` may be left out where ``forward.target`` leads to the meter: then we only forward.
    """

    id: Id
    serial: Annotated[str, Meta(min_length=1, max_length=64)]
    line: Annotated[str, Meta(max_length=48, pattern=f"{ID_PATTERN}|^$")] = ""
    protocol: Annotated[str, Meta(min_length=1, max_length=32)] = "abnt"
    module: str = ""
    enabled: bool = True
    settings: dict[str, Any] = {}
    schedule: MeterSchedule = MeterSchedule()
    forward: Forward | None = None


class Config(Table, frozen=True):
    """The whole file."""

    gateway: Id
    tenant: Id
    uplink: Uplink
    spool: Spool
    zone: Annotated[str, Meta(min_length=1, max_length=64)] = "America/Sao_Paulo"
    log: Log = Log()
    light: Light = Light()
    permissions: Permissions = Permissions()
    remote: Remote = Remote()
    schedule: Schedule = Schedule()
    modules: Annotated[list[Module], Meta(max_length=64)] = []
    lines: Annotated[list[Line], Meta(max_length=512)] = []
    meters: Annotated[list[Meter], Meta(max_length=4096)] = []

    def schedule_of(self, meter: Meter) -> Schedule:
        """The gateway's schedule with the meter's own values over it."""
        own = {name: value for name, value in msgspec.structs.asdict(meter.schedule).items() if value is not None}
        return msgspec.structs.replace(self.schedule, **own)


#: Keys that carry secrets: masked wherever the configuration is shown or sent.
SECRET_KEYS = frozenset({"password", "token", "secret", "pin", "read_password", "write_password"})

#: Other names by table ("" = top level), and what the keys are called here: accepted with a warning.
RENAMED: dict[tuple[str, str], str] = {
    ("", "broker"): "uplink",
    ("", "mqtt"): "uplink",
    ("", "timezone"): "zone",
    ("uplink", "user"): "username",
    ("uplink", "ca"): "ca_file",
    ("uplink", "cert"): "cert_file",
    ("uplink", "key"): "key_file",
    ("lines", "port"): "address",
    ("lines", "device"): "address",
    ("lines", "baudrate"): "baud",
    ("meters", "driver"): "protocol",
}
