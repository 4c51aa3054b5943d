"""The web libraries: locked without a source, made once, refused with the reason."""

import json
from pathlib import Path

import pytest

from central.web.assets import AssetsError, build
from central.web.assets.vendor import FILES, ICONS
from central.web.render import environment

HERE = Path(build.__code__.co_filename).parent


def test_lock_names_versions_and_digests_and_no_source() -> None:
    text = (HERE / "package-lock.json").read_text()
    lock, wanted = json.loads(text), json.loads((HERE / "package.json").read_text())["dependencies"]
    for name, package in lock["packages"].items():
        if name:
            assert package["integrity"].startswith("sha512-")
            assert "resolved" not in package
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted


def _npm(folder: Path, body: str) -> None:
    (folder / "npm").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "npm").chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first in the search path."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return tools


def test_build_copies_what_pages_load_and_then_rests(path: Path, tmp_path: Path) -> None:
    lines = [f"mkdir -p node_modules/{Path(name).parent} && echo 'x' > node_modules/{name}" for name in FILES]
    lines += ["mkdir -p node_modules/@tabler/icons/icons/outline"]
    lines += [f"echo '<svg a><path/></svg>' > node_modules/@tabler/icons/icons/outline/{name}.svg" for name in ICONS]
    lines += ["echo '//# sourceMappingURL=x.map' >> node_modules/htmx.org/dist/htmx.min.js"]
    _npm(path, "\n".join(lines))
    vendor = tmp_path / "vendor"
    assert build(vendor)
    assert {name.name for name in vendor.iterdir()} == {*FILES.values(), "icons.svg", ".stamp"}
    assert "sourceMappingURL" not in (vendor / "htmx.js").read_text()
    assert (vendor / "icons.svg").read_text().count("<symbol ") == len(ICONS)
    _npm(path, "exit 1")
    assert not build(vendor)


def test_failure_leaves_what_was_there(path: Path, tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / "old.js").write_text("kept")
    _npm(path, "echo 'no network' >&2; exit 7")
    with pytest.raises(AssetsError, match=r"exit code 7.*\n.*no network"):
        build(vendor)
    assert (vendor / "old.js").read_text() == "kept"


def test_missing_file_is_named(path: Path, tmp_path: Path) -> None:
    _npm(path, "mkdir node_modules")
    with pytest.raises(AssetsError, match=r"tabler\.min\.css is not in its package"):
        build(tmp_path / "vendor")


def test_icons_of_templates_are_in_the_sprite() -> None:
    import re

    from central.web import labels

    folder = Path(environment().loader.searchpath[0])  # type: ignore[union-attr]
    used = {name for page in folder.rglob("*.html") for name in re.findall(r'icon\("([a-z0-9-]+)"', page.read_text())}
    used |= {icon for _, icon, _ in labels.EVENTS.values()}
    assert used <= set(ICONS)
