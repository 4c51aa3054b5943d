"""Pages through the application: who sees what, what is said, what is done."""

import csv
import io
import re

import pytest

from central.web.i18n import LANGUAGES, language
from tests.central.web.conftest import HTML, Client, csrf, log_in
from tests.central.web.seed import LOGIN, PASSWORD, PLANS

PAGES = ("/", "/meters", "/meters/m-0001", "/meters/m-0007", "/meters/m-0001/readings", "/meters/m-0007/readings",
         "/meters/m-0001/billing", "/meters/m-0001/registration", "/meters/m-0001/reports", "/meters/m-0007/billing",
         "/gateways", "/gateways/gw-mooca", "/gateways/gw-lapa",
         "/gateways/gw-mooca/config", "/gateways/gw-mooca/config/conf-invalid",
         "/ccee", "/ccee?show=trouble&q=m-000", "/ccee/connections", "/ccee/connections/1", "/ccee/forwards",
         "/ccee/forwards/open", "/ccee/forwards/m-0001/change", "/alarms", "/alarms?state=closed",
         "/alarms/subscriptions", "/profile", "/keys")  # fmt: skip
PIECES = ("/gateways/list", "/meters/m-0002/status", "/meters/m-0002/now",
          "/meters/m-0002/registers", "/meters/m-0002/commands", "/gateways/gw-mooca/live",
          "/gateways/gw-mooca/progress", "/gateways/gw-mooca/commands",
          "/gateways/gw-mooca/config/conf-rolled_back/state", "/ccee/night", "/ccee/forwards/plan",
          "/ccee/forwards/commands", "/alarms/count")  # fmt: skip
DATA = ("/data/fleet/consumption", "/data/fleet/availability", "/data/meters", "/data/meters/m-0002/consumption",
        "/data/meters/m-0002/demand", "/data/meters/m-0002/module", "/data/meters/m-0002/billing/consumption",
        "/data/meters/m-0002/billing/demand", "/data/meters/m-0002/module?what=signal",
        "/data/gateways/gw-mooca/health", "/data/gateways/gw-mooca/clock")  # fmt: skip


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("path", PAGES)
def test_page_in_every_language(client: Client, path: str, code: str) -> None:
    client.headers["accept-language"] = code.replace("_", "-")
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200
    assert f'<html lang="{language(code).tag}"' in answer.text
    assert language(code).gettext("Log out") in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", PIECES)
def test_piece_is_no_whole_page(client: Client, path: str) -> None:
    answer = client.get(path, headers={"hx-request": "true"})
    assert answer.status_code == 200
    assert "<html" not in answer.text


@pytest.mark.parametrize("path", DATA)
def test_data(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "empty" not in answer.json()


@pytest.mark.parametrize("path", [*PAGES, *PIECES, *DATA, "/meters.csv", "/ccee/connections.csv",
                                  "/ccee/connections/1/capture.pcapng"])  # fmt: skip
def test_strangers_see_nothing(stranger: Client, path: str) -> None:
    answer = stranger.get(path, headers=HTML, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "path",
    ["/meters/secret-1", "/meters/secret-1/status", "/meters/secret-1/now", "/data/meters/secret-1/demand",
     "/data/meters/secret-1/profile?from=2026-01-01", "/gateways/secret-gw", "/data/gateways/secret-gw/health",
     "/meters/no-such", "/data/meters?gateway=secret-gw", "/no-such-page"],
)  # fmt: skip
def test_what_belongs_to_others_does_not_exist(client: Client, path: str) -> None:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 404
    assert "There is no such page, meter or gateway" in answer.text


def test_lists_hold_only_ones_own(client: Client) -> None:
    rows = client.get("/data/meters?size=100").json()
    assert [row["key"] for row in rows["data"]] == sorted(plan.key for plan in PLANS)
    assert rows["last_row"] == len(PLANS)
    for path in ("/", "/gateways", "/meters.csv"):
        assert "99999999" not in client.get(path).text
        assert "Not yours" not in client.get(path).text


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("q=06647673", ["m-0002"]),
        ("q=lucas hospital", ["m-0003"]),
        ("q=m-00&gateway=gw-lapa", ["m-0006", "m-0007"]),
        ("q=100%25", []),
        ("size=2&page=2", ["m-0003", "m-0004"]),
        ("size=5&page=9", []),
    ],
)
def test_grid_searches_and_pages(client: Client, query: str, keys: list[str]) -> None:
    assert [row["key"] for row in client.get(f"/data/meters?{query}").json()["data"]] == keys


