"""The CCEE's channel on screen: the night, connections, one of them, forwarded ports."""

import csv
import io
import re
import sqlite3
import time
import tomllib
from contextlib import closing
from datetime import timedelta

import pytest

from central.settings import Settings
from shared.intervals import local_date
from shared.wire import Command, SetForward, decode
from tests.central.web.conftest import HTML, Client, csrf, log_in
from tests.central.web.seed import CONFIG_HASH, LOGIN, OPERATOR, ZONE
from tests.central.web.seed_ccee import NIGHTS

#: By now the CCEE's window of yesterday is judged, whatever the hour.
YESTERDAY = (local_date(int(time.time()), ZONE) - timedelta(days=1)).isoformat()


def night(client: Client, query: str = "") -> str:
    return str(client.get(f"/ccee?day={YESTERDAY}{query}", headers=HTML).text)


def rows(page: str) -> dict[str, str]:
    """Row of each meter on the page of a night, by serial."""
    found = page.split('<div class="night is-')[1:]
    return {re.findall(r'href="/meters/[^"]+">([^<]+)<', row)[0]: row for row in found}


def connection_of(client: Client, meter: str, verdict: str) -> str:
    """Path of the newest connection of a meter with a verdict."""
    page = client.get(f"/ccee/connections?meter={meter}&verdict={verdict}", headers=HTML).text
    return str(re.findall(r'href="(/ccee/connections/\d+)"', page)[0])


def test_every_expected_meter_has_its_row(client: Client) -> None:
    found = rows(night(client))
    assert set(found) == {"06647671", "06647673", "08910754", "07408071", "05622103", "06647683"}
    assert found["06647671"].count('class="mark tone-good"') == 1
    assert found["06647671"].count('class="mark tone-good test"') == 1  # the self-test is told apart
    assert found["06647673"].count("mark tone-bad") == 1  # I03
    assert found["06647673"].count("mark tone-warn") == 1  # I04
    assert "tone-none" not in found["06647673"]


def test_who_was_not_read_is_visibly_empty(client: Client) -> None:
    row = rows(night(client))["08910754"]
    assert row.startswith("none")
    assert "No connection in the window" in row
    assert "I01" in row
    assert 'class="mark' not in row


@pytest.mark.parametrize(
    ("query", "serials"),
    [
        ("&show=missing", {"08910754"}),
        ("&show=failed", {"06647673", "07408071"}),
        ("&show=good", {"06647671", "05622103", "06647683"}),
        ("&show=trouble&gateway=gw-lapa", set()),
        ("&gateway=gw-lapa", {"06647683"}),
        ("&q=P-m-0003", {"08910754"}),
        ("&show=nonsense&q=0664", {"06647671", "06647673", "06647683"}),
    ],
)
def test_filters_of_the_night(client: Client, query: str, serials: set[str]) -> None:
    assert set(rows(night(client, query))) == serials


def test_figures_of_the_night(client: Client) -> None:
    page = " ".join(night(client).split())
    assert "5 / 6" in page
    assert "1 without a connection in the window" in page
    assert "at 3 meters" in page
    assert 'hx-trigger="every 30s"' not in page.split('id="main"')[1]  # a night that is over does not change
    assert 'hx-trigger="every 30s"' in client.get("/ccee", headers=HTML).text.split('id="main"')[1]


@pytest.mark.parametrize("day", ["2999-01-01", "yesterday", ""])
def test_a_day_that_is_none_is_today(client: Client, day: str) -> None:
    page = client.get(f"/ccee?day={day}", headers=HTML).text
    assert f'value="{local_date(int(time.time()), ZONE).isoformat()}"' in page
    assert 'aria-disabled="true" aria-label="Night after"' in page


def test_list_pages_by_key(client: Client) -> None:
    seen: list[str] = []
    path = "/ccee/connections"
    for _ in range(10):
        page = client.get(path, headers=HTML).text
        seen += re.findall(r'href="/ccee/connections/(\d+)"', page)
        older = re.findall(r'href="(/ccee/connections\?[^"]*)" rel="next"', page)
        if not older:
            break
        path = older[0].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) > 80
    assert "after=" in path


def test_list_filters(client: Client) -> None:
    page = client.get("/ccee/connections?meter=m-0002&failed=1", headers=HTML).text
    codes = set(re.findall(r'font-monospace">(I\d\d)<', page.split('class="connection head"')[1]))
    assert {"I03", "I04"} <= codes <= {"I03", "I04", "I06"}
    assert "No connection found" in client.get("/ccee/connections?meter=secret-1", headers=HTML).text
    assert "No connection found" in client.get("/ccee/connections?to=2020-01-01", headers=HTML).text
    assert client.get("/ccee/connections?after=nonsense", headers=HTML).status_code == 422


