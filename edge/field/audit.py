"""Be the CCEE for a minute: connect to the audit channel, read as it reads, and say in words where it ends and why.

The guardian overhears the conversation and gives the verdict (dossier ccee-ons §13, I02-I14): cause and way out are its
sentences, the same that the gateway and the aggregator use.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edge.drivers import open_driver
from edge.drivers.abnt.frames import Signal, Variant
from edge.drivers.contract import Driver, Identity
from edge.errors import ConfigError, EdgeError, LinkError
from edge.field.bench import Wire, wire
from edge.field.folder import Folder
from edge.field.identify import listen
from edge.field.place import Options, Place, settings_for
from edge.guardian import Expected, Finding, Verdict
from edge.guardian.verdicts import same_serial
from edge.lines.contract import OnProgress
from ext import profile as codec
from shared.quality import Quality

HOUR: Final = 3600
#: Logs that the driver reads beside the profile, as a daily collection may: no inspection.
DAILY: Final = frozenset({"25", "28"})

#: Few words for the headline, by verdict.
SHORT: Final = {
    Verdict.NO_ANSWER: "no answer to the command",
    Verdict.BROKEN: "answers damaged",
    Verdict.WRONG_SERIAL: "another meter",
    Verdict.REFUSED: "password refused",
    Verdict.UNSUPPORTED: "command not known",
    Verdict.PARTIAL: "memory not whole",
    Verdict.CLOCK: "clock off",
    Verdict.CONSTANTS: "constants changed",
}
NO_CONNECTION: Final = (
    "Check in this order: address and port against the register at the CCEE; VPN and route from here; that the gateway "
    "runs, the meter's forward is open and its allow-list holds this address; that no firewall is between."
)
CLOSED_AT_ONCE: Final = (
    "The port takes the connection and closes it: this address is not in the forward's allow-list, another connection "
    "holds the meter, or the line behind it cannot be opened. Look at the forward on the gateway's page."
)


@dataclass(frozen=True)
class Step:
    """``ok`` None: nothing to compare with, or not reached."""

    name: str
    ok: bool | None
    words: str


@dataclass
class Audit:
    """What became of the test. ``verdict``: the guardian's code, "" without a connection; ``diagnosis``: in words."""

    place: str
    steps: list[Step] = field(default_factory=list)
    verdict: str = ""
    diagnosis: str = ""
    also: list[str] = field(default_factory=list)
    serial: str = ""
    seconds: float = 0.0
    connected: bool = False

    @property
    def ok(self) -> bool:
        return self.verdict == Verdict.GOOD

    def as_json(self) -> dict[str, Any]:
        """The answer of ``audit --json``."""
        steps = [{"step": step.name, "ok": step.ok, "words": step.words} for step in self.steps]
        return {
            "place": self.place, "ok": self.ok, "verdict": self.verdict, "diagnosis": self.diagnosis, "steps": steps,
            "also": self.also, "serial": self.serial, "seconds": round(self.seconds, 1),
        }  # fmt: skip


STEPS: Final = ("connect", "line", "identification", "serial", "clock", "memory")


async def audit(
    place: Place, folder: Folder, options: Options, tell: Callable[[Step], None], progress: OnProgress | None = None
) -> Audit:
    """Test the channel; what is wrong with it is in the answer. :class:`ConfigError` where it cannot be tried."""
    test = _Test(Audit(place.text), place, folder, options, tell, progress)
    began = time.monotonic()
    await test.run()
    test.audit.seconds = time.monotonic() - began
    for name in STEPS[len(test.audit.steps) :]:
        test.step(name, None, "not reached")
    return test.audit


class _Again(Exception):
    """The meter speaks in another dress than the plain one, as the CCEE knows: begin anew, in that dress."""

    def __init__(self, variant: str) -> None:
        super().__init__(variant)
        self.variant = variant


