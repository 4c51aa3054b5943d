"""Profile blocks: answers 26, 27 and 52 (dossier abnt-nbr-14522 §8.1)."""

from typing import Final

from edge.drivers.abnt import commands
from edge.drivers.abnt.layout.fields import OCTET, RAW, Block, Unreadable, at
from ext import bcd

WORDS_PER_BLOCK: Final = 166  # 12-bit words in octets 8-256
MAX_BLOCKS: Final = 999
OVERFLOW_WORD: Final = 0xFFF


class ProfileWords(Block):
    """One block of a composite answer: its place in the sequence and 249 octets of the word stream."""

    codes = commands.PROFILE_CODES

    sequence: int = at(6, 6, OCTET)  # high nibble 1 on the last block, low nibble hundreds of the number
    below_hundred: int = at(7, 7, OCTET)  # BCD tens and units
    words: bytes = at(8, 256, RAW)

    @property
    def number(self) -> int:
        """Block number, 1..999."""
        return bcd.decode(bytes((self.sequence & 0x0F, self.below_hundred)))

    @property
    def last(self) -> bool:
        return self.sequence >> 4 == 1

    @classmethod
    def unpack(cls, octets: bytes) -> "ProfileWords":
        block = super().unpack(octets)
        try:
            sound = block.sequence >> 4 <= 1 and block.number > 0
        except bcd.BcdError:
            sound = False
        if not sound:
            raise Unreadable("no block number with last flag", 5, octets[5:7])
        return block

    @classmethod
    def make(cls, number: int, last: bool, words: bytes) -> "ProfileWords":
        """Block ``number`` (1..999) with up to 249 octets of words."""
        if not 1 <= number <= MAX_BLOCKS:
            raise ValueError(f"block number {number} is not 1..{MAX_BLOCKS}")
        hundreds, below_hundred = bcd.encode(number, 2)
        return cls(
            sequence=(0x10 if last else 0) | hundreds,
            below_hundred=below_hundred,
            words=words.ljust(249, b"\0"),
        )


def blocks_for(words: int) -> int:
    """Number of blocks that ``words`` 12-bit words take."""
    return -(-words // WORDS_PER_BLOCK)
