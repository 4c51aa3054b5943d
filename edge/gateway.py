"""The gateway: everything assembled from one configuration, in named tasks of one group, until it is stopped."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from edge import control
from edge.commands.executor import Commander
from edge.config import Loaded, Uplink, mask
from edge.config.store import ConfigStore, Marker, Phase
from edge.errors import ConfigError, EdgeError
from edge.export import named
from edge.fleet import Fleet, build_fleet
from edge.forwarder import Forwarder
from edge.guardian import CloseReason
from edge.light import LEDS, flash, flashes
from edge.lines.contract import LineClass
from edge.logs import configure
from edge.poller.reader import Reader
from edge.poller.schedule import Kind
from edge.poller.worker import LineWorker
from edge.spool import Level, Spool
from edge.systemd import notify, watchdog_interval
from edge.telemetry.collector import Collector, SpoolDepth
from edge.uplink import LinkState
from edge.uplink import Uplink as UplinkTask
from shared.wire import GatewayConfig, GatewayState, Progress

log = structlog.get_logger("edge")

TELEMETRY_EVERY: Final = 60  # s
#: Commands under way get so long to end when the gateway stops.
STOP_GRACE: Final = 10.0  # s


class Ending(Enum):
    STOP = "stop"
    RELOAD = "reload"


def program_version() -> str:
    try:
        return version("metergate")
    except PackageNotFoundError:
        return ""


class Gateway:
    """One life of the gateway with one configuration; :meth:`run` returns why it ended."""

    def __init__(self, store: ConfigStore, loaded: Loaded, marker: Marker | None, refused: str = "") -> None:
        self.store = store
        self.loaded = loaded
        self.config = loaded.config
        self._marker = marker
        self._refused = refused  # what is wrong with the file, while the configuration before it stays in force
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self._started_at = int(time.time())
        self._version = program_version()
        self._listeners: set[Callable[[Progress], None]] = set()
        self.spool: Spool
        self.fleet: Fleet
        self.uplink: UplinkTask
        self.forwarder: Forwarder

    def end(self, how: Ending) -> None:
        """Ask for the end; the first word counts."""
        if not self._ending.done():
            self._ending.set_result(how)

    async def run(self) -> Ending:
        config = self.config
        async with AsyncExitStack() as stack:
            self.spool = await stack.enter_async_context(Spool(Path(config.spool.path), config.gateway, config.spool))
            self.fleet = await build_fleet(config, self.spool)
            stack.push_async_callback(self.fleet.close)
            reader = Reader(self.spool, self._publish)
            self.forwarder = Forwarder(config, self.fleet, self.spool, lambda: self.uplink.touch())
            commander = Commander(
                self.spool,
                reader,
                self.fleet.units,
                self.loaded,
                self.store,
                lambda: self.end(Ending.RELOAD),
                self.forwarder,
            )
            self.uplink = UplinkTask(
                self.spool,
                config.tenant,
                with_password(config.uplink),
                state=self.state,
                config=self.published_config,
                on_command=commander.take,
            )
            await stack.enter_async_context(self.forwarder)
            ending = await self._run_tasks(reader, commander, await self.spool.commands.unfinished())
            self.forwarder.reason = CloseReason.RESTART if ending is Ending.RELOAD else CloseReason.STOPPED
            return ending

    async def _run_tasks(self, reader: Reader, commander: Commander, interrupted: Sequence[str]) -> Ending:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.uplink.run(), name="uplink"),
                group.create_task(self._telemetry(), name="telemetry"),
                group.create_task(self._sign_of_life(), name="sign of life"),
                group.create_task(self._control(reader), name="local control"),
                group.create_task(self._finish(commander, interrupted), name="finish"),
            ]
            if self.config.light.led:
                tasks.append(group.create_task(flash(LEDS / self.config.light.led, self._flashes), name="light"))
            for name, line in self.fleet.lines.items():
                units = self.fleet.on(name)
                if line.enabled and units:
                    worker = LineWorker(line, units, reader, self.uplink.touch)
                    tasks.append(group.create_task(worker.run(), name=f"line {name}"))
            meters, lines = len(self.fleet.units), len(self.fleet.lines)
            log.info(
                "gateway runs",
                gateway=self.config.gateway,
                config=self.loaded.hash,
                lines=lines,
                meters=meters,
                version=self._version,
            )
            notify("READY=1", f"STATUS={meters} meters on {lines} lines")
            try:
                ending = await self._ending
                await commander.stop(STOP_GRACE)
            finally:
                await commander.stop(0.0)
                for task in tasks:
                    task.cancel()
        log.info("gateway ends", reason=ending.value)
        return ending

    def _flashes(self) -> int:
        silent = sum(meter.state != "ok" for meter in self.fleet.meter_states(time.time()))
        return flashes(connected=self.uplink.link.state is LinkState.CONNECTED, silent=silent)

    # -- what is told ------------------------------------------------------------------------------------------------

    def state(self) -> GatewayState:
        now = time.time()
        return GatewayState(
            at=int(now),
            online=True,
            version=self._version,
            spool_id=self.spool.spool_id,
            config=self.loaded.hash,
            started_at=self._started_at,
            spool_rows=self.spool.status.rows,
            lines=self.fleet.line_states(),
            meters=self.fleet.meter_states(now),
            alarms=self.alarms(),
            forwards=self.forwarder.states(),
        )

    def alarms(self) -> list[str]:
        """What an operator should know of the gateway: ``code: words``; codes stay, words may change."""
        found = list(self.uplink.alarms)
        if self.spool.level is Level.FULL:
            found.append(
                f"spool_full: the spool {self.config.spool.path} is full: readings pause and stay in the meters; "
                "restore the connection to the broker, free space on the disk, or raise spool.limit_bytes"
            )
        elif self.spool.level is Level.PRESSURE:
            found.append("spool_pressure: the spool is near its limit: acknowledged rows are dropped before their time")
        if self._marker is not None and self._marker.phase is Phase.TRIAL:
            found.append("config_trial: a new configuration is on trial until the broker is reached")
        if self._refused:
            found.append(f"config_refused: {self._refused}; the previous configuration stays in force")
        return found + self.forwarder.alarms()

    def published_config(self) -> GatewayConfig:
        try:
            text = mask(self.loaded.text)
        except ConfigError as error:
            text = f"# not shown: {error}\n"
        return GatewayConfig(int(time.time()), self.loaded.hash, text)

    def _publish(self, progress: Progress) -> None:
        self.uplink.progress(progress)
        for listener in self._listeners:
            listener(progress)

    # -- tasks -------------------------------------------------------------------------------------------------------

    async def _telemetry(self) -> None:
        def depth() -> SpoolDepth:
            status = self.spool.status
            return SpoolDepth(status.rows, status.bytes)

        collector = Collector(
            disk=Path(self.config.spool.path).parent,
            modules=self.config.modules,
            spool=depth,
            lines=self.fleet.line_telemetry,
            completeness=self.fleet.completeness,
        )
        while True:
            try:
                await self.spool.add([await collector.collect(time.time(), time.monotonic() - self._began)])
            except EdgeError as error:
                log.debug("telemetry not stored", error=str(error))
            self.uplink.touch()
            await asyncio.sleep(TELEMETRY_EVERY)

    async def _sign_of_life(self) -> None:
        """Tell systemd that the loop turns, and in one line what it does."""
        interval = watchdog_interval() or 30.0
        while True:
            connected = await self.uplink.connected(0)
            rows = self.spool.status.rows
            text = f"{'broker connected' if connected else 'broker out of reach'}, {rows} rows to deliver"
            notify("WATCHDOG=1", f"STATUS={text}")
            await asyncio.sleep(interval)

    async def _finish(self, commander: Commander, interrupted: Sequence[str]) -> None:
        """Bring to an end what an earlier life of the gateway began: interrupted commands, a configuration on trial."""
        marker = self._marker
        await commander.finish_interrupted(interrupted, marker.command if marker else "")
        if marker is None:
            return
        if marker.phase is Phase.ROLLED_BACK:
            await commander.answer_trial(marker.command, False, f"the previous configuration is back: {marker.reason}")
            self._end_trial()
            return
        grace = self.config.remote.apply_grace
        if await self.uplink.connected(grace):
            await commander.answer_trial(marker.command, True, "in force; the broker was reached with it")
            self._end_trial()
            log.info("configuration kept", config=self.loaded.hash)
            return
        reason = f"the broker was not reached within {grace} s: {self.uplink.link.error or 'no answer'}"
        log.error("configuration rolled back", config=self.loaded.hash, reason=reason)
        self.store.roll_back(reason)
        self.end(Ending.RELOAD)

    def _end_trial(self) -> None:
        self.store.keep()
        self._marker = None
        self.uplink.touch()

    async def _control(self, reader: Reader) -> None:
        path = control.socket_path(Path(self.config.spool.path))
        try:
            await control.serve(path, lambda request, send: self._local(reader, request, send))
        except OSError as error:  # a full disk or a folder without rights: the gateway itself goes on
            log.warning("no local socket: status and read do not work", path=str(path), error=str(error))

    async def _local(self, reader: Reader, request: dict[str, Any], send: control.Send) -> None:
        if request.get("op") == "status":
            status = self.spool.status
            state: dict[str, Any] = {"event": "result", "gateway": self.config.gateway, "state": named(self.state())}
            uplink = self.uplink
            state["uplink"] = {
                "state": uplink.link.state.value, "error": uplink.link.error, "batches": uplink.counters.batches,
                "rows": uplink.counters.rows, "bytes": uplink.counters.bytes, "last_seq": status.last_seq,
                "cursor": status.cursor, "spool_bytes": status.bytes,
            }  # fmt: skip
            send(state)
        elif request.get("op") == "read":
            await self._local_read(reader, request, send)
        else:
            raise ValueError(f"op {request.get('op')!r} is not status or read")

    async def _local_read(self, reader: Reader, request: dict[str, Any], send: control.Send) -> None:
        unit = self.fleet.units.get(str(request.get("meter")))
        if unit is None:
            raise ConfigError(f"no meter {request.get('meter')!r} here; there are: {', '.join(self.fleet.units)}")
        kinds = [kind for kind in Kind if kind.value in request.get("kinds", ())]

        def tell(progress: Progress) -> None:
            if progress.meter == unit.id:
                send({"event": "progress", "kind": progress.kind, "done": progress.done, "total": progress.total})

        self._listeners.add(tell)
        try:
            outcome = await reader.visit(unit, kinds, LineClass.COMMAND)
        finally:
            self._listeners.discard(tell)
        if outcome.error is not None and not outcome.done:
            raise outcome.error if isinstance(outcome.error, EdgeError) else EdgeError(str(outcome.error))
        send(
            {
                "event": "result",
                "items": [named(item) for item in outcome.items],
                "drift": outcome.drift,
                "errors": [str(error) for _, error in outcome.errors],
            }
        )


async def serve(path: Path) -> None:
    """Run the gateway of a configuration file until SIGTERM or SIGINT; SIGHUP and remote changes restart it in place.

    Raises :class:`ConfigError` and errors of the spool when it cannot begin.
    """
    store = ConfigStore(path)
    current: list[Gateway] = []
    loop = asyncio.get_running_loop()

    stopping = asyncio.Event()

    def end(how: Ending) -> None:
        if how is Ending.STOP:
            stopping.set()  # a gateway that closes for a reload no longer listens
        for gateway in current:
            gateway.end(how)

    for number, how in ((signal.SIGTERM, Ending.STOP), (signal.SIGINT, Ending.STOP), (signal.SIGHUP, Ending.RELOAD)):
        loop.add_signal_handler(number, end, how)
    ending = Ending.RELOAD
    last: Loaded | None = None
    while ending is Ending.RELOAD and not stopping.is_set():
        loaded, marker, refused = _next(store, last)
        configure(loaded.config.log.level, loaded.config.log.format)
        for warning in loaded.warnings:
            log.warning("configuration", path=warning.path, text=warning.text)
        gateway = Gateway(store, loaded, marker, refused)
        current[:] = [gateway]
        try:
            ending = await gateway.run()
        except EdgeError as error:
            if marker is None or marker.phase is not Phase.TRIAL:
                raise
            log.error("configuration rolled back", config=loaded.hash, reason=str(error))
            store.roll_back(str(error))
        last = loaded
        notify("RELOADING=1" if ending is Ending.RELOAD else "STOPPING=1")


def _next(store: ConfigStore, last: Loaded | None) -> tuple[Loaded, Marker | None, str]:
    """What to run next, and why not the file: one that was edited on the spot and is wrong stops no running gateway."""
    try:
        return *store.start(), ""
    except ConfigError as error:
        if last is None:
            raise
        log.error("configuration not usable, the previous one stays in force", error=str(error))
        return last, None, " ".join(str(error).split())


def with_password(uplink: Uplink) -> Uplink:
    """The uplink's settings with the password from its file; :class:`ConfigError` naming a file that cannot be read."""
    if not uplink.password_file:
        return uplink
    try:
        password = Path(uplink.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"uplink.password_file {uplink.password_file} cannot be read: {error}") from error
    return msgspec.structs.replace(uplink, password=password)
