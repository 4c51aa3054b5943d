"""Pages of customer groups and what leads to them: figures, members, trees, search."""

import re

import pytest

from tests.central.web.conftest import HTML, Client, csrf, log_in
from tests.central.web.seed import GROUPS, HOUSEHOLDS

HTMX = {"hx-request": "true"}


def _numbers(client: Client) -> dict[str, int]:
    """Ids of the groups by name, as the tree tells them."""
    found: dict[str, int] = {}
    waiting = [""]
    while waiting:
        text = client.get(f"/tree/business?node={waiting.pop()}", headers=HTMX).text
        for number, name in re.findall(r'data-node="b(\d+)" data-name="([^"]+)"', text):
            found[name] = int(number)
            waiting.append(f"b{number}")
    return found


def test_tree_of_groups(client: Client) -> None:
    numbers = _numbers(client)
    assert set(numbers) == set(GROUPS)
    top = client.get("/tree/business", headers=HTMX).text
    assert "Mooca" not in top
    assert "Prefeitura Municipal" not in top  # its meter is not registered, so it is no customer
    first = client.get(f"/tree/business?node=b{numbers['Vila Prudente']}", headers=HTMX).text
    shown = re.findall(r'data-node="(c\d+)"', first)
    after = re.search(r"after=(c\d+)", first)
    assert after is not None
    assert after[1] == shown[-1]
    rest = client.get(f"/tree/business?node=b{numbers['Vila Prudente']}&after={after[1]}", headers=HTMX).text
    more = re.findall(r'data-node="(c\d+)"', rest)
    assert len(shown) + len(more) == len(set(shown + more)) == HOUSEHOLDS + 2
    assert "after=" not in rest
    customer = re.search(r'data-node="(c\d+)" data-name="Metalúrgica Horizonte', first)
    assert customer is not None
    meters = client.get(f"/tree/business?node={customer[1]}", headers=HTMX).text
    assert "/meters/m-0005" in meters
    assert "Not reconciled" in meters


def test_tree_of_gateways(client: Client) -> None:
    top = client.get("/tree/communication", headers=HTMX).text
    gateways = dict(re.findall(r'data-node="(g\d+)" data-name="([^"]+)"', top))
    assert set(gateways.values()) == {"Mooca 01", "Lapa 02"}
    mooca = next(node for node, name in gateways.items() if name == "Mooca 01")
    lines = client.get(f"/tree/communication?node={mooca}", headers=HTMX).text
    nodes = re.findall(r'data-node="(l[^"]+)" data-name="([^"]+)"', lines)
    assert [words for _, words in nodes] == ["rs485-1, 5 meters", "tcp-2, 0 meters", "optical-3, 0 meters"]
    modules = client.get("/tree/communication", params={"node": nodes[0][0]}, headers=HTMX).text
    module = re.findall(r'data-node="(x[^"]+)" data-name="modem-m-0003', modules)
    assert len(re.findall(r'data-node="x', modules)) == 5
    meters = client.get("/tree/communication", params={"node": module[0]}, headers=HTMX).text
    assert re.findall(r'href="(/meters/[^"]+)"', meters) == ["/meters/m-0003"]
    assert "Unreachable" in meters
    found = client.get("/tree/states", params={"nodes": f"{mooca},m3,m999999,zz,g"}).json()
    assert found[mooca] == ["Online", "green"]
    assert "m999999" not in found


@pytest.mark.parametrize(
    "path", ["/tree/business?node=b999999", "/tree/communication?node=g999999", "/tree/communication?node=x1",
             "/tree/communication?node=q1", "/tree/business?node=c", "/customers/999999", "/modules/999999",
             "/groups/999999", "/groups/999999/map"],
)  # fmt: skip
def test_nodes_that_are_not_there(client: Client, path: str) -> None:
    answer = client.get(path, headers=HTML)
    if path.startswith("/tree/business?node=b"):
        assert "Nothing here yet" in answer.text  # an empty group, and one that is not ours, look the same
    else:
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sao lucas", ["/customers/"]),
        ("06647673", ["/meters/m-0002"]),
        ("m-0005", ["/meters/m-0005"]),
        ("uc400047673", ["/customers/"]),
        ("modem-m-0004", ["/modules/"]),
        ("gw-la", ["/gateways/gw-lapa"]),
        ("Região", ["/groups/"]),
        ("secret", []),
        ("lucas ceramica", []),
        ("%", []),
    ],
)
def test_search(client: Client, words: str, found: list[str]) -> None:
    text = client.get("/find", params={"q": words}, headers=HTMX).text
    links = re.findall(r'role="option"[^>]*href="([^"]+)"', text)
    assert len(links) == len(found), links
    assert all(link.startswith(begin) for link, begin in zip(links, found, strict=True))
    assert ("Nothing begins with" in text) is (not found)
    assert client.get("/find?q=+", headers=HTMX).text.strip() == ""


def test_hits_lead_to_meters(client: Client) -> None:
    link = re.search(r'href="(/customers/[^"]+)"', client.get("/find?q=lucas", headers=HTMX).text)
    assert link is not None
    answer = client.get(link[1], headers=HTML, follow_redirects=False)
    assert answer.headers["location"] == "/meters/m-0003"
    link = re.search(r'href="(/customers/[^"]+)"', client.get("/find?q=UC900003", headers=HTMX).text)
    assert link is not None
    assert "UC900003" in client.get(link[1], headers=HTML).text
    link = re.search(r'href="(/modules/\d+)"', client.get("/find?q=modem-m-0001", headers=HTMX).text)
    assert link is not None
    assert client.get(link[1], follow_redirects=False).headers["location"] == "/meters/m-0001"


