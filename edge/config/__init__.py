"""The gateway's configuration file: declared in ``model``, read by ``load``, shown without secrets by ``mask``."""

from edge.config.load import ConfigProblems, Loaded, driver_settings, hash_of, load, parse
from edge.config.mask import MASK, mask, unmask
from edge.config.model import Config, Line, Meter, Module, Schedule, SerialLine, TcpLine, Uplink

__all__ = [
    "MASK", "Config", "ConfigProblems", "Line", "Loaded", "Meter", "Module", "Schedule",
    "SerialLine", "TcpLine", "Uplink",    "driver_settings", "hash_of", "load", "mask", "parse", "unmask",
]  # fmt: skip
