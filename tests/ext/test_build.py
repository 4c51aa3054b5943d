"""The build hook: what is compiled, and the wheel for machines without a compiler."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ext
from ext._build import KERNELS, PURE_SWITCH

EXT = Path(ext.__file__).parent


def build_wheel(switch: str, to: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(to)]
    environment = os.environ | {PURE_SWITCH: switch}
    return subprocess.run(command, cwd=EXT.parent, env=environment, capture_output=True, text=True, check=False)


def test_every_kernel_is_built_and_nothing_else() -> None:
    assert sorted(KERNELS) == sorted(f"ext.{path.stem}" for path in EXT.glob("[!_]*.p[xy][dx]"))
    assert all((EXT / f"{name.removeprefix('ext.')}.py").exists() for name in KERNELS)


def test_pure_wheel_runs_anywhere(tmp_path: Path) -> None:
    done = build_wheel("1", tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".so", ".pxd", ".pyx", ".pxi", "_build.py"))]
    assert {f"{name.replace('.', '/')}.py" for name in KERNELS} <= set(names)
    for package in ("shared", "ext", "edge", "central", "metergate"):
        assert f"{package}/py.typed" in names


@pytest.mark.parametrize("switch", ["2", "yes"])
def test_an_unknown_switch_is_refused(tmp_path: Path, switch: str) -> None:
    done = build_wheel(switch, tmp_path)
    assert done.returncode != 0
    assert f"{PURE_SWITCH}='{switch}'" in done.stderr
    assert not list(tmp_path.glob("*.whl"))