def test_csv_holds_what_is_shown(client: Client) -> None:
    client.headers["accept-language"] = "pt-BR"
    shown = [client.get("/data/meters?q=0664").json()["data"][0]["stripLabel"]]
    answer = client.get("/meters.csv?q=0664")
    shown.append(client.get("/data/meters?q=0664").json()["data"][0]["stripLabel"])  # an interval may have passed
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert rows[0][:4] == ["Chave", "Número de série", "Nome", "Cliente"]
    assert [row[1] for row in rows[1:]] == ["06647671", "06647673", "06647683"]
    assert any(label.endswith(f": {rows[1][7]}") for label in shown), (shown, rows[1])
    assert re.fullmatch(r"100,0%|99,\d%", rows[1][7]), "readings end where the seed did, some time before"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("m-0003", "The meter does not answer"),
        ("m-0004", "Another meter answers at this place"),
        ("m-0005", "The profile does not agree with the registers yet"),
        ("m-0006", "Its gateway Lapa 02 is offline"),
        ("m-0007", "This meter is not registered yet"),
    ],
)
def test_trouble_is_said(client: Client, key: str, words: str) -> None:
    assert words in client.get(f"/meters/{key}", headers=HTML).text
    assert words not in client.get("/meters/m-0001", headers=HTML).text


def test_gateway_says_its_trouble(client: Client) -> None:
    offline = client.get("/gateways/gw-lapa", headers=HTML).text
    assert "Offline since" in offline
    assert "store is full: readings pause" in offline
    assert "raise spool.limit_bytes" in offline
    online = client.get("/gateways/gw-mooca", headers=HTML).text
    assert "Line optical-3 does not work" in online
    assert "password = &#34;********&#34;" in online


def test_profile_tells_gaps_posts_and_quality(client: Client) -> None:
    data = client.get("/data/meters/m-0002/profile?from=2026-01-01&days=1").json()
    assert data["empty"].startswith("No load profile")
    days = re.findall(r"readings\?from=([\d-]+)", client.get("/meters/m-0002", headers=HTML).text)
    data = client.get(f"/data/meters/m-0002/profile?from={days[0]}&days=31&channel=1.29.0").json()
    (block,) = data["blocks"]
    assert block["step"] == 900
    assert len(block["values"]) == len(block["flags"]) == len(block["posts"])
    assert all((value is None) == bool(flags & 1) for value, flags in zip(block["values"], block["flags"], strict=True))
    assert {post["post"] for post in data["posts"]} == set(block["posts"]) == {1, 2}
    assert data["unit"] == "kWh"


@pytest.mark.parametrize(
    "query", ["", "from=yesterday", "from=2026-01-01&days=400", "from=2026-01-01&channel=x", "from=9999-12-31&days=9"]
)
def test_profile_refuses_bad_ranges(client: Client, query: str) -> None:
    assert client.get(f"/data/meters/m-0002/profile?{query}").status_code in (400, 422)


def test_months_agree_with_each_other(client: Client) -> None:
    consumption = client.get("/data/meters/m-0001/consumption").json()
    demand = client.get("/data/meters/m-0001/demand").json()
    assert len(consumption["labels"]) == len(demand["labels"]) == 3
    assert consumption["partial"] == [False, False, True]
    assert [series["name"] for series in consumption["series"]] == ["Peak", "Off-peak"]
    assert all(value > 0 for series in demand["series"] for value in series["values"][:2])
    assert re.search(r"\w+ \d{4}: load factor \d+\.\d%", client.get("/meters/m-0001/readings").text)


def test_commands_are_queued_and_shown(client: Client) -> None:
    token = {"x-csrf-token": csrf(client)}
    answer = client.post("/meters/m-0001/read", headers=token)
    assert answer.status_code == 200
    assert "Read now" in answer.text
    assert "Queued" in answer.text
    answer = client.post("/meters/m-0001/reread", headers=token, data={"first": "2026-11-01", "last": "2026-11-02"})
    assert "Re-read profile" in answer.text
    assert "Set clock" in client.post("/meters/m-0001/clock", headers=token).text
    listed = client.get("/gateways/gw-mooca/commands").text
    assert "Re-read profile · m-0001" in listed
    assert 'hx-trigger="every 2s"' in listed


@pytest.mark.parametrize(
    "form", [{}, {"first": "2026-11-05", "last": "2026-11-01"}, {"first": "2020-01-01", "last": "2026-01-01"}]
)
def test_bad_ranges_are_not_sent(client: Client, form: dict[str, str]) -> None:
    answer = client.post("/meters/m-0005/reread", headers={"x-csrf-token": csrf(client)}, data=form)
    assert answer.status_code == 422
    assert "Choose a first and a last day" in answer.text
    assert "Queued" not in answer.text


@pytest.mark.parametrize(
    "path", ["/meters/m-0001/read", "/meters/m-0001/clock", "/logout", "/keys", "/profile/password"]
)
def test_nothing_happens_without_the_token(client: Client, path: str) -> None:
    assert client.post(path, headers=HTML).status_code == 403
    assert client.get("/profile", headers=HTML).status_code == 200


