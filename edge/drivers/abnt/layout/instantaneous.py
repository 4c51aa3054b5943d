"""Instantaneous quantities: answer 14 (dossier abnt-nbr-14522 §7.4)."""

from datetime import datetime

from edge.drivers.abnt import commands
from edge.drivers.abnt.layout.fields import FLOAT, OCTET, RAW, STAMP, TEXT, Block, at, many

Floats = tuple[float | None, ...]

_FLOATS = many(FLOAT, 4)


class Instantaneous(Block):
    """Values of one instant, at the meter's terminals unless ``conversion`` says otherwise; None = not available.

    Triples are phases A B C; quadruples end with neutral (current) or three-phase (powers). Units V, A, W, var, VA,
    degrees, degC, Hz, %.
    """

    codes = frozenset({commands.INSTANTANEOUS})

    when: datetime | None = at(6, 11, STAMP)
    voltage: Floats = at(12, 23, _FLOATS)
    line_voltage: Floats = at(24, 35, _FLOATS)  # AB BC CA
    current: Floats = at(36, 51, _FLOATS)
    active: Floats = at(52, 67, _FLOATS)
    reactive: Floats = at(68, 83, _FLOATS)
    apparent: Floats = at(84, 99, _FLOATS)  # "quadratic" (RMS)
    apparent_vectorial: Floats = at(100, 115, _FLOATS)
    distortion: Floats = at(116, 131, _FLOATS)
    cos_phi: Floats = at(132, 147, _FLOATS)
    character: str = at(148, 151, TEXT)  # L inductive, C capacitive
    power_factor: Floats = at(152, 167, _FLOATS)
    shift: Floats = at(168, 179, _FLOATS)  # voltage to current
    temperature: float | None = at(180, 183, FLOAT)
    frequency: float | None = at(184, 187, FLOAT)
    connection: int = at(188, 188, OCTET)
    latitude: bytes = at(189, 192, RAW)  # degrees, minutes, seconds, N/S
    longitude: bytes = at(193, 196, RAW)
    firmware: int = at(197, 197, OCTET)
    voltage_angle: Floats = at(198, 209, _FLOATS)
    line_angle: Floats = at(210, 221, _FLOATS)
    voltage_thd: Floats = at(222, 233, _FLOATS)
    current_thd: Floats = at(234, 245, _FLOATS)
    conversion: int = at(246, 246, OCTET)  # primary or secondary; values not established
    unknown_247_256: bytes = at(247, 256, RAW)
