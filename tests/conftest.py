"""Fixtures for everybody."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.brokers import Broker

# several test processes share two cores: a slow example is no failure
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: at the end one process would wait for them alone."""
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


def pytest_collection_finish() -> None:
    """What is there now stays for the whole run: looking through all of it again and again took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """A command called within a test sets the level of the whole process: no test inherits it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running mosquitto without access rules, ended with the test."""
    it = Broker(tmp_path / "broker")
    it.start()
    yield it
    it.kill()
