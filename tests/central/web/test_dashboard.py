"""The dashboard: arrangements that stay within the grid, widgets that keep to their gateways, what is kept."""

import re
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.web.pages.widgets import report
from central.web.views.dashboard import COLUMNS, KINDS, Board, Scope, Widget, default, free_name, read, settle, write
from tests.central.web.conftest import HTML, Client, csrf
from tests.central.web.seed import PLANS

HTMX = {"hx-request": "true"}

sizes = st.integers(-5, 30)
placed = st.lists(
    st.builds(
        Widget, id=st.sampled_from(["a", "b", "c", "d", "e"]), kind=st.sampled_from([*KINDS, "gone"]), x=sizes, y=sizes,
        w=sizes, h=sizes,
    ),
    max_size=9,
)  # fmt: skip


@given(placed)
def test_a_settled_dashboard_has_no_overlap(widgets: list[Widget]) -> None:
    settled = settle(widgets)
    cells = [(x, y) for each in settled for x in range(each.x, each.x + each.w) for y in range(each.y, each.y + each.h)]
    assert len(cells) == len(set(cells))
    assert all(0 <= x < COLUMNS and y >= 0 for x, y in cells)
    assert {each.id for each in settled} == {each.id for each in widgets if each.kind in KINDS}
    assert settle(settled) == settled


@pytest.mark.parametrize("ccee", [True, False])
def test_the_first_dashboard_is_settled(ccee: bool) -> None:
    widgets = default(ccee=ccee)
    assert settle(widgets) == sorted(widgets, key=lambda each: (each.y, each.x))
    assert any(each.kind == "ccee" for each in widgets) is ccee
    assert {"lots", "totals", "energy", "availability"} <= {each.kind for each in widgets}


def test_what_is_kept_comes_back() -> None:
    board = Board([Widget("alarms", "alarms", 0, 0, 4, 4, {"rows": 20})], ["g1"])
    assert read(write(board)) == board
    assert read(None) == read("{broken") == Board()
    assert read('{"widgets":[{"id":"a","kind":"of a later version","x":0,"y":0,"w":1,"h":1}]}') == Board([])
    odd = Widget("alarms", "alarms", 0, 0, 4, 4, {"rows": 7, "colour": 3})
    assert settle([odd])[0].options == {"rows": 6}
    assert free_name("map", [Widget("map", "map", 0, 0, 3, 3), Widget("map-2", "map", 0, 3, 3, 3)]) == "map-3"