def test_csv_holds_what_the_filters_find(client: Client) -> None:
    client.headers["accept-language"] = "pt-BR"
    answer = client.get("/ccee/connections.csv?meter=m-0003")
    table = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert table[0][:3] == ["Início", "Fim", "Medidor"]
    assert len(table) - 1 == 2 * (NIGHTS - 1)
    assert {row[2] for row in table[1:]} == {"m-0003"}
    assert table[1][6:9] == ["I14", "Boa", "8 pedidos diferentes foram respondidos."]


def test_a_good_connection_is_a_conversation(client: Client) -> None:
    page = client.get(connection_of(client, "m-0001", "I14"), headers=HTML).text
    assert 'class="card verdict tone-good"' in page
    assert "as registered" in page
    assert page.count('class="turn" id="turn-') in (3, 8)
    assert "What to do next:" not in page
    assert "What was asked for, and what we hold" in page


def test_a_failed_connection_says_what_to_do(client: Client) -> None:
    page = client.get(connection_of(client, "m-0002", "I03"), headers=HTML).text
    assert 'class="card verdict tone-bad"' in page
    assert "What to do next:</b> Check the line" in page
    assert page.count('class="lost"') == 2
    assert "Repeated: 2" in page
    assert "none came" in page
    other = client.get(connection_of(client, "m-0004", "I05"), headers=HTML).text
    assert "expected 07408071" in other
    assert "Meter 07408072 answered where 07408071 is registered." in other
    partial = client.get(connection_of(client, "m-0005", "I08"), headers=HTML).text
    assert "block 31 came where 30 was due" in partial
    assert "The meter&#39;s clock is 48 s fast." in partial.split("Also:")[1]  # holds beside it


def test_capture_opens_in_wireshark(client: Client) -> None:
    path = connection_of(client, "m-0002", "I04")
    assert f'href="{path}/capture.pcapng"' in client.get(path, headers=HTML).text
    answer = client.get(f"{path}/capture.pcapng")
    assert answer.content[:4] == b"\x0a\x0d\x0d\x0a"
    assert "attachment" in answer.headers["content-disposition"]
    old = client.get("/ccee/connections/1", headers=HTML).text
    assert "capture.pcapng" not in old
    assert client.get("/ccee/connections/1/capture.pcapng", headers=HTML).status_code == 404


def test_others_have_no_connections_here(stranger: Client) -> None:
    log_in(stranger, "bob")
    for path in ("/ccee/connections/1", "/ccee/connections/1/capture.pcapng", "/ccee/forwards/m-0001/change"):
        assert stranger.get(path, headers=HTML).status_code == 404
    assert "No connection found" in stranger.get("/ccee/connections", headers=HTML).text
    assert "The CCEE is not expected at any meter" in stranger.get("/ccee", headers=HTML).text
    token = {"x-csrf-token": csrf(stranger), **HTML}
    for path in ("/ccee/forwards/m-0001/test", "/ccee/forwards/m-0001/close"):
        assert stranger.post(path, headers=token, follow_redirects=False).status_code == 404


def test_try_again_now_is_sent(client: Client) -> None:
    path = connection_of(client, "m-0002", "I03")
    assert 'hx-post="/ccee/forwards/m-0002/test"' in client.get(path, headers=HTML).text
    token = {"x-csrf-token": csrf(client), "hx-request": "true"}
    answer = client.post("/ccee/forwards/m-0002/test", headers=token)
    assert answer.status_code == 200
    assert "Try CCEE port now" in answer.text
    assert "Queued" in answer.text
    newest = client.get("/api/v1/commands?meter=m-0002&limit=1").json()["items"][0]
    assert newest["kind"] == "test_forward"
    plain = client.post("/ccee/forwards/m-0002/test", data={"_csrf": csrf(client)}, follow_redirects=False)
    assert (plain.status_code, plain.headers["location"]) == (303, "/ccee/forwards")
    assert "Try CCEE port now · m-0002" in client.get("/ccee/forwards", headers=HTML).text


def test_plan_shows_every_port(client: Client) -> None:
    page = client.get("/ccee/forwards/plan", headers=HTML).text
    assert page.count('class="list-group-item port"') == 6
    assert page.count("10.20.0.0/24, 10.21.0.0/24") == 5
    assert "4 failures in a row" in page
    assert "address 10.1.0.1 is on no interface of this machine" in page
    assert "3 connections refused" in page
    assert "Port of its own" in page  # as the gateway of m-0006 told, whose configuration is not known


FORM = {
    "listen": "10.1.0.1", "port": "40591", "interface": "tun0", "allow": "10.30.0.0/16\r\n10.31.0.0/16",
    "mode": "exclusive", "target": "", "idle_seconds": "120", "total_seconds": "1800", "self_test_hours": "6",
    "capture": "1", "base": CONFIG_HASH,
}  # fmt: skip


