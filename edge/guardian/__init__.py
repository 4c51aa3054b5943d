"""The guardian: understands what CCEE and a meter say to each other from their two streams, and judges it."""

from edge.guardian.contract import CloseReason, Exchange, Expected, Finding, Kind, Result, Side, Verdict
from edge.guardian.inspector import Inspector

__all__ = ["CloseReason", "Exchange", "Expected", "Finding", "Inspector", "Kind", "Result", "Side", "Verdict"]
