"""The way of CCEE to the meters through this gateway (dossier ccee-ons §13, F1-F10)."""

from edge.forwarder.service import Forwarder

__all__ = ["Forwarder"]
