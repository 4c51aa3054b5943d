"""A kernel as plain Python, loaded from its source, or compiled."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import ext

EXT = Path(ext.__file__).parent

Load = Callable[[str], ModuleType]


def load_source(name: str) -> ModuleType:
    """Return the kernel as Python runs it without a compiler."""
    spec = importlib.util.spec_from_file_location(f"source_{name}", EXT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_compiled(name: str) -> ModuleType:
    """Return the compiled kernel; skips where none can be built, fails when it is older than its source."""
    module = importlib.import_module(f"ext.{name}")
    built = Path(str(module.__file__))
    if built.suffix != ".so":
        pytest.skip("no compiled kernels: a C compiler is needed, then pip install -e .")
    own = EXT / f"{name}.pyx"
    if own.exists():
        sources = [own, *EXT.glob(f"_{name}_*.pxi"), *(EXT.glob("_*.pxd") if "ext._octets" in own.read_text() else ())]
    else:
        sources = [EXT / f"{name}.py", EXT / f"{name}.pxd"]
    newest = max(path.stat().st_mtime for path in sources)
    if EXT in built.parents and built.stat().st_mtime < newest:
        pytest.fail(f"{built.name} is older than its source: pip install --no-build-isolation -e .")
    return module