def test_links_keep_the_filters() -> None:
    day = date(2026, 3, 10)
    scope = Scope(day, day + timedelta(days=3), ("g 1", "g2"))
    assert scope.query() == "date=2026-03-10&gateway=g+1&gateway=g2"
    assert scope.at(scope.today).query() == "gateway=g+1&gateway=g2"
    assert report("energy", scope) == "/reports/consumption?gateway=g+1&gateway=g2&month=2026-03"
    assert report("totals", Scope(day, day)) == "/reports/registers-last?date=2026-03-10"
    assert all(report(kind, scope).startswith("/") for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_widget_in_every_scope(client: Client, kind: str) -> None:
    for query in ("gateway=", "gateway=gw-lapa", "gateway=&date=2026-01-15", "gateway=no-such&rows=99&date=soon"):
        answer = client.get(f"/dashboard/widgets/{kind}?{query}", headers=HTMX)
        assert answer.status_code == 200, query
        assert "<html" not in answer.text
        assert "99999999" not in answer.text  # another tenant's


def _words(client: Client, path: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", client.get(path, headers=HTMX).text).split())


def test_widgets_keep_to_their_gateways(client: Client) -> None:
    assert _words(client, "/dashboard/widgets/totals?gateway=").endswith("Meters 7 Modules 7")
    assert _words(client, "/dashboard/widgets/totals?gateway=gw-lapa") == (
        "Groups 1 Customers 1 Points 1 Meters 2 Modules 2"
    )
    assert "6 of 7 meters" in _words(client, "/dashboard/widgets/availability?gateway=")
    assert "2 of 2 meters" in _words(client, "/dashboard/widgets/availability?gateway=gw-lapa")
    assert "Laticínios Serra Azul" in _words(client, "/dashboard/widgets/largest?gateway=gw-lapa")
    assert "Frigorífico" not in _words(client, "/dashboard/widgets/largest?gateway=gw-lapa")
    assert "08910754" in _words(client, "/dashboard/widgets/silent?gateway=")
    assert "08910754" not in _words(client, "/dashboard/widgets/silent?gateway=gw-lapa")
    assert "07408071" in _words(client, "/dashboard/widgets/attention?gateway=")
    assert "Mooca 01" not in _words(client, "/dashboard/widgets/gateways?gateway=gw-lapa")
    lots = client.get("/dashboard/widgets/lots?gateway=gw-mooca", headers=HTMX).text
    assert "1 pending" in lots
    assert "missing=1" in lots
    assert "gateway=gw-mooca" in lots


def test_charts_go_by_date_and_gateways(client: Client) -> None:
    whole = client.get("/data/fleet/consumption?gateway=&days=7").json()
    part = client.get("/data/fleet/consumption?gateway=gw-lapa&days=7").json()
    assert len(whole["labels"]) == len(part["labels"]) == 7
    assert sum(part["series"][0]["values"]) < sum(whole["series"][0]["values"])
    assert whole["partial"] == [False] * 6 + [True]
    earlier = client.get("/data/fleet/availability?gateway=&days=7&date=2020-01-31").json()
    assert "empty" in earlier


def test_an_arrangement_is_kept(client: Client) -> None:
    token = {"x-csrf-token": csrf(client)}
    mine: list[dict[str, Any]] = [
        {"id": "map", "kind": "map", "x": 0, "y": 0, "w": 12, "h": 5},
        {"id": "alarms-2", "kind": "alarms", "x": 3, "y": 2, "w": 4, "h": 4, "options": {"rows": 20}},
    ]
    assert client.post("/dashboard", content=msgspec.json.encode(mine), headers=token).status_code == 204
    text = client.get("/", headers=HTML).text
    assert re.findall(r'gs-id="([^"]+)" gs-x="(\d+)" gs-y="(\d+)"', text) == [("map", "0", "0"), ("alarms-2", "3", "5")]
    assert "rows=20" in text
    for wrong in (b"[1]", b"{", msgspec.json.encode(mine * 30)):
        assert client.post("/dashboard", content=wrong, headers=token).status_code == 422
    assert client.post("/dashboard", content=b"[]").status_code == 403
    assert client.post("/dashboard/reset", headers=token, follow_redirects=False).status_code == 303
    assert 'data-kind="lots"' in client.get("/", headers=HTML).text


def test_gateways_are_kept_and_the_date_is_not(client: Client) -> None:
    form = {"_csrf": csrf(client), "date": "2026-01-15", "gateway": ["gw-lapa", "secret-gw"]}
    answer = client.post("/dashboard/filter", data=form, follow_redirects=False)
    assert answer.headers["location"] == "/?date=2026-01-15&gateway=gw-lapa&gateway=secret-gw"
    page = client.get(answer.headers["location"], headers=HTML).text
    assert "Lapa 02" in page
    assert "secret-gw" not in page
    assert "date=2026-01-15&amp;gateway=gw-lapa" in page
    page = client.get("/", headers=HTML).text
    assert "date=2026-01-15" not in page
    assert "gateway=gw-lapa" in page
    assert "gateway=gw-lapa" not in client.get("/?gateway=", headers=HTML).text
    assert "Mooca 01" in client.get("/dashboard/gateways?gateway=gw-lapa", headers=HTMX).text
    assert "checked" not in client.get("/dashboard/gateways?q=moo&gateway=", headers=HTMX).text
    client.post("/dashboard/filter", data={"_csrf": form["_csrf"], "date": ""}, follow_redirects=False)
    assert "gateway=gw-lapa" not in client.get("/", headers=HTML).text


def test_frames_come_one_by_one(client: Client) -> None:
    frame = client.get("/dashboard/frame/silent?gateway=gw-lapa&name=silent-2", headers=HTMX).text
    assert 'gs-id="silent-2"' in frame
    assert "/dashboard/widgets/silent?" in frame
    for path in ("/dashboard/frame/nothing", "/dashboard/widgets/nothing"):
        assert client.get(path, headers=HTMX).status_code == 404
    assert len(PLANS) == 7