def test_other_tenant_cannot_send_to_ours(stranger: Client) -> None:
    log_in(stranger, "bob")
    assert stranger.post("/meters/m-0001/read", headers={"x-csrf-token": csrf(stranger), **HTML}).status_code == 404


def test_wrong_password_stays_outside(stranger: Client) -> None:
    answer = stranger.post("/login", data={"login": LOGIN, "password": "guess", "next": "/meters"}, headers=HTML)
    assert answer.status_code == 401
    assert "Login name or password is wrong." in answer.text
    assert 'value="/meters"' in answer.text
    assert stranger.get("/", follow_redirects=False, headers=HTML).status_code == 303


@pytest.mark.parametrize(
    ("target", "to"),
    [("/meters?q=1", "/meters?q=1"), ("https://elsewhere.example/", "/"), ("//elsewhere.example", "/"),
     ("/\\elsewhere.example", "/"), ("javascript:alert(1)", "/"), ("", "/")],
)  # fmt: skip
def test_login_leads_to_our_own_pages_only(stranger: Client, target: str, to: str) -> None:
    form = {"login": LOGIN, "password": PASSWORD, "next": target}
    answer = stranger.post("/login", data=form, follow_redirects=False)
    assert answer.headers["location"] == to


def test_logout(stranger: Client) -> None:
    client = stranger
    log_in(client)
    answer = client.post("/logout", data={"_csrf": csrf(client)}, follow_redirects=False)
    assert answer.headers["location"] == "/login"
    assert client.get("/", follow_redirects=False, headers=HTML).status_code == 303


def test_language_of_the_user_wins(client: Client) -> None:
    client.post("/profile/language", data={"_csrf": csrf(client), "language": "ru"})
    assert "Обзор" in client.get("/", headers=HTML).text
    client.post("/profile/language", data={"_csrf": csrf(client), "language": ""})
    assert "Overview" in client.get("/", headers=HTML).text


def test_language_before_the_login(stranger: Client) -> None:
    answer = stranger.post(
        "/language", data={"language": "es", "back": "https://elsewhere.example"}, follow_redirects=False
    )
    assert answer.headers["location"] == "/"
    assert "Contraseña" in stranger.get("/login").text
    stranger.post("/language", data={"language": "xx"})
    assert "Password" in stranger.get("/login").text


def test_key_is_shown_once(client: Client) -> None:
    token = csrf(client)
    answer = client.post("/keys", data={"_csrf": token, "name": "report", "days": "30", "may_read": "1"})
    secret = re.findall(r"mg_[0-9a-f]{12}_[\w-]{43}", answer.text)
    assert len(set(secret)) == 1
    listed = client.get("/keys", headers=HTML).text
    assert secret[0] not in listed
    assert "report" in listed
    number = re.findall(r"/keys/(\d+)/revoke", listed)[0]
    revoked = client.post(f"/keys/{number}/revoke", data={"_csrf": token})
    assert "Revoked" in revoked.text
    assert client.post("/keys", data={"_csrf": token, "name": "", "days": "30"}).status_code == 422
    assert client.post("/keys/999/revoke", data={"_csrf": token}, headers=HTML).status_code == 404


def test_password_rules_are_said(client: Client) -> None:
    form = {"_csrf": csrf(client), "old": "wrong", "new": "another good one"}
    answer = client.post("/profile/password", data=form)
    assert answer.status_code == 422
    assert "The password was not accepted" in answer.text
    answer = client.post("/profile/password", data={**form, "old": PASSWORD, "new": PASSWORD})
    assert "The password is changed." in answer.text


def test_first_run(empty: Client) -> None:
    empty.headers["accept-language"] = "en"
    assert empty.get("/login", follow_redirects=False).headers["location"] == "/setup"
    form = {"code": "wrong", "login": "root", "name": "Root <b>", "password": "quatro cavalos"}
    answer = empty.post("/setup", data=form)
    assert answer.status_code == 422
    assert "The setup code is wrong" in answer.text
    assert "Root &lt;b&gt;" in answer.text
    answer = empty.post("/setup", data={**form, "code": empty.app.state.setup.code}, follow_redirects=False)
    assert answer.headers["location"] == "/"
    assert empty.get("/", headers=HTML).status_code == 200
    assert "No gateway yet" in empty.get("/dashboard/widgets/gateways", headers=HTML).text
    assert empty.get("/data/fleet/consumption").json()["empty"].startswith("No consumption yet")
    assert empty.get("/data/meters").json() == {"last_page": 1, "last_row": 0, "data": []}
    assert empty.get("/setup", follow_redirects=False).headers["location"] == "/login"


def test_static_files_are_kept(stranger: Client) -> None:
    page = stranger.get("/login").text
    for path in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)):
        answer = stranger.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"]
    assert stranger.get("/static/000000000000/app.css").status_code == 404