def sent(settings: Settings, meter: str) -> SetForward:
    """The newest change of a meter's port that was sent."""
    with closing(sqlite3.connect(settings.database.url.partition("///")[2])) as db:
        rows = db.execute("SELECT action, by FROM fleet_command WHERE kind = 'set_forward' ORDER BY issued_at, rowid")
        found = [(decode(data, Command).action, by) for data, by in rows]
    action, by = next(each for each in reversed(found) if isinstance(each[0], SetForward) and each[0].meter == meter)
    assert isinstance(action, SetForward)
    assert by == LOGIN
    return action


def test_port_is_changed_and_what_the_form_does_not_show_stays(client: Client, settings: Settings) -> None:
    page = client.get("/ccee/forwards/m-0001/change", headers=HTML).text
    assert 'value="40591"' in page
    assert "10.20.0.0/24\n10.21.0.0/24" in page
    answer = client.post("/ccee/forwards/m-0001/change", data={"_csrf": csrf(client), **FORM}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ccee/forwards")
    action = sent(settings, "m-0001")
    assert action.base == CONFIG_HASH
    assert tomllib.loads(action.toml) == {
        "flush_ms": 8, "port": 40591, "listen": "10.1.0.1", "interface": "tun0", "mode": "exclusive",
        "allow": ["10.30.0.0/16", "10.31.0.0/16"], "total_seconds": 1800,  # the rest is as by default
    }  # fmt: skip
    assert "Change CCEE port · m-0001" in client.get("/ccee/forwards/commands").text


def test_port_is_opened_and_closed(client: Client, settings: Settings) -> None:
    page = client.get("/ccee/forwards/open?meter=m-0007", headers=HTML).text
    assert '<option value="m-0007" selected' in page
    assert "m-0001" not in page  # has one
    token = {"_csrf": csrf(client)}
    answer = client.post("/ccee/forwards/open", data={**token, **FORM, "meter": "m-0007"}, follow_redirects=False)
    assert answer.status_code == 303
    assert tomllib.loads(sent(settings, "m-0007").toml)["port"] == 40591
    assert client.post("/ccee/forwards/m-0003/close", data=token, follow_redirects=False).status_code == 303
    assert sent(settings, "m-0003") == SetForward("m-0003", "", CONFIG_HASH)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"port": "0"}, "“0” is not a whole number from 1 to 65535."),
        ({"port": "many"}, "“many” is not a whole number"),
        ({"allow": "10.20.0.0/24 somewhere"}, "“somewhere” is not a network such as 10.20.0.0/24."),
        ({"allow": "10.20.0.1/24"}, "“10.20.0.1/24” is not a network"),
        ({"self_test_hours": "900"}, "from 0 to 168"),
    ],
)
def test_bad_ports_are_not_sent(client: Client, wrong: dict[str, str], words: str) -> None:
    before = client.get("/api/v1/commands?limit=100").json()["items"]
    data = {"_csrf": csrf(client), **FORM, **wrong}
    for path, more in (("/ccee/forwards/m-0002/change", {}), ("/ccee/forwards/open", {"meter": "m-0007"})):
        answer = client.post(path, data={**data, **more})
        assert answer.status_code == 422
        assert words in answer.text
        assert "tun0" in answer.text  # what was filled in is kept
    assert client.get("/api/v1/commands?limit=100").json()["items"] == before


def test_operators_try_and_do_not_change(stranger: Client) -> None:
    log_in(stranger, OPERATOR)
    page = stranger.get("/ccee/forwards", headers=HTML).text
    assert "/ccee/forwards/m-0001/test" in page
    assert "/ccee/forwards/m-0001/change" not in page
    for path in ("/ccee/forwards/open", "/ccee/forwards/m-0001/change", "/alarms/subscriptions"):
        assert stranger.get(path, headers=HTML).status_code == 403
    data = {"_csrf": csrf(stranger), **FORM}
    for path in ("/ccee/forwards/m-0001/change", "/ccee/forwards/m-0001/close", "/ccee/forwards/open"):
        assert stranger.post(path, data=data, headers=HTML).status_code == 403


def test_meter_says_how_the_ccee_reads_it(client: Client) -> None:
    page = client.get("/meters/m-0001", headers=HTML).text
    strip = page.split('class="nights-strip"')[1].split("</span>")[0]
    assert strip.count("<a ") == 14
    assert strip.count("tone-good") >= 13
    assert "10.1.0.1:40591" in page
    missed = client.get("/meters/m-0003", headers=HTML).text.split('class="nights-strip"')[1].split("</span>")[0]
    assert "tone-none" in missed
    assert "Nobody came (I01)" in missed
    assert "nights-strip" not in client.get("/meters/m-0007", headers=HTML).text
