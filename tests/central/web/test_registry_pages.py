"""Pages of the registry: lists, forms, deleting, dated relations, sheets; what is refused says so beside its field."""

import io
import re

import pytest
from python_calamine import CalamineWorkbook

from central.registry.imports import normal
from central.registry.kinds import BY_NAME, KINDS
from central.web import i18n, registry_words
from tests.central.web.conftest import HTML, Client, csrf, log_in
from tests.central.web.seed import OPERATOR


@pytest.fixture
def token(client: Client) -> str:
    return csrf(client)


def post(client: Client, path: str, token: str, **data: object) -> object:
    return client.post(path, data={"_csrf": token, **data}, headers=HTML, follow_redirects=False)


def enter(client: Client, token: str, kind: str, **data: object) -> str:
    """Enter a thing by its form; returns the address of its page."""
    answer = client.post(f"/registry/{kind}/new", data={"_csrf": token, **data}, headers=HTML, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_every_kind_has_its_pages(client: Client) -> None:
    overview = client.get("/registry", headers=HTML)
    assert overview.status_code == 200
    for kind in KINDS:
        assert f'href="/registry/{kind.name}"' in overview.text
        for path in (f"/registry/{kind.name}", f"/registry/{kind.name}/new", f"/registry/import/{kind.name}"):
            assert client.get(path, headers=HTML).status_code == 200, path
    assert client.get("/registry/import/combined", headers=HTML).status_code == 200
    assert client.get("/registry/spoon", headers=HTML).status_code == 404


def test_pages_of_things_have_form_relations_and_history(client: Client) -> None:
    for path in ("meter/m-0001", "point/P-m-0001", "customer/UC400047671", "gateway/gw-mooca", "module/modem-m-0001"):
        for tab in ("form", "relations", "history"):
            answer = client.get(f"/registry/{path}?tab={tab}", headers=HTML)
            assert answer.status_code == 200, path
    assert client.get("/registry/meter/secret-1", headers=HTML).status_code == 404


def test_a_form_saves_and_tells_what_is_wrong_beside_the_field(client: Client, token: str) -> None:
    where = enter(client, token, "customer", key="u-1", name="Padaria Ávila", email="a@b.example")
    form = client.get(f"{where}/form", headers=HTML).text
    assert 'value="Padaria Ávila"' in form
    assert "<html" not in form
    saved = post(client, f"{where}/form", token, name="Padaria Nova", phone="11 5555")
    assert saved.status_code == 200  # type: ignore[attr-defined]
    assert "Saved." in saved.text  # type: ignore[attr-defined]
    wrong = post(client, f"{where}/form", token, name="x", email="nobody", lot="none")
    assert wrong.status_code == 422  # type: ignore[attr-defined]
    assert re.search(r'id="f-email-wrong">.*no e-mail', wrong.text)  # type: ignore[attr-defined]
    assert re.search(r'id="f-lot-wrong">.*no lot', wrong.text)  # type: ignore[attr-defined]
    assert "Padaria Nova" in client.get(where, headers=HTML).text
    assert "Padaria Ávila" in client.get(f"{where}?tab=history", headers=HTML).text
    again = post(client, "/registry/customer/new", token, key="u-1", name="x")
    assert (again.status_code, "already" in again.text) == (422, True)  # type: ignore[attr-defined]


def test_deleting_tells_what_hangs_on_it(client: Client, token: str) -> None:
    refused = post(client, "/registry/meter/m-0001/delete", token)
    assert refused.status_code == 409  # type: ignore[attr-defined]
    assert "register readings" in refused.text  # type: ignore[attr-defined]
    where = enter(client, token, "lot", key="away", reading_day="4")
    gone = post(client, f"{where}/delete", token)
    assert gone.status_code == 303  # type: ignore[attr-defined]
    assert client.get(where, headers=HTML).status_code == 404


def test_exchange_of_a_meter_and_change_of_a_customer(client: Client, token: str) -> None:
    point = enter(client, token, "point", key="pt-9", name="Fundos")
    for key in ("mx-1", "mx-2"):
        enter(client, token, "meter", key=key)
    for key in ("cx-1", "cx-2"):
        enter(client, token, "customer", key=key)
    for at, meter, customer in (("2026-02-01T00:00", "mx-1", "cx-1"), ("2026-03-01T00:00", "mx-2", "cx-2")):
        for path, data in (("meter", {"meter": meter}), ("customer", {"customer": customer})):
            done = post(client, f"{point}/{path}", token, at=at, reason="troca", **data)
            assert done.status_code == 303, done.text  # type: ignore[attr-defined]
    text = client.get(f"{point}?tab=relations", headers=HTML).text
    assert text.index("mx-2") < text.index("mx-1")
    assert text.index("cx-2") < text.index("cx-1")
    early = post(client, f"{point}/meter", token, at="2026-01-01T00:00", meter="mx-1")
    assert early.status_code == 422  # type: ignore[attr-defined]
    assert 'value="cx-2"' in client.get(f"{point}/form", headers=HTML).text


def test_members_of_a_group(client: Client, token: str) -> None:
    group = enter(client, token, "group", name="Lote 77")
    enter(client, token, "customer", key="gm-1", name="Membro")
    for out in ({}, {"out": "1"}):
        answer = post(client, f"{group}/members", token, customer="gm-1", **out)
        assert answer.status_code == 200  # type: ignore[attr-defined]
        assert ("Membro" in client.get(f"{group}?tab=members", headers=HTML).text) == (not out)


def test_widgets_of_several_parts(client: Client, token: str) -> None:
    ends = (("from", "08:00"), ("to", "18:00"))
    hours = {f"hours-{day}-{end}": [at, ""] for day in range(5) for end, at in ends}
    where = enter(client, token, "opening_hours", key="shop", **{"hours-sent": "1", **hours})
    assert client.get(f"{where}/form", headers=HTML).text.count('value="08:00"') == 5
    where = enter(
        client, token, "daylight_saving", key="summer",
        **{"periods-sent": "1", "periods-start": "2026-11-01", "periods-end": "2027-02-21", "periods-shift": "60"},
    )  # fmt: skip
    assert 'value="2027-02-21"' in client.get(f"{where}/form", headers=HTML).text
    month = re.search(r'name="dates-(\d{4}-\d\d)"', client.get("/registry/lot/new", headers=HTML).text)
    assert month
    where = enter(client, token, "lot", key="cal", **{"dates-sent": "1", f"dates-{month[1]}": f"{month[1]}-17"})
    assert f'value="{month[1]}-17"' in client.get(f"{where}/form", headers=HTML).text
    day = "O" * 36 + "P" * 6 + "O" * 6
    grid = {"calendar-sent": "1", "calendar-mode": "grid", "calendar-national": "1", "calendar-weekday": day}
    grid |= {f"calendar-{rest}": "O" * 48 for rest in ("saturday", "sunday", "holiday")}
    where = enter(client, token, "tariff", key="branca", **grid)
    assert f'name="calendar-weekday" value="{day}"' in client.get(f"{where}/form", headers=HTML).text


def test_pick_lists_find_by_beginnings(client: Client) -> None:
    found = client.get("/registry/pick/customer?q=ceramica", headers=HTML).text
    assert "Cerâmica Três Irmãos" in found
    assert "Nothing found" in client.get("/registry/pick/customer?q=zzz", headers=HTML).text


def test_lists_search_filter_and_sort(client: Client) -> None:
    assert "m-0003" in client.get("/registry/meter?q=8910754", headers=HTML).text, "without its leading zero"
    lapa = client.get("/registry/meter?gateway=gw-lapa", headers=HTML).text
    assert ("m-0006" in lapa, "m-0001" in lapa) == (True, False)
    down = client.get("/registry/meter?order=serial&down=1", headers=HTML).text
    assert down.index("08910754") < down.index("05622103")


def test_a_sheet_is_shown_then_applied(client: Client, token: str) -> None:
    sheet = "Chave externa;Nome;Lote\nim-1;Primeiro;\nim-2;Segundo;nenhum\n;Sem chave;\n"
    brought = client.post(
        "/registry/import/customer", data={"_csrf": token}, files={"file": ("clientes.csv", sheet.encode("latin-1"))},
        headers=HTML, follow_redirects=False,
    )  # fmt: skip
    assert brought.status_code == 303, brought.text
    where = brought.headers["location"]
    shown = client.get(where, headers=HTML).text
    assert "no lot 'nenhum'" in shown.replace("&#39;", "'")
    assert "Primeiro" in shown
    refused = client.get(f"{where}/refused", headers=HTML).content.decode("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in refused] == ["Chave externa", "im-2", ""]
    nothing = post(client, where, token, how="all")
    assert nothing.status_code == 422  # type: ignore[attr-defined]
    assert client.get("/registry/customer/im-1", headers=HTML).status_code == 404
    taken = post(client, where, token, how="good")
    assert "Taken: 1 new" in taken.text  # type: ignore[attr-defined]
    assert client.get("/registry/customer/im-1", headers=HTML).status_code == 200


def test_an_export_is_a_workbook_of_text(client: Client) -> None:
    data = client.get("/registry/export/meter?format=xlsx", headers=HTML).content
    rows = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    assert rows[0][:2] == ["Identification", "Serial"]
    assert "06647671" in [row[1] for row in rows]


def test_who_may_not_change_billing_may_look(stranger: Client) -> None:
    log_in(stranger, OPERATOR)
    assert stranger.get("/registry/lot", headers=HTML).status_code == 200
    assert stranger.get("/registry/lot/new", headers=HTML).status_code == 403
    answer = post(stranger, "/registry/lot/new", csrf(stranger), key="mine")
    assert answer.status_code == 403  # type: ignore[attr-defined]


def test_every_fault_and_field_has_words() -> None:
    assert registry_words.all_faults() == registry_words.translated()
    for kind in KINDS:
        for name in registry_words.columns(kind.name):
            assert name in registry_words._FIELDS, name
        for code in i18n.LANGUAGES:
            i18n.activate(code)
            header = registry_words.header(kind.name)
            known = registry_words.headings(kind.name)
            assert [known[normal(word)] for word in header] == registry_words.columns(kind.name), (kind.name, code)
    i18n.activate("en")


def test_no_widget_is_unknown() -> None:
    known = {"text", "area", "email", "zone", "choice", "integer", "number", "flag", "day", "ratio", "reference",
             "members", "dates", "hours", "periods", "calendar"}  # fmt: skip
    assert {each.type.widget for kind in BY_NAME.values() for each in kind.fields} <= known
