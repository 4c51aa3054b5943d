"""Command codes: name, kind, danger; answers 39 and 40; channel groups (dossier abnt-nbr-14522 §6, §7.8, §13).

Codes are the octets as they stand on the wire, so ``0x23`` is the command the standard calls 23.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

SET_DATE: Final = 0x29
SET_TIME: Final = 0x30
PASSWORD_TOKEN: Final = 0x11
PASSWORD_SEED: Final = 0x13
INSTANTANEOUS: Final = 0x14
DEMAND_RESET: Final = 0x20
PARAMETERS: Final = 0x21
PARAMETERS_CLOSED: Final = 0x22
PARAMETERS_PARTIAL: Final = 0x51
REGISTERS: Final = 0x23
REGISTERS_CLOSED: Final = 0x24
OUTAGES: Final = 0x25
PROFILE: Final = 0x26
PROFILE_CLOSED: Final = 0x27
PROFILE_PARTIAL: Final = 0x52
CHANGE_LOG: Final = 0x28
CLEAR_OCCURRENCE: Final = 0x37
NOT_IMPLEMENTED: Final = 0x39  # answer only
OCCURRENCE: Final = 0x40  # answer only
PARTIAL_CLOSED: Final = (0x41, 0x42, 0x43)
PARTIAL_RUNNING: Final = (0x44, 0x45, 0x46)
MEASUREMENT: Final = 0x80

BATTERY: Final = 0x30  # occurrence codes of answer 40

#: Answers that carry parameters in the layout of §7.1, registers in that of §7.2, profile words in that of §8.1.
PARAMETER_CODES: Final = frozenset({DEMAND_RESET, PARAMETERS, PARAMETERS_CLOSED, PARAMETERS_PARTIAL})
REGISTER_CODES: Final = frozenset({REGISTERS, REGISTERS_CLOSED})
PROFILE_CODES: Final = frozenset({PROFILE, PROFILE_CLOSED, PROFILE_PARTIAL})
REFUSALS: Final = frozenset({NOT_IMPLEMENTED, OCCURRENCE})

#: Octets 2-5 of these answers are not trusted as a serial (§7.5).
UNCHECKED_SERIAL: Final = frozenset({OUTAGES})

#: Octet 6 of 20, 21, 22 and 51: group g holds channels 3g+1 .. 3g+3; 32 is channels 97-99.
MAX_GROUP: Final = 32


class Kind(Enum):
    """How an exchange runs: one answer, several blocks, or a change in the meter (one answer)."""

    SIMPLE = "simple"
    COMPOSITE = "composite"
    WRITE = "write"


@dataclass(frozen=True)
class CommandInfo:
    """One code of the table. ``dangerous``: it changes the meter or closes the bill; the inspector flags it (§13)."""

    code: int
    name: str
    kind: Kind
    dangerous: bool = False

    @property
    def composite(self) -> bool:
        return self.kind is Kind.COMPOSITE


def _table() -> dict[int, CommandInfo]:
    simple, composite, write = Kind.SIMPLE, Kind.COMPOSITE, Kind.WRITE
    rows: list[tuple[int, str, Kind]] = [
        (0x11, "open session with password token", write),
        (0x12, "command 12 (meaning not established)", simple),
        (0x13, "ask for the password seed", simple),
        (0x14, "instantaneous quantities", simple),
        (0x16, "header of a quantities profile", simple),
        (0x17, "records of a quantities profile", composite),
        (0x20, "parameters and demand reset (closes the bill)", write),
        (0x21, "parameters, running period", simple),
        (0x22, "parameters, closed period", simple),
        (0x23, "registers of visible channels, running period", simple),
        (0x24, "registers of visible channels, closed period", simple),
        (0x25, "power outages", simple),
        (0x26, "profile, running period", composite),
        (0x27, "profile, closed period", composite),
        (0x28, "change log", simple),
        (0x29, "set date", write),
        (0x30, "set time", write),
        (0x31, "set demand interval", write),
        (0x32, "set holidays", write),
        (0x33, "set multiplication constants", write),
        (0x35, "set time-of-use starts", write),
        (0x36, "set condition of the reserved slot", write),
        (0x37, "clear occurrence", write),
        (0x38, "initialise meter", write),
        (0x41, "partial registers of channel 1, closed period", simple),
        (0x42, "partial registers of channel 2, closed period", simple),
        (0x43, "partial registers of channel 3, closed period", simple),
        (0x44, "partial registers of channel 1, running period", simple),
        (0x45, "partial registers of channel 2, running period", simple),
        (0x46, "partial registers of channel 3, running period", simple),
        (0x47, "set form of demand calculation", write),
        (0x51, "parameters for whole or partial profile", simple),
        (0x52, "profile, all or partial", composite),
        (0x56, "set display options", write),
        (0x59, "set display options", write),
        (0x60, "connection record", simple),
        (0x63, "set automatic demand reset", write),
        (0x64, "daylight saving", write),
        (0x65, "set second time-of-use set", write),
        (0x66, "set channel quantities", write),
        (0x67, "set reactive tariff", write),
        (0x73, "set profile interval", write),
        (0x75, "set tariff options", write),
        (0x77, "set display options", write),
        (0x78, "set display options", write),
        (0x79, "set display options", write),
        (0x80, "measurement parameters", simple),
        (0x81, "set user output type", write),
        (0x87, "installation code", write),
        (0x88, "loss compensation parameters", simple),
        (0x90, "set display options", write),
        (0x92, "set universal time of use", write),
        (0x93, "set constants and mode", write),
        (0x95, "maker dependent setting", write),
        (0x98, "extended command", write),
    ]
    return {code: CommandInfo(code, name, kind, code in DANGEROUS) for code, name, kind in rows}


#: Codes to flag when anybody sends them (§13; 80 and 88 only read), and the private codes that carry relay orders.
DANGEROUS: Final = frozenset(
    {0x20, 0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x47, 0x63, 0x64, 0x65, 0x66, 0x67, 0x73}
    | {0x77, 0x78, 0x79, 0x81, 0x83, 0x84, 0x85, 0x87, 0x89, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x98}
    | {0xAB, 0xE2}
)

COMMANDS: Final = _table()

#: Octet 6 of an answer 40 (§7.8). AB and the like are the maker's own.
OCCURRENCES: Final[dict[int, str]] = {
    BATTERY: "battery",
    0x31: "program integrity",
    0x33: "clock",
    0x36: "invalid password",
    0x37: "watchdog",
    0x41: "wrong password",
    0x43: "password session needed, or parameters incomplete",
    0x45: "blocked, or billing close inside the protection period",
    0x46: "invalid parameter",
}

#: Repeating after these locks the meter out; they ask for a password session, not for patience.
NEVER_REPEAT: Final = frozenset({0x41, 0x43, 0x45})


def name_of(code: int) -> str:
    """Return what the command is called; unknown codes are named by their octet."""
    info = COMMANDS.get(code)
    return info.name if info else f"command {code:02X}"


def is_composite(code: int) -> bool:
    """Say whether the answer comes in several blocks; unknown codes are taken as simple."""
    info = COMMANDS.get(code)
    return info is not None and info.composite


def is_write(code: int) -> bool:
    """Say whether the command may change the meter: then never sent twice blindly. Unknown codes count as writes."""
    info = COMMANDS.get(code)
    return info is None or info.kind is Kind.WRITE


def refusal_reason(answer: int, code: int, sub_code: int) -> str:
    """Put octets 6 and 7 of an answer 39 or 40 into words."""
    if answer == NOT_IMPLEMENTED:
        return f"command {code:02X} is not implemented in this meter"
    meaning = OCCURRENCES.get(code, "maker specific")
    return f"occurrence {code:02X}/{sub_code:02X}: {meaning}"


def may_clear(code: int) -> bool:
    """Say whether occurrence ``code`` is of the kind that command 37 acknowledges (30..70, password codes apart)."""
    return 0x30 <= code <= 0x70 and code not in NEVER_REPEAT
