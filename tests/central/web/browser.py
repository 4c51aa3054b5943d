"""A real browser on the real server, for the tests marked ``browser``: it remembers everything a page should not do.

Fixtures are handed out by conftest.py. A module that looks at another database has an ``address`` of its own, made with
:func:`served`; ``browser``, ``desk`` and ``phone`` follow it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import uvicorn

from central.app import create_app
from central.settings import Settings
from tests.central.web.seed import LOGIN, PASSWORD
from tests.ports import free_port, wait_for_port

CHROMIUM: Final = Path("/usr/bin/chromium")
ARGUMENTS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
DESKTOP: Final = {"width": 1440, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
ZONE: Final = "America/Sao_Paulo"

#: Every chart of the page has drawn something of its data.
DRAWN: Final = """() => {
  const charts = [...document.querySelectorAll("[data-chart]")];
  return charts.length > 0 && charts.every((chart) => {
    const canvas = chart.querySelector("canvas");
    const series = chart.chart?.getOption().series ?? [];
    if (!canvas || !series.some((one) => one.data?.length || one.markArea?.data?.length)) return false;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let at = 0; at < pixels.length; at += 4) seen.add(pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2]);
    return seen.size > 8;
  });
}"""
#: Charts, grids and widgets have their answer.
READY: Final = """() => !document.querySelector(".widget .waiting") && [
  ...document.querySelectorAll("[data-chart], [data-grid], [data-report-grid]")
].every((part) => part.dataset.drawn || part.dataset.empty)"""
#: By how many pixels the page can be scrolled sideways.
TOO_WIDE: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
#: Chromium's advice to a chart library on a slow machine, and what htmx says of a piece still awaited when the page is
#: left (one that fails is an ``htmx:sendError`` or ``htmx:responseError`` besides).
SPARED: Final = ("Canvas2D: Multiple readback operations", "htmx:afterRequest", "htmx:sendAbort")


def is_fault(kind: str, text: str) -> bool:
    """Whether a line of the browser's console tells of a fault: errors and warnings, but not those above."""
    return kind in ("error", "warning") and not text.startswith(SPARED)


class Watched:
    """A page that remembers everything it should not have done."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.faults: list[str] = []
        page.on("console", lambda m: self.faults.append(m.text) if is_fault(m.type, m.text) else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._look)
        page.on("response", lambda r: self.faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.faults.append(f"asked another host: {request.url}")

    def open(self, path: str) -> Any:
        """Go there and wait until all of it has come; returns the answer."""
        answer = self.page.goto(self.address + path)
        self.page.wait_for_function(READY)
        return answer

    def log_in(self) -> None:
        self.open("/login")
        self.page.fill("#login", LOGIN)
        self.page.fill("#password", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(self.address + "/")


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The application on a free port, in a thread of its own; gives its address."""
    port = free_port()
    app = create_app(settings, follow=False)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, name="web under test")
    thread.start()
    wait_for_port(port)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@contextmanager
def visit(browser: Any, address: str, viewport: dict[str, int], locale: str, **options: Any) -> Iterator[Watched]:
    """A browser window of its own, logged in without the pages that a person would wait for."""
    if viewport is PHONE:
        options = {"is_mobile": True, "has_touch": True} | options
    context = browser.new_context(viewport=viewport, locale=locale, timezone_id=ZONE, **options)
    answer = context.request.post(f"{address}/login", form={"login": LOGIN, "password": PASSWORD}, max_redirects=0)
    assert answer.status == 303, answer.text()
    yield Watched(context.new_page(), address)
    context.close()


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """The application over the seeded database."""
    with served(settings) as found:
        yield found


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Any]:
    """Chromium, after the server: its loop leaves no room for another."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def desk(browser: Any, address: str) -> Iterator[Watched]:
    """A desktop in Portuguese."""
    with visit(browser, address, DESKTOP, "pt-BR") as watched:
        yield watched


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Watched]:
    """A phone in Russian."""
    with visit(browser, address, PHONE, "ru") as watched:
        yield watched
