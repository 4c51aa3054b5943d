"""Where Ansible is: an environment of its own beside ours, made by ``make .stamps/provision``."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROVISIONING: Final = ROOT / "provisioning"
ROLES: Final = PROVISIONING / "roles"
ANSIBLE: Final = ROOT / ".venv-provision" / "bin"
WITHOUT_ANSIBLE: Final = (
    "" if (ANSIBLE / "ansible-playbook").exists() else "Ansible is not installed: make .stamps/provision"
)


def ansible(command: str, *arguments: str, folder: Path, timeout: float = 900) -> "subprocess.CompletedProcess[str]":
    """Run one of Ansible's commands in ``provisioning/``; its own files go into ``folder``."""
    environment = {
        **os.environ, "ANSIBLE_CONFIG": str(PROVISIONING / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "ansible-home"),
        "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1", "PATH": f"{ANSIBLE}:{os.environ['PATH']}",
    }  # fmt: skip
    return subprocess.run(
        [str(ANSIBLE / command), *arguments], cwd=PROVISIONING, env=environment, capture_output=True, text=True,
        timeout=timeout, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def program(name: str) -> ModuleType:
    """A program of ``provisioning/`` as a module; it is no package's, machines run it as a file."""
    path = PROVISIONING / name
    spec = importlib.util.spec_from_file_location(f"provisioning_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
