"""Parameters of requests, both directions; octets count from 1 of the command (dossier abnt-nbr-14522 §6)."""

from datetime import date, time
from typing import TypeVar

from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import COMMAND_BODY, Command
from edge.drivers.abnt.layout.fields import BCD, DATE, OCTET, OctetError, Record, Unreadable, at, many

Q = TypeVar("Q", bound="Request")


class Request(Record):
    """Parameters of one command; ``command`` makes the frame, ``of`` reads it."""

    @property
    def parameters(self) -> bytes:
        """Octets 5-64."""
        return self.pack(COMMAND_BODY)[4:]

    def command(self, code: int, reader: str = "000000", address: str | None = None) -> Command:
        return Command(code, reader, self.parameters, address)

    @classmethod
    def of(cls: type[Q], command: Command) -> Q:
        """Decode what a command carries; raises :class:`OctetError`."""
        try:
            return cls.unpack(command.body)
        except Unreadable as error:
            where = f"command {command.code:02X} ({cls.__name__})"
            raise OctetError(where, error.offset + 1, error.value or b"", error.reason) from None


class Plain(Request):
    """No parameters."""


class Group(Request):
    """Commands 20, 21, 22, 51: octet 6 chooses the visible channels; 51 may carry more (not established)."""

    unknown_5: int = at(5, 5, OCTET)
    group: int = at(6, 6, BCD)
    unknown_7_8: tuple[int, ...] = at(7, 8, many(OCTET, 1))


class OutagePeriod(Request):
    """Command 25."""

    running: int = at(5, 5, OCTET)  # 00 closed period, 01 running


class SetDate(Request):
    """Command 29: dd MM yy and weekday, Sunday = 1."""

    day: date | None = at(5, 7, DATE)
    weekday: int = at(8, 8, BCD)

    @classmethod
    def to(cls, day: date) -> "SetDate":
        return cls(day=day, weekday=day.isoweekday() % 7 + 1)


class SetTime(Request):
    """Command 30."""

    hour: int = at(5, 5, BCD)
    minute: int = at(6, 6, BCD)
    second: int = at(7, 7, BCD)

    @property
    def time(self) -> time | None:
        """The time asked for; None when there is no such time."""
        try:
            return time(self.hour, self.minute, self.second)
        except ValueError:
            return None


class ClearOccurrence(Request):
    """Command 37."""

    code: int = at(5, 5, OCTET)


#: Which request layout a code uses; every other code is :class:`Plain`.
REQUESTS: dict[int, type[Request]] = {
    **dict.fromkeys(commands.PARAMETER_CODES, Group),
    commands.OUTAGES: OutagePeriod,
    commands.SET_DATE: SetDate,
    commands.SET_TIME: SetTime,
    commands.CLEAR_OCCURRENCE: ClearOccurrence,
}
