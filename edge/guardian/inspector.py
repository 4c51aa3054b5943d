"""The door of the guardian: octets in, masked octets and a finding out."""

from typing import Any

from edge.guardian.contract import UNKNOWN, CloseReason, Expected, Finding, Side, Verdict


class Inspector:
    """Listens to one connection. No I/O, no clock of its own, bounded memory; none of its methods raises."""

    def __init__(self, expected: Expected, began: float) -> None:
        self.expected, self.began = expected, began
        self._octets = [0, 0]

    def heard(self, at: float, side: Side, data: bytes) -> bytes:
        """Take octets as they passed at ``at`` (UTC seconds); return as many, with what may be a secret masked."""
        self._octets[side] += len(data)
        return bytes(len(data))

    def live(self) -> dict[str, Any]:
        """What is known so far, plain values for the gateway's live view."""
        return {"protocol": UNKNOWN}

    def finish(self, at: float, reason: CloseReason) -> Finding:
        """Judge the connection that ended at ``at``."""
        code = Verdict.NOT_UNDERSTOOD if self._octets[Side.CLIENT] else Verdict.NO_REQUEST
        return Finding(UNKNOWN, code, f"{self._octets} octets passed; closed by {reason}")
