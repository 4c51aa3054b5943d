"""What NBR 14522 commands ask and answers say: range, clock, constants, refusals (dossier abnt-nbr-14522 §6-8)."""

from datetime import datetime, timedelta, timezone
from typing import Any, Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.clock import WallClock
from edge.drivers.abnt.frames import Answer, Command
from edge.drivers.abnt.layout import (
    WORDS_PER_BLOCK,
    Instantaneous,
    Measurement,
    OctetError,
    Parameters,
    ProfileWords,
    Refusal,
    blocks_for,
)
from edge.drivers.abnt.layout.requests import Group
from edge.guardian.book import Book
from edge.guardian.contract import Exchange, Expected, Kind, Result

_AUDIT: Final = frozenset({commands.OUTAGES, commands.CHANGE_LOG, 0x60, 0x88, 0x98})
_REGISTERS: Final = commands.REGISTER_CODES.union(
    commands.PARTIAL_CLOSED, commands.PARTIAL_RUNNING, {commands.INSTANTANEOUS}
)
#: Occurrences that mean the password: no repeat helps (§7.8).
_PASSWORD: Final = frozenset({0x36}) | (commands.NEVER_REPEAT - {0x45})
_INVALID_PARAMETER: Final = 0x46
_SUMMER: Final = 0x01
_CHANNELS: Final = 3  # words of an interval
_CHANNELS_OF_GROUP: Final = 3


def kind_of(code: int) -> Kind:
    """Say what a command is about."""
    if code in (commands.PASSWORD_SEED, commands.PASSWORD_TOKEN):
        return Kind.ACCESS
    if code in commands.PROFILE_CODES:
        return Kind.MEMORY
    if code in commands.PARAMETER_CODES - {commands.DEMAND_RESET} or code == commands.MEASUREMENT:
        return Kind.PARAMETERS
    if code in _REGISTERS:
        return Kind.REGISTERS
    if code in _AUDIT:
        return Kind.AUDIT
    return Kind.WRITE if commands.is_write(code) else Kind.OTHER


