"""Every variable of a role has a default, a type, a comment and a line in the README; lint and syntax are clean."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.provisioning.tools import PROVISIONING, ROLES, WITHOUT_ANSIBLE, ansible

TYPES: Final = {bool: "bool", int: "int", str: "str", list: "list", dict: "dict"}
NAMES: Final = sorted(path.name for path in ROLES.iterdir())


def defaults(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
    return found


def specification(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())[
        "argument_specs"
    ]["main"]["options"]
    return found


@pytest.mark.parametrize("role", NAMES)
def test_every_variable_has_default_type_and_comment(role: str) -> None:
    given, specified = defaults(role), specification(role)
    assert list(given) == list(specified)
    text = (ROLES / role / "defaults/main.yml").read_text()
    for name, value in given.items():
        said = specified[name]
        assert name.startswith(f"{role}_"), name
        assert said["type"] in (TYPES[type(value)], "path" if isinstance(value, str) else ""), name
        assert said["description"].strip(), name
        assert re.search(rf"^# .*\n(?:{role}_\w+:.*\n)?{name}:", text, re.MULTILINE), f"{name} has no comment"
        if said.get("required"):
            assert not value, f"{name} is required and has a default that says otherwise"
        elif "default" in said:
            assert said["default"] == value, name
        else:
            assert "{{" in str(value), f"{name}: the specification does not know its default"


@pytest.mark.parametrize("role", NAMES)
def test_every_variable_has_a_line_in_the_readme(role: str) -> None:
    readme = (PROVISIONING / "README.md").read_text()
    for name, said in specification(role).items():
        line = next((line for line in readme.splitlines() if line.startswith(f"| `{name}` |")), "")
        assert line, f"{name} is not in provisioning/README.md"
        assert ("required" in line) == bool(said.get("required")), name


def test_a_variable_that_is_used_is_declared() -> None:
    """A name with a role's prefix is one of its variables, or set by a task, in vars/ or in the specifications."""
    for role in NAMES:
        text = "\n".join(path.read_text() for path in sorted((ROLES / role).rglob("*")) if path.is_file())
        known = set(defaults(role)) | set(re.findall(rf"(?:register: |^\s*)({role}_\w+)\b:?", text, re.MULTILINE))
        used = set(re.findall(rf"{{{{[^}}]*?\b({role}_\w+)", text))
        assert used <= known, f"{role}: {sorted(used - known)}"


@pytest.mark.skipif(bool(WITHOUT_ANSIBLE), reason=WITHOUT_ANSIBLE)
@pytest.mark.timeout(600)
def test_lint_has_nothing_to_say(tmp_path: Path) -> None:
    done = ansible("ansible-lint", "--offline", "--nocolor", "-q", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
