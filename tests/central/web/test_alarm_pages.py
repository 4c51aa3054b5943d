"""Alarms on screen: gravest first, acknowledged with a word, counted in the navigation, told to whom."""

import re
from dataclasses import replace

import pytest

from central.alarms.service import AlarmView
from central.alarms.severity import Severity
from central.web.i18n import activate
from central.web.views.alarms import line
from tests.central.web.conftest import HTML, Client, csrf, log_in


def listed(client: Client) -> list[tuple[str, str]]:
    """(severity, title) of each alarm that is to be dealt with."""
    page = client.get("/alarms", headers=HTML).text
    return [
        (re.findall(r"alarm-(critical|serious|warning|notice)", each)[0], re.findall(r">(I\d\d|self_test)<", each)[0])
        for each in page.split('<article class="list-group-item alarm ')[1:]
    ]


def article(client: Client, code: str, serial: str) -> str:
    page = client.get("/alarms", headers=HTML).text
    return next(
        each for each in page.split("<article")[1:] if f">{code}</span>" in each and f">{serial}</a>" in each
    )  # fmt: skip


def test_gravest_first(client: Client) -> None:
    found = listed(client)
    order = [("critical", "serious", "warning", "notice").index(severity) for severity, _ in found]
    assert order == sorted(order)
    assert found[0] == ("critical", "I11")
    assert ("serious", "I01") in found
    assert ("warning", "I09") in found


def test_an_alarm_says_what_it_rests_on(client: Client) -> None:
    text = article(client, "I11", "06647673")
    assert "I03 No answer from the meter, then I04 Damaged answers: 3 of 52 frames arrived damaged (6 %)." in text
    assert "A third in a row counts as an inspection infraction." in text
    assert "What to do next:" in text
    assert 'action="/ccee/forwards/m-0002/test"' in text


def test_what_holds_beside_another_verdict_says_so() -> None:
    activate("en")
    view = AlarmView(
        1, "ccee", "I09", "m", "M", Severity.WARNING, "open", "I09, beside I08: the end is missing", 0, 0, None, None,
        "", "", False,
    )  # fmt: skip
    assert line(view).said == "beside I08 Mass memory incomplete: the end is missing"
    assert line(replace(view, text="something of another source")).said == "something of another source"


def test_badge_counts_open_ones(client: Client) -> None:
    count = client.get("/alarms/count", headers={"hx-request": "true"}).text
    number = int(re.findall(r">(\d+)</span>", count)[0])
    page = client.get("/alarms", headers=HTML).text
    assert number == page.count('<summary class="btn btn-sm">')
    assert "bg-red" in count
    assert 'hx-get="/alarms/count"' in page


def test_acknowledged_once_with_a_note(client: Client) -> None:
    number = re.findall(r'action="/alarms/(\d+)/acknowledge"', article(client, "I09", "05622103"))[0]
    data = {"_csrf": csrf(client), "note": "the clock is set <today>"}
    answer = client.post(f"/alarms/{number}/acknowledge", data=data, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarms")
    text = article(client, "I09", "05622103")
    assert "the clock is set &lt;today&gt;" in text
    assert "Acknowledged" in text
    assert "/acknowledge" not in text
    again = client.post(f"/alarms/{number}/acknowledge", data=data)
    assert again.status_code == 409
    assert "Somebody else was quicker" in again.text


def test_closed_ones_stand_apart(client: Client) -> None:
    page = client.get("/alarms?state=closed", headers=HTML).text
    assert "Looks like an inspection" in page  # I12 of m-0001, closed by the next good reading
    assert "lasted" in page
    assert "/acknowledge" not in page
    assert client.get("/alarms?state=closed&after=nonsense", headers=HTML).status_code == 422


def test_others_have_no_alarms_here(client: Client) -> None:
    number = re.findall(r'action="/alarms/(\d+)/acknowledge"', client.get("/alarms", headers=HTML).text)[0]
    client.cookies.clear()
    log_in(client, "bob")
    assert "No alarm is open" in client.get("/alarms", headers=HTML).text
    answer = client.post(f"/alarms/{number}/acknowledge", data={"_csrf": csrf(client)}, headers=HTML)
    assert answer.status_code == 404


def test_who_is_told(client: Client) -> None:
    token = csrf(client)
    page = client.get("/alarms/subscriptions", headers=HTML).text
    assert "plantao@example.org" in page
    assert "from Serious on" in page
    form = {"_csrf": token, "kind": "webhook", "target": "https://example.org/hook", "least": "4"}
    answer = client.post("/alarms/subscriptions", data=form)
    secret = re.findall(r'id="secret" value="([0-9a-f]{64})"', answer.text)
    assert len(secret) == 1
    assert secret[0] not in client.get("/alarms/subscriptions", headers=HTML).text
    again = client.post("/alarms/subscriptions", data=form)
    assert again.status_code == 422
    assert "This address is told already" in again.text
    number = max(map(int, re.findall(r"/alarms/subscriptions/(\d+)/remove", answer.text)))
    gone = client.post(f"/alarms/subscriptions/{number}/remove", data={"_csrf": token})
    assert "example.org/hook" not in gone.text


@pytest.mark.parametrize(
    ("kind", "target", "least"),
    [("email", "nobody", "3"), ("webhook", "javascript:alert(1)", "3"), ("pigeon", "a@example.org", "3"),
     ("email", "a@example.org", "9")],
)  # fmt: skip
def test_nobody_is_told_at_a_place_that_is_none(client: Client, kind: str, target: str, least: str) -> None:
    form = {"_csrf": csrf(client), "kind": kind, "target": target, "least": least}
    answer = client.post("/alarms/subscriptions", data=form)
    assert answer.status_code == 422
    assert "An e-mail address such as ana@example.org" in answer.text
    assert answer.text.count("/remove") == 1