def test_group_page(client: Client) -> None:
    numbers = _numbers(client)
    text = client.get("/groups", headers=HTML).text
    assert "Região Leste" in text
    assert "Vila Prudente" not in text.split('id="main"')[1]
    text = client.get(f"/groups/{numbers['Região Leste']}", headers=HTML).text
    words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    assert f"Customers {HOUSEHOLDS + 5} in the group and below" in words
    assert "Subgroups 2 at any depth" in words
    largest = client.get(f"/groups/{numbers['Região Leste']}/largest", headers=HTMX).text
    words = " ".join(re.sub(r"<[^>]+>", " ", largest).split())
    assert words.index("Frigorífico Vale Verde") < words.index("Cerâmica Três Irmãos")
    assert f'href="/reports/consumption?group={numbers["Região Leste"]}' in text
    below = client.get(f"/groups/{numbers['Mooca']}?month=1990-01", headers=HTML).text
    assert f'href="/groups/{numbers["Região Leste"]}"' in below
    assert "January 1990" in below
    nothing = client.get(f"/groups/{numbers['Mooca']}/largest?month=1990-01", headers=HTMX).text
    assert "No consumption in this month" in nothing
    assert client.get(f"/groups/{numbers['Mooca']}?month=soon", headers=HTML).status_code == 200
    assert "m-0001" in client.get(f"/groups/{numbers['Mooca']}/map", headers=HTMX).text
    reports = client.get(f"/groups/{numbers['Mooca']}?tab=reports", headers=HTML).text
    assert f'href="/reports/billing?group={numbers["Mooca"]}"' in reports


def test_members_come_and_go(client: Client) -> None:
    numbers, token = _numbers(client), csrf(client)
    lapa = numbers["Lapa"]
    url = f"/groups/{lapa}"
    offered = client.get(f"{url}/candidates?q=UC900007", headers=HTMX).text
    assert "Vila Prudente" in offered
    customer = re.search(r'name="customer" value="(\d+)"', offered)
    assert customer is not None
    form = {"_csrf": token, "customer": customer[1]}
    assert client.post(f"{url}/members", data=form, follow_redirects=False).status_code == 303
    assert "Residência 008" in client.get(f"{url}?tab=registration", headers=HTML).text
    assert "in this group" in client.get(f"{url}/candidates?q=UC900007", headers=HTMX).text
    assert client.post(f"{url}/members/remove", data=form, follow_redirects=False).status_code == 303
    assert "Residência 008" not in client.get(f"{url}?tab=registration", headers=HTML).text
    again = client.post(f"{url}/members/remove", data=form, headers=HTML)
    assert again.status_code == 422
    back = f"/groups/{numbers['Vila Prudente']}/members"
    assert client.post(back, data=form, follow_redirects=False).status_code == 303
    for wrong in ("", "abc", "999999"):
        assert client.post(f"{url}/members", data={**form, "customer": wrong}).status_code == 404
    assert client.post(f"{url}/members", data={"customer": customer[1]}).status_code == 403


def test_members_are_audited(client: Client) -> None:
    from sqlalchemy import create_engine, text

    url = client.app.state.settings.database_url.replace("+aiosqlite", "")
    with create_engine(url).connect() as db:
        rows = db.execute(text("SELECT author, key, before, after FROM audit_entry WHERE kind = 'customer'")).all()
    assert [(row.author, row.key) for row in rows] == [("ana", "UC900007")] * len(rows)


def test_who_may_not_change_sees_no_buttons(stranger: Client, session: dict[str, str]) -> None:
    stranger.cookies.update(session)
    numbers = _numbers(stranger)
    assert 'id="candidate"' in stranger.get(f"/groups/{numbers['Lapa']}?tab=registration", headers=HTML).text
    stranger.cookies.clear()
    log_in(stranger, "rui")
    text = stranger.get(f"/groups/{numbers['Lapa']}?tab=registration", headers=HTML).text
    assert 'id="candidate"' in text  # an operator keeps the registry


def test_groups_are_found_by_words_at_any_depth(client: Client) -> None:
    """Each counts what lies below it, not what lies in it alone."""

    def cards(query: str) -> dict[str, str]:
        text = client.get(f"/groups{query}", headers=HTML).text
        lines = re.findall(r'ellipsis">([^<]+)</div><div class="text-secondary small">([^<]+)<', text)
        return dict(lines)

    top = cards("")
    assert "Vila Prudente" not in top
    below = [name for name, parent in GROUPS.items() if parent == "Região Leste"]
    assert top["Região Leste"].startswith(f"{len(below)} groups")
    members = int(cards("?q=vila+pru")["Vila Prudente"].split("· ")[1].split(" ")[0])
    assert members == HOUSEHOLDS + 2
    assert int(top["Região Leste"].split("· ")[1].split(" ")[0]) >= members
    assert "Nothing found" in client.get("/groups?q=nowhere", headers=HTML).text
