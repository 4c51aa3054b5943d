"""A real browser on the real server: charts drawn, nothing fetched elsewhere, nothing too wide, keyboard enough."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from central.app import create_app
from central.settings import Settings
from shared.intervals import local_date
from tests.central.web.seed import LOGIN, PASSWORD, ZONE
from tests.ports import free_port, wait_for_port

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PAGES = ("/", "/meters", "/meters/m-0002", "/meters/m-0002/readings", "/meters/m-0002/billing", "/meters/m-0004",
         "/gateways", "/gateways/gw-mooca", "/profile", "/keys",
         "/gateways/gw-mooca/config", "/gateways/gw-mooca/config/conf-invalid", "/ccee", "/ccee/connections",
         "/ccee/connections/1", "/ccee/forwards", "/ccee/forwards/m-0001/change", "/alarms",
         "/alarms/subscriptions")  # fmt: skip

#: Every chart of the page has drawn something of its data.
DRAWN = """() => {
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
#: Charts and grids have their answer.
READY = """() => [...document.querySelectorAll("[data-chart], [data-grid]")].every(
  (part) => part.dataset.drawn || part.dataset.empty
)"""
#: By now the CCEE's window of yesterday is judged, whatever the hour.
YESTERDAY = (local_date(int(time.time()), ZONE) - timedelta(days=1)).isoformat()
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """The application on a free port."""
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


HINT = "Canvas2D: Multiple readback operations"  # Chromium's advice to a chart library on a slow machine


def is_fault(kind: str, text: str) -> bool:
    """Whether a line of the browser's console tells of a fault: errors and warnings, but not the advice above."""
    return kind in ("error", "warning") and not text.startswith(HINT)


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

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.page.wait_for_function(READY)

    def log_in(self) -> None:
        self.open("/login")
        self.page.fill("#login", LOGIN)
        self.page.fill("#password", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(self.address + "/")


@pytest.fixture
def desk(browser: Any, address: str) -> Iterator[Watched]:
    """A desktop in Portuguese, logged in."""
    context = browser.new_context(viewport=DESKTOP, locale="pt-BR", timezone_id="America/Sao_Paulo")
    watched = Watched(context.new_page(), address)
    watched.log_in()
    yield watched
    context.close()


def test_charts_are_drawn(desk: Watched) -> None:
    for path in ("/", "/meters/m-0002", "/meters/m-0002/readings", "/meters/m-0002/billing", "/gateways/gw-mooca"):
        desk.open(path)
        desk.page.wait_for_function(DRAWN, timeout=10_000)
    assert desk.faults == []


def test_profile_shows_posts_gaps_and_what_is_chosen(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/m-0002/readings")
    page.wait_for_function(DRAWN)
    names = page.evaluate("document.querySelector('[data-chart=profile]').chart.getOption().series.map((s) => s.name)")
    assert names[:2] == ["Ponta", "Fora ponta"]
    assert "Ausente" in names
    axis = "document.querySelector('[data-chart=profile]').chart.getOption().yAxis[0].name"
    assert page.evaluate(axis) == "kW"
    page.click("label[for=show-energy]")
    assert page.evaluate(axis) == "kWh"
    with page.expect_response(lambda r: "channel=5.29.0" in r.url):
        page.select_option("select[name=channel]", "5.29.0")
    page.wait_for_function(f"() => {axis} === 'kvarh'")
    desk.open("/meters/m-0002")
    with page.expect_response(lambda r: "/profile" in r.url and "days=1&" in r.url) as answer:
        page.locator(".day:has(i.a2)").first.click()
    assert None in answer.value.json()["blocks"][0]["values"]
    assert desk.faults == []


def test_search_and_the_way_to_a_meter(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters")
    page.wait_for_selector(".tabulator-row >> nth=6")
    page.fill("#meter-search input[type=search]", "Lucas")
    page.wait_for_function("() => document.querySelectorAll('.tabulator-row').length === 1")
    assert "q=Lucas" in page.locator("[data-export]").get_attribute("href")
    page.click(".tabulator-row a")
    page.wait_for_url("**/meters/m-0003")
    assert "O medidor não responde" in page.locator("#main").inner_text()
    assert desk.faults == []


def test_command_is_given_and_followed(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/m-0002/readings")
    page.get_by_role("button", name="Ler agora").click()
    page.wait_for_selector("#commands >> text=Na fila")
    page.get_by_role("button", name="Reler período").click()
    page.wait_for_selector("#reread.show")
    page.get_by_role("button", name="Reler", exact=True).click()
    page.wait_for_selector("#commands >> text=Reler memória de massa")
    with page.expect_response(lambda r: r.url.endswith("/commands")):
        time.sleep(0.1)  # the list asks again by itself while a command is open
    assert desk.faults == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phone_is_wide_enough(browser: Any, address: str, theme: str) -> None:
    context = browser.new_context(viewport=PHONE, locale="ru", color_scheme=theme, is_mobile=True, has_touch=True)
    phone = Watched(context.new_page(), address)
    phone.log_in()
    for path in PAGES:
        phone.open(path)
        assert phone.page.evaluate(TOO_WIDE) <= 0, path
        assert phone.page.evaluate("document.documentElement.dataset.bsTheme") == theme
    phone.page.click(".navbar-toggler")
    phone.page.wait_for_selector("#side-menu.show")
    assert phone.faults == []
    context.close()


def test_theme_is_kept(desk: Watched) -> None:
    theme = "document.documentElement.dataset.bsTheme"
    desk.open("/")
    before = desk.page.evaluate(theme)
    desk.page.locator("[data-theme-toggle]:visible").click()
    assert desk.page.evaluate(theme) != before
    desk.open("/gateways")
    assert desk.page.evaluate(theme) != before


def test_keyboard_reaches_everything(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/m-0002/readings")
    page.wait_for_function(DRAWN)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").endswith("skip")
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "((e) => (e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent).trim())"
            "(document.activeElement)"
        )
        assert name, page.evaluate("document.activeElement.outerHTML")
        reached.add(name)
    assert {"Medidores", "Ler agora", "Acertar relógio", "Resumo", "Canal", "Antes", "Período"} <= reached


def test_zero_registers_wait_behind_their_switch(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/m-0002/readings")
    assert not page.is_visible(".registers th.is-zero")
    page.check("#show-zeros")
    assert page.is_visible(".registers th.is-zero")
    page.evaluate("htmx.ajax('GET', '/meters/m-0002/registers', {target: '.registers-card > div:last-child'})")
    page.wait_for_timeout(500)
    assert page.is_checked("#show-zeros")  # a refresh does not hide them again
    assert desk.faults == []


def test_demand_reset_needs_the_serial_typed(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/m-0003/readings")
    page.click("[data-bs-target='#close-bill']")
    page.wait_for_selector("#close-bill.show")
    page.wait_for_function("document.activeElement.id === 'close-bill-serial'")
    page.keyboard.type("08910755")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert page.is_visible("#close-bill.show")  # the browser itself refuses another serial
    page.fill("#close-bill-serial", "08910754")
    page.keyboard.press("Enter")
    page.wait_for_selector("#command-latest >> text=Reposição de demanda")
    page.wait_for_selector("#close-bill.show", state="detached")
    assert desk.faults == []


def test_configuration_is_changed_step_by_step(desk: Watched) -> None:
    page = desk.page
    desk.open("/gateways/gw-mooca")
    page.click("a[href$='/config']")
    page.fill("#toml", page.input_value("#toml").replace("900", "600"))
    page.get_by_role("button", name="Ver a diferença").click()
    assert page.locator(".diff .plus").inner_text().split("\n")[-1] == "profile = 600"
    page.get_by_role("button", name="Aplicar em gw-mooca").click()
    page.wait_for_selector("#config-state >> text=À espera do controlador")
    with page.expect_response(lambda r: r.url.endswith("/state")):
        time.sleep(0.1)  # it asks again by itself while the result is open
    assert desk.faults == []


def test_from_the_night_to_a_conversation_by_keyboard(desk: Watched) -> None:
    page = desk.page
    desk.open(f"/ccee?day={YESTERDAY}&q=m-0002")
    page.wait_for_selector(".side .nav-link .alarm-count .badge")
    assert page.locator(".night-strip a").count() == 2
    page.locator(".night-strip a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/ccee/connections/*")
    assert "Medidor não respondeu" in page.locator("#main").inner_text()
    page.locator(".lanes a").last.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#turn-2:target")
    page.get_by_role("button", name="Tentar de novo agora").click()
    page.wait_for_selector("#commands >> text=Na fila")
    assert desk.faults == []


def test_closing_a_port_is_asked_first(desk: Watched) -> None:
    page = desk.page
    asked: list[str] = []

    def refuse(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    desk.open("/ccee/forwards")
    page.get_by_role("button", name="Fechar a porta de 05622103").click()
    page.wait_for_timeout(300)
    assert asked == ["Fechar a porta de 05622103? A CCEE não poderá mais lê-lo."]
    assert "m-0005" not in page.locator("#commands").inner_text()
    assert desk.faults == []


def test_alarm_is_acknowledged(desk: Watched) -> None:
    page = desk.page
    desk.open("/alarms")
    alarm = page.locator("article", has_text="I05")
    before = page.locator("article.is-taken").count()
    alarm.last.locator("summary").click()
    alarm.last.locator("input[name=note]").fill("equipe a caminho")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=equipe a caminho")
    assert page.locator("article.is-taken").count() == before + 1
    assert desk.faults == []
