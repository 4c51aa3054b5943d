"""Settings of the spool (section ``[spool]`` of the gateway's configuration)."""

from typing import Annotated

import msgspec
from msgspec import Meta


class SpoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much is kept on the gateway.

    Days are days of running time (see ``edge.spool._clock``): never shorter than calendar days. ``limit_bytes`` bounds
    the file, ``free_bytes`` is what the spool leaves free on its disk.
    """

    retention_days: Annotated[int, Meta(ge=0, le=3650)] = 60
    evidence_days: Annotated[int, Meta(ge=0, le=3650)] = 90
    limit_bytes: Annotated[int, Meta(ge=2 << 20)] = 1 << 30
    free_bytes: Annotated[int, Meta(ge=0)] = 32 << 20
