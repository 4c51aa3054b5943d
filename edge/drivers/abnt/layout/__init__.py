"""What the octets of each answer and request mean, both directions (dossier abnt-nbr-14522 §7, §8.1)."""

from edge.drivers.abnt.layout.fields import Block, OctetError
from edge.drivers.abnt.layout.instantaneous import Instantaneous
from edge.drivers.abnt.layout.logs import Change, ChangeLog, Outage, Outages, Refusal
from edge.drivers.abnt.layout.measurement import Measurement, Ratio
from edge.drivers.abnt.layout.parameters import Constant, Parameters
from edge.drivers.abnt.layout.profile import WORDS_PER_BLOCK, ProfileWords, blocks_for
from edge.drivers.abnt.layout.registers import ChannelRegisters, PartialRegisters, Registers

__all__ = [
    "BLOCKS",
    "WORDS_PER_BLOCK",
    "Block",
    "Change",
    "ChangeLog",
    "ChannelRegisters",
    "Constant",
    "Instantaneous",
    "Measurement",
    "OctetError",
    "Outage",
    "Outages",
    "Parameters",
    "PartialRegisters",
    "ProfileWords",
    "Ratio",
    "Refusal",
    "Registers",
    "blocks_for",
]

#: Answer code to the block it carries.
BLOCKS: dict[int, type[Block]] = {
    code: block
    for block in (
        ChangeLog,
        Instantaneous,
        Measurement,
        Outages,
        Parameters,
        PartialRegisters,
        ProfileWords,
        Refusal,
        Registers,
    )
    for code in block.codes
}
