"""From the pump's ring to the guardian: beside the byte path, bounded, and never able to touch it."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from edge.forwarder.capture import Capture
from edge.guardian import CloseReason, Finding, Side, Verdict
from ext.pump import Pump

log = structlog.get_logger("edge.forwarder")

#: While a pair is served, the ring is emptied so often (s); it is woken earlier when half full.
EVERY: Final = 0.05
#: Longest that listening holds up the event loop at once (s).
BUDGET: Final = 0.005


class Listener(Protocol):
    """What the guardian's inspector is to us."""

    def heard(self, at: float, side: Side, data: bytes) -> bytes: ...

    def live(self) -> dict[str, Any]: ...

    def finish(self, at: float, reason: CloseReason) -> Finding: ...


@dataclass
class Ear:
    """Who listens to one connection. After a failure, or where octets were missed, nobody does (``deaf`` says why)."""

    meter: str
    listener: Listener | None
    capture: Capture | None
    started: float
    deaf: str = ""

    def hear(self, at: float, side: int, data: bytes) -> None:
        """Let the guardian hear, and keep what it gives back."""
        if self.deaf or self.listener is None:
            return
        try:
            masked = self.listener.heard(at, Side(side), data)
            if self.capture is not None and len(masked) == len(data):
                self.capture.add(max(int((at - self.started) * 1000), 0), side, masked)
        except Exception as error:
            self.fail(f"the guardian failed: {type(error).__name__}: {error}")

    def fail(self, why: str) -> None:
        """Stop listening; the connection goes on."""
        if not self.deaf:
            self.deaf = why
            log.warning("connection goes on unobserved", meter=self.meter, reason=why)

    def live(self) -> dict[str, Any]:
        """For the gateway's live view."""
        if self.deaf or self.listener is None:
            return {"unobserved": self.deaf or "nobody listens"}
        try:
            return dict(self.listener.live())
        except Exception as error:
            self.fail(f"the guardian failed: {type(error).__name__}: {error}")
            return {"unobserved": self.deaf}

    def finish(self, at: float, reason: CloseReason) -> Finding:
        """What the guardian says in the end."""
        if self.listener is not None and not self.deaf:
            try:
                return self.listener.finish(at, reason)
            except Exception as error:
                self.fail(f"the guardian failed: {type(error).__name__}: {error}")
        text = f"Not observed: {self.deaf or 'nobody listens'}."
        return Finding("unknown", Verdict.NOT_UNDERSTOOD, text[:2000])


@dataclass
class Tap:
    """The pump's thread and who listens to its pairs, by slot. ``changed``: told when a pair may have."""

    pump: Pump
    changed: dict[int, Callable[[], None]] = field(default_factory=dict)
    ears: dict[int, Ear] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to pump, on the running loop."""
        self._thread = threading.Thread(target=self.pump.run, name="byte pump", daemon=True)
        self._thread.start()
        asyncio.get_running_loop().add_reader(self.pump.notice, self._noticed)

    def close(self) -> None:
        """End the thread."""
        asyncio.get_running_loop().remove_reader(self.pump.notice)
        if self._timer is not None:
            self._timer.cancel()
        self.pump.close()
        if self._thread is not None:
            self._thread.join()

    def attach(self, slot: int, ear: Ear, changed: Callable[[], None]) -> None:
        """Listen to a slot, before it is served."""
        self.ears[slot], self.changed[slot] = ear, changed
        if self._timer is None:
            self._drain()

    def detach(self, slot: int) -> None:
        """The pair has ended: hear the rest and let it go."""
        while self._listen():
            pass
        self.ears.pop(slot, None)
        self.changed.pop(slot, None)

    def _noticed(self) -> None:
        os.eventfd_read(self.pump.notice)
        for slot in list(self.ears):
            if self.pump.look(slot)[7]:
                self.ears[slot].fail("it was faster than the guardian")
        self._listen()
        for tell in list(self.changed.values()):
            tell()

    def _drain(self) -> None:
        end = time.perf_counter() + BUDGET
        more = True
        while more and time.perf_counter() < end:
            more = self._listen()
        self._timer = None
        if self.ears:
            self._timer = asyncio.get_running_loop().call_later(BUDGET if more else EVERY, self._drain)

    def _listen(self) -> bool:
        """Hear some pieces; False when there were none."""
        pieces = self.pump.taken()
        for slot, at, side, data in pieces:
            ear = self.ears.get(slot)
            if ear is not None:
                ear.hear(at / 1e9, side, data)
        return bool(pieces)
