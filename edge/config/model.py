"""The gateway's configuration, declared: names, types, bounds, defaults. Times are seconds unless named otherwise."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.ids import ID_PATTERN

Id = Annotated[str, Meta(pattern=ID_PATTERN, max_length=48)]
Text = Annotated[str, Meta(min_length=1, max_length=400)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Period = Annotated[int, Meta(ge=0, le=30 * 86400)]  # 0 = never


class Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of every table of the file: unknown keys are refused."""


class Broker(Table):
    """The MQTT broker. With ``tls`` the gateway shows ``certificate`` and trusts ``ca`` (the system's when empty)."""

    host: Text
    port: Port = 8883
    tls: bool = True
    ca: str = ""
    certificate: str = ""
    key: str = ""
    user: str = ""
    password: str = ""
    password_file: str = ""
    keepalive: Annotated[int, Meta(ge=5, le=3600)] = 60


class Spool(Table):
    """Local cache. Acknowledged rows stay ``retention_days``, less when ``max_mb`` or ``min_free_mb`` comes near."""

    path: Text
    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 60
    max_mb: Annotated[int, Meta(ge=16, le=1_000_000)] = 1024
    min_free_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 64
    evidence_days: Annotated[int, Meta(ge=0, le=3650)] = 90  # raw frames behind billing values


class Log(Table):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Permissions(Table):
    """What commands from the aggregator may do here, whatever else allows it."""

    set_clock: bool = True
    apply_config: bool = True
    close_bill: bool = False  # demand reset; the meter's own setting must allow it too


class Remote(Table):
    """``apply_grace``: s to reach the broker after a new configuration, before the previous one comes back."""

    apply_grace: Annotated[int, Meta(ge=5, le=3600)] = 120


class Schedule(Table):
    """Seconds between readings of each kind, 0 = never; missing intervals are asked for ``backfill_days`` back."""

    profile: Period = 900
    registers: Period = 3600
    instantaneous: Period = 60
    events: Period = 3600
    clock: Period = 86400
    backfill_days: Annotated[int, Meta(ge=0, le=400)] = 37


class MeterSchedule(Table):
    """A meter's own values; what is left out comes from ``[schedule]``."""

    profile: Period | None = None
    registers: Period | None = None
    instantaneous: Period | None = None
    events: Period | None = None
    clock: Period | None = None
    backfill_days: Annotated[int, Meta(ge=0, le=400)] | None = None


class Module(Table):
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


class LineBase(Table, tag_field="kind"):
    name: Id
    enabled: bool = True
    idle_close: Annotated[float, Meta(ge=0, le=86400)] = 0.0  # close after so long without use; 0 = stay open


class TcpLine(LineBase, tag="tcp", kw_only=True):
    """A transparent byte pipe over TCP; ``address`` is ``host:port`` (``[v6]:port``)."""

    address: Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.%\w]+\]|[^:\s]+):[0-9]{1,5}$", max_length=260)]
    connect_timeout: Annotated[float, Meta(gt=0, le=120)] = 10.0

    @property
    def host_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class SerialLine(LineBase, tag="serial", kw_only=True):
    """A serial port or pseudo-terminal; ``address`` is the device. ``rts``/``dtr`` feed some optical adapters."""

    address: Annotated[str, Meta(pattern="^/", max_length=400)]
    baud: Annotated[int, Meta(ge=50, le=4_000_000)] = 9600
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    rts: bool = True
    dtr: bool = True


Line = TcpLine | SerialLine


class Meter(Table):
    """One meter. ``id`` names it everywhere, ``serial`` is what it must answer; ``settings`` belong to the driver."""

    id: Id
    serial: Annotated[str, Meta(min_length=1, max_length=64)]
    line: Id
    protocol: Annotated[str, Meta(min_length=1, max_length=32)] = "abnt"
    module: str = ""
    enabled: bool = True
    settings: dict[str, Any] = {}
    schedule: MeterSchedule = MeterSchedule()


class Config(Table):
    """The whole file."""

    gateway: Id
    tenant: Id
    broker: Broker
    spool: Spool
    zone: Annotated[str, Meta(min_length=1, max_length=64)] = "America/Sao_Paulo"
    log: Log = Log()
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

#: Keys of earlier versions, by table ("" = top level), and what they are called now: accepted with a warning.
RENAMED: dict[tuple[str, str], str] = {
    ("", "timezone"): "zone",
    ("broker", "username"): "user",
    ("broker", "cert"): "certificate",
    ("lines", "port"): "address",
    ("lines", "baudrate"): "baud",
    ("meters", "serial_number"): "serial",
    ("meters", "driver"): "protocol",
}
