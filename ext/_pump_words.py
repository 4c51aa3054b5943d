"""Words and bounds of the byte pump, for its Python and its C."""

from typing import Final

#: Sides, and who ended a pair: the client, the meter, or we.
CLIENT: Final = 0
METER: Final = 1
STOPPED: Final = 2

#: States of a pair: both ways go, one has ended, it is over.
RUNNING: Final = 0
HALF: Final = 1
ENDED: Final = 2

#: Octets under way in each direction; beyond them the sender waits.
CAPACITY: Final = 65_536
#: So many gathered octets go on without waiting for silence (dossier ccee-ons §13, F2).
GATHERED: Final = 512
#: Pieces handed out at once: the event loop has other things to do.
TAKEN: Final = 64
