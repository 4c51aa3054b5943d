"""``place`` and ``carry`` on this machine: whole or not at all, once, and truthful beforehand."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.provisioning.tools import WITHOUT_ANSIBLE, ansible

pytestmark = [pytest.mark.skipif(bool(WITHOUT_ANSIBLE), reason=WITHOUT_ANSIBLE), pytest.mark.timeout(300)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def play(folder: Path, tasks: list[dict[str, Any]], *options: str) -> tuple[int, int, str]:
    """Exit code, number of changed tasks, what was said."""
    for task in tasks:
        for item in task.get("place", {}).get("items", []):
            item |= {"owner": folder.owner(), "group": folder.group()}
    book = folder / "book.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = ansible("ansible-playbook", "-i", "localhost,", "-c", "local", str(book), *options, folder=folder)
    changed = done.stdout.rsplit("changed=", 1)[-1].split()[0] if "changed=" in done.stdout else "0"
    return done.returncode, int(changed), done.stdout


def test_files_links_and_folders_are_placed_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "gone").write_text("x")
    tasks: list[dict[str, Any]] = [{"place": {"items": [
        {"dest": f"{root}/a b/file", "content": "são\n", "mode": "0640"},
        {"dest": f"{root}/empty", "content": ""},
        {"dest": f"{root}/link", "link": "a b/file"},
        {"dest": f"{root}/folder", "folder": True, "mode": "0750"},
        {"dest": f"{root}/gone", "absent": True},
        {"dest": f"{root}/begun", "content": "first\n", "once": True},
    ]}}]  # fmt: skip
    code, changed, said = play(tmp_path, tasks, "--check", "--diff")
    assert (code, changed) == (0, 1)
    assert "+são" in said
    assert names(root) == ["gone"]
    code, changed, _ = play(tmp_path, tasks)
    assert (code, changed) == (0, 1)
    assert names(root) == ["a b", "begun", "empty", "folder", "link"]
    assert (root / "link").read_text() == "são\n"
    assert (root / "a b/file").stat().st_mode & 0o777 == 0o640
    assert (root / "folder").stat().st_mode & 0o777 == 0o750
    (root / "begun").write_text("changed by somebody else\n")
    code, changed, _ = play(tmp_path, tasks)
    assert (code, changed) == (0, 0)
    (root / "a b/file").chmod(0o644)
    assert play(tmp_path, tasks)[1] == 1


def test_a_check_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old\n")
    tasks: list[dict[str, Any]] = [{"place": {"items": [
        {"dest": str(first), "content": "new\n"},
        {"dest": str(second), "content": "bad\n", "check": "grep -q good %s || { echo not good; false; }"},
    ]}}]  # fmt: skip
    code, _, said = play(tmp_path, tasks)
    assert code == 2
    assert "not good" in said
    assert first.read_text() == "old\n"
    assert not [name for name in names(tmp_path) if name.startswith("second") or name.endswith(".new")]


def test_a_folder_is_carried_in_lots_and_only_what_lacks(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.whl").write_bytes(os.urandom(400_000))
    tasks: list[dict[str, Any]] = [{"carry": {"src": str(source), "dest": str(target)}}]
    assert play(tmp_path, tasks, "--check")[:2] == (0, 1)
    assert not target.exists()
    assert play(tmp_path, tasks)[:2] == (0, 1)
    assert {name: (target / name).read_bytes() for name in names(target)} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    (target / "3.whl").write_bytes(b"half")
    (target / ".new").mkdir()
    (target / ".new/left-by-a-cut.whl").touch()
    code, changed, said = play(tmp_path, tasks)
    assert (code, changed) == (0, 1)
    assert "0.4 of 0.4 MB" in said
    assert names(target) == names(source)
    assert play(tmp_path, tasks)[:2] == (0, 0)


def test_what_lies_near_is_not_sent_again(tmp_path: Path) -> None:
    source, first, second = tmp_path / "source", tmp_path / "bundles/1 0", tmp_path / "bundles/2"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.whl").write_bytes(os.urandom(400_000))
    near = f"{tmp_path}/bundles/*"
    assert play(tmp_path, [{"carry": {"src": str(source), "dest": str(first), "near": near}}])[:2] == (0, 1)
    (source / "1.whl").write_bytes(b"another version")
    code, changed, said = play(tmp_path, [{"carry": {"src": str(source), "dest": str(second), "near": near}}])
    assert (code, changed) == (0, 1)
    assert "0.0 of 0.0 MB" in said
    assert {name: (second / name).read_bytes() for name in names(second)} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    assert (second / "0.whl").samefile(first / "0.whl")
    assert (first / "1.whl").read_bytes() != b"another version"
