"""Instantaneous values that agree with the load: S = V x I, angles from P and Q (dossier abnt-nbr-14522 §7.4)."""

import cmath
import math
from datetime import UTC, datetime
from typing import Final

from edge.drivers.abnt.layout import Instantaneous

_SHARES: Final = (0.34, 0.335, 0.325)  # of the load, phases A B C
_ANGLES: Final = (0.0, 120.0, -120.0)  # of the voltages, as a real meter gave them
WOBBLE: Final = 0.012  # of the nominal voltage, over a quarter hour


def instantaneous(now: datetime, watts: float, vars_: float, nominal: float, seed: int) -> Instantaneous:
    """Values at the wall-clock time ``now`` for the three-phase load ``watts`` and ``vars_`` (inductive positive).

    ``nominal``: phase voltage; ``seed`` lets meters differ.
    """
    at = now.replace(tzinfo=UTC).timestamp() % 86400
    swing = [1 + WOBBLE * math.sin(at / 900 * math.tau + seed + k) for k in range(3)]
    voltage = [nominal * s for s in swing]
    active = [watts * share for share in _SHARES]
    reactive = [vars_ * share for share in _SHARES]
    apparent = [math.hypot(p, q) for p, q in zip(active, reactive, strict=True)]
    current = [s / v for s, v in zip(apparent, voltage, strict=True)]
    shift = math.degrees(math.atan2(vars_, watts))
    total = math.hypot(watts, vars_)
    factor = watts / total if total else 1.0
    phasors = [cmath.rect(v, math.radians(a)) for v, a in zip(voltage, _ANGLES, strict=True)]
    lines = [phasors[0] - phasors[1], phasors[1] - phasors[2], phasors[2] - phasors[0]]
    neutral = abs(sum(cmath.rect(i, math.radians(a - shift)) for i, a in zip(current, _ANGLES, strict=True)))
    return Instantaneous(
        when=now,
        voltage=tuple(voltage),
        line_voltage=tuple(abs(v) for v in lines),
        current=(*current, neutral),
        active=(*active, watts),
        reactive=(*reactive, vars_),
        apparent=(*apparent, total),
        apparent_vectorial=(*apparent, total),
        distortion=(0.0,) * 4,
        cos_phi=(factor,) * 4,
        character="LLLL" if vars_ > 0 else "CCCC",
        power_factor=(factor,) * 4,
        shift=(shift,) * 3,
        temperature=25.0 + 4.0 * math.sin(at / 86400 * math.tau + seed),
        frequency=60.0 + 0.02 * math.sin(at / 300 * math.tau + seed),
        connection=0,
        latitude=bytes(4),
        longitude=bytes(4),
        firmware=1,
        voltage_angle=_ANGLES,
        line_angle=tuple(math.degrees(cmath.phase(v)) for v in lines),
        voltage_thd=(1.2, 1.3, 1.1),
        current_thd=(4.0, 4.1, 3.9),
        conversion=0,
        unknown_247_256=bytes(10),
    )
