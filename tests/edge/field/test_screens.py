"""The screens by keyboard alone, against a simulated meter."""

from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, RichLog

from edge.field.folder import Folder
from edge.field.screens import DeliverScreen, FieldApp, MeterScreen, PlacesScreen
from edge.spool import inspection
from shared.wire import MeterEvent
from tests.edge.field.conftest import SERIAL, address, meter_port

pytestmark = pytest.mark.usefixtures("quick")


def log(app: FieldApp) -> str:
    return "\n".join(line.text for line in app.screen.query_one("#log", RichLog).lines)


async def until(pilot: Pilot[None], there: Callable[[], bool]) -> None:
    for _ in range(200):
        if there():
            return
        await pilot.pause(0.1)
    raise AssertionError("it did not come")


async def test_from_place_to_bundle(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METERGATE_FIELD_WHY", raising=False)
    app = FieldApp(folder, "ana")
    async with meter_port() as port, app.run_test(size=(100, 40)) as pilot:
        assert isinstance(app.screen, PlacesScreen)
        app.screen.query_one("#place", Input).focus()
        await pilot.press(*"nowhere", "enter")
        await until(pilot, lambda: "is no place" in log(app))
        app.screen.query_one("#place", Input).value = address(port)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MeterScreen))
        await pilot.press("f2")
        await until(pilot, lambda: "it can be read" in log(app))
        await pilot.press("f4")  # no reason given
        await until(pilot, lambda: "Say why first" in log(app))
        assert not list(inspection.stored_items(folder.spool_path))
        await pilot.press(*"month end", "f4")
        await until(pilot, lambda: "items kept here" in log(app))
        assert "UA" in log(app)
        await pilot.press("f3")
        await until(pilot, lambda: "1.8.0" in log(app))
        await pilot.press("f6")
        await until(pilot, lambda: "written:" in log(app))
        await pilot.press("f7")
        await until(pilot, lambda: "clock:" in log(app))
        await pilot.press("f9")
        await until(pilot, lambda: "I14 all well" in log(app))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, DeliverScreen))
        await pilot.press("f2")
        await until(pilot, lambda: ".zip" in log(app))
        await pilot.press("f3")
        await until(pilot, lambda: "no broker" in log(app))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, PlacesScreen))
    items = [row.item for row in inspection.stored_items(folder.spool_path)]
    kinds = [item.kind for item in items if isinstance(item, MeterEvent)]
    assert kinds.count("field_reading") == 3
    assert list(folder.path.glob(f"profile-{SERIAL}-*.csv"))
    assert [entry["what"] for entry in folder.entries()] == ["identify", "read", "read", "read", "check", "audit"]


async def test_a_dead_place_is_said_and_the_screen_stays(folder: Folder, unused_port: int) -> None:
    app = FieldApp(folder, "ana")
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#place", Input).value = f"127.0.0.1:{unused_port}"
        app.screen.query_one("#place", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MeterScreen))
        await pilot.press("f2")
        await until(pilot, lambda: "nothing listens" in log(app).replace("\n", " "))
        await pilot.press("f9")
        await until(pilot, lambda: "no connection" in log(app))
        assert isinstance(app.screen, MeterScreen)
