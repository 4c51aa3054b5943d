"""Carries out commands: once each, within their time, answered by a ``Result`` in the spool."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from edge.commands.answer import error_result, failure, success
from edge.config import Loaded, parse, unmask
from edge.config.edit import with_forward
from edge.config.store import ConfigStore
from edge.drivers.contract import Readout
from edge.errors import ConfigError, EdgeError, PreemptedError
from edge.forwarder import Forwarder
from edge.lines.contract import Claim, LineClass
from edge.poller.reader import Outcome, Reader
from edge.poller.schedule import Kind
from edge.poller.unit import Unit
from edge.spool import Spool
from shared.intervals import Range
from shared.wire import (
    Action,
    ApplyConfig,
    CloseBill,
    Command,
    Item,
    ReadNow,
    ReadRange,
    Result,
    SetClock,
    SetForward,
    TestForward,
)

log = structlog.get_logger("edge.commands")

#: Commands under way at once; more are refused, a person sends them again.
MAX_RUNNING: Final = 64
#: A reading that the CCEE pushed off the line is tried again so often.
PREEMPTED_TRIES: Final = 3
#: A result that the spool does not take now is offered again after so many seconds.
ANSWER_AGAIN: Final = 5.0
#: Before this instant (2025-01-01 UTC) the gateway's own clock is certainly wrong.
CLOCK_FLOOR: Final = 1_735_689_600


@dataclass
class Commander:
    """``take`` is what the uplink calls. ``reload`` asks for a restart with the configuration then in place."""

    spool: Spool
    reader: Reader
    units: Mapping[str, Unit]
    loaded: Loaded
    store: ConfigStore
    reload: Callable[[], None]
    forwarder: Forwarder
    wall: Callable[[], float] = time.time
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def take(self, command: Command) -> None:
        """Begin a command unless it was begun before, whenever and by whomever it is delivered again."""
        if not await self.spool.commands.begin(command.id):
            log.debug("command known already", command=command.id)
            return
        log.info("command", command=command.id, action=type(command.action).__name__, by=command.by)
        if len(self._running) >= MAX_RUNNING:
            await self._answer(failure(command.id, self.wall(), "busy", f"{MAX_RUNNING} commands are under way here"))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(command), name=f"command {command.id}")
        self._running[command.id] = task
        task.add_done_callback(lambda _: self._running.pop(command.id, None))

    async def finish_interrupted(self, commands: Sequence[str], trial: str) -> None:
        """Answer what a crash interrupted, except the command ``trial``, whose configuration is being tried.

        ``commands`` were unfinished before any was taken in this life: one taken meanwhile is not among them.
        """
        for command in commands:
            if command != trial:
                text = "the gateway stopped while this was carried out; what was read until then is kept"
                await self._answer(failure(command, self.wall(), "interrupted", text))

    async def stop(self, grace: float) -> None:
        """Let what runs come to its end for ``grace`` s, then cancel it."""
        if self._running:
            _, left = await asyncio.wait(list(self._running.values()), timeout=grace)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    # -- one command -----------------------------------------------------------------------------------------------

    async def _carry_out(self, command: Command) -> None:
        try:
            result = await self._act(command)
        except EdgeError as error:
            result = error_result(command.id, self.wall(), error)
        except Exception as error:
            log.exception("our own mistake in a command", command=command.id)
            result = error_result(command.id, self.wall(), error)
        if result is not None:
            await self._answer(result)

    async def _act(self, command: Command) -> Result | None:
        """Carry out; None when the result is in the spool already, or will be given after a restart."""
        action, now = command.action, self.wall()
        if now > command.expires_at:
            late = int(now - command.expires_at)
            return failure(command.id, now, "expired", f"it came {late} s after its time and was not carried out")
        if isinstance(action, ApplyConfig):
            return self._apply(command.id, action)
        if isinstance(action, SetForward):
            toml = with_forward(self.loaded, action.meter, action.toml)
            return self._apply(command.id, ApplyConfig(toml, action.base or self.loaded.hash))
        if isinstance(action, TestForward):
            passed = await self.forwarder.test(action.meter)
            found = {"serial": passed.serial, "drift": round(passed.drift, 1), "intervals": passed.intervals}
            return success(command.id, self.wall(), "read over its own forward", **found)
        unit = self.units.get(action.meter)
        if unit is None:
            known = ", ".join(sorted(self.units)[:20]) or "none"
            return failure(command.id, now, "unknown_meter", f"no meter {action.meter} here; there are: {known}")
        refusal = self._forbidden(action, unit)
        if refusal:
            return failure(command.id, now, *refusal)
        for _ in range(PREEMPTED_TRIES):
            outcome = await self._on_meter(command, action, unit)
            if not isinstance(outcome.error, PreemptedError):
                break
        return None if self._stored(outcome) else error_result(command.id, self.wall(), self._first(outcome))

    def _forbidden(self, action: Action, unit: Unit) -> tuple[str, str] | None:
        """(code, text) where this gateway does not allow the action; the meter's own setting is its driver's matter."""
        allowed = self.loaded.config.permissions
        if isinstance(action, SetClock):
            if not allowed.set_clock:
                return "not_permitted", "permissions.set_clock is off in the gateway's configuration"
            if self.wall() < CLOCK_FLOOR:
                return "refused", "the gateway's own clock is not set: no meter is set by it"
        if isinstance(action, CloseBill):
            if not allowed.close_bill:
                return "not_permitted", "permissions.close_bill is off in the gateway's configuration"
            if action.confirm != unit.config.serial:
                return "refused", f"{action.confirm!r} was typed to confirm, which is not the serial of {unit.id}"
        if isinstance(action, ReadNow):
            strange = [kind for kind in action.kinds if kind not in set(Kind)]
            if strange:
                return "invalid", f"unknown kinds {', '.join(strange)}; there are: {', '.join(Kind)}"
        if isinstance(action, ReadRange) and action.end <= action.start:
            return "invalid", f"range from {action.start} to {action.end} is empty"
        return None

    async def _on_meter(self, command: Command, action: Action, unit: Unit) -> Outcome:
        def results(outcome: Outcome) -> Iterable[Item]:
            if isinstance(outcome.error, PreemptedError):
                return ()
            now = self.wall()
            data: dict[str, Any] = {}
            if outcome.drift is not None:
                data["drift"] = round(outcome.drift, 1)
            if outcome.error is None:
                return (success(command.id, now, **data),)
            return (error_result(command.id, now, self._first(outcome), done=[*map(str, outcome.done)]),)

        if isinstance(action, ReadNow):
            wanted = [kind for kind in Kind if kind.value in action.kinds]
            return await self.reader.visit(unit, wanted, LineClass.COMMAND, command.id, results)
        if isinstance(action, ReadRange):
            wanted_range = Range(action.start, action.end)
            return await self.reader.read_range(unit, wanted_range, LineClass.COMMAND, command.id, results)
        if isinstance(action, SetClock):
            shift = action.max_shift

            async def change(claim: Claim) -> Readout:
                return await unit.driver.set_clock(claim, shift)
        else:

            async def change(claim: Claim) -> Readout:
                return await unit.driver.close_bill(claim)

        return await self.reader.act(unit, change, command.id, results)

    def _stored(self, outcome: Outcome) -> bool:
        """Whether the result went into the transaction of the visit."""
        return outcome.committed and not isinstance(outcome.error, PreemptedError)

    @staticmethod
    def _first(outcome: Outcome) -> Exception:
        return outcome.error or EdgeError("nothing was read")

    # -- configuration -----------------------------------------------------------------------------------------------

    def _apply(self, command: str, action: ApplyConfig) -> Result | None:
        """Check, put into place on trial, ask for the restart that tries it; None: the trial will answer."""
        now, current = self.wall(), self.loaded
        if not current.config.permissions.apply_config:
            text = "permissions.apply_config is off in the gateway's configuration"
            return failure(command, now, "not_permitted", text)
        if action.base and action.base != current.hash:
            text = f"it was made from configuration {action.base}, in force is {current.hash}: make it from that one"
            return failure(command, now, "conflict", text)
        if self.store.marker() is not None:
            return failure(command, now, "busy", "another configuration is being tried: wait for its result")
        if connected := self.forwarder.connected:
            text = f"CCEE is connected to {', '.join(connected)} and would be cut off: give it again when it has gone"
            return failure(command, now, "busy", text)
        text = unmask(action.toml, current.text)
        if text == current.text:
            return success(command, now, "this configuration is in force already", hash=current.hash)
        fresh = check_remote(text, current)
        self.store.apply(fresh.text, command)
        log.info("configuration on trial", command=command, hash=fresh.hash, before=current.hash)
        self.reload()
        return None

    async def answer_trial(self, command: str, ok: bool, text: str) -> None:
        """Store the result of a configuration that was tried."""
        now = self.wall()
        if not command or await self.spool.commands.result(command) is not None:
            return
        result = success(command, now, text, hash=self.loaded.hash)
        await self._answer(result if ok else failure(command, now, "rolled_back", text, hash=self.loaded.hash))

    async def _answer(self, result: Result) -> None:
        """Store a result, however long the spool refuses it."""
        while True:
            try:
                await self.spool.add([result])
            except EdgeError as error:
                log.warning("result not stored, offered again", command=result.command, error=str(error))
                await asyncio.sleep(ANSWER_AGAIN)
            else:
                level = log.info if result.ok else log.warning
                level("command ended", command=result.command, code=result.code, text=result.message)
                return


def check_remote(text: str, current: Loaded) -> Loaded:
    """Check a configuration from afar: sound in itself, and still this gateway with this spool."""
    fresh = parse(text, "the new configuration")
    old, new = current.config, fresh.config
    for name, before, after in (
        ("gateway", old.gateway, new.gateway),
        ("tenant", old.tenant, new.tenant),
        ("spool.path", old.spool.path, new.spool.path),
    ):
        if before != after:
            raise ConfigError(f"{name} is {before!r} and can only be changed on the gateway itself, not to {after!r}")
    return fresh