@dataclass
class _Test:
    audit: Audit
    place: Place
    folder: Folder
    options: Options
    tell: Callable[[Step], None]
    progress: OnProgress | None
    heard: int = 0

    def step(self, name: str, ok: bool | None, words: str) -> None:
        if name in (known.name for known in self.audit.steps):  # of a conversation that began anew
            return
        step = Step(name, ok, words)
        self.audit.steps.append(step)
        self.tell(step)

    async def run(self) -> None:
        """Talk once; twice where trying out how frames are dressed spoilt the first conversation."""
        try:
            await self._talk()
        except _Again as again:
            self.options = replace(self.options, variant=again.variant)
            await self._talk()

    async def _talk(self) -> None:
        learnt = self.folder.learnt(self.place.text).get("audit_constants")
        expected = Expected(serial=self._wanted, protocol="abnt", constants=learnt, daily=DAILY)
        line: Wire | None = None
        failure: EdgeError | None = None
        finding: Finding | None = None
        try:
            async with wire(self.place, self.folder, "audit", expected) as line:
                self.audit.connected = True
                self.step("connect", True, f"{self.place.text} takes the connection")
                try:
                    await self._read(line)
                except EdgeError as error:
                    line.error = error
                    finding = line.verdict()
                    raise
                finding = line.verdict()
        except ConfigError:
            raise
        except EdgeError as error:
            failure = error
        if line is None or finding is None:
            self._no_connection(failure)
        else:
            self._conclude(line, finding, failure)

    @property
    def _wanted(self) -> str:
        return self.place.meter.serial if self.place.meter is not None else self.options.serial

    # -- the conversation ----------------------------------------------------------------------------------------------

    async def _read(self, line: Wire) -> None:
        heard = await listen(line.claim.transport)
        self.heard = len(heard)
        calls = heard.count(Signal.ENQ)
        if calls:
            self.step("line", True, f"the meter calls (ENQ, {calls} times in {len(heard)} octets)")
        driver = self._driver()
        identity = await driver.identify(line.claim)
        variant = identity.detail["variant"]
        if self.place.config is None and self.options.variant == "auto" and variant != Variant.PLAIN.value:
            raise _Again(variant)
        if not calls:
            self.step("line", True, "the meter answers, without calling first (no ENQ)")
        self.audit.serial = identity.serial
        self.step("identification", True, f"{identity.model}, wire variant {variant}")
        self._compare(identity)
        clock = await driver.read_clock(line.claim)
        right = abs(clock.drift) <= line.tap.inspector.expected.clock_tolerance
        self.step("clock", right, f"{clock.drift:+.0f} s against this laptop")
        await self._memory(line, driver, int(clock.gateway + clock.drift), identity)

    def _driver(self) -> Driver:
        """Reads whoever answers: which meter it is, is part of the question."""
        settings = settings_for(self.place, self.options)
        if settings.get("variant") != "addressed":
            settings.pop("serial", None)
        return open_driver("abnt", self.options.name or "audit", settings)

    def _compare(self, identity: Identity) -> None:
        wanted = self._wanted
        if not wanted:
            self.step("serial", None, f"{identity.serial}; give --serial to compare it with the register")
        elif same_serial(identity.serial, wanted):
            self.step("serial", True, identity.serial)
        else:
            self.step("serial", False, f"{identity.serial} answers, {wanted} is registered")

    async def _memory(self, line: Wire, driver: Driver, now: int, identity: Identity) -> None:
        step = identity.detail.get("profile_step") or 900
        end = now - now % step
        readout = await driver.read_profile(line.claim, end - HOUR, end, self.progress)
        counts = {
            block.channel: sum(not flag & Quality.MISSING for flag in codec.unpack(block.data)[1])
            for block in readout.profile
        }
        wanted = HOUR // step
        whole = bool(counts) and min(counts.values()) >= wanted
        held = min(counts.values(), default=0)
        self.step("memory", whole, f"{held} of {wanted} intervals of the last hour in {len(counts)} channels")

    # -- what it came to -----------------------------------------------------------------------------------------------

    def _no_connection(self, error: EdgeError | None) -> None:
        self.step("connect", False, str(error))
        self.audit.diagnosis = f"no connection: {error}. {NO_CONNECTION}"

    def _conclude(self, line: Wire, finding: Finding, error: EdgeError | None) -> None:
        audit = self.audit
        audit.verdict, reason = str(finding.verdict), finding.reason
        audit.also = [f"{code}: {sentence}" for code, sentence in finding.also]
        octets = sum(line.tap.octets.values())
        if isinstance(error, LinkError) and not self.heard and not audit.serial:
            reason = f"{error}. {CLOSED_AT_ONCE}" if octets < 512 else f"{error}. {reason}"
        if error is not None:
            done = len(audit.steps)
            if done == 1 and self._answered(finding):
                self.step("line", True, "octets come back")
                done = 2
            self.step(STEPS[done], False, str(error))
        elif finding.verdict is Verdict.GOOD:
            self.folder.learn(self.place.text, audit_constants=finding.constants)
        missing = next((s for s in audit.steps if s.name == "memory" and s.ok is False), None)
        if finding.verdict is Verdict.GOOD and missing is not None and error is None:
            audit.verdict = str(Verdict.PARTIAL)
            reason = (
                f"The memory does not hold the last hour whole ({missing.words}): check clock, interval and supply."
            )
        audit.diagnosis = f"{self._headline(Verdict(audit.verdict))}: {reason}"

    def _answered(self, finding: Finding) -> bool:
        return finding.verdict in (Verdict.BROKEN, Verdict.REFUSED, Verdict.UNSUPPORTED, Verdict.WRONG_SERIAL)

    def _headline(self, verdict: Verdict) -> str:
        """The conversation in few words: what went well, then what did not."""
        names = {"connect": "connected", "line": "line answers", "identification": "meter identified"}
        parts = [names[step.name] for step in self.audit.steps if step.ok and step.name in names]
        if verdict is Verdict.GOOD:
            return "all well"
        if not any(step.name == "line" and step.ok for step in self.audit.steps):
            parts.append("line silent")
        elif verdict in SHORT:
            parts.append(SHORT[verdict])
        return ", ".join(parts)
