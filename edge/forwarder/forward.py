"""The forward of one meter: its listener, who may come in, the conversation of now, and what became of those before."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from zlib import crc32

import msgspec
import structlog

from edge.config.model import Meter
from edge.drivers.contract import Driver
from edge.errors import EdgeError, LinkError, PreemptedError
from edge.forwarder import record, selftest
from edge.forwarder.admission import Admission
from edge.forwarder.capture import Capture
from edge.forwarder.connection import Connection, Route
from edge.forwarder.listening import Listening, listen, prepare, refuse
from edge.forwarder.selftest import Passed
from edge.forwarder.tap import Ear, Listener, Tap
from edge.guardian import CloseReason
from edge.guardian import Expected as Expectation
from shared.wire import ForwardConnection, ForwardState, Item, MeterEvent

log = structlog.get_logger("edge.forwarder")

#: A listener that cannot be opened is tried again, and one that is open looked at, so often (s).
RETRY: Final = 2.0
#: Clients accepted in one go: a flood has its turn, and others theirs.
AT_ONCE: Final = 16
#: The first self-test comes so long after the start (s), spread over as long a time again.
FIRST_TEST: Final = 120
#: Share of the period after which the next one begins: it takes its time as well.
SOONER: Final = 0.95
#: A self-test that is due while CCEE is connected, or that failed, is tried again after so long (s).
TEST_AGAIN: Final = 600.0


class Memory(Protocol):
    """Where records go: in order, whatever the spool says now."""

    def opened(self, connection: ForwardConnection) -> None: ...

    def store(self, items: Sequence[Item], state: Mapping[str, Any] | None = None) -> None: ...


@dataclass(eq=False)
class Forward:
    """``inspect`` makes a listener for the tap; None: nobody observes. ``touch``: the state has changed."""

    meter: Meter
    route: Route
    tap: Tap
    slot: int
    memory: Memory
    make_driver: Callable[[], Driver]
    inspect: Callable[[Expectation, float], Listener] | None
    expected: Callable[[Mapping[str, str], bool], Expectation]  # of known constants; for a self-test or not
    touch: Callable[[], None]
    state: dict[str, Any] = field(default_factory=dict)  # last_ccee_ok, last_own_ok, failures, tested, constants
    trouble: str = "not listening yet"
    turned_away: int = 0  # clients that came while another was there
    active: Connection | None = None
    _started: int = 0  # of the newest connection, UTC ms
    _task: asyncio.Task[None] | None = None
    _listening: Listening | None = None
    _testers: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        assert self.meter.forward is not None  # noqa: S101
        self.settings = self.meter.forward
        self.admission = Admission(self.settings.allow)
        self._listen_name = f"{self.settings.listen}:{self.settings.port}"

    # -- the listener ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen until cancelled; what is in the way is told once, and tried again."""
        said = ""
        while True:
            try:
                listening = listen(self.settings.listen, self.settings.port, self.settings.interface)
            except LinkError as error:
                self.trouble = str(error)
                if self.trouble != said:
                    said = self.trouble
                    log.warning("forward does not listen", meter=self.meter.id, error=said)
                    self._tell("forward_trouble", reason=said)
                    self.touch()
                await asyncio.sleep(RETRY)
                continue
            self.trouble = said = ""
            self._listening = listening
            log.info("forward listens", meter=self.meter.id, listen=self._listen_name)
            self.touch()
            try:
                self._attend(listening.sock)
                while not listening.stale:  # noqa: ASYNC110  # nothing tells when an interface has gone
                    await asyncio.sleep(RETRY)
                self.trouble = f"interface {self.settings.interface} has gone"
            finally:
                self._listening = None
                asyncio.get_running_loop().remove_reader(listening.sock)
                listening.sock.close()

    def _attend(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                client, address = sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError as error:  # no descriptors left: looking again at once would only turn in a circle
                log.warning("client not accepted", meter=self.meter.id, error=str(error))
                loop = asyncio.get_running_loop()
                loop.remove_reader(sock)
                loop.call_later(1.0, self._attend, sock)
                return
            self._admit(client, (str(address[0]), int(address[1])))

    def _admit(self, client: socket.socket, source: tuple[str, int]) -> None:
        own = source in self._testers
        if not own and not self.admission.admits(source[0]):
            refuse(client)
            if self.admission.refuse(time.monotonic()):
                log.warning("strangers at a forward", meter=self.meter.id, source=source[0])
                self._tell("ccee_unknown_source", source=source[0], refused=self.admission.refused)
            return
        before = self.active
        if before is not None:
            if before.opened.mode == record.SELF_TEST and not own:
                before.end(CloseReason.PREEMPTED)
            elif before.client_gone:
                before.end(CloseReason.CLIENT)
            else:
                refuse(client)
                self.turned_away += 1
                return
        self._begin(client, source, record.SELF_TEST if own else self.settings.mode)

    # -- conversations -------------------------------------------------------------------------------------------------

    def _begin(self, client: socket.socket, source: tuple[str, int], mode: str) -> None:
        try:
            prepare(client)
        except OSError:  # gone already
            client.close()
            return
        now = time.time()
        name = f"[{source[0]}]:{source[1]}" if ":" in source[0] else f"{source[0]}:{source[1]}"
        meter = self.meter.id
        # its start is a connection's name in journal and records: two of one meter never have the same
        self._started = started = max(int(now * 1000), self._started + 1)
        opened = ForwardConnection(meter, meter, mode, name, self._listen_name, started, started)
        self.memory.opened(opened)
        ear = Ear(meter, self._inspector(now, mode), Capture() if self.settings.capture else None, now)
        connection = Connection(opened, client, self.route, self.settings, self.tap, self.slot, ear)
        before, self.active = self._task, connection
        self._task = asyncio.get_running_loop().create_task(self._serve(connection, before), name=f"forward {meter}")
        log.info("forward connected", meter=meter, source=name, mode=mode)
        self.touch()

    def _inspector(self, now: float, mode: str) -> Listener | None:
        if self.inspect is None:
            return None
        try:
            return self.inspect(self.expected(self.state.get("constants") or {}, mode == record.SELF_TEST), now)
        except Exception as error:
            log.warning("connection goes on unobserved", meter=self.meter.id, reason=str(error))
            return None

    async def _serve(self, connection: Connection, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            done = await connection.run()
        except Exception as error:
            log.exception("our own mistake in a forward", meter=self.meter.id)
            done = record.cut_by_restart(connection.opened, int(time.time() * 1000))
            connection.error = str(error)
        finally:
            if self.active is connection:
                self.active = None
                self._task = None
        self._account(connection, done)

    def _account(self, connection: Connection, done: ForwardConnection) -> None:
        self.state["failures"], events = record.judged(done, self.state.get("failures", 0))
        if done.verdict in record.GOOD:
            self.state["constants"] = done.constants or self.state.get("constants")
            if done.mode != record.SELF_TEST:
                self.state["last_ccee_ok"] = done.ended_ms // 1000
        capture = connection.ear.capture
        items: list[Item] = [done, *events]
        if capture is not None:
            items += capture.items(done.meter, done.started_ms)
        self.memory.store(items, self.state)
        log.info(
            "forward ended", meter=done.meter, source=done.source, reason=done.close_reason, verdict=done.verdict,
            sent=done.sent, received=done.received, error=connection.error,
        )  # fmt: skip
        self.touch()

    def cut_before(self, opened: ForwardConnection, now: float) -> None:
        """A connection of an earlier life, which a kill cut."""
        done = record.cut_by_restart(opened, int(now * 1000))
        self.state["failures"], events = record.judged(done, self.state.get("failures", 0))
        self.memory.store([done, *events], self.state)

    async def close(self, reason: CloseReason) -> None:
        """End the conversation of now and wait for its record."""
        if self.active is not None:
            self.active.end(reason)
        if self._task is not None:
            await asyncio.wait([self._task])

    # -- self-test -----------------------------------------------------------------------------------------------------

    async def test_on_schedule(self) -> None:
        """Test at least every ``self_test_hours`` until cancelled."""
        period = self.settings.self_test_hours * 3600
        if not period:
            return
        spread = FIRST_TEST + crc32(self.meter.id.encode()) % FIRST_TEST
        due = max(self.state.get("tested", 0) + period - time.time(), spread)
        while True:
            await asyncio.sleep(min(due, period))
            try:
                await self.test()
                due = period * SOONER
            except PreemptedError as error:
                log.debug("self-test put off", meter=self.meter.id, reason=str(error))
                due = TEST_AGAIN
            except EdgeError:
                due = TEST_AGAIN
            except Exception:
                log.exception("our own mistake in a self-test", meter=self.meter.id)
                due = TEST_AGAIN

    async def test(self) -> Passed:
        """Read the meter through this forward; PreemptedError while CCEE is there, else the error of the reading."""
        if self.active is not None:
            raise PreemptedError(f"{self.meter.id}: {self.active.opened.source} is connected: no test meanwhile")
        if self._listening is None:
            raise LinkError(f"{self.meter.id}: {self.trouble}")
        sock, near = self._near_listener(self._listening)
        host = near.getsockname()[0]
        own = selftest.local_socket(host)
        tester = (str(own.getsockname()[0]), int(own.getsockname()[1]))
        self._testers.add(tester)
        now = int(time.time())
        try:
            passed = await selftest.read_as_ccee(self.make_driver(), own, near.getsockname()[1])
        except EdgeError as error:
            if self.active is not None and self.active.opened.mode != record.SELF_TEST:
                raise PreemptedError(f"{self.meter.id}: CCEE came, the test made way") from error
            log.warning("self-test failed", meter=self.meter.id, error=str(error))
            first = not self.state.get("test_failed")
            self.state["tested"], self.state["test_failed"] = now, True
            if first:
                self._tell("forward_trouble", reason=str(error)[:1000], self_test=True)
            raise
        finally:
            self._testers.discard(tester)
            if sock is not None:
                asyncio.get_running_loop().remove_reader(sock)
                sock.close()
        self.state["tested"] = self.state["last_own_ok"] = now
        self.state["test_failed"] = False
        self.memory.store([], self.state)
        self.touch()
        return passed

    def _near_listener(self, listening: Listening) -> tuple[socket.socket | None, socket.socket]:
        """What this machine itself can connect to: one that is bound to a device does not hear the loopback."""
        if not listening.device:
            return None, listening.sock
        sock = listen("127.0.0.1", 0).sock
        self._attend(sock)
        return sock, sock

    # -- what is told --------------------------------------------------------------------------------------------------

    def shown(self, own_reading: int | None) -> ForwardState:
        """For the gateway's state; ``own_reading``: last success of our own reading of this meter."""
        active = self.active
        state = "listening" if active is None else active.state.replace("ended", "listening")
        if active is not None and active.opened.mode == record.SELF_TEST:
            state = "testing"
        own = [instant for instant in (own_reading, self.state.get("last_own_ok")) if instant]
        live: dict[str, Any] = {} if active is None else active.ear.live()
        found = ForwardState(
            self.meter.id,
            self._listen_name,
            self.settings.mode,
            "trouble" if self.trouble else state,
            "" if active is None else active.opened.source,
            0 if active is None else active.opened.started_ms,
            self.state.get("last_ccee_ok"),
            max(own, default=None),
            self.state.get("failures", 0),
            self.admission.refused,
            self.trouble,
            {"turned_away": self.turned_away} if self.turned_away else {},
        )
        try:
            return msgspec.structs.replace(found, live=live | found.live)
        except ValueError as error:  # what the guardian says must not keep the gateway from telling its state
            log.debug("live view not plain", meter=self.meter.id, error=str(error))
            return found

    def _tell(self, kind: str, **detail: Any) -> None:
        self.memory.store([MeterEvent(self.meter.id, int(time.time()), kind, detail=detail)], self.state)
