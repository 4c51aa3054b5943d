"""Every kernel test runs twice: on the source as plain Python, and on the compiled module."""

from types import ModuleType

import pytest

from tests.ext.builds import Load, load_compiled, load_source


@pytest.fixture(scope="session", params=["source", "compiled"])
def load(request: pytest.FixtureRequest) -> Load:
    """Return a function that loads a kernel by name, from source or compiled."""
    return load_source if request.param == "source" else load_compiled


@pytest.fixture(scope="session")
def checksums(load: Load) -> ModuleType:
    return load("checksums")


@pytest.fixture(scope="session")
def bcd(load: Load) -> ModuleType:
    return load("bcd")


@pytest.fixture(scope="session")
def nibbles(load: Load) -> ModuleType:
    return load("nibbles")


@pytest.fixture(scope="session")
def profile(load: Load) -> ModuleType:
    return load("profile")


@pytest.fixture(scope="session")
def billing(load: Load) -> ModuleType:
    return load("billing")


@pytest.fixture(scope="session")
def days(load: Load) -> ModuleType:
    return load("days")


@pytest.fixture(scope="session")
def series(load: Load) -> ModuleType:
    return load("series")


@pytest.fixture(scope="session")
def reactive(load: Load) -> ModuleType:
    return load("reactive")


@pytest.fixture(scope="session")
def reconcile(load: Load) -> ModuleType:
    return load("reconcile")


@pytest.fixture(scope="session")
def voltage(load: Load) -> ModuleType:
    return load("voltage")
