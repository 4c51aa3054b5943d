"""A real browser on the real server: charts drawn, nothing fetched elsewhere, nothing too wide, keyboard enough."""

import time
from datetime import timedelta
from typing import Any

import pytest

from shared.intervals import local_date
from tests.central.web.browser import DRAWN, Watched
from tests.central.web.seed import ZONE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

#: By now the CCEE's window of yesterday is judged, whatever the hour.
YESTERDAY = (local_date(int(time.time()), ZONE) - timedelta(days=1)).isoformat()


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


def test_skip_link_leads_past_the_menu(desk: Watched) -> None:
    page = desk.page
    desk.open("/meters/m-0002")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('main').contains(document.activeElement)")


@pytest.mark.parametrize(("path", "opener", "steps"), [
    ("/meters/m-0002/readings", "[data-bs-target='#reread']", ()),
    ("/reports/consumption", "button:has-text('Exportar')", (*["ArrowDown"] * 4, "Enter")),
])  # fmt: skip
def test_dialog_is_left_by_escape(desk: Watched, path: str, opener: str, steps: tuple[str, ...]) -> None:
    """It has the focus while it is open; then the button has it, though the menu between has closed."""
    page = desk.page
    desk.open(path)
    page.focus(opener)
    before = page.evaluate("document.activeElement.textContent.trim()")
    for key in ("Enter", *steps):
        page.keyboard.press(key)
    page.wait_for_selector(".modal.show")
    page.wait_for_function("() => document.activeElement.matches('.modal input:not([type=hidden]), .modal select')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".modal.show", state="detached")
    page.wait_for_function("() => document.activeElement.matches('button')")
    assert page.evaluate("document.activeElement.textContent.trim()") == before
    assert desk.faults == []


def test_focus_is_seen(desk: Watched) -> None:
    """Whatever Tab reaches shows that it has the focus: an outline, or a shadow of its own."""
    page = desk.page
    unseen = """() => {
      const style = getComputedStyle(document.activeElement);
      const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
      return shown || style.boxShadow !== "none" || document.activeElement === document.body
        || document.activeElement.matches("[role=treeitem]") ? "" : document.activeElement.outerHTML;
    }"""
    found = set()
    for path in ("/", "/reports/consumption", "/users/1"):
        desk.open(path)
        for _ in range(60):
            page.keyboard.press("Tab")
            found.add(page.evaluate(unseen)[:150])
    assert found == {""}


def test_grid_is_walked_by_keyboard(desk: Watched) -> None:
    page = desk.page
    desk.open("/reports/consumption")
    holder = "[data-report-grid] .tabulator-tableholder"
    page.set_viewport_size({"width": 700, "height": 900})
    page.focus(holder)
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => document.querySelector('{holder}').scrollLeft > 0")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.pathname").startswith("/meters/")
    assert desk.faults == []


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


def test_position_is_picked_on_the_map(desk: Watched) -> None:
    page = desk.page
    desk.open("/registry/point/P-m-0002")
    page.wait_for_selector("[data-map-pick] .map-spot")
    north, east = (page.locator(f"[data-map-field={name}]") for name in ("latitude", "longitude"))
    before = float(north.input_value()), float(east.input_value())
    box = page.locator("[data-map-pick]").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2 - 40)
    page.wait_for_function(f"() => document.querySelector('[data-map-field=latitude]').value !== '{before[0]}'")
    assert 0 < float(north.input_value()) - before[0] < 0.01  # up is north, to the right is east
    assert 0 < float(east.input_value()) - before[1] < 0.02
    north.fill(str(before[0]))
    east.fill(str(before[1]))
    centre = page.evaluate("(({lat, lng}) => [lat, lng])(document.querySelector('[data-map-pick]').map.getCenter())")
    assert centre == pytest.approx(before, abs=1e-4)  # what is typed is shown
    assert desk.faults == []
