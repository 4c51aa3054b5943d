"""Registers of the visible channels: answers 23 and 24, and the undecoded 41-46 (dossier abnt-nbr-14522 §7.2)."""

from edge.drivers.abnt import commands
from edge.drivers.abnt.layout.fields import BCD, RAW, Block, Record, at, many, record


class ChannelRegisters(Record):
    """74 octets of one channel, in pulses. The second of each pair: UFER or DMCR on channel 1, reverse on 2 and 3."""

    total: int = at(1, 5, BCD)
    peak: int = at(6, 10, BCD)
    peak_second: int = at(11, 15, BCD)
    off_peak: int = at(16, 20, BCD)
    off_peak_second: int = at(21, 25, BCD)
    reserved: int = at(26, 30, BCD)
    reserved_second: int = at(31, 35, BCD)
    demand_last: int = at(36, 38, BCD)
    demand_peak: int = at(39, 41, BCD)
    demand_peak_second: int = at(42, 44, BCD)
    demand_off_peak: int = at(45, 47, BCD)
    demand_off_peak_second: int = at(48, 50, BCD)
    demand_reserved: int = at(51, 53, BCD)
    demand_reserved_second: int = at(54, 56, BCD)
    #: most likely in the order of the maxima above (not established)
    accumulated: tuple[int, ...] = at(57, 74, many(BCD, 3), (0,) * 6)


class Registers(Block):
    """Registers of the three visible channels, and the fourth slot of channel 1."""

    codes = commands.REGISTER_CODES

    channels: tuple[ChannelRegisters, ...] = at(6, 227, many(record(ChannelRegisters), 74))
    fourth: int = at(228, 232, BCD)
    fourth_second: int = at(233, 237, BCD)
    demand_fourth: int = at(238, 240, BCD)
    demand_fourth_second: int = at(241, 243, BCD)
    accumulated_fourth: tuple[int, ...] = at(244, 249, many(BCD, 3))
    unknown_250_256: bytes = at(250, 256, RAW)


class PartialRegisters(Block):
    """Further registers of one channel; their octets are not established, so they are kept as they came."""

    codes = frozenset(commands.PARTIAL_CLOSED + commands.PARTIAL_RUNNING)

    unknown_6_256: bytes = at(6, 256, RAW)