class Contents:
    """What the answers of one conversation said."""

    def __init__(self, book: Book, expected: Expected) -> None:
        self.book, self.expected = book, expected
        self.zone = timezone(timedelta(seconds=expected.utc_offset))
        self.parameters: dict[int, tuple[Parameters, WallClock]] = {}  # the newest that go with a profile command
        self.group = 0
        self.blocks = 0  # of the present answer
        self.final: Answer | None = None  # the block that ended it
        self._gap = False
        self._last_block = b""

    def asked(self, command: Command) -> tuple[str, dict[str, Any]]:
        """Key and detail of a command; what follows a choice of channels is asked once for each choice."""
        code = command.code
        detail: dict[str, Any] = {"reader": command.reader}
        if command.address is not None:
            detail["address"] = command.address
        if code in commands.DANGEROUS:
            detail["dangerous"] = True
        group = self.group
        if code in commands.PARAMETER_CODES:
            try:
                group = Group.of(command).group
            except OctetError:
                group = -1
            detail["group"] = group
            if code == commands.PARAMETERS_PARTIAL:
                detail["part"] = command.parameters[:4].hex()  # amount and unit stand here; their coding is not known
        grouped = code in commands.PARAMETER_CODES | commands.PROFILE_CODES | commands.REGISTER_CODES
        return f"{code:02X}/{group}" if grouped else f"{code:02X}", detail

    def begin(self, command: Command, exchange: Exchange) -> None:
        """A new command: nothing of its answer has come."""
        self.blocks, self.final, self._gap, self._last_block = 0, None, False, b""
        self._command = command
        self._exchange = exchange
        if command.code in commands.PROFILE_CODES:
            self._ask_memory(command.code)
        elif "group" in exchange.detail:
            self.group = exchange.detail["group"]

    def result(self, exchange: Exchange) -> Result:
        """How the present exchange ended."""
        if self.final is not None:
            return self._of_final(self.final)
        if self.blocks or "cut_off" in exchange.detail:
            return Result.PARTIAL
        return Result.BROKEN if "broken" in exchange.detail else Result.SILENT

    def _of_final(self, answer: Answer) -> Result:
        code, sub = answer.data[0], answer.data[1]
        if answer.code == commands.NOT_IMPLEMENTED:
            return Result.UNSUPPORTED
        if answer.code == commands.OCCURRENCE:
            if code in _PASSWORD:
                return Result.DENIED
            return Result.UNSUPPORTED if code == _INVALID_PARAMETER else Result.REFUSED
        if answer.code == commands.PASSWORD_TOKEN and not code and not sub:
            return Result.DENIED  # neither password is valid (§7.7)
        return Result.PARTIAL if self._gap or self._short() else Result.OK

    # -- answers -----------------------------------------------------------------------------------------------------

    def answered(self, at: float, answer: Answer) -> None:
        """A good block, whose first octet came at ``at``."""
        if answer.code not in commands.UNCHECKED_SERIAL:
            self.book.saw_serial(answer.meter)
        detail = self._exchange.detail
        if self.final is not None:
            detail["repeated"] = detail.get("repeated", 0) + 1
            return
        if answer.code in commands.REFUSALS:
            refusal = Refusal.decode(answer.body)
            detail["refusal"] = f"{answer.code:02X}/{refusal.code:02X}/{refusal.sub_code:02X}"
            detail["meaning"] = commands.refusal_reason(answer.code, refusal.code, refusal.sub_code)
            self.final = answer
        elif answer.code in commands.PROFILE_CODES:
            self._block(answer)
        else:
            self.final = answer
            self.blocks = 1
            try:
                self._read(at, answer)
            except OctetError as error:
                detail["unreadable"] = str(error)

    def _read(self, at: float, answer: Answer) -> None:
        if answer.code in commands.PARAMETER_CODES:
            self._parameters(at, Parameters.decode(answer.body), answer.code)
        elif answer.code == commands.INSTANTANEOUS:
            instantaneous = Instantaneous.decode(answer.body)
            if instantaneous.when is not None:
                summer = any(clock.summer for _, clock in self.parameters.values())
                self._clock(at, WallClock(self.zone, summer), instantaneous.when)
        elif answer.code == commands.MEASUREMENT:
            self._measurement(Measurement.decode(answer.body))

    def _clock(self, at: float, clock: WallClock, now: datetime) -> None:
        offset = clock.present(now) - at
        self.book.clock_offset = round(offset, 3)
        self._exchange.detail["clock"] = now.isoformat(sep=" ")

    def _parameters(self, at: float, block: Parameters, code: int) -> None:
        clock = WallClock(self.zone, block.summer_time == _SUMMER)
        if block.now is not None:
            self._clock(at, clock, block.now)
        if code == commands.PARAMETERS:
            self.parameters[commands.PROFILE] = block, clock
        elif code == commands.PARAMETERS_PARTIAL:
            self.parameters[commands.PROFILE_PARTIAL] = block, clock
        self.parameters[commands.PROFILE_CLOSED] = block, clock
        self.parameters.setdefault(commands.PROFILE, (block, clock))
        first = _CHANNELS_OF_GROUP * max(0, self.group) + 1
        for number, constant in enumerate(block.constants, first):
            self.book.saw_constant(f"constant.{number}", f"{constant.numerator}/{constant.denominator}")
        for number, quantity in enumerate(block.quantities, first):
            self.book.saw_constant(f"quantity.{number}", "" if quantity is None else f"{quantity:02d}")
        self.book.saw_constant("demand_minutes", str(block.demand_minutes))
        self.book.saw_constant("profile_step", str(block.profile_step))
        self.book.saw_constant("model", block.model)
        self.book.saw_constant("firmware", block.firmware)
        self.book.facts["battery"] = block.battery

    def _measurement(self, block: Measurement) -> None:
        pairs = "; ".join(f"{r.numerator}/{r.denominator}" for r in block.ratios)
        self.book.saw_constant("ratios", pairs)
        kp = block.pulse_constant
        self.book.saw_constant("pulse_constant", f"{kp.numerator}/{kp.denominator}")
        self.book.saw_constant("connection", f"{block.connection:02X}")

    # -- memory ------------------------------------------------------------------------------------------------------

    def _ask_memory(self, code: int) -> None:
        """What a profile command asks for follows from the parameters read before it (§8.1)."""
        known = self.parameters.get(code)
        detail = self._exchange.detail
        detail["group"] = self.group
        if known is None:
            return
        block, clock = known
        closed = code == commands.PROFILE_CLOSED
        words = block.words_closed if closed else block.words_running
        detail["expected_blocks"] = max(1, blocks_for(words))
        stamp, step = block.last_reset if closed else block.last_interval, block.profile_step
        if stamp is None or not step:
            return
        end = clock.present(stamp)
        detail["end"] = end
        detail["start"] = end - words // _CHANNELS * step
        detail["step"] = step

    def _block(self, answer: Answer) -> None:
        detail = self._exchange.detail
        try:
            block = ProfileWords.decode(answer.body)
        except OctetError as error:
            detail["unreadable"] = str(error)
            self._gap = True
            return
        if block.number == self.blocks and answer.data == self._last_block:
            detail["repeated"] = detail.get("repeated", 0) + 1
            return
        if block.number != self.blocks + 1:
            detail.setdefault("interrupted", f"block {block.number} came where {self.blocks + 1} was due")
            self._gap = True
        else:
            self.blocks = block.number
            self._last_block = answer.data
        detail["blocks"] = self.blocks
        if block.last:
            self.final = answer
        self._deliver()

    def _short(self) -> bool:
        detail = self._exchange.detail
        return self._command.code in commands.PROFILE_CODES and self.blocks < detail.get("expected_blocks", 0)

    def _deliver(self) -> None:
        """The last stamp delivered, oldest intervals first (§8.1)."""
        detail = self._exchange.detail
        if "start" not in detail:
            return
        whole = detail["start"] + self.blocks * WORDS_PER_BLOCK // _CHANNELS * detail["step"]
        detail["delivered"] = min(whole, detail["end"])
