"""The real load and the private PostgreSQL server, for central's benchmarks."""

from benchmarks.ext.conftest import load_curves
from tests.central.conftest import postgres

__all__ = ["load_curves", "postgres"]
