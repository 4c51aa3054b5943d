#!/usr/bin/env python3
"""Gather what a machine needs that has no way to a registry: one folder that ``release_bundle`` names.

    bundle.py edge --wheel dist/metergate-0.1.0-py3-none-any.whl --output build/bundle/edge
    bundle.py debs --status dpkg-status --output build/bundle/debs chrony nftables ...

The first takes the wheel and, through pip's ordinary client, the wheels of ``requirements/PART.txt`` for the machine's
processor and Python. ``bundle.json`` names version, part and an id of the whole; ``requirements.txt`` holds the hashes
that the machine's pip checks. The second takes packages of Debian with what they depend on and the machine does not
have (``--status`` is its /var/lib/dpkg/status), and writes the index that its apt reads. Standard library only.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
#: What pip calls the wheels that run on Debian 12 (glibc 2.36), newest first.
PLATFORMS: Final = ("manylinux_2_34", "manylinux_2_31", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "linux")


def wheels(part: str, wheel: Path, machine: str, python: str, output: Path) -> dict[str, str]:
    """Fill ``output`` with wheels, ``requirements.txt`` and ``bundle.json``; returns what the latter says."""
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory(dir=_parent(output)) as name:
        folder = Path(name)
        shutil.copy(wheel, folder)
        platforms = [option for each in PLATFORMS for option in ("--platform", f"{each}_{machine}")]
        _do(
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--dest", name, "--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms,
            "-r", str(REPOSITORY / "requirements" / f"{part}.txt"),
        )  # fmt: skip
        for pip in folder.glob("pip-*.whl"):  # a library names it for a command that nobody uses; the machine has one
            pip.unlink()
        lines = [_requirement(file) for file in sorted(folder.glob("*.whl"))]
        text = "\n".join(lines) + "\n"
        (folder / "requirements.txt").write_text(text)
        said = {"version": version, "part": part, "id": hashlib.sha256(text.encode()).hexdigest()[:16]}
        (folder / "bundle.json").write_text(json.dumps(said, indent=1) + "\n")
        _replace(folder, output)
    return said


def debs(packages: list[str], status: Path, output: Path) -> dict[str, int]:
    """Fill ``output`` with Debian packages and the index ``Packages``; returns their number."""
    with tempfile.TemporaryDirectory(dir=_parent(output)) as name:
        folder = Path(name)
        (folder / "partial").mkdir()
        options = {"Dir::Cache::archives": name, "Dir::State::status": str(status.resolve()), "Debug::NoLocking": "1",
                   "APT::Sandbox::User": "root"}  # fmt: skip
        _do(
            "apt-get", "install", "--yes", "--quiet=2", "--download-only", "--no-install-recommends",
            *(option for key, value in options.items() for option in ("-o", f"{key}={value}")), *packages,
        )  # fmt: skip
        shutil.rmtree(folder / "partial")
        (folder / "lock").unlink(missing_ok=True)
        files = sorted(folder.glob("*.deb"))
        (folder / "Packages").write_text("\n".join(_index_entry(file) for file in files))
        _replace(folder, output)
    return {"packages": len(files)}


def _requirement(file: Path) -> str:
    name, version = file.name.split("-")[:2]
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version} --hash=sha256:{_digest(file)}"


def _index_entry(file: Path) -> str:
    control = _do("dpkg-deb", "--field", str(file)).rstrip("\n")
    return f"{control}\nFilename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {_digest(file)}\n"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _parent(output: Path) -> Path:
    parent = output.resolve().parent  # a path without a root would be below apt's own folder
    parent.mkdir(parents=True, exist_ok=True)
    return parent


def _replace(folder: Path, output: Path) -> None:
    shutil.rmtree(output, ignore_errors=True)
    folder.chmod(0o755)
    shutil.copytree(folder, output)


def _do(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ...: {done.stderr.strip()[-2000:]}")
    return done.stdout


def main() -> int:
    """Run one command; 0 well, 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    commands = parser.add_subparsers(dest="part", required=True)
    for part in ("edge", "central"):
        one = commands.add_parser(part, help=f"wheels of a machine that runs metergate {part}")
        one.add_argument("--wheel", type=Path, required=True, help="made by make wheel")
        one.add_argument("--machine", default="x86_64", help="x86_64, aarch64, armv7l (default: x86_64)")
        one.add_argument("--python", default="3.11", help="of the machine (default: 3.11, Debian 12's)")
        one.add_argument("--output", type=Path, required=True)
    packages = commands.add_parser("debs", help="packages of Debian")
    packages.add_argument("--status", type=Path, required=True, help="the machine's /var/lib/dpkg/status")
    packages.add_argument("--output", type=Path, required=True)
    packages.add_argument("packages", nargs="+")
    given = parser.parse_args()
    try:
        said: dict[str, str] | dict[str, int]
        if given.part == "debs":
            said = debs(given.packages, given.status, given.output)
        else:
            said = wheels(given.part, given.wheel, given.machine, given.python, given.output)
        sys.stdout.write(json.dumps(said) + "\n")
    except (RuntimeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
