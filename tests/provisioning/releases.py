"""Bundles for test machines: this tree's version, a newer one that is as good, and a newer one that does not work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from central.store.migrate import head
from tests.provisioning.image import ROOT, Image
from tests.provisioning.site import PROVISIONING

#: What the machines of a site need beside what the bare image has, in one folder.
DEBS: Final = (
    "chrony", "nftables", "openssl", "unattended-upgrades", "python3-venv", "mosquitto", "nginx-light", "sqlite3",
    "prometheus-node-exporter", "postgresql",
)  # fmt: skip
NEWER, BROKEN = "9.0.0", "9.0.1"
#: At the end of the module that runs the gateway: it is installed and checks configurations, and never runs.
ENDS: Final = """

async def serve(config: object) -> None:
    raise SystemExit("this version was broken on purpose")
"""
#: A step of the aggregator's schema that changes something and then fails.
FAILS: Final = """revision = "9999"
down_revision = "{head}"


def upgrade():
    from alembic import op

    op.execute("UPDATE tenant SET name = 'half done'")
    op.get_bind().exec_driver_sql("COMMIT")
    raise RuntimeError("this step was broken on purpose")
"""


def build(folder: Path, image: Image) -> None:
    """Fill ``folder`` with edge and central, each also -newer and -broken, and debs, through the ordinary commands."""
    if (folder / "whole").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wheels").mkdir(parents=True)
    present = _wheel(ROOT, folder / "wheels")
    _bundle("edge", "--wheel", str(present), "--output", str(folder / "edge"))
    _bundle("central", "--wheel", str(present), "--output", str(folder / "central"))
    for name, version, end in (("newer", NEWER, ""), ("broken", BROKEN, ENDS)):
        tree = _changed(folder / f"tree-{name}", version, end)
        wheel = _wheel(tree, folder / "wheels")
        for part in ("edge", "central"):
            _bundle(part, "--wheel", str(wheel), "--output", str(folder / f"{part}-{name}"))
    _bundle("debs", "--status", str(image.status), "--output", str(folder / "debs"), *DEBS)
    (folder / "whole").touch()


def _changed(tree: Path, version: str, end: str) -> Path:
    for name in ("metergate", "edge", "central", "shared", "ext"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "node_modules"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    (tree / "metergate/__init__.py").write_text(f'"""Another version."""\n\n__version__ = "{version}"\n')
    gateway = tree / "edge/gateway.py"
    gateway.write_text(gateway.read_text() + end)
    if end:
        (tree / "central/store/migrations/versions/9999_broken.py").write_text(FAILS.format(head=head()))
    return tree


def _wheel(tree: Path, output: Path) -> Path:
    before = set(output.glob("*.whl"))
    _do(
        [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "-q", "--no-deps",
         "--no-build-isolation", "-w", str(output), "."], tree,
    )  # fmt: skip
    return (set(output.glob("*.whl")) - before).pop()


def _bundle(*arguments: str) -> None:
    _do([sys.executable, str(PROVISIONING / "bundle.py"), *arguments], ROOT)


def _do(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "METERGATE_PURE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
