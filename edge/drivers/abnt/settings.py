"""Settings of one ABNT meter: declared, bounded, refused when unknown."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from edge.errors import ConfigError
from ext.nibbles import Order

Serial = Annotated[
    str, Meta(pattern=r"^[0-9]{8}$", description="meter serial, 8 digits as in octets 2-5 of its answers")
]
ReaderSerial = Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
GroupNumber = Annotated[int, Meta(ge=0, le=32)]
ParameterOctet = Annotated[int, Meta(ge=5, le=64)]
OctetValue = Annotated[int, Meta(ge=0, le=255)]
ConstantTerm = Annotated[int, Meta(ge=1, le=999_999)]
QuantityCode = Annotated[int, Meta(ge=0, le=99)]


class PartialRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where command 51 takes amount and unit: not established, so a model's own. ``days``: octet that means days."""

    amount_octet: ParameterOctet
    unit_octet: ParameterOctet
    days: OctetValue


class AbntSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the gateway's configuration says of one meter that speaks NBR 14522."""

    serial: Serial | None = None  # None: the first meter that answers is remembered as the one
    reader_serial: ReaderSerial = "000000"  # the meter's change log keeps it
    link: Literal["strict", "serial", "usb", "tcp"] = "tcp"
    variant: Literal["auto", "plain", "directional", "addressed", "headed"] = "auto"
    send_without_enq: bool = True  # where no ENQ comes, some field links pass none
    zone: str = "America/Sao_Paulo"  # the meter's wall clock
    groups: Annotated[list[GroupNumber], Meta(min_length=1, max_length=33)] | None = None  # None: all the meter has
    quantities: Annotated[list[QuantityCode], Meta(max_length=99)] = []  # per channel, where the meter says 00
    expected_constants: Annotated[list[tuple[ConstantTerm, ConstantTerm]], Meta(max_length=99)] = []  # per channel
    nibble_order: Literal["auto"] | Order = "auto"
    totals_restart: bool = False  # true: total registers begin at 0 after a demand reset
    partial: PartialRequest | None = None  # how to ask for few days; None: whole periods are read
    clear_occurrences: bool = True  # acknowledge occurrences of the recoverable kind with command 37, and report them
    permit_close_bill: bool = False

    def __post_init__(self) -> None:
        if self.variant == "addressed" and self.serial is None:
            raise ValueError("variant 'addressed' needs the meter's serial")
        if self.groups is not None and len(set(self.groups)) != len(self.groups):
            raise ValueError(f"channel groups {self.groups} name one twice")

    def zone_info(self) -> ZoneInfo:
        """Return the zone; an unknown name raises :class:`ConfigError`."""
        try:
            return ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            raise ConfigError(
                f"zone {self.zone!r} is not in the zone database: use a name such as America/Sao_Paulo"
            ) from None
