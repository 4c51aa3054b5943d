"""Every kernel test runs twice: on the source as plain Python, and on the compiled module."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import ext

EXT = Path(ext.__file__).parent

Load = Callable[[str], ModuleType]


def _load_source(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"source_{name}", EXT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_compiled(name: str) -> ModuleType:
    module = importlib.import_module(f"ext.{name}")
    built = Path(str(module.__file__))
    if built.suffix != ".so":
        pytest.skip("no compiled kernels: a C compiler is needed, then pip install -e .")
    newest = max(path.stat().st_mtime for path in (EXT / f"{name}.py", EXT / f"{name}.pxd"))
    if EXT in built.parents and built.stat().st_mtime < newest:
        pytest.fail(f"{built.name} is older than its source: pip install --no-build-isolation -e .")
    return module


@pytest.fixture(scope="session", params=["source", "compiled"])
def load(request: pytest.FixtureRequest) -> Load:
    """Return a function that loads a kernel by name, from source or compiled."""
    return _load_source if request.param == "source" else _load_compiled


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
def demand(load: Load) -> ModuleType:
    return load("demand")
