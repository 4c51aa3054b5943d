"""Fixtures for everybody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running mosquitto without access rules, ended with the test."""
    it = Broker(tmp_path / "broker")
    it.start()
    yield it
    it.kill()
