"""First questions of other protocols: harmless, read nothing, and their answers tell who is there.

The guardian recognises the answers; here is only what to send, and how a serial port must be set for it.
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from edge.config.model import Line, SerialLine
from edge.guardian import contract
from ext.checksums import crc16_modbus


@dataclass(frozen=True)
class Probe:
    """``goodbye`` is sent when something answered, so that the meter is free at once. ``serial``: of serial ports."""

    protocol: str
    label: str
    octets: bytes
    serial: tuple[int, Literal[7, 8], Literal["none", "even"]] | None = None
    goodbye: bytes = b""

    def on(self, line: Line) -> Line:
        """The line set as the protocol wants it."""
        if not isinstance(line, SerialLine) or self.serial is None:
            return line
        baud, bits, parity = self.serial
        return msgspec.structs.replace(line, baud=baud, data_bits=bits, parity=parity)


#: HDLC with one-octet addresses, public client 16 to server 1 (IEC 62056-46): open, and close again.
SNRM: Final = bytes.fromhex("7E A0 07 03 21 93 0F 01 7E")
DISC: Final = bytes.fromhex("7E A0 07 03 21 53 03 C7 7E")
#: IEC 62056-21: whoever is there, say who you are.
SIGN_ON: Final = b"/?!\r\n"
_READ_ONE: Final = bytes.fromhex("01 03 00 00 00 01")  # unit 1, function 3, one register at 0
MODBUS_RTU: Final = _READ_ONE + crc16_modbus(_READ_ONE).to_bytes(2, "little")
MODBUS_TCP: Final = bytes.fromhex("4D 47 00 00 00 06") + _READ_ONE

_NAMES: Final = {
    contract.DLMS: "DLMS/COSEM",
    contract.MODBUS: "Modbus",
    contract.IEC62056_21: "IEC 62056-21",
    contract.ABNT: "ABNT NBR 14522",
}


def name_of(protocol: str) -> str:
    """A protocol's name for people."""
    return _NAMES.get(protocol, protocol)


def probes_for(line: Line) -> tuple[Probe, ...]:
    """What to try on a line besides NBR 14522, the most likely first."""
    if isinstance(line, SerialLine):
        return (
            Probe(contract.IEC62056_21, "IEC 62056-21 sign-on, 300 7E1", SIGN_ON, (300, 7, "even")),
            Probe(contract.DLMS, "DLMS HDLC, 9600 8N1", SNRM, (9600, 8, "none"), DISC),
            Probe(contract.MODBUS, "Modbus RTU unit 1, 9600 8N1", MODBUS_RTU, (9600, 8, "none")),
            Probe(contract.MODBUS, "Modbus RTU unit 1, 9600 8E1", MODBUS_RTU, (9600, 8, "even")),
            Probe(contract.MODBUS, "Modbus RTU unit 1, 19200 8E1", MODBUS_RTU, (19200, 8, "even")),
        )
    return (
        Probe(contract.DLMS, "DLMS HDLC", SNRM, goodbye=DISC),
        Probe(contract.IEC62056_21, "IEC 62056-21 sign-on", SIGN_ON),
        Probe(contract.MODBUS, "Modbus TCP unit 1", MODBUS_TCP),
        Probe(contract.MODBUS, "Modbus RTU unit 1", MODBUS_RTU),
    )
